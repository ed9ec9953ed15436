// The counter: weight, goods, one confirmation; what was sold and how far it has come.
import { h, visible } from "./dom.js";
import { s, change, say, yuan, kilos, price, when, view, toast } from "./state.js";
import { ask, order, act, tell, why } from "./api.js";
import { scale } from "./scale.js";
import { icon } from "./draw.js";
import { open, amountOf, nameOf, typeName, leftOf, MARKS, pad } from "./sheets.js";
import * as sound from "./sound.js";

const SHOWN = ["sale", "return", "void", "amend", "settlement", "loss", "recall_hit", "stocktake"];
const HUES = 10;
let query = "";
let category = "";
let letters = false;
let wanted = null; // goods that were tapped and that the station has not shown yet
let rounding = null; // fen that the operator takes instead of the amount
let qty = "1";
let busy = false;
let flash = 0;
let askPieces = false;

const detail = () => (view() || {}).detail || {};
const may = (right) => !s.session || !s.session.rights || s.session.rights.includes(right);
const goodsOf = (code) => s.goods.find((each) => each.code === code);
const byPiece = (d) => d.price_per === "each";

function matches(goods) {
  if (query) {
    const asked = query.toLowerCase();
    const initials = String(goods.pinyin || "").toLowerCase();
    return initials.startsWith(asked) || String(goods.plu || "").startsWith(asked) || String(goods.code).includes(asked) || String(goods.name).toLowerCase().includes(asked);
  }
  return !category || goods.category === category;
}

const found = () => s.goods.filter(matches);

// ---- what a person does

async function choose(goods) {
  wanted = goods.code;
  rounding = null;
  qty = "1";
  query = "";
  letters = false;
  change({});
  const answer = await order("goods", { code: goods.code, name: goods.name, price_fen: goods.price_fen, price_per: goods.price_per || "kg" });
  wanted = null;
  if (!answer.ok) tell(answer);
  change({});
}

// One confirmation is one sale, however often the button is hit while it is being kept.
async function confirm(batch) {
  const d = detail();
  if (busy || !s.live) return;
  if (reason(d)) {
    sound.bad();
    toast("bad", say(`refusal.${reason(d)}`));
    return;
  }
  busy = true;
  change({});
  const said = `${visible(d.goods_name || d.goods_code)} ${byPiece(d) ? `${qty} ${say("pieces")}` : `${view().weight} ${view().unit || ""}`}`;
  const args = {};
  if (batch) args.batch = batch;
  if (byPiece(d)) args.qty = Number(qty);
  if (rounding !== null) args.amount_fen = rounding;
  if (batch && d.batches.length > 1) await order("batch", { batch, goods_code: d.goods_code });
  const answer = await order(view().state === "loaded-at-start" && !byPiece(d) ? "capture" : "confirm", args);
  busy = false;
  if (answer.ok) {
    sound.good();
    flash = Date.now();
    setTimeout(() => change({}), 700);
    rounding = null;
    qty = "1";
    askPieces = false;
    toast("good", `${say("sold")} ${said}`, d.amount_fen === null || d.amount_fen === undefined ? "" : `${yuan(args.amount_fen === undefined ? d.amount_fen : args.amount_fen)} ${say("yuan")}`);
  } else {
    sound.bad();
    if (answer.refused === "stopped") change({ blocked: { goods_code: d.goods_code, goods_name: d.goods_name, batch: batch || (d.batches[0] || {}).batch } });
    else toast("bad", why(answer));
  }
}

// Why a sale cannot be confirmed now: a code, or "" where it can.
function reason(d) {
  const now = view();
  if (!s.live) return "lost-page";
  if (!d.goods_code) return "no-goods";
  if (byPiece(d)) return Number(qty) >= 1 ? "" : "bad-quantity";
  if (now.state === "stable" || now.state === "loaded-at-start") return "";
  return { empty: "no-load", captured: "already-sold", unloading: "already-sold", loading: "not-stable", moving: "not-stable" }[now.state] || now.state;
}

const lastSale = () => s.records.find((r) => r.station === s.station && r.type === "trace.sale.v1" && !r.void_by);

function undo() {
  const last = lastSale();
  if (last) open("correct", { record: last, how: "void" });
}

async function onScale(name) {
  const device = view().device;
  const answer = await ask(`/api/devices/${encodeURIComponent(device)}/command`, { name });
  tell(answer, say(name));
}

// ---- what is drawn

function keysOfScale(d) {
  const takes = d.scale_commands || [];
  const at = !s.session || !s.session.at_scale || s.session.at_scale.includes(s.station) || s.session.loopback;
  return h("div.scale-keys", { key: "keys" },
    takes.includes("tare") ? h("button", { type: "button", disabled: !at, onclick: () => onScale("tare") }, say("tare"), h("kbd", {}, "T")) : null,
    takes.includes("zero") ? h("button", { type: "button", disabled: !at, onclick: () => onScale("zero") }, say("zero"), h("kbd", {}, "Z")) : null,
    h("button", { type: "button", onclick: () => open("tare") }, say("preset-tare")),
    h("a.button", { href: "#customer", target: "_blank", rel: "noopener", title: say("customer"), "aria-label": say("customer") }, icon("screen")));
}

function line(d) {
  const shown = wanted && wanted !== d.goods_code ? Object.assign({}, goodsOf(wanted), { goods_name: (goodsOf(wanted) || {}).name }) : d;
  if (!d.goods_code && !wanted) return idle(d);
  const name = visible(shown.goods_name || (goodsOf(d.goods_code) || {}).name || d.goods_code || "");
  const batches = d.batches || [];
  const chosen = batches.length === 1 ? batches[0] : batches.find((each) => each.batch === d.batch);
  const amount = byPiece(d) && d.price_fen !== null && d.price_fen !== undefined ? d.price_fen * Number(qty || 0) : d.amount_fen;
  const raw = byPiece(d) ? amount : d.amount_raw_fen;
  const pay = rounding !== null && rounding <= amount ? rounding : amount;
  return h("section.line", { key: "line", "aria-label": say("goods") },
    h("div.line-top", {},
      h("h2.name", {}, name),
      h("button.close", { type: "button", "aria-label": say("clear"), onclick: () => act("clear", {}, "") }, "✕")),
    h("div.money", { "data-piece": byPiece(d) ? "yes" : null },
      h("button.price", { type: "button", title: say("set-price"), onclick: () => open("price", { goods: { code: d.goods_code, name: d.goods_name, price_per: d.price_per } }) },
        d.price_fen === null || d.price_fen === undefined ? say("price") : price(d.price_fen, d.price_per)),
      h("button.amount", { type: "button", disabled: rounding === null && roundOff(amount || 0) === null, "aria-pressed": String(rounding !== null), onclick: () => { rounding = roundOff(amount || 0); change({}); } },
        h("b", {}, yuan(pay)), h("small", {}, ` ${say("yuan")}`),
        h("span.below", {}, raw !== null && raw !== undefined && pay !== raw ? [say("before"), " ", h("s", {}, yuan(raw))] : null,
          rounding === null && amount && roundOff(amount) !== null ? h("span.round-off", {}, say("round-off")) : null))),
    byPiece(d) ? h("div.pieces", { role: "group", "aria-label": say("qty") },
      h("button", { type: "button", "aria-label": "−", onclick: () => { qty = String(Math.max(1, Number(qty) - 1)); change({}); } }, "−"),
      h("button.count", { type: "button", onclick: () => { askPieces = !askPieces; qty = askPieces ? "" : qty || "1"; change({}); } }, qty || "0", h("small", {}, ` ${say("pieces")}`)),
      h("button", { type: "button", "aria-label": "+", onclick: () => { qty = String(Math.min(9999, Number(qty) + 1)); change({}); } }, "+")) : null,
    byPiece(d) && askPieces ? pad(qty, (text) => { qty = text; change({}); }) : null,
    h("div.facts-row", {},
      d.buyer ? h("span.chip", {}, `${say("buyer")} ${visible(d.buyer)}`) : null,
      batches.length === 0 ? h("span.chip.warn", {}, say("no-batch")) : null,
      chosen ? h("span.chip.batch", {}, `${say("batch")} ${visible(chosen.batch)} · ${say("left")} ${leftOf(chosen)}`) : null,
      chosen && batches.length > 1 ? h("button.chip", { type: "button", onclick: () => open("batches", { batches, code: d.goods_code }) }, say("other-batch")) : null),
    payments(),
    confirmKeys(d, batches, chosen));
}

// 抹零: to the jiao, then to the yuan, then back.
function roundOff(amount) {
  const steps = [amount - (amount % 10), amount - (amount % 100)].filter((each, at, all) => each < amount && each > 0 && all.indexOf(each) === at);
  const at = steps.indexOf(rounding);
  return at + 1 < steps.length ? steps[at + 1] : at < 0 && steps.length ? steps[0] : null;
}

function confirmKeys(d, batches, chosen) {
  const not = reason(d);
  const label = (text, more) => [h("span", {}, text), more ? h("small", {}, more) : null];
  if (batches.length > 1 && !chosen) {
    return h("div.confirms", { role: "group", "aria-label": say("batch") }, batches.slice(0, 3).map((each) =>
      h("button.confirm.of-batch", { key: each.batch, type: "button", disabled: Boolean(not) || busy, onclick: () => confirm(each.batch) },
        h("span", {}, `${say("confirm-from")} ${visible(short(each.batch))}`), h("small", {}, `${say("left")} ${leftOf(each)}`))),
      batches.length > 3 ? h("button", { type: "button", onclick: () => open("batches", { batches, code: d.goods_code }) }, say("more")) : null,
      not ? h("p.not", {}, say(`refusal.${not}`)) : null);
  }
  return h("div.confirms", {},
    h("button.confirm", { key: "one", type: "button", "data-busy": busy ? "yes" : null, disabled: Boolean(not) || busy, onclick: () => confirm() },
      not ? label(say(`refusal.${not}`)) : label(say(view().state === "loaded-at-start" && !byPiece(d) ? "capture" : "confirm"))));
}

const short = (batch) => (String(batch).length > 12 ? `…${String(batch).slice(-9)}` : String(batch));

function idle(d) {
  const last = lastSale();
  const scanned = d.not_goods ? h("p.note", {}, `${say("refusal.not-goods")}（${say(`class.${d.not_goods}`)}）`) : null;
  const settled = last && s.records.some((r) => r.type === "trace.settlement.v1" && (r.lines || []).includes(last.id));
  return h("section.line.idle", { key: "line", "aria-label": say("goods") },
    h("h2.prompt", {}, say("no-goods")),
    scanned,
    payments(),
    ticket(d),
    last && !d.ticket ? h("div.last", {},
      h("button.last-sale", { type: "button", onclick: () => open("record", { record: last }) },
        h("span", {}, `${nameOf(last)} ${amountOf(last)}`),
        h("b", {}, last.amount_fen === null || last.amount_fen === undefined ? "" : yuan(last.amount_fen)),
        h("span.mark", { "data-mark": last.mark }, MARKS[last.mark])),
      h("div.row", {},
        settled || !last.amount_fen ? null : ["wechat", "alipay", "cash"].map((method) => h("button.small", { key: method, type: "button",
          onclick: () => act("settle", { lines: [last.id], pay_method: method }, `${say("settled")} ${yuan(last.amount_fen)} ${say(`paid.${method}`)}`) }, say(`paid.${method}`))),
        h("button.small", { key: "void", type: "button", onclick: undo }, say("void"), h("kbd", {}, "Esc")))) : null);
}

function ticket(d) {
  const lines = d.lines || [];
  const held = d.held || [];
  if (!d.ticket) {
    return h("div.row.ticket-row", {},
      h("button.small", { type: "button", onclick: () => act("ticket", {}, "") }, say("new-ticket")),
      held.length ? h("button.small", { type: "button", onclick: () => open("held") }, `${say("held")} ${held.length}`) : null);
  }
  return h("div.ticket", {},
    h("ul", {}, lines.slice(-4).map((each) => h("li", { key: each.id }, h("span", {}, visible(each.goods_name || each.goods_code || "")), h("span", {}, each.qty ? `${each.qty} ${say("pieces")}` : kilos(each.net_mg)), h("b", {}, yuan(each.amount_fen))))),
    h("p.sum", {}, `${say("total")} ${lines.length} ${say("lines")}`, h("b", {}, yuan(d.ticket_fen))),
    h("div.row", {},
      h("button.small", { type: "button", onclick: () => act("ticket", { hold: true }, say("hold")) }, say("hold")),
      h("button.strong", { type: "button", disabled: !lines.length, onclick: () => open("pay", { ticket: d.ticket, fen: d.ticket_fen }) }, say("pay"))));
}

function payments() {
  const open = (s.payments || []).filter((each) => each.state === "ambiguous" || each.state === "unmatched");
  const matched = (s.payments || []).filter((each) => each.state === "matched" || each.state === "assigned").slice(0, 1);
  if (!open.length && !matched.length) return null;
  return h("div.payments", { key: "payments", role: "status" }, matched.map((each) =>
    h("p.paid", { key: each.id }, `✓ ${say("received")} ${yuan(each.amount_fen)} ${say(`paid.${each.method}`)}`)),
  open.map((each) => h("p.paid.warn", { key: each.id }, `? ${say("received")} ${yuan(each.amount_fen)} · ${say("match")} `,
    (each.candidates || []).slice(0, 3).map((ids) => {
      const sale = s.records.find((r) => r.id === ids[0]);
      return h("button.small", { key: ids[0], type: "button", onclick: () => ask(`/api/payments/${each.id}/assign`, { lines: ids, station: s.station }).then((a) => tell(a, say("settled"))) }, sale ? `${when(sale.time)} ${nameOf(sale)}` : short(ids[0]));
    }))));
}

function tile(goods, d) {
  const chosen = (wanted || d.goods_code) === goods.code;
  const hue = hueOf(goods);
  const batch = goods.open_batch;
  const stopped = (s.stops || []).some((stop) => stop.goods_code === goods.code && !stop.batch) || goods.stopped;
  return h("button.tile", { key: goods.code, type: "button", "aria-pressed": String(chosen), class: `hue${hue}`, "data-stopped": stopped ? "yes" : null, onclick: () => choose(goods) },
    goods.photo ? h("img", { src: goods.photo, alt: "", loading: "lazy" }) : null,
    h("span.tile-name", {}, visible(goods.name)),
    h("span.tile-price", {}, price(goods.price_fen, goods.price_per)),
    h("span.tile-batch", { "data-none": batch ? null : "yes" }, stopped ? say("stopped") : batch ? short(visible(typeof batch === "string" ? batch : batch.batch)) : say("no-batch")));
}

function hueOf(goods) {
  const colour = Number(goods.colour);
  if (goods.colour !== null && goods.colour !== undefined && Number.isInteger(colour)) return Math.abs(colour) % HUES;
  const text = String(goods.colour || goods.category || goods.code);
  let sum = 0;
  for (let i = 0; i < text.length; i += 1) sum = (sum * 31 + text.charCodeAt(i)) % 997;
  return sum % HUES;
}

function catalogue(d) {
  const categories = s.goods.map((each) => each.category).filter((each, at, all) => each && all.indexOf(each) === at).slice(0, 7);
  const shown = found();
  const initials = letters ? s.goods.map((g) => String(g.pinyin || "").toLowerCase()).filter((p) => p.startsWith(query.toLowerCase())).map((p) => p.charAt(query.length)).filter((c, at, all) => c && all.indexOf(c) === at).sort() : [];
  return h("section.goods", { key: "goods", "aria-label": say("goods") },
    h("div.find", {},
      h("label.search", {}, icon("search"),
        h("input", { id: "search", type: "search", autocomplete: "off", autocapitalize: "off", spellcheck: "false", "aria-label": say("search"), placeholder: say("search"), value: query, oninput: (e) => { query = e.target.value.trim(); change({}); } })),
      h("button.letters", { type: "button", "aria-pressed": String(letters), "aria-label": "A–Z", onclick: () => { letters = !letters; query = ""; change({}); } }, "A–Z")),
    letters ? h("div.letter-keys", {}, initials.map((c) => h("button", { key: c, type: "button", onclick: () => { query += c; change({}); } }, c.toUpperCase())),
      h("button", { key: "back", type: "button", "aria-label": "Backspace", onclick: () => { query = query.slice(0, -1); change({}); } }, "⌫")) : null,
    categories.length > 1 && !query ? h("div.categories", { role: "group", "aria-label": say("goods") }, [""].concat(categories).map((name, at) =>
      h("button", { key: name, type: "button", title: `F${at + 1}`, "aria-pressed": String(category === name), onclick: () => { category = name; change({}); } }, name ? visible(name) : say("all")))) : null,
    h("div.tiles", {}, shown.map((goods) => tile(goods, d))),
    shown.length ? null : h("p.note", {}, say(s.goods.length ? "no-match" : "no-catalogue")));
}

function row(record) {
  const kind = record.type.split(".")[1];
  return h("li", { key: record.id, "data-mark": record.mark, "data-void": record.void_by ? "yes" : null },
    h("button.record", { type: "button", onclick: () => open("record", { record }) },
      h("span.when", {}, when(record.time)),
      h("span.what", {}, kind === "sale" ? null : h("b.kind", {}, typeName(record.type), " "), nameOf(record), " ", h("span.much", {}, amountOf(record))),
      h("span.much-money", {}, record.amount_fen === null || record.amount_fen === undefined ? record.total_fen === undefined || record.total_fen === null ? "" : yuan(record.total_fen) : yuan(record.amount_fen)),
      h("span.mark", { "data-mark": record.mark, title: say(`mark.${record.mark}`), role: "img", "aria-label": say(`mark.${record.mark}`) }, MARKS[record.mark])));
}

function log() {
  const rows = s.records.filter((r) => r.station === s.station && SHOWN.includes(r.type.split(".")[1])).slice(0, 20);
  const f = s.figures || {};
  return h("section.log", { key: "log", "aria-label": say("recent") },
    h("h2", {}, say("recent")),
    rows.length ? h("ol.records", {}, rows.map(row)) : h("p.note", {}, say("no-records")),
    h("p.legend", {}, say("legend")),
    h("p.totals", {}, h("b", {}, `${say("today")} ${f.sales || 0} ${say("sales")}`), ` ${((f.weight_mg || 0) / 1e6).toFixed(1)} kg `, h("b", {}, `${yuan(f.amount_fen || 0)} ${say("yuan")}`),
      f.sales ? h("small", {}, ` ${say("linked")} ${Math.round((100 * f.linked) / f.sales)} %`) : null));
}

export function draw() {
  const now = view();
  if (!now) return [h("p.wait", {}, say("waiting"))];
  const d = detail();
  return [
    h("div.sell", { key: "sell", "data-flash": Date.now() - flash < 600 ? "yes" : null, "data-chosen": d.goods_code || wanted ? "yes" : null },
      scale(now), keysOfScale(d), line(d), catalogue(d), log()),
  ];
}

// ---- keys and scans

export function scan(text) {
  order("scan", { text }).then((answer) => {
    if (answer.ok) sound.good();
    else tell(answer);
  });
}

export function fieldKey(event) {
  if (event.target.id !== "search") return;
  if (event.key === "Enter") {
    const first = found()[0];
    event.preventDefault();
    event.target.blur();
    if (first) choose(first);
    else if (query) scan(query);
    query = "";
    change({});
  }
}

export function key(event) {
  if (s.sheet) return;
  const name = event.key.toLowerCase();
  const d = detail();
  if (event.key === "Enter") {
    event.preventDefault();
    const batches = d.batches || [];
    const open = batches.length > 1 && !batches.some((each) => each.batch === d.batch);
    confirm(open ? batches[0].batch : undefined);
  } else if (name === "t") {
    if ((d.scale_commands || []).includes("tare")) onScale("tare");
    else open("tare");
  } else if (name === "z" && (d.scale_commands || []).includes("zero")) onScale("zero");
  else if (event.key === "Escape") {
    if (isField(event.target)) {
      query = "";
      event.target.blur();
      change({});
    } else if (d.goods_code) act("clear", {}, "");
    else undo();
  } else if (event.key === "/") {
    const field = document.getElementById("search");
    if (field) field.focus();
  } else if (/^F[1-8]$/.test(event.key)) {
    event.preventDefault();
    const categories = [""].concat(s.goods.map((g) => g.category).filter((c, at, all) => c && all.indexOf(c) === at).slice(0, 7));
    const to = categories[Number(event.key.slice(1)) - 1];
    if (to !== undefined) {
      category = to;
      change({});
    }
  }
}

const isField = (node) => /^(INPUT|TEXTAREA)$/.test(node.tagName || "");
void may;
