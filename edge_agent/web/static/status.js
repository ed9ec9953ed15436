// How the box stands: the line to the platform, what waits, the devices and their last word, the day's figures.
import { h, facts } from "./dom.js";
import { s, change, say, yuan, ago } from "./state.js";
import { ask, to } from "./api.js";
import { icon } from "./icons.js";
import { bars, ring, trace } from "./charts.js";

let figures = null;
let timer = 0;

export function enter() {
  ask("/api/figures?days=31").then((answer) => {
    if (answer.ok) {
      figures = answer;
      change({});
    }
  });
  Object.keys(s.stations).forEach((id) => ask(to`/api/stations/${id}/weights`).then((answer) => {
    const mine = s.traces[id] || [];
    const first = mine.length ? mine[0][0] : Infinity;
    if (answer.ok && answer.points) s.traces[id] = answer.points.filter(([ms]) => ms < first).map(([ms, mg]) => [ms, mg === null ? null : mg / 1e6]).concat(mine);
  }));
  clearInterval(timer);
  timer = setInterval(() => (s.screen === "status" ? change({}) : clearInterval(timer)), 1000);
}

const card = (title, state, body) => h("section.card", { key: title, "data-state": state }, h("h2", title), body);
const percent = (part, whole) => (whole ? Math.round((1000 * part) / whole) / 10 : null);
const tons = (f) => `${((f.weight_mg || 0) / 1e6).toFixed(1)} kg`;
const sums = (f) => [[say("mode.sale"), `${f.sales || 0} ${say("sales")}`], [say("weight"), tons(f)], [say("amount"), `${yuan(f.amount_fen || 0)} ${say("yuan")}`]];

function uplink() {
  const { link, pending, delivered, rejected, kept, oldest_pending_age_s: age } = s.status;
  const state = link ? link.state : "none";
  return card(say("state-of.link"), state === "connected" ? "good" : "warn", [
    h("p.big", say(`link.${state}`)),
    state === "connected" || state === "none" ? null : h("p.note", `${say("offline-note")}${link && link.reason ? ` (${link.reason})` : ""}`),
    facts([[say("pending"), `${pending}${pending && age ? ` · ${say("state-of.oldest")} ${ago(age)}` : ""}`], [say("mark.delivered"), delivered],
      [say("rejected"), rejected ? h("a", { href: "#maintain" }, String(rejected)) : 0], [say("state-of.kept"), kept]])]);
}

function box() {
  const { disk, alarms, clock_synced: synced } = s.status;
  const days = disk ? disk.days_left : null;
  const about = s.about || {};
  const names = Object.keys(alarms || {});
  return card(say("state-of.box"), names.length ? "bad" : "good", [
    names.map((name) => h("p.paid.warn", { key: name }, `${say(`alarm.${name}`)}: ${alarms[name]}`)),
    facts([[say("state-of.disk"), days === null || days === undefined ? say("state-of.enough") : `${days > 3650 ? "> 3650" : Math.floor(days)} ${say("unit.d")}`],
      [say("state-of.clock"), say(synced ? "synced" : "unsynced")], [say("state-of.gateway"), `${about.site || ""} · ${about.gateway || ""}`], [say("state-of.version"), about.version]])]);
}

function devices() {
  const all = s.status.devices || {};
  const past = (Date.now() - s.status_at) / 1000;
  return card(say("state-of.devices"), "", h("ul.devices", Object.keys(all).sort().map((id) => {
    const device = all[id];
    const points = s.traces[Object.keys(s.stations).find((station) => s.stations[station].device === id)] || [];
    const told = device.last_age_s === null || device.last_age_s === undefined ? null : device.last_age_s + past;
    const age = points.length ? (Date.now() - points[points.length - 1][0]) / 1000 : null;
    const unit = (s.stations[Object.keys(s.stations).find((station) => s.stations[station].device === id)] || {}).unit;
    return h("li", { key: id, "data-state": device.state },
      h("p.device", h("b", id), h("span.note", device.driver || ""), h("span.device-state", icon(device.state === "connected" ? "stable" : "lost"), say(`device.${device.kind === "printer" && device.state === "bad-data" ? "trouble" : device.state}`))),
      h("p.note", `${device.state !== "connected" && device.reason ? `${device.reason.split(", ").map((why) => say(`of-printer.${why}`)).join("、")} · ` : ""}${say("state-of.last")} ${ago(age !== null && (told === null || age < told) ? age : told)}`),
      points.length ? trace(points, unit || "kg") : null);
  })));
}

function today() {
  const f = s.figures || {};
  return card(say("today"), "", [
    h("div.rings", ring(percent(f.linked, f.sales), say("linked")), ring(percent(f.delivered_in_a_day, f.records), say("state-of.in-a-day"))),
    facts(sums(f).concat([[say("rejected"), f.refused || 0], [say("void"), f.void || 0]]))]);
}

function month() {
  const sum = (figures && figures.month) || {};
  return card(say("state-of.month"), "", [
    bars(((figures && figures.days) || []).map((each) => [String(each.day).slice(8), each.sales, each.linked]), say("mode.sale"), say("linked")),
    h("p.note", h("span.swatch.all"), `${say("mode.sale")}　`, h("span.swatch.good"), say("linked")),
    facts(sums(sum).concat([[say("linked"), sum.sales ? `${percent(sum.linked, sum.sales)} %` : ""]]))]);
}

export const draw = () => (s.status ? [h("div.cards", { key: "status" }, uplink(), today(), devices(), month(), box())] : []);
