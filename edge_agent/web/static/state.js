// What the page knows, and what of it a person set on this device.
import { speak, words } from "./load.js";

const kept = (name, other) => {
  try {
    return localStorage.getItem(name) || other;
  } catch (refused) {
    return other;
  }
};

export const s = {
  language: kept("language", navigator.language.slice(0, 2) === "zh" ? "zh" : "en"),
  size: kept("size", "m"), // of the text: m, l, xl
  hand: kept("hand", "right"), // where the thumb is, on a phone
  sound: kept("sound", "on"),
  station: kept("station", ""),
  screen: "work",
  live: false, // whether what is shown is what is true now
  session: {},
  signs: 0, // how often somebody signed in or out: what was asked before tells nothing of who it is now
  stations: {},
  status: null,
  records: [],
  goods: [],
  traces: {}, // weights of the last minute, by station
  toast: null,
  sheet: null, // what lies over the screen: {kind, left: what is done when it goes, …}
};

let draw = () => {};
let waiting = false;
let awaited = [];

export function onChange(render) {
  draw = render;
}

// Note what is new; the screen is drawn once, with the next frame.
export function change(news) {
  const left = news.sheet === null && s.sheet && s.sheet.left;
  Object.assign(s, news);
  if (left) left();
  awaited = awaited.filter((met) => !met());
  if (waiting) return;
  waiting = true;
  const go = () => {
    waiting = false;
    draw();
  };
  if (document.hidden) setTimeout(go, 0);
  else requestAnimationFrame(go);
}

// Resolves when something has become true of the state, or after `ms`.
export const until = (holds, ms) => new Promise((done) => {
  const met = () => holds() && (done(), true);
  if (met()) return;
  awaited.push(met);
  setTimeout(done, ms);
});

export function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch (refused) {
    // A private window: it holds until the page is closed.
  }
}

export function keep(name, value) {
  store(name, value);
  change({ [name]: value });
}

const find = (name) => name.split(".").reduce((table, part) => (table ? table[part] : undefined), words);

// The word for `name` ("state.stable"), else the last part of the name itself.
export function say(name) {
  const found = find(name);
  return found === undefined ? name.slice(name.indexOf(".") + 1) : found;
}

export const has = (name) => find(name) !== undefined;

let toastTimer = 0;
export function toast(kind, text, more) {
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => change({ toast: null }), kind === "good" ? 2500 : 6000);
  change({ toast: { kind, text, more: more || "" } });
}

// Whether whoever is signed in has a right; before that is known, nothing is hidden.
export const may = (right) => !s.session.rights || s.session.rights.includes(right);

// To another language, once its words are there.
export function turn(language) {
  store("language", language);
  speak(language).then(() => change({ language }), () => {
    store("language", s.language);
    toast("bad", say("not-loaded"));
  });
}

export const view = () => s.stations[s.station] || null;

// ---- figures as people read them

export const yuan = (fen) => (fen === null || fen === undefined ? "–" : (fen / 100).toFixed(2));
export const kilos = (mg) => (mg === null || mg === undefined ? "–" : (mg / 1e6).toFixed(3));

export function price(fen, per) {
  if (fen === null || fen === undefined) return "–";
  const unit = s.session.price_unit;
  let shown = fen;
  let of = per || "kg";
  if (unit && of !== "each" && unit !== of) {
    shown = unit === "500g" ? fen / 2 : fen * 2;
    of = unit;
  }
  const digits = Number.isInteger(shown) ? 2 : 3;
  return `${(shown / 100).toFixed(digits)} ${say(`per.${of}`)}`;
}

export const when = (time) => String(time || "").slice(11, 16);
export const day = (time) => String(time || "").slice(5, 10);

export function ago(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} ${say("unit.s")}`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} ${say("unit.min")}`;
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} ${say("unit.h")}`;
  return `${Math.floor(seconds / 86400)} ${say("unit.d")}`;
}
