// Stocktaking: batch after batch, what the books say beside what is really there. A scan finds the batch.
import { h, key, facts } from "./dom.js";
import { s, change, say, kilos, view } from "./state.js";
import { ask, act, tell, to } from "./api.js";
import { entry, input, numeric } from "./forms.js";
import { icon } from "./icons.js";
import { scale } from "./scale.js";
import { open } from "./sheets.js";

let chosen = "";
let typed = "";
let reason = "";
let missed = ""; // what was scanned and is no batch of this stall
let before = []; // the counts of today that the page was not told of
let search = "";

const keyOf = (each) => `${each.goods_code} ${each.batch}`;

// The open batches, and those that were counted down to nothing here today.
function rows(done) {
  const about = (goods, batch) => ({ goods_code: goods.code, name: goods.name, pieces: goods.price_per === "each", gtins: goods.gtins || [], plu: goods.plu, left_mg: 0, left_qty: 0, ...batch });
  const open = [].concat(...s.goods.map((goods) => (goods.batches || []).map((batch) => about(goods, batch))));
  const gone = Object.keys(done).map((name) => done[name]).filter((each) => each.batch && each.station === s.station && !open.some((row) => keyOf(row) === keyOf(each)));
  return open.concat(gone.map((each) => about(s.goods.find((goods) => goods.code === each.goods_code) || { code: each.goods_code, name: each.goods_name || each.goods_code }, { batch: each.batch })));
}

// The newest count of each batch of today, by the gateway's own calendar.
function counts() {
  const today = (s.figures || {}).day;
  const newest = {};
  before.concat(s.records.slice().reverse()).forEach((each) => {
    if (each.type === "trace.stocktake.v1" && !each.void_by && String(each.time).slice(0, 10) === today) newest[keyOf(each)] = each;
  });
  return newest;
}

const amount = (each, mass, number) => (each.pieces || (mass === null && number !== null) ? `${number || 0} ${say("pieces")}` : `${kilos(mass || 0)} kg`);
const book = (each) => amount(each, each.pieces ? null : each.left_mg, each.left_qty);

function difference(each, count) {
  const [now, then] = each.pieces ? [count.qty, count.book_qty] : [count.net_mg, count.book_mg];
  if (then === null || then === undefined) return "";
  const more = now - then;
  return `${more > 0 ? "+" : more < 0 ? "−" : "±"}${each.pieces ? Math.abs(more) : kilos(Math.abs(more))}`;
}

function choose(row) {
  chosen = row ? keyOf(row) : "";
  typed = "";
  missed = "";
  change({});
}

const due = (all, done) => all.find((each) => !done[keyOf(each)]);

export async function enter() {
  const answer = await ask(to`/api/records?type=trace.stocktake.v1&limit=200&station=${s.station}`);
  if (answer.ok) before = answer.records.slice().reverse();
  change({});
}

// Which batch a code is of: its own number, the goods on the pack, else what the gateway knows of the code.
async function find(text) {
  const done = counts();
  const all = rows(done);
  const first = (fits) => { const found = all.filter(fits); return found.find((each) => !done[keyOf(each)]) || found[0]; };
  let row = first((each) => text === each.batch) || first((each) => text === String(each.plu) || text === each.goods_code || each.gtins.some((gtin) => text.includes(gtin)));
  if (!row) {
    const answer = await ask(to`/api/trace?code=${text}`);
    const batches = (answer.nodes || []).filter((node) => node.kind === "batch").map((node) => node.title);
    row = first((each) => batches.includes(each.batch));
    if (!answer.ok && answer.refused !== "not-found") tell(answer);
  }
  choose(row);
  missed = row ? "" : text;
  search = "";
  change({});
}

async function send(row, command, more) {
  const number = Number(typed);
  const args = { goods_code: row.goods_code, batch: row.batch, ...more };
  if (typed) Object.assign(args, row.pieces ? { qty: Math.round(number) } : { net_mg: Math.round(number * 1e6) });
  const answer = await act(command, args, say("sold"));
  if (!answer.ok) return;
  reason = "";
  const done = { ...counts(), [keyOf(row)]: true };
  choose(command === "stocktake" ? due(rows(done), done) : row);
}

const current = (all, done) => all.find((each) => keyOf(each) === chosen) || (missed ? null : due(all, done));

const steady = (row) => !row.pieces && s.live && view().state === "stable";
const ready = (row) => (typed ? Number(typed) >= 0 : steady(row));

// How much there is: what lies on the scale, or what is typed; nothing at all is typed as 0.
function step(row) {
  const now = view();
  const can = ready(row);
  return h("section.card.step", { key: "step" }, h("h2", row.name, " ", row.batch),
    facts([[say("stocktake.book"), book(row)]]),
    numeric(row.pieces ? say("qty") : say("or-typed"), typed, (text) => { typed = text.trim(); }, { id: "counted" }),
    key(can ? `${say("record-count")} ${typed ? `${typed} ${row.pieces ? say("pieces") : "kg"}` : `${now.weight} ${now.unit}`}` : say(row.pieces ? "refusal.bad-quantity" : `state.${s.live ? now.state : "waiting"}`),
      () => send(row, "stocktake"), { kind: "button.confirm", disabled: !can }),
    h("div.inline.low", entry(say("reason"), reason, (text) => { reason = text; }, { maxlength: 100 }),
      key(say("record-loss"), () => send(row, "loss", { cause: "spoiled", reason: reason.trim() || say("record-loss") }), { kind: "button.danger", disabled: !can })));
}

export function draw() {
  const now = view();
  const done = counts();
  const all = rows(done);
  const row = current(all, done);
  const counted = all.filter((each) => done[keyOf(each)]).length;
  return [h("div.work.stocktake", { key: `stocktake-${s.station}` },
    h("div.work-side", { key: "side" }, scale(now), h("div.scale-keys", key(say("preset-tare"), () => open("tare")), h("a.button", { href: "#work" }, say("back"))),
      h("section.card", { role: "status" }, h("p.big", `${counted} / ${all.length}`), h("p.note", say(all.length && counted === all.length ? "stocktake.all" : "stocktake.done")))),
    h("div.steps", { key: "steps" },
      h("form.find", { onsubmit: (e) => { e.preventDefault(); if (search.trim()) find(search.trim()); } },
        h("label.search", icon("search"), input(search, (text) => { search = text; }, { id: "search", type: "search", autocomplete: "off", "aria-label": say("stocktake.find"), placeholder: say("stocktake.find") })), h("button", { type: "submit" }, say("ok"))),
      missed ? h("p.paid.warn", `${say("stocktake.missed")} ${missed}`) : null,
      row ? step(row) : null,
      h("section.card", { key: "list" }, h("h2", say("mode.stocktake")), all.length ? h("ul.lines", all.map((each) => {
        const count = done[keyOf(each)];
        return h("li", { key: keyOf(each), "data-done": count ? "yes" : null, "aria-current": row && keyOf(each) === keyOf(row) ? "true" : null },
          key(`${each.name} ${each.batch}`, () => choose(each), "button.small.pick"),
          h("span", `${say("stocktake.book")} ${count ? amount(each, count.book_mg, count.book_qty) : book(each)}`),
          h("span", count ? `${say("stocktake.real")} ${amount(each, count.net_mg, count.qty)}` : "–"),
          h("span.end", count ? difference(each, count) : ""));
      })) : h("p.note", say("stocktake.none")))))];
}

export const onScan = find;

export function onKey(event) {
  if (event.key !== "Enter" || s.sheet) return;
  const done = counts();
  const row = current(rows(done), done);
  event.preventDefault();
  if (row && ready(row)) send(row, "stocktake");
}

export function onFieldKey(event) {
  if (event.target.id === "counted") onKey(event);
}
