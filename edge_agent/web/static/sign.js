// Who is at the counter: signing in by PIN or card, pairing a phone, locking.
import { h, key } from "./dom.js";
import { s, change, say, toast } from "./state.js";
import { ask, tell } from "./api.js";
import { icon } from "./icons.js";
import { entry, pad } from "./forms.js";
import { close } from "./sheets.js";

let person = "";
let name = "";
let pin = "";
let asking = false;
let pairing = null; // the code of the first start, and until when it is good
const PAUSE = 5000; // ms between two questions for it

export async function take(answering, done) {
  pin = "";
  const answer = await answering;
  if (answer.ok) {
    change({ session: answer.csrf ? answer : { ...s.session, ...answer }, signs: s.signs + 1 });
    location.hash = location.hash.replace(/pair=.*/, "");
    if (s.sheet) close();
    if (done) toast("good", done);
    s.restart();
  } else {
    tell(answer);
    change({});
  }
  return answer;
}

const code = () => (/pair=([^&]+)/.exec(location.hash) || [])[1];

function enter(over) {
  const body = { person, pin };
  if (over && s.station) body.station = s.station;
  return take(code() ? ask("/api/pair", { code: code(), person, name, pin }) : ask("/api/sign-in", body), say("signed"));
}

// The station at whose reader a card is held.
const counter = () => s.station || Object.keys(s.stations)[0] || (s.session.stations || [])[0];

// Waits for a card at the station's reader, again and again while the panel is there.
async function card() {
  asking = true;
  change({});
  while (asking) {
    const answer = await ask("/api/sign-in/card", { station: counter() });
    if (answer.ok) {
      asking = false;
      take(Promise.resolve(answer), say("signed"));
    } else if (answer.refused !== "no-card") {
      asking = false;
      tell(answer);
    }
  }
}

export function panel(over) {
  const people = s.session.people || [];
  const first = code() || s.session.first;
  return h("form.sign", { onsubmit: (e) => { e.preventDefault(); enter(over); } },
    people.length && !first ? h("div.reasons", people.map((each) => key([icon("user"), ` ${each.name || each.id}`], () => { person = each.id; change({}); }, { key: each.id, "aria-pressed": String(person === each.id) })))
      : entry(say("person"), person, (text) => { person = text.trim(); }, { id: "person", autocomplete: "username", inputmode: "numeric" }),
    first ? entry(say("name"), name, (text) => { name = text; }, { id: "name", maxlength: 40 }) : null,
    entry("PIN", pin, (text) => { pin = text; }, { id: "pin", type: "password", inputmode: "numeric", autocomplete: first ? "new-password" : "current-password", maxlength: 64 }),
    pad(pin, (text) => { pin = text; }),
    s.session.warning === "pin-in-clear" ? h("p.paid.warn", say("pin-in-clear")) : null,
    h("button.confirm", { type: "submit", disabled: !person || pin.length < 4 }, say(over ? "take-over" : first ? "pair" : "sign-in")),
    counter() && !first ? key(say(asking ? "hold-card" : "by-card"), card, { disabled: asking }) : null);
}

// The code of the first start, a new one when the old one has run out.
async function fetchCode() {
  if (pairing && Date.now() < pairing.until) return;
  pairing = { ...pairing, until: Date.now() + PAUSE };
  const answer = await ask("/api/pairing");
  if (answer.ok) pairing = { ...answer, until: Date.now() + 1000 * answer.expires_s };
  change({});
  setTimeout(change, pairing.until - Date.now(), {});
}

function first() {
  fetchCode();
  return h("section.card", h("h2", say("pair-first")),
    pairing.url ? [h("img.qr", { src: `/api/pairing.svg?${pairing.code}`, alt: say("pair-first") }), h("p.code", pairing.code), h("p.note", pairing.url)] : null,
    h("p.note", say("pair-why")), key(say("pair-later"), () => change({ later: true }), "button.wide"));
}

// Whether nobody has a PIN yet, and this is the box itself, where the first phone is paired.
export const isFirst = () => s.session.first && s.session.loopback && !code();

// The whole screen, where nobody is signed in, the counter is locked, or the first phone is to be paired.
export function gate() {
  const session = s.session;
  const pairs = isFirst() && !s.later;
  if (session.signed_in === undefined || (session.signed_in && !session.locked && !pairs)) return null;
  return h("main.gate", { key: "gate" }, h("h1", say("title")), pairs ? first()
    : h("section.card", h("h2", session.locked ? say("locked") : code() ? say("pair") : say("sign-in")), panel(false)));
}
