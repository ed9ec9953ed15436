// What is asked at the counter now and then: crates and tare, another price, payment, tickets on hold.
import { h, key } from "./dom.js";
import { s, say, yuan, kilos, price, view } from "./state.js";
import { act } from "./api.js";
import { choice, pad } from "./forms.js";
import { addSheet, done, put } from "./sheets.js";

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
      goods.price_fen ? h("p.note", `${say("now")} ${price(goods.price_fen, goods.price_per)}`) : null,
      h("p.typed", typed || "0", " ", say(`per.${per}`)), pad(typed, (now) => put({ text: now }), true),
      key(say("ok"), set, { kind: "button.strong.wide", disabled: !(Number(typed) > 0) }),
    ]];
  },

  // What the operator reads off a scale that tells nothing.
  weight(sheet) {
    const { batches, batch } = sheet;
    const typed = sheet.text || "";
    const set = () => done(act("confirm", { net_mg: Math.round(Number(typed) * 1e6), ...(batch ? { batch } : {}) }, `${say("sold")} ${typed} kg`));
    return [say("by-hand"), [
      h("p.note", say("by-hand-note")),
      batches.length > 1 ? choice(say("batch"), batches.map((each) => each.batch), batch, String, (now) => put({ batch: now })) : null,
      h("p.typed", typed || "0", " kg"), pad(typed, (text) => put({ text }), true),
      key(say("confirm"), set, { kind: "button.strong.wide", disabled: !(Number(typed) > 0) }),
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
      key([(each.goods || []).join("、") || String(each.ticket).slice(-6), h("small", ` ${each.lines} ${say("lines")} · ${yuan(each.fen)}`)], () => done(act("ticket", { ticket: each.ticket }, "")), { key: each.ticket })))];
  },
};

Object.keys(SHEETS).forEach((kind) => addSheet(kind, SHEETS[kind]));
