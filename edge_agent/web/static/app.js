// The page itself: what is around the screens, which screen is shown, keys, and what scanners type.
import { h, render } from "./dom.js";
import { s, change, keep, onChange, say, turn, view } from "./state.js";
import { ask, scan, to } from "./api.js";
import { edition, speak } from "./load.js";
import { absent, again, part } from "./lazy.js";
import { start, restart, on } from "./stream.js";
import { listen, isField } from "./wedge.js";
import { icon } from "./icons.js";
import { open, sheet } from "./sheets.js";
import * as sound from "./sound.js";
import { gate, isFirst } from "./sign.js";
import { blocked } from "./blocked.js";
import * as sell from "./sell.js";

const MINUTE = 60000;
const AGAIN = 2000; // ms
const root = document.getElementById("app");

const nameOfScreen = () => (s.screen === "work" && view().mode === "sale" ? "sale" : s.screen);

// The screen that is wanted. Others than the counter are loaded when they are first opened.
function screen() {
  if (!view()) return null;
  const name = nameOfScreen();
  return name === "sale" ? sell : part(name, (module) => { if (module.enter && nameOfScreen() === name) module.enter(); });
}

const wait = () => (view() ? absent(nameOfScreen()) : h("p.wait", say("waiting")));

// After an upgrade of the gateway this page is an old one. It begins anew once nothing is being typed; the address says
// that it did, so that a cache in between that keeps the old page cannot make it do so for ever.
function renew() {
  const now = s.session.page;
  if (now && now !== edition && location.search !== `?${now}` && !s.sheet && !isField(document.activeElement)) {
    location.replace(`/?${now}${location.hash}`);
  }
}

// ---- header and navigation

function linkState() {
  if (!s.live) return ["lost", "✕"];
  const link = s.status && s.status.link ? s.status.link.state : "none";
  return [link, { connected: "●", connecting: "◐", offline: "○", none: "–" }[link] || "–"];
}

function header() {
  const [link, glyph] = linkState();
  const status = s.status || {};
  const stations = Object.keys(s.stations).sort();
  const operator = s.session.person;
  return h("header.top", { key: "top" },
    h("h1.place",
      h("span.market", (s.about && s.about.site) || say("title"), " "),
      stations.length > 1
        ? h("select.stall", { "aria-label": say("station"), value: s.station, onchange: (e) => go(s.screen, e.target.value) },
          stations.map((id) => h("option", { key: id, value: id }, id)))
        : h("span.stall", s.station)),
    operator ? h("button.chip.who", { title: say("hand-over"), onclick: () => open("who") },
      icon("user"), " ", operator.name || operator.id) : isFirst() ? h("button.chip", { onclick: () => change({ later: false }) }, icon("user"), " ", say("pair-it")) : null,
    h("p.chip.link", { role: "status", "data-state": link },
      h("span", { "aria-hidden": "true" }, glyph), " ", say(`link.${link}`),
      s.live && status.pending ? h("b", ` ${say("pending")} ${status.pending}`) : null),
    s.live && status.rejected ? h("button.chip.refused", { onclick: () => go("maintain") },
      h("b", `! ${say("rejected")} ${status.rejected}`)) : null,
    s.live && status.clock_synced === false ? h("p.chip.clock", icon("wait"), " ", say("unsynced")) : null,
    h("button.tool", { id: "language", lang: s.language === "zh" ? "en" : "zh-CN", onclick: () => turn(s.language === "zh" ? "en" : "zh") },
      s.language === "zh" ? "EN" : "中文"),
    h("button.tool", { id: "settings", "aria-label": say("settings"), onclick: () => open("settings") }, "Aa"));
}

const TABS = ["work", "status", "trace", "board", "maintain"];

function tabs() {
  const now = view();
  return h("nav.tabs", { key: "tabs", "aria-label": say("screens") }, TABS.map((name, at) =>
    h("a", { key: name, href: `#${name}`, "aria-current": s.screen === name ? "page" : null, title: `Alt+${at + 1}` },
      icon(name === "work" ? "scale" : name),
      h("span", name === "work" && now ? say(`mode.${now.mode}`) : say(`screen.${name}`)))));
}

function go(name, station) {
  if (station && station !== s.station) {
    keep("station", station);
    change({ arranging: false });
    loadCatalogue();
  }
  if (name !== s.screen) location.hash = name;
}

function fromHash() {
  const name = location.hash.slice(1);
  const known = TABS.includes(name) || /^(customer|stocktake)$/.test(name);
  change({ screen: known ? name : "work", sheet: null, toast: null, arranging: false });
  const shown = screen();
  if (shown && shown.enter) shown.enter();
}

// ---- the whole

function draw() {
  renew();
  document.documentElement.lang = s.language === "zh" ? "zh-CN" : "en";
  document.documentElement.dataset.size = s.size;
  document.documentElement.dataset.hand = s.hand;
  document.title = `${s.station ? `${s.station} · ` : ""}${say("title")}`;
  const shown = screen();
  const alarm = s.live ? storeAlarm() : Object.keys(s.stations).length ? say("lost-page") : "";
  const stopped = gate();
  if (stopped || s.screen === "customer") {
    render(root, [stopped || (shown ? shown.draw() : h("main", { key: "wait" }, wait())), toasts()]);
    return;
  }
  render(root, [
    header(),
    h("p.alarm", { key: "alarm", role: "alert", hidden: !alarm }, alarm),
    h("main", { key: `main-${s.screen}`, "data-screen": s.screen, class: s.live ? "" : "old", tabindex: /status|board/.test(s.screen) ? "0" : null },
      shown ? shown.draw() : wait()),
    tabs(),
    blocked(),
    sheet(),
    toasts(),
  ]);
}

const toasts = () => h("div.toasts", { key: "toasts", role: "status" }, s.toast
  ? h("p.toast", { "data-kind": s.toast.kind }, h("b", s.toast.kind === "good" ? "✓ " : "! ", s.toast.text), s.toast.more ? h("span", s.toast.more) : null)
  : null);

function storeAlarm() {
  const alarms = (s.status && s.status.alarms) || {};
  return Object.keys(alarms).map((name) => `${say(`alarm.${name}`)}: ${alarms[name]}`).join("　");
}

// ---- keys and scans

function onScan(text) {
  sound.unlock();
  const shown = screen();
  if (shown && shown.onScan) shown.onScan(text);
  else if (view()) scan(text);
}

function onKey(event) {
  const shown = screen();
  if (event.key === "Escape" && s.sheet) {
    change({ sheet: null });
    return;
  }
  if (isField(event.target) && event.key !== "Escape") {
    if (shown && shown.onFieldKey) shown.onFieldKey(event);
    return;
  }
  if (event.key === "Enter" && /^(BUTTON|A|SUMMARY)$/.test(event.target.tagName)) return;
  if (shown && shown.onKey) shown.onKey(event);
}

document.addEventListener("keydown", (event) => {
  if (event.altKey && event.key >= "1" && event.key <= String(TABS.length)) {
    event.preventDefault();
    go(TABS[Number(event.key) - 1]);
  }
});
document.addEventListener("pointerdown", sound.unlock);
document.addEventListener("keydown", sound.unlock);

// ---- what the gateway tells

function pick(stations) {
  const ids = Object.keys(stations).sort();
  return stations[s.station] ? s.station : ids.find((id) => stations[id].mode === "sale") || ids[0] || "";
}

function noteWeight(id, weight, at) {
  const trace = s.traces[id] || (s.traces[id] = []);
  const value = weight === null ? null : Number(weight);
  trace.push([at, Number.isFinite(value) ? value : null]);
  while (trace.length > 700 || (trace.length && trace[0][0] < at - MINUTE)) trace.shift();
}

function takeRecord(record) {
  const others = s.records.filter((each) => each.id !== record.id);
  const records = [record].concat(others).sort((a, b) => b.sequence - a.sequence).slice(0, 60);
  if (/^trace\.(void)/.test(record.type)) records.forEach((each) => { if (each.id === record.corrects) each.void_by = record.id; });
  change({ records });
  if (/intake|transfer|transform|stop_sale|release|loss|stocktake|disposal/.test(record.type)) loadCatalogue(300);
  else if (/sale|return|void/.test(record.type)) loadCatalogue(5000);
}

on("snapshot", (all) => {
  const { stations, status, records, stops, payments, figures } = all;
  change({ stations, station: pick(stations), status, records, stops, payments, figures, about: all, status_at: Date.now() });
  if (all.session) takeSession(all.session);
  loadCatalogue();
});
on("station", (news) => {
  noteWeight(news.station, news.view.weight, Date.now());
  const stations = { ...s.stations, [news.station]: news.view };
  change({ stations, station: pick(stations) });
});
on("record", takeRecord);
on("marks", (marks) => {
  const bySequence = {};
  marks.forEach((mark) => { bySequence[mark.sequence] = mark; });
  change({ records: s.records.map((each) => (bySequence[each.sequence] ? { ...each, ...bySequence[each.sequence] } : each)) });
});
on("status", (status) => change({ status: { ...s.status, ...status }, status_at: Date.now() }));
on("stops", (stops) => change({ stops }));
on("payments", (payments) => change({ payments }));
on("figures", (figures) => change({ figures }));
on("catalogue", () => loadCatalogue());
on("session", takeSession);
on("ping", () => {});
on("lost", whoAmI);
on("live", again); // what could not be fetched without the gateway

function takeSession(session) {
  change({ session: { ...s.session, ...session } });
}

let loading = 0;

// The goods of this station with its open batches; again where something changed them, but not at every sale.
async function loadCatalogue(pause) {
  clearTimeout(loading);
  loading = setTimeout(async () => {
    const answer = await ask(to`/api/catalogue?station=${s.station}`);
    if (answer.ok && answer.goods) change({ goods: answer.goods, parties: answer.parties || [] });
  }, pause || 0);
}

// Where the line cannot be had, it may be that the gateway began anew and knows nobody any more.
async function whoAmI() {
  const { signs } = s;
  const session = await ask("/api/session");
  if (session.ok && signs === s.signs) change({ session });
}

async function begin() {
  while (!await speak(s.language).then(() => true, () => false)) await new Promise((go) => setTimeout(go, AGAIN));
  onChange(draw);
  fromHash();
  await whoAmI();
  s.restart = () => {
    restart();
    loadCatalogue();
  };
  start();
}

window.addEventListener("hashchange", fromHash);
listen(onScan, onKey);
begin();
