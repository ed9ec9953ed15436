// Work other than selling, step by step: goods come in, go out, are tested, filled, made, counted. Scans fill in.
import { h, key } from "./dom.js";
import { s, change, may, say, kilos, view } from "./state.js";
import { act, order } from "./api.js";
import { scale } from "./scale.js";
import { icon } from "./icons.js";
import { numeric, choice, entry, field, input, select } from "./forms.js";
import { photoKey } from "./photo.js";
import { addSheet, goodsList, open, put, close } from "./sheets.js";
import { legend, row } from "./sell.js";

let local = {}; // what is being typed, by field
let voucher = {};
let item = {};
let typed = "";
let unit = "kg";

const detail = () => (view() || {}).detail || {};
const note = (name, value) => { local[name] = value; };
const NONE = ["", "–"];

// A field of the station's form: shown as the station has it, told to it when it is left.
function line(name, told, command, more) {
  const value = local[name] === undefined ? (told || {})[name] : local[name];
  const keepIt = (event) => {
    const text = event.target.value.trim();
    delete local[name];
    if (text && text !== (told || {})[name]) act(command || "set", { [name]: text }, "");
  };
  return entry(say(`field.${name}`), value, (text) => note(name, text), { id: `f-${name}`, autocomplete: "off", maxlength: 100, onchange: keepIt, ...more });
}

function pick(name, told, options, command) {
  const value = (told || {})[name];
  if (!options.length) return line(name, told, command);
  return field(say(`field.${name}`), h("select", { id: `f-${name}`, value: value || "", onchange: (e) => {
    const one = options.find((each) => each[0] === e.target.value);
    if (one) act(command || "set", { [name]: one[0], ...one[2] }, "");
  } }, h("option", { key: "", value: "" }, "–"), options.map(([code, label]) => h("option", { key: code, value: code }, label)),
  value && !options.some(([code]) => code === value) ? h("option", { key: value, value }, value) : null));
}

const goodsOptions = (named) => s.goods.map((each) => [each.code, each.name, named ? { goods_name: each.name } : {}]);
const partyOptions = () => (s.parties || []).map((each) => [each.code, each.name || each.code]);

function step(number, title, state, body) {
  return h("section.card.step", { key: title, "data-done": state ? "yes" : "no" }, h("h2", h("span.number", state ? icon("stable") : String(number)), title), body);
}

// The last step, by which it is recorded: where there is room it stands below the weight, in sight whatever is filled in.
const LAST = "last";
const last = (number, title, body) => ({ ...step(number, [title, key(say("clear"), () => act("clear", {}, ""), "button.small")], false, body), key: LAST });

// How much: what lies on the scale, or what is typed.
function quantity(command, label, args, ready) {
  const now = view();
  const steady = now.state === "stable" && s.live;
  const amount = Number(typed);
  const send = async () => {
    const more = amount > 0 ? (unit === "kg" ? { net_mg: Math.round(amount * 1e6) } : { qty: Math.round(amount) }) : {};
    const answer = await act(command, { ...args, ...more }, `${say("sold")} ${amount > 0 ? `${typed} ${unit === "kg" ? "kg" : say("pieces")}` : `${now.weight} ${now.unit}`}`);
    if (answer.ok) {
      typed = "";
      local = {};
      change({});
    }
  };
  return h("div.quantity",
    h("div.inline", input(typed, (text) => { typed = text; }, { id: "typed", inputmode: "decimal", placeholder: say("or-typed"), "aria-label": say("or-typed") }),
      key(unit === "kg" ? "kg" : say("pieces"), () => { unit = unit === "kg" ? "qty" : "kg"; change({}); })),
    key(steady || amount > 0 ? label : say(`state.${s.live ? now.state : "waiting"}`), send, { kind: "button.confirm", disabled: !ready || !(steady || amount > 0) }));
}

// ---- intake

const VOUCHERS = ["commitment", "1", "2", "3", "4", "5", "6", "import", "other"];

function vouchers(d) {
  const type = voucher.type || "commitment";
  const add = async () => {
    const answer = await act("voucher", { ...voucher, type }, "");
    if (answer.ok) {
      voucher = {};
      change({});
    }
  };
  const set = (name, value) => { voucher[name] = value; change({}); };
  return [
    h("ul.lines", (d.vouchers || []).map((each, at) => h("li", { key: at }, h("b", say(`voucher.${each.type}`)), h("span", each.no || each.url || ""), each.attachment ? icon("camera") : null))),
    h("div.two",
      field(say("field.type"), select(type, VOUCHERS.map((each) => [each, say(`voucher.${each}`)]), (text) => set("type", text))),
      entry(say("field.no"), voucher.no, (text) => set("no", text), { maxlength: 60 })),
    h("div.row",
      photoKey(voucher.attachment ? `✓ ${say("photo")}` : say("photo"), (sha) => set("attachment", sha)),
      key(`${say("add")} ${say(`voucher.${type}`)}`, add, { disabled: !voucher.no && !voucher.attachment }))];
}

function intake(d) {
  const form = d.form || {};
  const missing = d.missing || [];
  const has = (name) => !missing.includes(name);
  return [
    step(1, say("step.goods"), has("goods_code"), [d.not_understood ? h("p.paid.warn", say("refusal.not-goods")) : null, pick("goods_code", form, goodsOptions(true)), h("div.two", line("batch", form), line("produced", form, "set", { type: "date" }))]),
    step(2, say("step.supplier"), has("supplier"), [pick("supplier", form, partyOptions()), h("div.two", line("supplier_name", form), line("plate_no", form))]),
    step(3, say("step.origin"), has("origin"), h("div.two", line("origin_name", form), line("origin_code", form))),
    step(4, say("step.vouchers"), has("vouchers"), vouchers(d)),
    last(5, say("step.weigh"), [missing.length ? h("p.paid.warn", `${say("still-missing")} ${missing.map((name) => say(`missing.${name}`)).join("、")}`) : null,
      quantity("confirm", say("take-in"), {}, has("goods_code"))])];
}

// ---- transfer

function transfer(d) {
  const papers = d.papers || {};
  const goods = d.goods || {};
  return [
    step(1, say("step.papers"), papers.direction, [choice(say("field.direction"), ["out", "in"], papers.direction, (way) => say(`way.${way}`), (way) => act("set", { direction: way }, "")),
      h("div.two", line("document_no", papers), line("plate_no", papers)),
      papers.direction === "in" ? pick("from_party", papers, partyOptions()) : pick("to_party", papers, partyOptions())]),
    step(2, say("step.goods"), goods.goods_code || goods.batch || d.tags, [pick("goods_code", goods, goodsOptions(true)), line("batch", goods), d.tags ? h("p.note", `${say("tags-seen")} ${d.tags}`) : null]),
    last(3, say("step.weigh"), [d.first_passing ? h("p.paid", `${say("first-passing")} ${d.first_passing.indication} ${d.first_passing.unit}`) : null,
      quantity("confirm", say("record-line"), {}, papers.direction),
      h("div.row", key(say("weigh-vehicle"), () => act("pass", {}, say("sold")), { disabled: !papers.plate_no }))])];
}

// ---- inspection

function inspection(d) {
  const about = d.about || {};
  const add = async (result) => {
    const answer = await act("item", { ...item, result }, "");
    if (answer.ok) {
      item = {};
      change({});
    }
  };
  const set = (name, value) => { item[name] = value; change({}); };
  const failed = (d.items || []).some((each) => each.result === "fail");
  const can = may("release");
  return [
    step(1, say("step.what"), about.batch || about.goods_code, [line("batch", about, "batch"), pick("goods_code", about, goodsOptions(true), "batch")]),
    step(2, say("step.items"), (d.items || []).length, [
      h("ul.lines", (d.items || []).map((each, at) => h("li", { key: at }, h("b", each.project), h("span", each.value || ""), h("span.end", { "data-result": each.result }, each.result === "fail" ? `✕ ${say("fail")}` : `✓ ${say("pass")}`)))),
      h("div.reasons", say("projects").map((name) => key(name, () => set("project", name), { key: name, "aria-pressed": String(item.project === name) }))),
      h("div.two", entry(say("field.project"), item.project, (text) => set("project", text), { id: "f-project" }), entry(say("field.value"), item.value, (text) => set("value", text))),
      h("div.row.choose", key(`✓ ${say("pass")}`, () => add("pass"), { disabled: !item.project }), key(`✕ ${say("fail")}`, () => add("fail"), { kind: "button.danger", disabled: !item.project }))]),
    last(3, say("step.record"), [failed ? h("p.paid.warn", say("will-stop")) : null,
      key(say("record-inspection"), () => act("confirm", {}, say("sold")), { kind: "button.confirm", disabled: !(d.items || []).length || !(about.batch || about.goods_code) })]),
    (d.stops || []).length ? h("section.card.step", { key: "stops" }, h("h2", icon("stop"), " ", say("stopped")), h("ul.lines", d.stops.map((stop) => h("li", { key: stop.id }, h("b", stop.matched),
      key(say("dispose"), () => open("dispose", { batch: stop.batch || stop.matched.replace(/^batch:(\S+).*/, "$1") })), can ? key(say("release"), () => open("release", { stop: stop.id })) : null)))) : null];
}

// ---- filling, transformation, plain weighing

function filling(d) {
  const code = d.cylinder;
  const limit = Math.round(Number(local.limit || 0) * 1e6);
  return [
    step(1, say("step.cylinder"), code, [line("code", { code }, "cylinder"), d.medium ? h("p.note", d.medium) : null]),
    step(2, say("step.inspected"), d.inspected_until, [line("inspected_until", d, "cylinder", { type: "date", disabled: !code }),
      numeric(`${say("field.limit")} kg`, local.limit, (text) => note("limit", text), { disabled: !code, onchange: () => limit > 0 && order("cylinder", { limit_mg: limit }) })]),
    step(3, say("step.before"), d.before_mg, [d.before_mg ? h("p.typed", `${kilos(d.before_mg)} kg`) : null, key(say("weigh-before"), () => act("before", {}, say("noted")), { kind: "button.confirm", disabled: d.step !== "before" || view().state !== "stable" })]),
    step(4, say("step.after"), false, [key(say("weigh-after"), () => act("after", {}, say("sold")), { kind: "button.confirm", disabled: d.step !== "after" || view().state !== "stable" }), key(say("clear"), () => act("clear", {}, ""))])];
}

function transform(d) {
  const part = (each, at) => h("li", { key: at }, h("b", each.goods_name || each.goods_code || each.batch), h("span", each.batch || ""), h("span.end", each.qty ? `${each.qty} ${say("pieces")}` : `${kilos(each.net_mg)} kg`));
  const about = local.goods_code ? { goods_code: local.goods_code, goods_name: (s.goods.find((each) => each.code === local.goods_code) || {}).name } : {};
  const ready = about.goods_code || (d.scanned && Object.keys(d.scanned).length);
  const choose = field(say("field.goods_code"), select(local.goods_code, [NONE, ...goodsList()], (code) => note("goods_code", code)));
  return [
    step(1, say("step.in"), (d.inputs || []).length, [h("ul.lines", (d.inputs || []).map(part)), choose, quantity("input", say("put-in"), about, ready)]),
    step(2, say("step.out"), (d.outputs || []).length, [h("ul.lines", (d.outputs || []).map(part)), quantity("output", say("take-out"), about, ready)]),
    last(3, say("step.record"), [entry(say("field.certificate"), local.certificate, (text) => note("certificate", text)),
      key(say("finish"), () => act("finish", local.certificate ? { certificate: local.certificate } : { no_certificate: true }, say("sold")), { kind: "button.confirm", disabled: !(d.inputs || []).length || !(d.outputs || []).length })])];
}

const log = (d) => [h("section.card.step", { key: "log" }, h("h2", say("scanned")), h("p.scanned", d.last_scan || d.scanned || "–"), h("p.note", say("log-note")))];

const MODES = { intake, transfer, inspection, filling, transform, log };

export function draw() {
  const now = view();
  const d = detail();
  const rows = s.records.filter((each) => each.station === s.station).slice(0, 12);
  const steps = (MODES[now.mode] || log)(d);
  const isLast = (each) => each && each.key === LAST;
  return [h("div.work", { key: `work-${s.station}` },
    h("div.work-side", { key: "side" }, scale(now), ["intake", "transfer", "transform"].includes(now.mode) ? h("div.scale-keys", key(say("preset-tare"), () => open("tare")), h("a.button", { href: "#stocktake" }, say("count"))) : null),
    h("div.steps", { key: "steps" }, steps.filter((each) => !isLast(each))),
    h("div.at-hand", { key: "hand" }, steps.filter(isLast)),
    h("section.log", { key: "log" }, h("h2", say("recent")), rows.length ? h("ol.records", rows.map(row)) : h("p.note", say("no-records")), legend()))];
}

export function onKey(event) {
  const confirm = document.querySelector(".work .confirm:not(:disabled)");
  if (event.key === "Enter" && confirm && !s.sheet) {
    event.preventDefault();
    confirm.click();
  }
}

// ---- what lies over a screen

const reasonOf = (sheet) => (sheet.text || "").trim();

addSheet("release", (sheet) => [say("release"), [entry(say("reason"), sheet.text, (text) => put({ text })),
  key(say("ok"), () => act("release", { stop_sale: sheet.stop, reason: reasonOf(sheet) }, say("release")).then((answer) => answer.ok && close()), { kind: "button.strong.wide", disabled: !reasonOf(sheet) })]]);

addSheet("dispose", (sheet) => [say("dispose"), [h("p.note", `${sheet.batch}`), numeric("kg", sheet.amount, (text) => put({ amount: text })),
  h("div.reasons", ["destroyed", "harmless-treatment", "returned", "downgraded", "sealed"].map((kind) => key(say(`disposal.${kind}`), () =>
    act("dispose", { batch: sheet.batch, kind, ...(Number(sheet.amount) > 0 ? { net_mg: Math.round(Number(sheet.amount) * 1e6) } : {}) }, say(`disposal.${kind}`)).then((answer) => answer.ok && close()), { key: kind })))]]);
