// What lies over a screen: the frame of all that does, and which batch goods are from.
import { h, key } from "./dom.js";
import { s, change, say, kilos } from "./state.js";
import { act } from "./api.js";
import { absent, part } from "./lazy.js";

export const open = (kind, more) => change({ sheet: { kind, ...more } });
export const close = () => change({ sheet: null });
export const put = (more) => change({ sheet: { ...s.sheet, ...more } });

export const MARKS = { saved: "✓", sent: "↑", delivered: "✓✓", refused: "!" };
export const typeName = (type) => say(`type.${String(type).split(".")[1]}`);
export const nameOf = (record) => record.goods_name || (s.goods.find((each) => each.code === record.goods_code) || {}).name || record.goods_code || record.text || record.tag_id || "";
export const leftOf = (batch) => (batch.left_mg ? `${(batch.left_mg / 1e6).toFixed(1)} kg` : `${batch.left_qty || 0} ${say("pieces")}`);

export function amountOf(record) {
  if (record.mode === "piece") return `${record.qty} ${say("pieces")}`;
  if (record.net_mg || record.net_mg === 0) return `${kilos(record.net_mg)} kg`;
  return record.indication ? `${record.indication} ${record.unit || ""}` : record.qty ? `${record.qty} ${say("pieces")}` : "";
}

// The goods of the stall to choose from.
export const goodsList = () => s.goods.map((each) => [each.code, each.name]);

// Done where the answer is good: the sheet goes.
export async function done(answering) {
  const answer = await answering;
  if (answer.ok) close();
  return answer;
}

const SHEETS = {
  batches({ batches, code }) {
    return [say("other-batch"), h("div.reasons", batches.map((each) =>
      key([each.batch, h("small", ` ${say("left")} ${leftOf(each)}`)], () => done(act("batch", { batch: each.batch, goods_code: code }, "")), { key: each.batch })))];
  },
};

// Those that come with a module of their own when they are first opened.
const FROM = {
  record: "record", slip: "record", correct: "record", who: "person", settings: "person", tare: "counter", price: "counter", pay: "counter", held: "counter", weight: "counter",
};

export function addSheet(kind, make) {
  SHEETS[kind] = make;
}

export function sheet() {
  if (!s.sheet) return null;
  const from = FROM[s.sheet.kind];
  const [title, body] = SHEETS[s.sheet.kind] ? SHEETS[s.sheet.kind](s.sheet) : [say("more"), part(from) || absent(from)];
  return h("div.over", { key: `over-${s.sheet.kind}`, onclick: (e) => { if (e.target === e.currentTarget) close(); } },
    h(`section.sheet.of-${s.sheet.kind}`, { role: "dialog", "aria-modal": "true", "aria-labelledby": "sheet-title", tabindex: "-1", after: focusOnce },
      h("div.sheet-top", h("h2", { id: "sheet-title" }, title), key("✕", close, { kind: "button.close", "aria-label": say("close") })),
      body));
}

// What opens takes the focus, keeps it while it is there, and gives it back.
export function focusOnce(node) {
  if (node.$begun) return;
  node.$begun = true;
  node.focus();
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Tab") return;
    const all = [].filter.call(node.querySelectorAll("button,input,select,textarea,a[href]"), (each) => !each.disabled && each.offsetParent);
    const edge = all[event.shiftKey ? 0 : all.length - 1];
    if (edge && (event.target === edge || (event.shiftKey && event.target === node))) {
      event.preventDefault();
      all[event.shiftKey ? all.length - 1 : 0].focus();
    }
  });
}
