// The icons: SVG, made of elements.
import { h } from "./dom.js";

const PATHS = {
  scale: "M3 20h18M12 20V8M5 8h14M5 8l-2.5 6a3 3 0 0 0 5 0zM19 8l-2.5 6a3 3 0 0 0 5 0zM12 8V4",
  status: "M4 20V10M10 20V4M16 20v-7M22 20H2",
  trace: "M6 6m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0M18 18m-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0M9 6h4a3 3 0 0 1 3 3v6",
  board: "M4 4h16v13H4zM8 21h8M12 17v4M8 8h8M8 12h5",
  maintain: "M14.5 6a4 4 0 0 0 5 5L10 20.5a2.1 2.1 0 0 1-3-3L16.5 8M14.5 6l3-3M19.5 11l2-2",
  stable: "M5 12.5l4.5 4.5L19 7",
  captured: "M3 12.5l4 4L15 8M11 15.5l1.5 1.5L21 8",
  zero: "M1 12h6M4.5 9l3 3-3 3M23 12h-6M19.5 9l-3 3 3 3M12 7.5a2.4 4.5 0 1 0 .01 0",
  moving: "M2 9c3-4 5 4 8 0s5-4 8 0 3 2 4 1M2 16c3-4 5 4 8 0s5-4 8 0 3 2 4 1",
  up: "M12 20V5M5 12l7-7 7 7",
  down: "M12 4v15M5 12l7 7 7-7",
  warn: "M12 3L1.5 21h21zM12 10v5M12 18v.5",
  lost: "M5 5l14 14M19 5L5 19",
  wait: "M12 3a9 9 0 1 0 .01 0M12 7v5l3.5 2",
  search: "M10.5 4a6.5 6.5 0 1 0 .01 0M15.5 15.5L21 21",
  user: "M12 4a4 4 0 1 0 .01 0M4 21c1-6 15-6 16 0",
  stop: "M8 2.5h8L21.5 8v8L16 21.5H8L2.5 16V8zM7 12h10",
  screen: "M3 5h18v11H3zM8 20h8",
  camera: "M3 8h4l2-3h6l2 3h4v12H3zM12 10a3.5 3.5 0 1 0 .01 0",
  list: "M9 6h12M9 12h12M9 18h12M3 6l1 1 2-2M3 12l1 1 2-2M3 18l1 1 2-2",
  leaf: "M4 20C4 9 10 4 20 4c0 10-5 16-14 14M4 20l8-9",
};

export const icon = (name) =>
  h("svg.icon", { viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, h("path", { d: PATHS[name] || PATHS.warn }));
