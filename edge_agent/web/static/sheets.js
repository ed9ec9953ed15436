// What lies over a screen: payment, tare, price, batches; and the frame of all that does.
import { h, key } from "./dom.js";
import { s, change, say, yuan, kilos, view } from "./state.js";
import { act } from "./api.js";
import { choice, pad } from "./forms.js";
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
  tare(sheet) {
    const crates = ((view() || {}).detail || {}).crates || {};
    const typed = sheet.text || "";
    const count = sheet.count || 1;
    const set = (args) => done(act("tare", args, ""));
    return [say("preset-tare"), [
      h("div.reasons", Object.keys(crates).map((crate) => key([crate, h("small", ` ${kilos(crates[crate])} kg × ${count}`)], () => set({ crate, count }), { key: crate }))),
      Object.keys(crates).length ? choice(say("qty"), [1, 2, 3, 4, 5], count, (n) => `× ${n}`, (n) => put({ count: n })) : null,
      h("p.typed", typed || "0", " kg"), pad(typed, (text) => put({ text }), true),
      h("div.row", key(say("no-tare"), () => set({ mass_mg: 0 })),
        key(say("ok"), () => set({ mass_mg: Math.round(Number(typed) * 1e6) }), { kind: "button.strong", disabled: !(Number(typed) > 0) })),
    ]];
  },

  price({ goods, text }) {
    const typed = text || "";
    const per = goods.price_per === "each" ? "each" : s.session.price_unit || goods.price_per || "kg";
    const set = () => done(act("goods", { code: goods.code, name: goods.name, price_fen: Math.round(Number(typed) * 100), price_per: per }, ""));
    return [`${say("set-price")}：${goods.name || goods.code}`, [
      h("p.typed", typed || "0", " ", say(`per.${per}`)), pad(typed, (now) => put({ text: now }), true),
      key(say("ok"), set, { kind: "button.strong.wide", disabled: !(Number(typed) > 0) }),
    ]];
  },

  pay({ lines, ticket, fen }) {
    const settle = (method) => done(act("settle", { pay_method: method, ...(ticket ? { ticket } : { lines }) }, `${say("settled")} ${yuan(fen)} ${say(`paid.${method}`)}`));
    return [say("settle"), [
      h("p.typed", yuan(fen), " ", say("yuan")),
      h("div.reasons", ["cash", "wechat", "alipay", "ecny", "unionpay", "card", "account"].map((method) => key(say(`paid.${method}`), () => settle(method), { key: method }))),
    ]];
  },

  held() {
    const held = ((view() || {}).detail || {}).held || [];
    return [say("held"), h("div.reasons", held.map((each) =>
      key([String(each.ticket).slice(-6), h("small", ` ${each.lines} ${say("lines")} · ${yuan(each.fen)}`)], () => done(act("ticket", { ticket: each.ticket }, "")), { key: each.ticket })))];
  },

  batches({ batches, code }) {
    return [say("other-batch"), h("div.reasons", batches.map((each) =>
      key([each.batch, h("small", ` ${say("left")} ${leftOf(each)}`)], () => done(act("batch", { batch: each.batch, goods_code: code }, "")), { key: each.batch })))];
  },
};

// Those that come with a module of their own when they are first opened.
const FROM = { record: "record", slip: "record", correct: "record", who: "person", settings: "person" };

export function addSheet(kind, make) {
  SHEETS[kind] = make;
}

export function sheet() {
  if (!s.sheet) return null;
  const from = FROM[s.sheet.kind];
  const [title, body] = SHEETS[s.sheet.kind] ? SHEETS[s.sheet.kind](s.sheet) : [say("more"), part(from) || absent(from)];
  return h("div.over", { key: `over-${s.sheet.kind}`, onclick: (e) => { if (e.target === e.currentTarget) close(); } },
    h("section.sheet", { role: "dialog", "aria-modal": "true", "aria-labelledby": "sheet-title", tabindex: "-1", after: focusOnce },
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
