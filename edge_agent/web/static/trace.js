// Where goods came from and where they went: a code becomes a drawn chain, offline. A complaint can be noted on it.
import { h, key, facts } from "./dom.js";
import { s, change, say, has, when, day, kilos, yuan } from "./state.js";
import { ask, tell, to } from "./api.js";
import { icon } from "./icons.js";
import { field, input } from "./forms.js";
import { addSheet, close, open, put } from "./sheets.js";

let code = "";
let found = null;
let asked = "";
let shown = null;

export async function look(text) {
  code = text.trim();
  if (!code) return;
  asked = code;
  const answer = await ask(to`/api/trace?code=${code}`);
  if (asked !== code) return;
  found = answer.ok ? answer : { kind: "none", nodes: [], edges: [], failed: answer };
  shown = null;
  if (!answer.ok && answer.refused !== "not-found") tell(answer);
  change({});
}

export function enter() {
  if (s.wanted) {
    look(s.wanted);
    change({ wanted: null });
  }
}

// Each step stands one further than the furthest of those it came from; cycles stop at the number of nodes.
function layers({ nodes, edges }) {
  const at = {};
  nodes.forEach((node) => { at[node.id] = 0; });
  for (let round = 0; round < nodes.length; round += 1) {
    let moved = false;
    edges.forEach(([from, to]) => {
      if (at[from] !== undefined && at[to] !== undefined && at[to] < at[from] + 1 && at[from] + 1 < nodes.length) {
        at[to] = at[from] + 1;
        moved = true;
      }
    });
    if (!moved) break;
  }
  const rows = [];
  nodes.forEach((node) => { (rows[at[node.id]] = rows[at[node.id]] || []).push(node); });
  return rows.filter(Boolean);
}

const ICONS = { intake: "down", voucher: "board", batch: "leaf", sale: "scale", transfer: "up", inspection: "stable", stop: "stop", complaint: "warn", disposal: "lost", loss: "lost", void: "lost" };

function chain() {
  return h("div.chain", { after: connect }, h("svg.edges", { "aria-hidden": "true" }), layers(found).map((row, at) =>
    h("ol.layer", { key: at }, row.slice(0, 60).map((node) => h("li", { key: node.id }, key([
      icon(ICONS[node.kind] || "trace"), h("span.node-kind", say(`node.${node.kind}`)), h("b", node.title === node.kind ? "" : node.title), h("small", `${day(node.time)} ${when(node.time)}`), node.facts && node.facts.net_mg ? h("small.end", `${kilos(node.facts.net_mg)} kg`) : null],
    () => { shown = node; change({}); }, { kind: "button.node", id: `node-${node.id}`, "data-kind": node.kind, "data-me": [node.id, node.title, (node.facts || {}).trace_code].includes(found.code) ? "yes" : null, "aria-pressed": String(shown === node) }))))));
}

// The lines between the boxes, where the boxes have come to lie.
function connect(node) {
  const box = node.getBoundingClientRect();
  const lines = node.firstChild;
  const paths = found.edges.map(([from, to]) => {
    const a = document.getElementById(`node-${from}`);
    const b = document.getElementById(`node-${to}`);
    if (!a || !b) return "";
    const p = a.getBoundingClientRect();
    const q = b.getBoundingClientRect();
    const across = q.left > p.right - 4;
    const [x1, y1] = across ? [p.right - box.left, p.top + p.height / 2 - box.top] : [p.left + p.width / 2 - box.left, p.bottom - box.top];
    const [x2, y2] = across ? [q.left - box.left, q.top + q.height / 2 - box.top] : [q.left + q.width / 2 - box.left, q.top - box.top];
    return across ? `M${x1} ${y1}C${(x1 + x2) / 2} ${y1} ${(x1 + x2) / 2} ${y2} ${x2} ${y2}` : `M${x1} ${y1}C${x1} ${(y1 + y2) / 2} ${x2} ${(y1 + y2) / 2} ${x2} ${y2}`;
  }).join("");
  lines.setAttribute("width", node.scrollWidth);
  lines.setAttribute("height", node.scrollHeight);
  if (!lines.firstChild) lines.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "path"));
  lines.firstChild.setAttribute("d", paths);
}

// What a complaint is about: the sale that was tapped or asked for, else the only one there is.
function complained() {
  const sales = found.nodes.filter((node) => node.kind === "sale");
  const one = (shown && shown.kind === "sale" && shown) || sales.find((node) => [node.id, node.facts.trace_code].includes(found.code)) || (sales.length === 1 && sales[0]);
  return one ? { sale: one.record } : {};
}

// What a step says of itself, in words: {name: [what it is called, how its value is read]}; "" is not shown.
const codes = (table) => (value) => [].concat(value).map((each) => say(`${table}.${each}`)).join("；");
const READ = {
  net_mg: ["weight", (mg) => `${kilos(mg)} kg`], qty: ["qty", (pieces) => `${pieces} ${say("pieces")}`], amount_fen: ["amount", (fen) => `${yuan(fen)} ${say("yuan")}`],
  flags: ["flags", codes("flag")], result: ["field.result", say], kind: ["field.type", codes("disposal")], cause: ["reason", codes("cause")], direction: ["field.direction", codes("way")],
  about: ["node.complaint", codes("about")], type: ["field.type", codes("voucher")],
  attachment: ["photo", (sha) => h("a", { href: `/api/attachments/${sha}`, target: "_blank", rel: "noopener" }, say("show"))],
  goods_code: "", mode: "", ticket: "",
};

function told([name, value]) {
  if (READ[name] === "") return null;
  const [title, read] = READ[name] || [has(`field.${name}`) ? `field.${name}` : name, (plain) => (typeof plain === "object" ? JSON.stringify(plain) : String(plain))];
  return [say(title), value === null ? "" : read(value)];
}

export function draw() {
  const nodes = found ? found.nodes || [] : [];
  return [h("div.trace", { key: "trace" },
    h("form.find", { onsubmit: (e) => { e.preventDefault(); look(code); } },
      h("label.search", icon("search"), input(code, (text) => { code = text; }, { id: "code", type: "search", autocomplete: "off", "aria-label": say("trace-ask"), placeholder: say("trace-ask") })),
      h("button.strong.letters", { type: "submit" }, say("trace-it"))),
    !found ? h("p.wait", say("trace-hint")) : nodes.length ? [
      h("p.note", `${say(`node.${found.kind}`)} ${found.code} · ${nodes.length} ${say("steps")}${found.truncated ? ` · ${say("truncated")}` : ""}`),
      chain(),
      shown ? h("section.card.node-facts", h("h2", say(`node.${shown.kind}`), " ", shown.title || ""),
        facts([[say("time"), String(shown.time || "").slice(0, 19).replace("T", " ")]].concat(Object.entries(shown.facts || {}).map(told)))) : null,
      h("div.row", key(say("complain"), () => open("complain", { of: complained() })))]
      : h("p.wait", say("trace-none")))];
}

addSheet("complain", (sheet) => {
  const send = async () => {
    const answer = await ask("/api/complaints", { about: sheet.about || "quality", content: sheet.of.sale ? sheet.text : `${code}: ${sheet.text}`, station: s.station, ...sheet.of });
    tell(answer, say("complaint-noted"));
    if (answer.ok) {
      close();
      look(code);
    }
  };
  return [say("complain"), [
    h("div.reasons", ["weight", "quality", "price", "code", "other"].map((about) => key(say(`about.${about}`), () => put({ about }), { key: about, "aria-pressed": String((sheet.about || "quality") === about) }))),
    field(say("details"), h("textarea", { maxlength: 500, value: sheet.text, oninput: (e) => put({ text: e.target.value }) })),
    key(say("ok"), send, { kind: "button.strong.wide", disabled: !(sheet.text || "").trim() })]];
});

export const onScan = (text) => look(text);
