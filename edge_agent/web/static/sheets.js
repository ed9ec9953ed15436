// What lies over a screen: a record and what can be done with it, payment, tare, price, batches.
import { h, key, facts, choice } from "./dom.js";
import { s, change, say, has, yuan, kilos, price, view } from "./state.js";
import { ask, act, tell } from "./api.js";

export const open = (kind, more) => change({ sheet: Object.assign({ kind }, more) });
export const close = () => change({ sheet: null });
const put = (more) => change({ sheet: Object.assign({}, s.sheet, more) });

export const MARKS = { saved: "✓", sent: "↑", delivered: "✓✓", refused: "!" };
export const typeName = (type) => say(`type.${String(type).split(".")[1]}`);
export const nameOf = (record) => record.goods_name || record.goods_code || record.text || record.tag_id || "";
export const leftOf = (batch) => (batch.left_mg ? `${(batch.left_mg / 1e6).toFixed(1)} kg` : `${batch.left_qty || 0} ${say("pieces")}`);

export function amountOf(record) {
  if (record.mode === "piece") return `${record.qty} ${say("pieces")}`;
  if (record.net_mg || record.net_mg === 0) return `${kilos(record.net_mg)} kg`;
  return record.indication ? `${record.indication} ${record.unit || ""}` : record.qty ? `${record.qty} ${say("pieces")}` : "";
}

// The pad for screens without a keyboard; `text` is what was typed so far.
export function pad(text, onText, dot) {
  const press = (name) => {
    if (name === "C") onText("");
    else if (name === "⌫") onText(text.slice(0, -1));
    else if (text.length < 9 && !(name === "." && text.includes("."))) onText(text + name);
  };
  return h("div.pad", {}, ["7", "8", "9", "4", "5", "6", "1", "2", "3", dot ? "." : "C", "0", "⌫"].map((name) =>
    key(name, () => press(name), { key: name, "aria-label": name === "⌫" ? "Backspace" : name })));
}

export const field = (label, control) => h("label.field", {}, h("span", {}, label), control);

const money = (record) => (record.amount_raw_fen > record.amount_fen ? `${yuan(record.amount_fen)}（${say("before")} ${yuan(record.amount_raw_fen)}）` : yuan(record.amount_fen));
const isNumber = (value) => value || value === 0;

// A slip on the printer of the station that is worked at, else of the record's own.
const printKey = (record, what) => key(say(`slip.${what}`), () => ask(`/api/records/${record.id}/print`, { what }).then((answer) => tell(answer, `${say("printing")} ${answer.printer}`)));

// The receipt for a buyer's own phone: its lines, and its code to be scanned.
async function slip(record) {
  const answer = await ask(`/api/records/${record.id}/receipt`);
  if (answer.ok) open("slip", { record, lines: answer.lines, qr: answer.qr });
  else tell(answer);
}

// Done where the answer is good: the sheet goes.
async function done(answering) {
  const answer = await answering;
  if (answer.ok) close();
  return answer;
}

const SHEETS = {
  record(sheet) {
    const record = s.records.find((each) => each.id === sheet.record.id) || sheet.record;
    const name = record.type.split(".")[1];
    const isSale = name === "sale";
    const correct = (how) => put({ kind: "correct", how });
    return [typeName(record.type), [
      facts([
        [say("time"), String(record.time).slice(0, 19).replace("T", " ")], [say("goods"), nameOf(record)], [say("weight"), amountOf(record)],
        [say("price"), isNumber(record.price_fen) ? price(record.price_fen, record.price_per) : ""], [say("amount"), isNumber(record.amount_fen) ? money(record) : ""],
        [say("batch"), record.batch], [say("trace"), record.trace_code], [say("buyer"), record.buyer],
        [say("screen.status"), `${MARKS[record.mark] || ""} ${say(`mark.${record.mark}`)}`, { "data-mark": record.mark }],
        record.mark === "refused" ? [say("reason"), has(`platform.${record.code}`) ? say(`platform.${record.code}`) : record.reason || record.code] : null,
        [say("flags"), (record.flags || []).map((flag) => say(`flag.${flag}`)).join("；")],
      ]),
      record.void_by ? h("p.note", {}, say("refusal.already-void")) : null,
      /^(sale|weighing|intake|transfer|loss|return|settlement)$/.test(name) && !record.void_by ? h("div.row", {},
        key(say("void"), () => correct("void"), { tag: "button.danger" }),
        isSale ? [key(say("amend"), () => correct("amend")), key(say("return"), () => correct("return"))] : null,
        record.trace_code ? h("a.button", { href: "#trace", onclick: () => change({ wanted: record.trace_code, sheet: null }) }, say("trace-it")) : null) : null,
      isSale || name === "settlement" || name === "intake" ? h("div.row.slips", {},
        name === "intake" ? null : [printKey(record, "receipt"), key(say("e-receipt"), () => slip(record))],
        isSale ? printKey(record, "label") : null, name === "intake" || (isSale && record.batch) ? printKey(record, "certificate") : null) : null,
    ]];
  },

  slip: ({ record, lines, qr }) => [say("e-receipt"), [
    qr ? h("img.qr", { src: `/api/records/${record.id}/receipt.svg`, alt: say("e-receipt") }) : null,
    h("div.slip", {}, lines.map((each) => (each.rule ? h("hr", {}) : each.code ? null : each.text === undefined ? h("p.pair", {}, h("span", {}, each.left), h("span", {}, each.right)) : h("p", { class: [each.align, each.bold ? "strong-line" : ""] }, each.text))))]],

  // A void, an amendment or a return: always with a reason, never an erasure.
  correct(sheet) {
    const { record, how } = sheet;
    const details = sheet.details || {};
    const set = (name, value) => put({ details: Object.assign({}, details, { [name]: value }) });
    const piece = record.mode === "piece";
    const send = (reason) => {
      if (!reason) return;
      const sent = {};
      const typed = Number(details.amount);
      const goods = s.goods.find((each) => each.code === details.goods);
      if (how === "amend" && goods && goods.code !== record.goods_code) Object.assign(sent, { goods_code: goods.code, goods_name: goods.name });
      if (how === "amend" && details.batch) sent.batch = details.batch;
      if (how === "return" && typed > 0) Object.assign(sent, piece ? { qty: Math.round(typed) } : { net_mg: Math.round(typed * 1e6) });
      const asked = how === "return"
        ? ask(`/api/stations/${encodeURIComponent(s.station)}/return`, { arguments: Object.assign(sent, { sale: record.id, reason, goods_go: details.go || "stock" }) })
        : ask(`/api/records/${record.id}/${how}`, { reason, details: sent });
      done(asked.then((answer) => {
        tell(answer, `${say(how)} ${nameOf(record)}`);
        return answer;
      }));
    };
    return [`${say(how)}：${nameOf(record)} ${amountOf(record)} ${isNumber(record.amount_fen) ? yuan(record.amount_fen) : ""}`, [
      how === "amend" ? [
        field(say("goods"), h("select", { value: details.goods || record.goods_code, onchange: (e) => set("goods", e.target.value) },
          s.goods.some((each) => each.code === record.goods_code) ? null : h("option", { key: "", value: record.goods_code }, nameOf(record)),
          s.goods.map((each) => h("option", { key: each.code, value: each.code }, each.name)))),
        field(say("batch"), h("input", { value: details.batch, placeholder: record.batch, oninput: (e) => set("batch", e.target.value) }))] : null,
      how === "return" ? [
        field(piece ? say("qty") : "kg", h("input", { inputmode: "decimal", value: details.amount, placeholder: piece ? record.qty : kilos(record.net_mg), oninput: (e) => set("amount", e.target.value) })),
        choice(say("goods-go"), ["stock", "disposal", "supplier"], details.go || "stock", (go) => say(`go.${go}`), (go) => set("go", go))] : null,
      h("h3", {}, say("reason")),
      h("div.reasons", {}, say(`reasons.${how}`).map((reason) => key(reason, () => send(reason), { key: reason }))),
      h("form.inline", { onsubmit: (e) => { e.preventDefault(); send((sheet.other || "").trim()); } },
        h("input", { "aria-label": say("other-reason"), placeholder: say("other-reason"), maxlength: 200, value: sheet.other, oninput: (e) => put({ other: e.target.value }) }),
        h("button", { type: "submit" }, say("ok"))),
    ]];
  },

  tare(sheet) {
    const crates = ((view() || {}).detail || {}).crates || {};
    const typed = sheet.text || "";
    const count = sheet.count || 1;
    const set = (args) => done(act("tare", args, ""));
    return [say("preset-tare"), [
      h("div.reasons", {}, Object.keys(crates).map((crate) => key([crate, h("small", {}, ` ${kilos(crates[crate])} kg × ${count}`)], () => set({ crate, count }), { key: crate }))),
      Object.keys(crates).length ? choice(say("qty"), [1, 2, 3, 4, 5], count, (n) => `× ${n}`, (n) => put({ count: n })) : null,
      h("p.typed", {}, typed || "0", " kg"), pad(typed, (text) => put({ text }), true),
      h("div.row", {}, key(say("no-tare"), () => set({ mass_mg: 0 })),
        key(say("ok"), () => set({ mass_mg: Math.round(Number(typed) * 1e6) }), { tag: "button.strong", disabled: !(Number(typed) > 0) })),
    ]];
  },

  price({ goods, text }) {
    const typed = text || "";
    const per = goods.price_per === "each" ? "each" : s.price_unit || goods.price_per || "kg";
    const set = () => done(act("goods", { code: goods.code, name: goods.name, price_fen: Math.round(Number(typed) * 100), price_per: per }, ""));
    return [`${say("set-price")}：${goods.name || goods.code}`, [
      h("p.typed", {}, typed || "0", " ", say(`per.${per}`)), pad(typed, (now) => put({ text: now }), true),
      key(say("ok"), set, { tag: "button.strong.wide", disabled: !(Number(typed) > 0) }),
    ]];
  },

  pay({ lines, ticket, fen }) {
    const settle = (method) => done(act("settle", Object.assign({ pay_method: method }, ticket ? { ticket } : { lines }), `${say("settled")} ${yuan(fen)} ${say(`paid.${method}`)}`));
    return [say("settle"), [
      h("p.typed", {}, yuan(fen), " ", say("yuan")),
      h("div.reasons", {}, ["cash", "wechat", "alipay", "ecny", "unionpay", "card", "account"].map((method) => key(say(`paid.${method}`), () => settle(method), { key: method }))),
    ]];
  },

  held() {
    const held = ((view() || {}).detail || {}).held || [];
    return [say("held"), h("div.reasons", {}, held.map((each) =>
      key([String(each.ticket).slice(-6), h("small", {}, ` ${each.lines} ${say("lines")} · ${yuan(each.fen)}`)], () => done(act("ticket", { ticket: each.ticket }, "")), { key: each.ticket })))];
  },

  batches({ batches, code }) {
    return [say("other-batch"), h("div.reasons", {}, batches.map((each) =>
      key([each.batch, h("small", {}, ` ${say("left")} ${leftOf(each)}`)], () => done(act("batch", { batch: each.batch, goods_code: code }, "")), { key: each.batch })))];
  },
};

export function addSheet(kind, make) {
  SHEETS[kind] = make;
}

export function sheet() {
  if (!s.sheet || !SHEETS[s.sheet.kind]) return null;
  const [title, body] = SHEETS[s.sheet.kind](s.sheet);
  return h("div.over", { key: `over-${s.sheet.kind}`, onclick: (e) => { if (e.target === e.currentTarget) close(); } },
    h("section.sheet", { role: "dialog", "aria-modal": "true", "aria-labelledby": "sheet-title", tabindex: "-1", after: focusOnce },
      h("div.sheet-top", {}, h("h2", { id: "sheet-title" }, title), key("✕", close, { tag: "button.close", "aria-label": say("close") })),
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
