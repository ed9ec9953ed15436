// Tiles are moved and dressed here, with a finger or the arrow keys; every screen of the stall has them so at once.
import { h, key } from "./dom.js";
import { s, change, say } from "./state.js";
import { ask, tell } from "./api.js";
import { photoKey } from "./photo.js";
import { COLOURS } from "./sell.js";

const SAVED_AFTER = 400; // ms without another move
const WIDE = 320; // pixels of a tile's picture

let picked = "";
let order = null; // codes, while they are moved
let timer = 0;
let follow = false; // the focus goes with the tile

const send = (more) => ask("/api/tiles", { station: s.station, ...more }).then((answer) => { if (!answer.ok) tell(answer); });

function sorted() {
  if (!order) return s.goods;
  const place = {};
  order.forEach((code, at) => { place[code] = at; });
  const at = (goods) => (goods.code in place ? place[goods.code] : order.length);
  return s.goods.slice().sort((a, b) => at(a) - at(b));
}

function save() {
  clearTimeout(timer);
  if (!order) return;
  change({ goods: sorted() });
  const told = order;
  send({ order: told }).then(() => { if (order === told) order = null; });
}

// To the place `to`; what is beyond the ends is the end.
function move(to) {
  const codes = sorted().map((goods) => goods.code);
  const from = codes.indexOf(picked);
  const at = Math.max(0, Math.min(codes.length - 1, to(from, codes.length)));
  if (from < 0 || at === from) return;
  codes.splice(at, 0, codes.splice(from, 1)[0]);
  order = codes;
  clearTimeout(timer);
  timer = setTimeout(save, SAVED_AFTER);
  change({});
}

function leave() {
  save();
  picked = "";
  change({ arranging: false });
}

function dress(look) {
  change({ goods: sorted().map((goods) => (goods.code === picked ? { ...goods, ...look } : goods)) });
  send({ looks: { [picked]: look } });
}

const MOVES = [["first", "⇤", () => 0], ["earlier", "←", (at) => at - 1], ["later", "→", (at) => at + 1], ["last", "⇥", (at, many) => many]];

// `face` draws what is on a tile, `kind` says how it looks.
export function draw(face, kind) {
  const goods = s.goods.find((each) => each.code === picked);
  return [
    h("div.arrange-keys", { key: "keys", role: "group", "aria-label": say("arrange") },
      h("div.row", MOVES.map(([name, sign, to]) => key(sign, () => move(to), { key: name, "aria-label": say(`move.${name}`), title: say(`move.${name}`), disabled: !goods })),
        key(say("done"), leave, "button.strong")),
      goods ? h("div.row", COLOURS.map((colour) => key("", () => dress({ colour }), { kind: "button.swatch-key", key: colour, "aria-label": `${say("colour")} ${colour}`, "aria-pressed": String(goods.colour === colour), style: { background: colour } })),
        photoKey(say("photo"), (picture) => dress({ picture }), WIDE),
        goods.picture ? key(say("no-photo"), () => dress({ picture: null }), "button.small") : null) : h("p.note", say("arrange-hint"))),
    h("div.tiles", { key: "tiles" }, sorted().map((each) => key(face(each), () => { picked = each.code; change({}); }, {
      ...kind(each), key: each.code, "aria-pressed": String(each.code === picked), after: (node) => {
        if (each.code !== picked || !follow) return;
        follow = false;
        node.focus();
      },
    }))),
  ];
}

export function onKey(event) {
  if (event.key === "Escape") leave();
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -1e6, End: 1e6 }[event.key];
  if (!step) return;
  event.preventDefault();
  follow = true;
  move((at) => at + step);
}
