// What the customer sees: weight, price and amount at once, large, and nothing else.
import { h } from "./dom.js";
import { s, change, say, yuan, kilos, price, view } from "./state.js";
import { icon } from "./icons.js";
import { scale } from "./scale.js";

const AFTERWARDS = 10000; // ms for which a sale is still shown when it is made
let newest = null; // the last sale that was seen here, and until when it is shown

// A sale that was made a moment ago; what had been sold before this screen was opened is none.
function justSold(last) {
  const id = last ? last.id : "";
  if (!newest || newest.id !== id) {
    newest = { id, until: newest ? Date.now() + AFTERWARDS : 0 };
    setTimeout(change, AFTERWARDS, {});
  }
  return Date.now() < newest.until;
}

export function draw() {
  const now = view();
  if (!now) return [h("p.wait", { key: "wait" }, say("waiting"))];
  const d = now.detail || {};
  const last = s.records.find((r) => r.station === s.station && r.type === "trace.sale.v1" && !r.void_by);
  const lines = d.lines || [];
  const fresh = justSold(last);
  const at = last && !d.goods_code && (fresh || now.state === "captured" || now.state === "unloading");
  const shown = d.goods_code ? d : at ? last : {};
  return [h("main.customer", { key: "customer" },
    h("h1", (s.about && s.about.site) || "", " ", s.station),
    scale(now),
    h("section.customer-line",
      h("h2", shown.goods_name || shown.goods_code || say("welcome")),
      shown.goods_code ? h("dl.customer-money",
        h("div", h("dt", say("price")), h("dd", price(shown.price_fen, shown.price_per), shown.mode === "piece" ? ` × ${shown.qty}` : "")),
        h("div.big", h("dt", say("amount")), h("dd", yuan(shown.amount_fen), h("small", ` ${say("yuan")}`)))) : null,
      shown.batch || shown.trace_code ? h("p.note", icon("leaf"), ` ${say("batch")} ${shown.batch || ""} ${shown.trace_code ? `· ${say("trace")} ${shown.trace_code}` : ""}`) : null,
      lines.length ? h("ul.customer-lines", lines.map((each) => h("li", { key: each.id }, h("span", each.goods_name || each.goods_code || ""), h("span", each.qty ? each.qty : `${kilos(each.net_mg)} kg`), h("b", yuan(each.amount_fen)))),
        h("li.sum", h("span", say("total")), h("span"), h("b", yuan(d.ticket_fen)))) : null))];
}
