// What lies over a screen: a record and what can be done with it, payment, tare, price, numbers to type.
import { h, visible } from "./dom.js";
import { s, change, say, has, yuan, kilos, price, when, toast, view } from "./state.js";
import { ask, act, order, tell } from "./api.js";
import * as sound from "./sound.js";

export const open = (kind, more) => change({ sheet: Object.assign({ kind }, more) });
export const close = () => change({ sheet: null });
const put = (more) => change({ sheet: Object.assign({}, s.sheet, more) });

export const typeName = (type) => {
  const name = String(type).split(".")[1] || String(type);
  return say(`type.${name}`);
};

export const MARKS = { saved: "✓", sent: "↑", delivered: "✓✓", refused: "!" };

export function amountOf(record) {
  if (record.mode === "piece") return `${record.qty} ${say("pieces")}`;
  if (record.net_mg !== undefined && record.net_mg !== null) return `${kilos(record.net_mg)} kg`;
  if (record.indication) return `${record.indication} ${record.unit || ""}`;
  return record.qty ? `${record.qty} ${say("pieces")}` : "";
}

export const nameOf = (record) => visible(record.goods_name || record.goods_code || record.text || record.tag_id || "");

// The pad for screens without a keyboard; `text` is what was typed so far.
export function pad(text, onText, dot) {
  const keys = ["7", "8", "9", "4", "5", "6", "1", "2", "3", dot ? "." : "C", "0", "⌫"];
  const press = (key) => {
    if (key === "C") onText("");
    else if (key === "⌫") onText(text.slice(0, -1));
    else if (text.length < 9 && !(key === "." && text.includes("."))) onText(text + key);
  };
  return h("div.pad", {}, keys.map((key) =>
    h("button", { key, type: "button", "aria-label": key === "⌫" ? "Backspace" : key, onclick: () => press(key) }, key)));
}

const field = (label, control) => h("label.field", {}, h("span", {}, label), control);

function fact(label, value) {
  return value === null || value === undefined || value === "" ? null : h("div", { key: label }, h("dt", {}, label), h("dd", {}, visible(value)));
}

function facts(record) {
  const reason = record.reason || record.code;
  return h("dl.facts", {},
    fact(say("time"), String(record.time || "").slice(0, 19).replace("T", " ")),
    fact(say("goods"), nameOf(record)),
    fact(say("weight"), amountOf(record)),
    fact(say("price"), record.price_fen === undefined || record.price_fen === null ? "" : price(record.price_fen, record.price_per)),
    fact(say("amount"), record.amount_fen === undefined || record.amount_fen === null ? "" : `${yuan(record.amount_fen)}${record.amount_raw_fen > record.amount_fen ? `（${say("before")} ${yuan(record.amount_raw_fen)}）` : ""}`),
    fact(say("batch"), record.batch),
    fact(say("trace"), record.trace_code),
    fact(say("buyer"), record.buyer),
    h("div", { key: "mark" }, h("dt", {}, say("screen.status")), h("dd", { "data-mark": record.mark }, `${MARKS[record.mark] || ""} ${say(`mark.${record.mark}`)}`,
      record.mark === "refused" && reason ? h("p.why", {}, visible(has(`platform.${record.code}`) ? say(`platform.${record.code}`) : reason)) : null)),
    record.flags && record.flags.length ? fact(say("flags"), record.flags.map((flag) => say(`flag.${flag}`)).join("；")) : null);
}

const SHEETS = {
  record(sheet) {
    const record = s.records.find((each) => each.id === sheet.record.id) || sheet.record;
    const sale = /^trace\.(sale|weighing|intake|transfer|loss|return)\./.test(record.type);
    const isSale = record.type.slice(0, 10) === "trace.sale";
    return [typeName(record.type), [
      facts(record),
      record.void_by ? h("p.note", {}, say("refusal.already-void")) : null,
      sale && !record.void_by ? h("div.row", {},
        h("button.danger", { type: "button", onclick: () => put({ kind: "correct", how: "void" }) }, say("void")),
        isSale ? h("button", { type: "button", onclick: () => put({ kind: "correct", how: "amend" }) }, say("amend")) : null,
        isSale ? h("button", { type: "button", onclick: () => put({ kind: "correct", how: "return" }) }, say("return")) : null,
        isSale ? h("button", { type: "button", onclick: () => ask(`/api/records/${record.id}/print`, {}).then((a) => tell(a, say("print"))) }, say("print")) : null,
        record.trace_code ? h("a.button", { href: `#trace`, onclick: () => change({ wanted: record.trace_code, sheet: null }) }, say("trace-it")) : null) : null,
    ]];
  },

  // A void, an amendment or a return: always with a reason, never an erasure.
  correct(sheet) {
    const record = sheet.record;
    const details = sheet.details || {};
    const set = (name, value) => put({ details: Object.assign({}, details, { [name]: value }) });
    const send = async (reason) => {
      if (!reason) return;
      const sent = {};
      let path = `/api/records/${record.id}/${sheet.how}`;
      let body = { reason, details: sent };
      if (sheet.how === "amend") {
        const goods = s.goods.find((each) => each.code === details.goods);
        if (goods && goods.code !== record.goods_code) Object.assign(sent, { goods_code: goods.code, goods_name: goods.name });
        if (details.batch) sent.batch = details.batch;
      }
      if (sheet.how === "return") {
        path = `/api/stations/${encodeURIComponent(s.station)}/return`;
        const args = { sale: record.id, reason, goods_go: details.go || "stock" };
        const typed = Number(details.amount);
        if (typed > 0) Object.assign(args, record.mode === "piece" ? { qty: Math.round(typed) } : { net_mg: Math.round(typed * 1e6) });
        body = { arguments: args };
      }
      const answer = await ask(path, body);
      tell(answer, `${say(sheet.how)} ${nameOf(record)}`);
      if (answer.ok) close();
    };
    return [`${say(sheet.how)}：${nameOf(record)} ${amountOf(record)} ${record.amount_fen !== undefined && record.amount_fen !== null ? yuan(record.amount_fen) : ""}`, [
      sheet.how === "amend" ? [
        field(say("goods"), h("select", { value: details.goods || record.goods_code, onchange: (e) => set("goods", e.target.value) },
          s.goods.every((each) => each.code !== record.goods_code) ? h("option", { key: "", value: record.goods_code }, nameOf(record)) : null,
          s.goods.map((each) => h("option", { key: each.code, value: each.code }, visible(each.name))))),
        field(say("batch"), h("input", { value: details.batch || "", placeholder: visible(record.batch || ""), oninput: (e) => set("batch", e.target.value) })),
      ] : null,
      sheet.how === "return" ? [
        field(record.mode === "piece" ? say("qty") : "kg", h("input", { inputmode: "decimal", value: details.amount || "", placeholder: record.mode === "piece" ? record.qty : kilos(record.net_mg), oninput: (e) => set("amount", e.target.value) })),
        h("div.row.choose", { role: "group", "aria-label": say("goods-go") }, Object.keys(s.language === "zh" ? { stock: 1, disposal: 1, supplier: 1 } : { stock: 1, disposal: 1, supplier: 1 }).map((go) =>
          h("button", { key: go, type: "button", "aria-pressed": String((details.go || "stock") === go), onclick: () => set("go", go) }, say(`go.${go}`)))),
      ] : null,
      h("h3", {}, say("reason")),
      h("div.reasons", {}, say(`reasons.${sheet.how}`).map((reason) => h("button", { key: reason, type: "button", onclick: () => send(reason) }, reason))),
      h("form.inline", { onsubmit: (e) => { e.preventDefault(); send((sheet.other || "").trim()); } },
        h("input", { "aria-label": say("other-reason"), placeholder: say("other-reason"), maxlength: 200, value: sheet.other || "", oninput: (e) => put({ other: e.target.value }) }),
        h("button", { type: "submit" }, say("ok"))),
    ]];
  },

  tare() {
    const detail = (view() || {}).detail || {};
    const typed = s.sheet.text || "";
    const set = async (args) => {
      const answer = await act("tare", args, "");
      if (answer.ok) close();
    };
    const count = s.sheet.count || 1;
    return [say("preset-tare"), [
      h("div.reasons", {}, Object.keys(detail.crates || {}).map((crate) =>
        h("button", { key: crate, type: "button", onclick: () => set({ crate, count }) }, visible(crate), h("small", {}, ` ${kilos(detail.crates[crate])} kg × ${count}`)))),
      Object.keys(detail.crates || {}).length ? h("div.row.choose", { role: "group", "aria-label": say("qty") }, [1, 2, 3, 4, 5].map((n) =>
        h("button", { key: n, type: "button", "aria-pressed": String(n === count), onclick: () => put({ count: n }) }, `× ${n}`))) : null,
      h("p.typed", {}, typed || "0", " kg"), pad(typed, (text) => put({ text }), true),
      h("div.row", {}, h("button", { type: "button", onclick: () => set({ mass_mg: 0 }) }, say("no-tare")),
        h("button.strong", { type: "button", disabled: !(Number(typed) > 0), onclick: () => set({ mass_mg: Math.round(Number(typed) * 1e6) }) }, say("ok"))),
    ]];
  },

  price() {
    const { goods } = s.sheet;
    const typed = s.sheet.text || "";
    const unit = (s.session && s.session.price_unit) || goods.price_per || "kg";
    const per = goods.price_per === "each" ? "each" : unit;
    return [`${say("set-price")}：${visible(goods.name || goods.code)}`, [
      h("p.typed", {}, typed || "0", " ", say(`per.${per}`)), pad(typed, (text) => put({ text }), true),
      h("button.strong.wide", { type: "button", disabled: !(Number(typed) > 0), onclick: async () => {
        const answer = await act("goods", { code: goods.code, name: goods.name, price_fen: Math.round(Number(typed) * 100), price_per: per }, "");
        if (answer.ok) close();
      } }, say("ok")),
    ]];
  },

  pay() {
    const { lines, ticket, fen } = s.sheet;
    const settle = async (method) => {
      const answer = await act("settle", Object.assign({ pay_method: method }, ticket ? { ticket } : { lines }), `${say("settled")} ${yuan(fen)} ${say(`paid.${method}`)}`);
      if (answer.ok) close();
    };
    return [say("settle"), [
      h("p.typed", {}, yuan(fen), " ", say("yuan")),
      h("div.reasons", {}, ["cash", "wechat", "alipay", "ecny", "unionpay", "card", "account"].map((method) =>
        h("button", { key: method, type: "button", onclick: () => settle(method) }, say(`paid.${method}`)))),
    ]];
  },

  held() {
    const held = ((view() || {}).detail || {}).held || [];
    return [say("held"), [
      h("div.reasons", {}, held.map((each) => h("button", { key: each.ticket, type: "button", onclick: async () => {
        const answer = await act("ticket", { ticket: each.ticket }, "");
        if (answer.ok) close();
      } }, visible(String(each.ticket).slice(-6)), h("small", {}, ` ${each.lines} ${say("lines")} · ${yuan(each.fen)}`)))),
      held.length ? null : h("p.note", {}, say("none")),
    ]];
  },

  batches() {
    const { batches, code } = s.sheet;
    return [say("other-batch"), [
      h("div.reasons", {}, batches.map((each) => h("button", { key: each.batch, type: "button", onclick: async () => {
        const answer = await act("batch", { batch: each.batch, goods_code: code }, "");
        if (answer.ok) close();
      } }, visible(each.batch), h("small", {}, ` ${say("left")} ${leftOf(each)}`)))),
    ]];
  },
};

export const leftOf = (batch) => (batch.left_mg ? `${(batch.left_mg / 1e6).toFixed(1)} kg` : batch.left_qty ? `${batch.left_qty} ${say("pieces")}` : "0");

export function addSheet(kind, make) {
  SHEETS[kind] = make;
}

export function sheet() {
  if (!s.sheet || !SHEETS[s.sheet.kind]) return null;
  const [title, body] = SHEETS[s.sheet.kind](s.sheet);
  return h("div.over", { key: `over-${s.sheet.kind}`, onclick: (e) => e.target === e.currentTarget && close() },
    h("section.sheet", { role: "dialog", "aria-modal": "true", "aria-labelledby": "sheet-title", tabindex: "-1", id: "sheet" },
      h("div.sheet-top", {}, h("h2", { id: "sheet-title" }, title),
        h("button.close", { type: "button", "aria-label": say("close"), onclick: close }, "✕")),
      body));
}

export { order, sound, when, toast };
