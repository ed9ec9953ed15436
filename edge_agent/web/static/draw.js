// Drawings: icons, small charts, the trace of the weight, the chain of custody. All SVG, all made of elements.
import { h } from "./dom.js";

const PATHS = {
  scale: "M3 20h18M12 20V8M5 8h14M5 8l-2.5 6a3 3 0 0 0 5 0zM19 8l-2.5 6a3 3 0 0 0 5 0zM12 8V4",
  status: "M4 20V10M10 20V4M16 20v-7M22 20H2",
  trace: "M6 6m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0M18 18m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0M9 6h4a3 3 0 0 1 3 3v6",
  board: "M4 4h16v13H4zM8 21h8M12 17v4M8 8h8M8 12h5",
  maintain: "M14.5 6a4 4 0 0 0 5 5L10 20.500a2.100 2.100 0 0 1-3-3L16.500 8M14.500 6l3-3M19.500 11l2-2",
  stable: "M5 12.500l4.500 4.500L19 7",
  captured: "M3 12.500l4 4L15 8M11 15.500l1.500 1.500L21 8",
  zero: "M1 12h6M4.500 9l3 3-3 3M23 12h-6M19.500 9l-3 3 3 3M12 7.500a2.400 4.500 0 1 0 .01 0",
  moving: "M2 9c3-4 5 4 8 0s5-4 8 0 3 2 4 1M2 16c3-4 5 4 8 0s5-4 8 0 3 2 4 1",
  up: "M12 20V5M5 12l7-7 7 7",
  down: "M12 4v15M5 12l7 7 7-7",
  warn: "M12 3L1.500 21h21zM12 10v5M12 18v.5",
  lost: "M5 5l14 14M19 5L5 19",
  wait: "M12 3a9 9 0 1 0 .01 0M12 7v5l3.500 2",
  search: "M10.500 4a6.500 6.500 0 1 0 .01 0M15.500 15.500L21 21",
  user: "M12 4a4 4 0 1 0 .01 0M4 21c1-6 15-6 16 0",
  stop: "M8 2.500h8L21.500 8v8L16 21.500H8L2.500 16V8zM7 12h10",
  sound: "M4 9v6h4l5 5V4L8 9zM17 8c2 2 2 6 0 8M19.500 5.500c4 4 4 9 0 13",
  quiet: "M4 9v6h4l5 5V4L8 9zM17 9.500l5 5M22 9.500l-5 5",
  screen: "M3 5h18v11H3zM8 20h8",
  camera: "M3 8h4l2-3h6l2 3h4v12H3zM12 10a3.500 3.500 0 1 0 .01 0",
  leaf: "M4 20C4 9 10 4 20 4c0 10-5 16-14 14M4 20l8-9",
};

export const icon = (name) =>
  h("svg.icon", { viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, h("path", { d: PATHS[name] || PATHS.warn }));

// ---- charts

const svg = (wide, high, name, label, parts) => h(`svg.${name}`, { viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": label, preserveAspectRatio: "none" }, parts);

// A share of a whole, with the figure in the middle.
export function ring(percent, label) {
  const round = 2 * Math.PI * 42;
  const part = percent === null ? 0 : percent / 100;
  return h("figure.ring", { key: label },
    h("svg", { viewBox: "0 0 100 100", role: "img", "aria-label": `${label} ${percent === null ? "–" : `${percent} %`}` },
      h("circle.track", { cx: 50, cy: 50, r: 42 }),
      h("circle.part", { cx: 50, cy: 50, r: 42, "stroke-dasharray": `${(round * part).toFixed(1)} ${round.toFixed(1)}`, transform: "rotate(-90 50 50)" }),
      h("text", { x: 50, y: 58, "text-anchor": "middle" }, percent === null ? "–" : `${percent}%`)),
    h("figcaption", {}, label));
}

// Days side by side: how many, and how many of them are of the better kind.
export function bars(days, label, better) {
  const most = Math.max(1, ...days.map(([, all]) => all));
  const wide = 310;
  const step = wide / Math.max(31, days.length);
  return svg(wide, 90, "bars", `${label}: ${days.map(([day, all]) => `${day} ${all}`).join(", ")}`, days.map(([day, all, good], at) => {
    const high = (68 * all) / most;
    const inside = (68 * good) / most;
    return h("g", { key: day },
      h("rect.all", { x: (at * step + 1).toFixed(1), y: (72 - high).toFixed(1), width: (step - 2).toFixed(1), height: high.toFixed(1) }, h("title", {}, `${day}: ${all}, ${better} ${good}`)),
      h("rect.good", { x: (at * step + 1).toFixed(1), y: (72 - inside).toFixed(1), width: (step - 2).toFixed(1), height: inside.toFixed(1) }),
      at % 5 === 0 ? h("text", { x: (at * step + step / 2).toFixed(1), y: 86, "text-anchor": "middle" }, day) : null);
  }));
}

// The weight over the last minute, up to now; a gap where there was none.
export function trace(points, unit) {
  const now = Date.now();
  const values = points.filter(([, value]) => value !== null).map(([, value]) => value);
  const most = Math.max(0.01, ...values);
  const least = Math.min(0, ...values);
  const x = (at) => (300 - (300 * (now - at)) / 60000).toFixed(1);
  const y = (value) => (54 - (48 * (value - least)) / (most - least)).toFixed(1);
  let path = "";
  let gap = true;
  let before = null;
  points.forEach(([at, value]) => {
    if (now - at > 60000) {
      before = value;
      return;
    }
    if (value === null) gap = true;
    else {
      if (gap && before !== null && !path) path += `M0 ${y(before)}H${x(at)}V${y(value)}`;
      else path += gap ? `M${x(at)} ${y(value)}` : `H${x(at)}V${y(value)}`;
      gap = false;
    }
  });
  if (!gap) path += "H300";
  return h("figure.minute", {},
    svg(300, 60, "minute-line", `${values.length ? values[values.length - 1] : "–"} ${unit}`, [h("path.axis", { d: `M0 ${y(0)}H300` }), h("path.weight-line", { d: path || "M0 54" })]),
    h("figcaption", {}, h("span", {}, "−60 s"), h("b", {}, `${most.toFixed(most < 10 ? 3 : 1)} ${unit}`)));
}
