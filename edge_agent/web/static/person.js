// What is whoever's who works here: the shift and its hand-over, and how the page looks and sounds to them.
import { h, key, facts } from "./dom.js";
import { s, keep, say, turn, view } from "./state.js";
import { ask, tell } from "./api.js";
import { choice } from "./forms.js";
import { addSheet } from "./sheets.js";
import { panel, take } from "./sign.js";

const SETTINGS = [["size", "text-size", "sizes", ["m", "l", "xl"]], ["language", "language", "languages", ["zh", "en"]],
  ["sound", "sound", "onoff", ["on", "off"]], ["hand", "hand", "hands", ["right", "left"]]];

addSheet("settings", () => [say("settings"), SETTINGS.map(([name, title, table, values]) => [h("h3", say(title)),
  choice(say(title), values, s[name], (value) => say(`${table}.${value}`), (value) => (name === "language" ? turn(value) : keep(name, value)))])]);

addSheet("who", () => {
  const at = s.session.person || {};
  const shift = (view() || {}).operator;
  const shifts = (action) => ask("/api/shift", { station: s.station, action }).then((answer) => {
    tell(answer, say(action === "begin" ? "shift-begun" : "shift-ended"));
  });
  return [say("hand-over"), [
    facts([[say("person"), at.name || at.id], [say("role"), s.session.role ? say(`roles.${s.session.role}`) : ""],
      [say("on-duty"), shift ? `${shift.name || shift.person} · ${String(shift.since).slice(11, 16)}` : say("none")]]),
    h("div.row", shift ? key(say("shift-end"), () => shifts("end")) : null, key(say("shift-begin"), () => shifts("begin")),
      s.session.pins ? key(say("sign-out"), () => take(ask("/api/sign-out", {})), "button.danger") : null),
    s.session.pins ? [h("h3", say("take-over")), panel(true)] : null]];
});
