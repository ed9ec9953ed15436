// The weight, as large as it goes: number, unit, and the scale's state as icon, word and colour.
import { h } from "./dom.js";
import { s, change, say, kilos } from "./state.js";
import { icon } from "./icons.js";

const ICONS = {
  empty: "zero", loading: "down", moving: "moving", stable: "stable", captured: "captured", unloading: "up", "loaded-at-start": "warn", overload: "up",
  underload: "down", stale: "lost", disconnected: "lost", "bad-data": "lost", waiting: "wait", lost: "lost",
};
const TONES = { stable: "good", captured: "good", empty: "calm", waiting: "calm", loading: "move", moving: "move", unloading: "move", "loaded-at-start": "move" };

export const tone = (state) => TONES[state] || "bad";

export function scale(view) {
  const state = s.live ? view.state : "lost";
  const weight = s.live && view.weight !== null ? view.weight : null;
  const detail = view.detail || {};
  const word = state === "lost" ? say("link.lost") : say(`state.${state}`);
  const shown = weight === null ? "– –" : weight;
  const net = weight !== null && view.basis === "net" ? say("net") : "";
  const tared = detail.preset_tare_mg ? `${say("preset-tare")} ${kilos(detail.preset_tare_mg)} kg` : "";
  const deducted = detail.deduct_mg ? `${say("deduct")} ${kilos(detail.deduct_mg)} kg` : detail.deduct_permille ? `${say("deduct")} ${detail.deduct_permille / 10} %` : "";
  return h("section.scale", { key: "scale", "data-state": state, "data-tone": tone(state), "aria-label": say("weight") },
    net || tared || deducted ? h("p.tared", [net, tared, deducted].filter(Boolean).join(" · ")) : null,
    h("p.weight", { after: fit },
      h("span.value", shown),
      h("span.unit", weight === null ? "" : view.unit || "")),
    h("p.state", icon(ICONS[state] || "warn"), h("span.word", word), h("span.legal", say("legal"))),
    h("p.heard", { role: "status" }, state === "stable" ? `${word} ${shown} ${view.unit || ""}` : tone(state) === "bad" ? word : ""));
}

// However wide the font: the whole number is seen, as large as it goes.
function fit(node) {
  const value = node.firstChild;
  const room = node.clientWidth;
  const asked = `${value.textContent.length} ${room} ${s.size} ${node.lastChild.textContent}`;
  if (!room || node.$fitted === asked) return;
  node.$fitted = asked;
  value.style.fontSize = "";
  const style = getComputedStyle(node);
  const rest = node.lastChild.offsetWidth + parseFloat(style.paddingLeft) + parseFloat(style.paddingRight) + 10;
  const wide = value.offsetWidth;
  if (wide + rest > room) {
    value.style.fontSize = `${Math.floor((parseFloat(getComputedStyle(value).fontSize) * (room - rest)) / wide)}px`;
  }
}

window.addEventListener("resize", () => change({}));
