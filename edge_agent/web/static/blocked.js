// A stop of sale fills the screen: what, why, what to do now, how much is left by the books. It goes when somebody
// has confirmed that the goods are off the counter.
import { h, key, facts } from "./dom.js";
import { s, change, say } from "./state.js";
import { ask, tell, to } from "./api.js";
import { icon } from "./icons.js";
import { leftOf, focusOnce } from "./sheets.js";

function wanted() {
  if (!s.station || !s.live) return null;
  const stops = s.stops || [];
  const tried = s.blocked;
  if (tried) {
    const met = stops.find((each) => each.id === tried.stop || (each.batch ? each.batch === tried.batch : each.goods_code === tried.goods_code)) || stops.find((each) => each.goods_code === tried.goods_code);
    return { tried: true, ...tried, ...met };
  }
  return stops.find((each) => !each.confirmed && !(s.put_off || []).includes(each.id)) || null;
}

const back = (stop) => change({ blocked: null, put_off: (s.put_off || []).concat(stop.id || []) });

async function confirm(stop) {
  const answer = await ask(to`/api/stops/${stop.id}/confirm`, { station: s.station });
  tell(answer, say("stop.confirmed"));
  if (answer.ok) {
    change({ blocked: null, stops: s.stops.map((each) => (each.id === stop.id ? { ...each, confirmed: true } : each)) });
  }
}

export function blocked() {
  const stop = wanted();
  if (!stop) return null;
  return h("section.blocked", { key: "blocked", role: "alertdialog", "aria-modal": "true", "aria-labelledby": "stop-title", tabindex: "-1", after: focusOnce },
    h("header", icon("stop"), h("h2", { id: "stop-title" }, say("stop.title"))),
    h("div.blocked-body",
      h("p.blocked-goods", stop.goods_name || stop.goods_code || stop.matched || ""),
      facts([[say("batch"), stop.batch || stop.lot], [say("reason"), `${say(`cause.${stop.cause || "person"}`)}${stop.reason ? `：${stop.reason}` : ""}`],
        [say("stop.book"), stop.left_mg || stop.left_qty ? leftOf(stop) : ""], [say("stop.since"), String(stop.since || "").slice(0, 16).replace("T", " ")]]),
      h("h3", say("stop.do")),
      h("ol.todo", say("stop.todo").map((each, at) => h("li", { key: at }, h("b", String(at + 1)), each)))),
    h("div.blocked-keys",
      stop.id && !stop.confirmed ? key(say("stop.confirm"), () => confirm(stop), "button.confirm") : null,
      key(say(stop.confirmed || stop.tried ? "back" : "stop.later"), () => back(stop))));
}
