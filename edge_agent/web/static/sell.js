// The counter: weight, goods, one confirmation; what was sold and how far it has come.
import { h, key } from "./dom.js";
import { s, change, may, say, yuan, price, when, view, until, toast } from "./state.js";
import { ask, order, act, scan, tell, to, why } from "./api.js";
import { scale } from "./scale.js";
import { icon } from "./icons.js";
import { input, pad } from "./forms.js";
import { absent, part } from "./lazy.js";
import { open, amountOf, nameOf, typeName, leftOf, MARKS } from "./sheets.js";
import * as sound from "./sound.js";

const SHOWN = ["sale", "return", "void", "amend", "settlement", "loss", "recall_hit", "stocktake"];
export const COLOURS = ["#5b8c5a", "#b07d3c", "#b4525a", "#7a6aa8", "#3f87a6", "#9aa33f", "#c0743f", "#5d7186", "#a8578f", "#3f9a86"];
const MUTE = ["disconnected", "stale", "bad-data", "waiting"]; // states of a scale that tells nothing
const SOON = 2000; // ms in which what a station was told is to be seen
let query = "";
let category = "";
let letters = false;
let wanted = null; // goods that were tapped and that the station has not shown yet
let rounding = null; // {of, to}: fen that the operator takes instead of an amount, as long as it is that amount
let qty = "1";
let busy = false;
let flash = 0;
let askPieces = false;

const told = () => (view() || {}).detail || {};
const byPiece = (d) => d.price_per === "each";
const isPriced = (d) => d.price_fen || d.price_fen === 0;
const due = (d) => (byPiece(d) && isPriced(d) ? d.price_fen * Number(qty || 0) : d.amount_fen);
const rounded = (d) => (rounding && rounding.of === due(d) ? rounding.to : null);

// What is being sold. Goods that were tapped a moment ago count, though the station has not shown them yet.
function detail() {
  const d = told();
  if (!wanted || wanted.code === d.goods_code) return d;
  const { code, name, price_fen, price_per, batches } = wanted;
  return { ...d, goods_code: code, goods_name: name, price_fen, price_per: price_per || "kg", batches: batches || [], batch: null, amount_raw_fen: null, amount_fen: null };
}
const goodsOf = (code) => s.goods.find((each) => each.code === code);

function matches(goods) {
  if (query) {
    const asked = query.toLowerCase();
    const initials = String(goods.initials || "").toLowerCase();
    return initials.startsWith(asked) || String(goods.plu || "").startsWith(asked) || (goods.gtins || []).some((each) => each.endsWith(asked)) || String(goods.code).includes(asked) || String(goods.name).toLowerCase().includes(asked);
  }
  return !category || goods.category === category;
}

const found = () => s.goods.filter(matches);

// ---- what a person does

async function choose(goods) {
  wanted = goods;
  rounding = null;
  qty = "1";
  query = "";
  letters = false;
  change({});
  const answer = await order("goods", { code: goods.code, name: goods.name, price_fen: goods.price_fen, price_per: goods.price_per || "kg" });
  if (!answer.ok) tell(answer);
  else await until(() => wanted !== goods || told().goods_code === goods.code, SOON);
  if (wanted === goods) wanted = null;
  change({});
}

// One confirmation is one sale, however often the button is hit while it is being kept.
async function confirm(batch) {
  if (busy || !s.live) return;
  busy = true;
  change({});
  await until(() => !wanted, 2 * SOON);
  const d = detail();
  if (reason(d)) {
    busy = false;
    sound.bad();
    toast("bad", say(`refusal.${reason(d)}`));
    return;
  }
  const fen = rounded(d) === null ? due(d) : rounded(d);
  const said = `${d.goods_name || d.goods_code} ${byPiece(d) ? `${qty} ${say("pieces")}` : `${view().weight} ${view().unit || ""}`}`;
  const args = {};
  if (batch) args.batch = batch;
  if (byPiece(d)) args.qty = Number(qty);
  if (rounded(d) !== null) args.amount_fen = rounded(d);
  if (batch && d.batches.length > 1) await order("batch", { batch, goods_code: d.goods_code });
  const answer = await order(view().state === "loaded-at-start" && !byPiece(d) ? "capture" : "confirm", args);
  const kept = answer.kept || [];
  // What is done next may be about this sale: it is in the list when it is said to be saved.
  await until(() => kept.every((each) => s.records.some((record) => record.id === each.id)), SOON);
  busy = false;
  if (answer.ok) {
    sound.good();
    flash = Date.now();
    setTimeout(() => change({}), 700);
    rounding = null;
    qty = "1";
    askPieces = false;
    toast("good", `${say("sold")} ${said}`, fen === null || fen === undefined ? "" : `${yuan(fen)} ${say("yuan")}`);
  } else {
    sound.bad();
    if (answer.refused === "stopped") change({ blocked: { goods_code: d.goods_code, goods_name: d.goods_name, batch: batch || (d.batches[0] || {}).batch, stop: (goodsOf(d.goods_code) || {}).stop } });
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
  const answer = await ask(to`/api/devices/${device}/command`, { name });
  tell(answer, say(name));
}

// ---- what is drawn

const small = (label, onclick, more) => key(label, onclick, { kind: "button.small", ...more });

// What the scale can be told to do.
const takes = () => (((s.status || {}).devices || {})[view().device] || {}).commands || [];

function keysOfScale() {
  const away = s.session.at_scale && !s.session.at_scale.includes(s.station);
  return h("div.scale-keys", { key: "keys" }, [["tare", "T"], ["zero", "Z"]].map(([name, short]) =>
    takes().includes(name) ? key(say(name), () => onScale(name), { key: name, title: short, disabled: away }) : null),
  key(say("preset-tare"), () => open("tare")),
  h("a.button.under", { href: "#stocktake" }, icon("list"), say("mode.stocktake")),
  h("a.button.under", { href: "#customer", target: "_blank", rel: "noopener" }, icon("screen"), say("customer")));
}

function line(d) {
  if (!d.goods_code) return idle(d);
  const name = d.goods_name || (goodsOf(d.goods_code) || {}).name || d.goods_code;
  const batches = d.batches || [];
  const chosen = batches.length === 1 ? batches[0] : batches.find((each) => each.batch === d.batch);
  const amount = due(d);
  const raw = byPiece(d) ? amount : d.amount_raw_fen;
  const taken = rounded(d);
  const pay = taken === null ? amount : taken;
  const less = roundOff(amount || 0, taken);
  const turn = (by) => { qty = String(Math.max(1, Math.min(9999, Number(qty) + by))); change({}); };
  return h("section.line", { key: "line", "aria-label": say("goods") },
    h("div.line-top", h("h2.name", name), key("✕", () => act("clear", {}, ""), { kind: "button.close", "aria-label": say("clear") })),
    h("div.money",
      key(isPriced(d) ? price(d.price_fen, d.price_per) : say("price"), () => open("price", { goods: { code: d.goods_code, name: d.goods_name, price_per: d.price_per, price_fen: d.price_fen } }), { kind: "button.price", title: say("set-price") }),
      key([h("b", yuan(pay)), h("small", ` ${say("yuan")}`),
        h("span.below", raw && pay !== raw ? [say("before"), " ", h("s", yuan(raw))] : null, less !== null ? h("span.round-off", `${say("round-off")} ${yuan(less)}`) : null)],
      () => { rounding = less === null ? null : { of: amount, to: less }; change({}); }, { kind: "button.amount", disabled: taken === null && less === null, "aria-pressed": String(taken !== null) })),
    byPiece(d) ? h("div.pieces", { role: "group", "aria-label": say("qty") }, key("−", () => turn(-1), { "aria-label": "−1" }),
      key([qty || "0", h("small", ` ${say("pieces")}`)], () => { askPieces = !askPieces; qty = askPieces ? "" : qty || "1"; change({}); }, "button.count"),
      key("+", () => turn(1), { "aria-label": "+1" })) : null,
    byPiece(d) && askPieces ? pad(qty, (text) => { qty = text; change({}); }) : null,
    h("div.facts-row",
      d.buyer ? h("span.chip", `${say("buyer")} ${d.buyer}`) : null,
      batches.length ? null : h("span.chip.warn", say("no-batch")),
      chosen ? h("span.chip.batch", `${say("batch")} ${chosen.batch} · ${say("left")} ${leftOf(chosen)}`) : null,
      chosen && batches.length > 1 ? key(say("other-batch"), () => open("batches", { batches, code: d.goods_code }), "button.chip") : null),
    payments(),
    confirmKeys(d, batches, chosen));
}

// 抹零: to the jiao, then to the yuan, then not at all.
function roundOff(amount, taken) {
  const steps = [amount - (amount % 10), amount - (amount % 100)].filter((each, at, all) => each < amount && each > 0 && all.indexOf(each) === at);
  const next = steps[steps.indexOf(taken) + 1];
  return next === undefined ? null : next;
}

function confirmKeys(d, batches, chosen) {
  const not = reason(d);
  const off = { disabled: Boolean(not) || busy, "data-busy": busy ? "yes" : null };
  const from = (each) => key([h("span", `${say("confirm-from")} ${short(each.batch)}`), h("small", `${say("left")} ${leftOf(each)}`)],
    () => confirm(each.batch), { kind: "button.confirm.of-batch", key: each.batch, ...off });
  if (batches.length > 1 && !chosen && !not) {
    return h("div.confirms", { key: "which", role: "group", "aria-label": say("batch") }, batches.slice(0, 3).map(from),
      batches.length > 3 ? key(say("more"), () => open("batches", { batches, code: d.goods_code })) : null);
  }
  const label = not ? say(`refusal.${not}`) : say(view().state === "loaded-at-start" && !byPiece(d) ? "capture" : "confirm");
  return h("div.confirms", { key: "one" }, key(label, () => confirm(), { kind: "button.confirm", ...off }),
    MUTE.includes(not) && !byPiece(d) ? key(say("by-hand"), () => open("weight", { batches, batch: (chosen || batches[0] || {}).batch })) : null);
}

const short = (batch) => (String(batch).length > 12 ? `…${String(batch).slice(-9)}` : String(batch));

function idle(d) {
  const last = lastSale();
  const settled = last && s.records.find((r) => r.type === "trace.settlement.v1" && (r.lines || []).includes(last.id));
  const settle = (method) => small(say(`paid.${method}`), () => act("settle", { lines: [last.id], pay_method: method }, `${say("settled")} ${yuan(last.amount_fen)} ${say(`paid.${method}`)}`), { key: method });
  return h("section.line.idle", { key: "line", "aria-label": say("goods") },
    h("h2.prompt", say("no-goods")),
    d.not_goods ? h("p.paid.warn", `${say("refusal.not-goods")}（${say(`class.${d.not_goods}`)}）`) : null,
    payments(),
    ticket(d),
    last && !d.ticket ? h("div.last",
      key([h("span", `${nameOf(last)} ${amountOf(last)}`), h("b", last.amount_fen || last.amount_fen === 0 ? yuan(last.amount_fen) : ""), mark(last)], () => open("record", { record: last }), "button.last-sale"),
      h("div.row", settled ? h("p.chip.batch", { key: "paid" }, `✓ ${say("settled")} ${say(`paid.${settled.pay_method}`)}`)
        : last.amount_fen ? [["wechat", "alipay", "cash"].map(settle), small("…", () => open("pay", { lines: [last.id], fen: last.amount_fen }), { key: "more", "aria-label": say("settle") })] : null,
      small(say("void"), undo, { key: "void", title: "Esc" }))) : null);
}

function ticket(d) {
  const lines = d.lines || [];
  if (!d.ticket) {
    return h("div.row", small(say("new-ticket"), () => act("ticket", {}, "")),
      d.held && d.held.length ? small(`${say("held")} ${d.held.length}`, () => open("held")) : null);
  }
  return h("div.ticket",
    h("ul", lines.slice(-4).map((each) => h("li", { key: each.id }, h("span", each.goods_name || each.goods_code), h("span", amountOf(each)), h("b", yuan(each.amount_fen))))),
    h("p.sum", `${say("total")} ${lines.length} ${say("lines")}`, h("b", yuan(d.ticket_fen))),
    h("div.row", small(say("hold"), () => act("ticket", { hold: true }, say("hold"))),
      key(say("pay"), () => open("pay", { ticket: d.ticket, fen: d.ticket_fen }), { kind: "button.strong", disabled: !lines.length })));
}

// What an e-payment service told: matched by amount, or asked which sale it was for. It never holds up a sale.
function payments() {
  return (s.payments || []).slice(-3).map((each) => {
    const said = `${say("received")} ${yuan(each.amount_fen)} ${say(`paid.${each.method}`)}`;
    if (each.state === "matched" || each.state === "assigned") return h("p.paid", { key: each.id }, `✓ ${said}`);
    return h("p.paid.warn", { key: each.id }, `${said} · ${say("match")} `, (each.candidates || []).slice(0, 3).map((ids) => {
      const sale = s.records.find((r) => r.id === ids[0]);
      return small(sale ? `${when(sale.time)} ${nameOf(sale)}` : short(ids[0]), () => ask(`/api/payments/${each.id}/assign`, { lines: ids, station: s.station }).then((answer) => tell(answer, say("settled"))), { key: ids[0] });
    }));
  });
}

// What is on a tile, and how it looks.
function face(goods) {
  const batch = batchOf(goods);
  return [goods.picture ? h("img", { src: `/api/attachments/${goods.picture}`, alt: "", loading: "lazy", onerror: (e) => { e.target.hidden = true; } }) : null,
    h("span.tile-name", goods.name), h("span.tile-price", price(goods.price_fen, goods.price_per)),
    h("span.tile-batch", { "data-none": batch ? null : "yes" }, goods.stopped ? say("stopped") : batch ? short(batch) : say("no-batch"))];
}

function kind(goods) {
  const own = /^#[0-9a-f]{6}$/i.test(goods.colour || "");
  return { kind: "button.tile", "data-stopped": goods.stopped ? "yes" : null, style: { "--hue": own ? goods.colour : COLOURS[hueOf(goods)] } };
}

const tile = (goods, d) => key(face(goods), () => choose(goods), { ...kind(goods), key: goods.code, "aria-pressed": String(d.goods_code === goods.code) });

const batchOf = (goods) => (goods.batches && goods.batches.length ? goods.batches[0].batch : "");

function hueOf(goods) {
  const text = String(goods.category || goods.code);
  let sum = 0;
  for (let i = 0; i < text.length; i += 1) sum = (sum * 31 + text.charCodeAt(i)) % 997;
  return sum % COLOURS.length;
}

const categories = () => [""].concat(s.goods.map((each) => each.category).filter((each, at, all) => each && all.indexOf(each) === at).slice(0, 7));

// The letters that lead on to some goods: a keyboard of pinyin initials where there is none.
function letterKeys() {
  const next = s.goods.map((goods) => String(goods.initials || "").toLowerCase()).filter((each) => each.startsWith(query)).map((each) => each.charAt(query.length));
  const ask = (text) => () => { query = text; change({}); };
  return h("div.letter-keys", next.filter((c, at, all) => c && all.indexOf(c) === at).sort().map((c) => key(c.toUpperCase(), ask(query + c), { key: c })),
    key("⌫", ask(query.slice(0, -1)), { key: "back", "aria-label": "Backspace" }));
}

function catalogue(d) {
  if (s.arranging) {
    const arranger = part("arrange");
    return h("section.goods", { key: "goods", "aria-label": say("goods") }, arranger ? arranger.draw(face, kind) : absent("arrange"));
  }
  const shown = found();
  return h("section.goods", { key: "goods", "aria-label": say("goods") },
    h("div.find",
      h("label.search", icon("search"),
        input(query, (text) => { query = text.trim(); }, { id: "search", type: "search", autocomplete: "off", autocapitalize: "off", spellcheck: "false", "aria-label": say("search"), placeholder: say("search") })),
      key("A–Z", () => { letters = !letters; query = ""; change({}); }, { kind: "button.letters", "aria-pressed": String(letters) }),
      s.session.rights && may("arrange") && s.goods.length ? key("⇄", () => change({ arranging: true }), { kind: "button.letters", "aria-label": say("arrange"), title: say("arrange") }) : null),
    letters ? letterKeys() : null,
    categories().length > 2 && !query ? h("div.categories", { role: "group", "aria-label": say("goods") }, categories().map((name, at) =>
      key(name || say("all"), () => { category = name; change({}); }, { key: name, title: `F${at + 1}`, "aria-pressed": String(category === name) }))) : null,
    shown.length ? h("div.tiles", { key: "tiles" }, shown.map((goods) => tile(goods, d))) : h("p.note", say(s.goods.length ? "no-match" : "no-catalogue")));
}

export const mark = (record) => h("span.mark", { "data-mark": record.mark, title: say(`mark.${record.mark}`), role: "img", "aria-label": say(`mark.${record.mark}`) }, MARKS[record.mark]);

export function row(record) {
  const fen = record.amount_fen === undefined || record.amount_fen === null ? record.total_fen : record.amount_fen;
  const about = (!record.goods_code && s.records.find((each) => each.id === record.corrects)) || record; // what a void is about
  return h("li", { key: record.id, "data-mark": record.mark, "data-void": record.void_by ? "yes" : null }, key([
    h("span.when", when(record.time)),
    h("span.what", record.type === "trace.sale.v1" ? null : h("b.kind", typeName(record.type), " "), nameOf(about), " ", h("span.much", amountOf(about))),
    h("span.much-money", fen || fen === 0 ? yuan(fen) : ""), mark(record)], () => open("record", { record }), "button.record"));
}

function log() {
  const rows = s.records.filter((r) => r.station === s.station && SHOWN.includes(r.type.split(".")[1])).slice(0, 20);
  const f = s.figures || {};
  return h("section.log", { key: "log", "aria-label": say("recent") },
    h("h2", say("recent")),
    rows.length ? h("ol.records", rows.map(row)) : h("p.note", say("no-records")),
    legend(),
    h("p.totals", h("b", `${say("today")} ${f.sales || 0} ${say("sales")}`), h("b", `${yuan(f.amount_fen || 0)} ${say("yuan")}`)),
    h("p.totals", h("span", `${((f.weight_mg || 0) / 1e6).toFixed(1)} kg`), f.sales ? h("span", `${say("linked")} ${Math.round((100 * f.linked) / f.sales)} %`) : null));
}

// What the marks mean.
export const legend = () => h("p.legend", say("legend").map((each) => h("span", { key: each }, each)));

export function draw() {
  const now = view();
  const d = detail();
  return [h("div.sell", { key: "sell", "data-flash": Date.now() - flash < 600 ? "yes" : null, "data-chosen": d.goods_code ? "yes" : null },
    scale(now), keysOfScale(), line(d), catalogue(d), log())];
}

// ---- keys and scans

export function onFieldKey(event) {
  if (event.target.id !== "search" || event.key !== "Enter") return;
  const first = found()[0];
  event.preventDefault();
  event.target.blur();
  if (first) choose(first);
  else if (query) scan(query);
  query = "";
  change({});
}

export function onKey(event) {
  if (s.sheet) return;
  if (s.arranging && part("arrange")) {
    part("arrange").onKey(event);
    return;
  }
  const name = event.key.toLowerCase();
  const d = detail();
  const batches = d.batches || [];
  if (name === "enter") {
    event.preventDefault();
    confirm(batches.length > 1 && !batches.some((each) => each.batch === d.batch) ? batches[0].batch : undefined);
  } else if (name === "t") (takes().includes("tare") ? onScale : open)("tare");
  else if (name === "z" && takes().includes("zero")) onScale("zero");
  else if (name === "escape") {
    if (event.target.id === "search") {
      query = "";
      event.target.blur();
      change({});
    } else if (d.goods_code) act("clear", {}, "");
    else undo();
  } else if (name === "/") document.getElementById("search").focus();
  else if (/^f[1-8]$/.test(name)) {
    event.preventDefault();
    const to = categories()[Number(name.slice(1)) - 1];
    if (to !== undefined) {
      category = to;
      change({});
    }
  }
}
