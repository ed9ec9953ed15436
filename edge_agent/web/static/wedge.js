// A barcode scanner that plays keyboard: a burst of keys less than 35 ms apart that ends in Enter or Tab is a scan,
// wherever the focus is. What it typed into a field is taken out again. A single key waits until it cannot be the
// first of a burst, then it is a shortcut.

const GAP = 35;
const SHORTEST = 4;
const LONGEST = 4096;

export function listen(onScan, onKey) {
  let burst = "";
  let last = 0;
  let field = null;
  let before = "";
  let timer = 0;

  const forget = () => {
    burst = "";
    field = null;
  };

  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.altKey || event.metaKey) return;
    const now = event.timeStamp;
    const gap = now - last;
    const control = event.ctrlKey && event.key.length === 1 ? controlSign(event.key) : "";
    const sign = control || (event.ctrlKey ? "" : event.key);
    if (event.key === "Shift" || event.key === "Control") return;
    clearTimeout(timer);
    if (event.key === "Enter" || event.key === "Tab") {
      if (burst.length >= SHORTEST && gap <= GAP) {
        event.preventDefault();
        event.stopPropagation();
        const text = burst;
        if (field) {
          field.value = before;
          field.dispatchEvent(new Event("input", { bubbles: true }));
        }
        forget();
        onScan(text);
        return;
      }
      forget();
      onKey(event);
      return;
    }
    if (sign.length !== 1) {
      forget();
      onKey(event);
      return;
    }
    if (gap > GAP || !burst) {
      forget();
      const target = event.target;
      if (isField(target)) {
        field = target;
        before = target.value;
      }
    }
    last = now;
    if (burst.length < LONGEST) burst += sign;
    if (control && burst.length > 1) event.preventDefault();
    const key = event.key;
    if (!isField(event.target) && !event.ctrlKey) {
      if (key === " " && event.target.tagName !== "BUTTON") event.preventDefault();
      timer = setTimeout(() => {
        if (burst === key) {
          forget();
          onKey({ key, target: event.target, preventDefault() {} });
        }
      }, GAP + 15);
    }
  }, true);
}

export const isField = (node) => /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName || "");

// Ctrl+] is how a wedge types the group separator of GS1.
const controlSign = (key) => (/[\[\]\\^_]/.test(key) ? String.fromCharCode(key.charCodeAt(0) & 31) : "");
