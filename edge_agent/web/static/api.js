// Questions and orders to the gateway. Every answer is an object with `ok`; a failure says why in `refused`.
import { s, say, has, change, toast } from "./state.js";
import * as sound from "./sound.js";

export async function ask(path, body, again) {
  const { signs } = s;
  const headers = {};
  const file = body instanceof Blob;
  if (body !== undefined) headers["content-type"] = file ? body.type : "application/json";
  if (s.session.csrf) headers["x-csrf-token"] = s.session.csrf;
  const request = { method: body === undefined ? "GET" : "POST", headers, credentials: "same-origin" };
  if (body !== undefined) request.body = file ? body : JSON.stringify(body);
  try {
    const response = await fetch(path, request);
    const answer = await response.json();
    if (!response.ok) {
      answer.ok = false;
      answer.refused = answer.refused || answer.error;
    } else if (answer.ok === undefined) answer.ok = true;
    if (response.status === 401 && signs === s.signs && (answer.error === "sign-in" || answer.error === "locked")) {
      change({ session: { ...s.session, ...(answer.error === "locked" ? { locked: true } : { signed_in: false }) } });
    }
    // The token is another one since somebody signed in on another page of this browser.
    if (answer.error === "csrf" && !again) {
      const session = await ask("/api/session");
      if (session.ok) {
        change({ session });
        return ask(path, body, true);
      }
    }
    return answer;
  } catch (lost) {
    return { ok: false, refused: "lost-page" };
  }
}

// A path with what is put into it escaped.
export const to = (parts, ...names) => parts.reduce((path, part, at) => path + encodeURIComponent(names[at - 1]) + part);

const TOO_LONG = 10000; // ms
const lastOf = {}; // by station: what became of the order before

// Have a station do something. What it keeps is on disk when this returns. Orders of one page reach a station in the
// order in which they were given: two requests may overtake each other, and a price would be that of the goods before.
export function order(name, args, station) {
  const at = station || s.station;
  const before = lastOf[at] || Promise.resolve();
  const lost = new Promise((done) => setTimeout(done, TOO_LONG, { ok: false, refused: "lost-page" }));
  const answer = before.then(() => Promise.race([ask(to`/api/stations/${at}/${name}`, { arguments: args || {} }), lost]));
  lastOf[at] = answer;
  return answer;
}

// Why something was not done, in words.
export function why(answer) {
  const code = answer.refused || "";
  if (has(`refusal.${code}`)) return say(`refusal.${code}`);
  const field = /^(bad|no)-(.+)$/.exec(code);
  if (field && has(`field.${field[2]}`)) return `${say(`refusal.${field[1]}-field`)}: ${say(`field.${field[2]}`)}`;
  return answer.reason || answer.what || code;
}

// An order with what a person hears and sees of it.
export async function act(name, args, done, station) {
  const answer = await order(name, args, station);
  tell(answer, done);
  return answer;
}

// What a scanner read, for the station to make something of.
export const scan = (text) => act("scan", { text }, "");

export function tell(answer, done) {
  if (answer.ok) {
    if (done) {
      sound.good();
      toast("good", done);
    }
  } else {
    sound.bad();
    toast("bad", why(answer));
  }
}
