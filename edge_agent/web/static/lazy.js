// Parts of the page that are loaded when they are first opened.
import { h, key } from "./dom.js";
import { s, change, say } from "./state.js";
import { screen } from "./load.js";

const parts = {}; // by name: the module, "coming" or "failed"

// The module, or null while it is on its way; `entered` is called when it has come.
export function part(name, entered) {
  if (!parts[name]) {
    parts[name] = "coming";
    screen(name, s.language).then((module) => {
      parts[name] = module;
      if (entered) entered(module);
      change({});
    }, () => {
      parts[name] = "failed";
      change({});
    });
  }
  return typeof parts[name] === "string" ? null : parts[name];
}

// Ask once more for what could not be fetched.
export function again() {
  Object.keys(parts).forEach((name) => { if (parts[name] === "failed") parts[name] = ""; });
  change({});
}

// What stands where a part is not there yet, or could not be fetched.
export const absent = (name) => (parts[name] !== "failed" ? h("p.wait", say("waiting"))
  : h("div.wait", { role: "alert" }, h("p", say("not-loaded")), key(say("again"), again, "button.strong")));
