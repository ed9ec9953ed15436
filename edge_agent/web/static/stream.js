// The one line to the gateway: first everything, then what changes. When it is silent for too long, or the phone
// slept, nothing old is shown as if it were true: the page says so until the gateway has told again.
import { s, change } from "./state.js";

const SILENT = 8000; // ms; the gateway says something every few seconds
const AGAIN = [200, 500, 1000, 2000, 4000];

let source = null;
let heard = 0;
let newest = "";
let tries = 0;
let timer = 0;
const takers = {};

export function on(name, take) {
  takers[name] = take;
}

function alive() {
  if (s.live) return;
  change({ live: true });
  takers.live();
}

function attach(line, name) {
  line.addEventListener(name, (event) => {
    if (line !== source) return;
    heard = Date.now();
    tries = 0;
    if (event.lastEventId) newest = event.lastEventId;
    takers[name](event.data ? JSON.parse(event.data) : null);
    alive();
  });
}

export function restart() {
  newest = "";
  connect();
}

function connect() {
  clearTimeout(timer);
  if (source) source.close();
  source = new EventSource(`/api/events${newest ? `?last=${encodeURIComponent(newest)}` : ""}`);
  heard = Date.now();
  Object.keys(takers).forEach((name) => attach(source, name));
  const line = source;
  // An open line that missed nothing is true again, though nothing is told.
  line.onopen = () => {
    heard = Date.now();
    if (line === source && newest) alive();
  };
  line.onerror = () => line === source && again();
}

function again() {
  if (source) source.close();
  source = null;
  if (s.live) change({ live: false });
  if (tries) takers.lost();
  clearTimeout(timer);
  timer = setTimeout(connect, AGAIN[Math.min(tries, AGAIN.length - 1)]);
  tries += 1;
}

// A page that was away does not know what it missed.
function awake() {
  if (document.hidden) return;
  change({ live: false });
  tries = 0;
  connect();
}

export function start() {
  document.addEventListener("visibilitychange", awake);
  window.addEventListener("online", awake);
  window.addEventListener("pageshow", (event) => event.persisted && awake());
  setInterval(() => {
    if (source && !document.hidden && Date.now() - heard > SILENT) again();
  }, 1000);
  connect();
}
