// Small charts: a share, days side by side, the last minute of a weight. SVG, made of elements.
import { h } from "./dom.js";

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
    h("figcaption", label));
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
      h("rect.all", { x: (at * step + 1).toFixed(1), y: (72 - high).toFixed(1), width: (step - 2).toFixed(1), height: high.toFixed(1) }, h("title", `${day}: ${all}, ${better} ${good}`)),
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
  return h("figure.minute",
    svg(300, 60, "minute-line", `${values.length ? values[values.length - 1] : "–"} ${unit}`, [h("path.axis", { d: `M0 ${y(0)}H300` }), h("path.weight-line", { d: path || "M0 54" })]),
    h("figcaption", h("span", "−60 s"), h("b", `${most.toFixed(most < 10 ? 3 : 1)} ${unit}`)));
}
