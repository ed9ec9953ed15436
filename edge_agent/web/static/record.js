// A record and what can be done with it: void, amend, take back, print, show the receipt. Always with a reason, never an
// erasure.
import { h, key, facts } from "./dom.js";
import { s, change, say, has, yuan, kilos, price } from "./state.js";
import { ask, tell, to } from "./api.js";
import { choice, entry, field, input, numeric, select } from "./forms.js";
import { addSheet, amountOf, done, goodsList, MARKS, nameOf, open, put, typeName } from "./sheets.js";

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
      record.void_by ? h("p.note", say("refusal.already-void")) : null,
      /^(sale|weighing|intake|transfer|loss|return|settlement)$/.test(name) && !record.void_by ? h("div.row",
        key(say("void"), () => correct("void"), "button.danger"),
        isSale ? [key(say("amend"), () => correct("amend")), key(say("return"), () => correct("return"))] : null,
        record.trace_code ? h("a.button", { href: "#trace", onclick: () => change({ wanted: record.trace_code, sheet: null }) }, say("trace-it")) : null) : null,
      isSale || name === "settlement" || name === "intake" ? h("div.row.slips",
        name === "intake" ? null : [printKey(record, "receipt"), key(say("e-receipt"), () => slip(record))],
        isSale ? printKey(record, "label") : null, name === "intake" || (isSale && record.batch) ? printKey(record, "certificate") : null) : null,
    ]];
  },

  slip: ({ record, lines, qr }) => [say("e-receipt"), [
    qr ? h("img.qr", { src: `/api/records/${record.id}/receipt.svg`, alt: say("e-receipt") }) : null,
    h("div.slip", lines.map((each) => (each.rule ? h("hr") : each.code ? null : each.text === undefined ? h("p.pair", h("span", each.left), h("span", each.right)) : h("p", { class: [each.align, each.bold ? "strong-line" : ""] }, each.text))))]],

  // A void, an amendment or a return: always with a reason, never an erasure.
  correct(sheet) {
    const { record, how } = sheet;
    const details = sheet.details || {};
    const set = (name, value) => put({ details: { ...details, [name]: value } });
    const piece = record.mode === "piece";
    const known = s.goods.some((each) => each.code === record.goods_code);
    const send = (reason) => {
      if (!reason) return;
      const sent = {};
      const typed = Number(details.amount);
      const goods = s.goods.find((each) => each.code === details.goods);
      if (how === "amend" && goods && goods.code !== record.goods_code) Object.assign(sent, { goods_code: goods.code, goods_name: goods.name });
      if (how === "amend" && details.batch) sent.batch = details.batch;
      if (how === "amend" && Number(details.price) > 0) sent.price_fen = Math.round(Number(details.price) * 100);
      if (how === "amend" && Number(details.pieces) > 0) sent.qty = Math.round(Number(details.pieces));
      if (how === "return" && typed > 0) Object.assign(sent, piece ? { qty: Math.round(typed) } : { net_mg: Math.round(typed * 1e6) });
      const asked = how === "return"
        ? ask(to`/api/stations/${s.station}/return`, { arguments: Object.assign(sent, { sale: record.id, reason, goods_go: details.go || "stock" }) })
        : ask(`/api/records/${record.id}/${how}`, { reason, details: sent });
      done(asked.then((answer) => {
        tell(answer, `${say(how)} ${nameOf(record)}`);
        return answer;
      }));
    };
    return [`${say(how)}：${nameOf(record)} ${amountOf(record)} ${isNumber(record.amount_fen) ? yuan(record.amount_fen) : ""}`, [
      how === "amend" ? [
        field(say("goods"), select(details.goods || record.goods_code, known ? goodsList() : [[record.goods_code, nameOf(record)], ...goodsList()], (code) => set("goods", code))),
        entry(say("batch"), details.batch, (text) => set("batch", text), { placeholder: record.batch }),
        h("div.two", numeric(`${say("price")} ${say(`per.${record.price_per || "kg"}`)}`, details.price, (text) => set("price", text), { placeholder: isNumber(record.price_fen) ? yuan(record.price_fen) : "" }),
          piece ? numeric(say("qty"), details.pieces, (text) => set("pieces", text), { placeholder: record.qty }) : null)] : null,
      how === "return" ? [
        numeric(piece ? say("qty") : "kg", details.amount, (text) => set("amount", text), { placeholder: piece ? record.qty : kilos(record.net_mg) }),
        choice(say("goods-go"), ["stock", "disposal", "supplier"], details.go || "stock", (go) => say(`go.${go}`), (go) => set("go", go))] : null,
      h("h3", say("reason")),
      h("div.reasons", say(`reasons.${how}`).map((reason) => key(reason, () => send(reason), { key: reason }))),
      h("form.inline", { onsubmit: (e) => { e.preventDefault(); send((sheet.other || "").trim()); } },
        input(sheet.other, (other) => put({ other }), { "aria-label": say("other-reason"), placeholder: say("other-reason"), maxlength: 200 }),
        h("button", { type: "submit" }, say("ok"))),
    ]];
  },
};

Object.keys(SHEETS).forEach((kind) => addSheet(kind, SHEETS[kind]));
