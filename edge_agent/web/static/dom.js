// A very small tree differ. All text goes into text nodes and attributes, never into markup.

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = { value: 1, checked: 1, disabled: 1, hidden: 1, selected: 1, open: 1 };

// h("button.big", { onclick }, "text", [more]) is one element, the properties may be left out; `key` keeps a node with
// its meaning in a list, `after` gets the node when it is up to date.
export function h(tag, ...rest) {
  const children = [];
  const plain = rest[0] && typeof rest[0] === "object" && !rest[0].tag && !Array.isArray(rest[0]);
  const all = plain ? { ...rest.shift() } : {};
  add(children, rest);
  const parts = tag.split(".");
  const names = parts.slice(1).concat(all.class || []).join(" ");
  if (names) all.class = names;
  const key = all.key;
  delete all.key;
  if (parts[0] === "button" && !all.type) all.type = "button";
  return { tag: parts[0], key, props: all, children };
}

function add(children, child) {
  if (Array.isArray(child)) child.forEach((each) => add(children, each));
  else if (child !== null && child !== undefined && child !== false && child !== true) children.push(child);
}

// Makes the children of `parent` what `list` says, touching only what differs.
export function render(parent, list, svg) {
  depth += 1;
  place(parent, list, svg);
  depth -= 1;
  if (!depth) afterwards.splice(0).forEach(([after, node]) => after(node));
}

let depth = 0;
const afterwards = [];

function place(parent, list, svg) {
  const children = [];
  add(children, list);
  const byKey = new Map();
  for (let node = parent.firstChild; node; node = node.nextSibling) {
    if (node.$key !== undefined) byKey.set(node.$key, node);
  }
  const wanted = new Set(children.map((each) => each.key));
  let at = parent.firstChild;
  const skipGone = () => {
    while (at && at.$key !== undefined && !wanted.has(at.$key)) at = drop(parent, at);
  };
  children.forEach((child) => {
    skipGone();
    if (typeof child !== "object") {
      at = text(parent, at, visible(String(child)));
      return;
    }
    let node = null;
    if (child.key !== undefined) node = byKey.get(child.key);
    else if (at && at.$key === undefined) node = at;
    if (node && node.$tag !== child.tag) node = null;
    if (!node) {
      node = svg || child.tag === "svg" ? document.createElementNS(SVG, child.tag) : document.createElement(child.tag);
      node.$tag = child.tag;
      node.$key = child.key;
      node.$props = {};
    }
    if (node === at) at = at.nextSibling;
    else parent.insertBefore(node, at);
    update(node, child, svg || child.tag === "svg");
  });
  while (at) at = drop(parent, at);
}

function drop(parent, node) {
  const next = node.nextSibling;
  parent.removeChild(node);
  return next;
}

function text(parent, at, value) {
  if (at && at.nodeType === 3) {
    if (at.nodeValue !== value) at.nodeValue = value;
    return at.nextSibling;
  }
  parent.insertBefore(document.createTextNode(value), at);
  return at;
}

function update(node, child, svg) {
  const before = node.$props;
  const now = child.props;
  Object.keys(before).forEach((name) => {
    if (!(name in now)) set(node, name, null);
  });
  Object.keys(now).forEach((name) => {
    if (PROPERTIES[name] || before[name] !== now[name]) set(node, name, now[name]);
  });
  render(node, child.children, svg);
  if (child.tag === "select") set(node, "value", now.value); // its options had to be there first
  node.$props = now;
  if (now.after) afterwards.push([now.after, node]);
}

function set(node, name, value) {
  if (name === "after") return;
  if (name.slice(0, 2) === "on") node[name] = value;
  else if (PROPERTIES[name]) {
    const to = name === "value" ? (value === null || value === undefined ? "" : String(value)) : Boolean(value);
    if (node[name] !== to) node[name] = to;
  } else if (name === "style") {
    Object.keys(value || {}).forEach((each) => node.style.setProperty(each, value[each]));
  } else if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : String(value));
}

// Control characters are data in some codes (GS in GS1) and direction marks can turn a line round: both are shown as
// signs, never sent to the screen.
const HIDDEN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
const visible = (value) => value.replace(HIDDEN, (c) => (c < " " ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : "\ufffd"));

// A button that does `onclick`; `more` is its kind ("button.strong"), or its other properties with `kind` among them.
export function key(label, onclick, more) {
  const { kind, ...all } = typeof more === "string" ? { kind: more } : more || {};
  return h(kind || "button", { onclick, ...all }, label);
}

// Names and values in two columns; what has no value is left out.
export const facts = (pairs) => h("dl.facts", pairs.map((pair) => pair && pair[1] !== null && pair[1] !== undefined && pair[1] !== ""
  ? h("div", { key: pair[0] }, h("dt", pair[0]), h("dd", pair[2], pair[1])) : null));
