// The notice board for customers: today's batches, inspections, what became of bad goods, where to complain.
import { h, key } from "./dom.js";
import { s, change, say, when } from "./state.js";
import { ask } from "./api.js";
import { icon } from "./icons.js";

let board = null;
let timer = 0;

export function enter() {
  const load = () => ask("/api/board").then((answer) => {
    if (answer.ok) {
      board = answer;
      change({});
    }
  });
  load();
  clearInterval(timer);
  timer = setInterval(() => (s.screen === "board" ? load() : clearInterval(timer)), 30000);
}

const partyName = (code) => ((s.parties || []).find((each) => each.code === code) || {}).name || code;

const table = (title, name, rows, none) => h("section.card", { key: title }, h("h2", icon(name), " ", title),
  rows.length ? h("ul.lines", rows) : h("p.note", none));

export function draw() {
  if (!board) return [h("p.wait", { key: "wait" }, say("waiting"))];
  return [h("div.board", { key: "board" },
    h("div.board-top", h("h2", board.site || "", " · ", h("span.word", board.day || "")),
      board.complaint_number ? h("p.call", say("complaint-number"), " ", h("b", board.complaint_number)) : null,
      document.documentElement.requestFullscreen ? key(say("full"), () => document.documentElement.requestFullscreen()) : null),
    (board.stops || []).length ? h("section.card.bad", { key: "stops" }, h("h2", icon("stop"), " ", say("stopped")), h("ul.lines", board.stops.map((each) =>
      h("li", { key: each.id }, h("b", each.goods_name || each.goods_code || each.matched), h("span", each.batch || each.lot || ""), h("span", each.reason || ""))))) : null,
    table(say("board-batches"), "leaf", (board.batches || []).map((each) => h("li", { key: each.batch + each.goods_name },
      h("b", each.goods_name || each.goods_code || ""), h("span", each.batch), h("span", [each.origin_name || each.origin_code, each.supplier_name || partyName(each.supplier)].filter(Boolean).join(" · ")),
      h("span.end", each.net_mg ? `${(each.net_mg / 1e6).toFixed(1)} kg` : ""))), say("board-none")),
    table(say("board-inspections"), "stable", (board.inspections || []).map((each, at) => h("li", { key: at },
      h("b", each.goods_name || each.goods_code || each.batch || each.sample || ""), h("span", each.batch || ""), h("span", (each.items || []).map((item) => item.project).join("、")),
      h("span.end", { "data-result": each.result }, each.result === "fail" ? `✕ ${say("fail")}` : `✓ ${say("pass")}`))), say("board-none")),
    table(say("board-disposals"), "lost", (board.disposals || []).map((each, at) => h("li", { key: at },
      h("b", each.goods_name || each.goods_code || each.batch || ""), h("span", each.batch || ""), h("span", say(`disposal.${each.kind}`)), h("span.end", when(each.time)))), say("board-none")))];
}
