// What is typed and chosen: fields, lists, keys of which one is down, the pad for screens without a keyboard.
import { h, key } from "./dom.js";
import { change } from "./state.js";

export const field = (label, control) => h("label.field", h("span", label), control);

// A line for text; `take` gets what is in it with each key.
export const input = (value, take, more) => h("input", { value, oninput: (e) => { take(e.target.value); change({}); }, ...more });

export const entry = (label, value, take, more) => field(label, input(value, take, more));

export const numeric = (label, value, take, more) => entry(label, value, take, { inputmode: "decimal", ...more });

// One of `options`, each a code and its name.
export const select = (value, options, take, more) => h("select", { value: value || "", onchange: (e) => { take(e.target.value); change({}); }, ...more },
  options.map(([code, name]) => h("option", { key: code, value: code }, name)));

// Keys of which one is down.
export const choice = (label, values, now, name, take) => h("div.row.choose", { role: "group", "aria-label": label }, values.map((value) =>
  key(name(value), () => take(value), { key: value, "aria-pressed": String(value === now) })));

// `text` is what was typed so far.
export function pad(text, onText, dot) {
  const press = (name) => {
    if (name === "C") onText("");
    else if (name === "⌫") onText(text.slice(0, -1));
    else if (text.length < 9 && !(name === "." && text.includes("."))) onText(text + name);
    change({});
  };
  return h("div.pad", ["7", "8", "9", "4", "5", "6", "1", "2", "3", dot ? "." : "C", "0", "⌫"].map((name) =>
    key(name, () => press(name), { key: name, "aria-label": name === "⌫" ? "Backspace" : name })));
}
