// For those who look after the box: refused records, devices, log, configuration, people.
import { h, key } from "./dom.js";
import { s, change, may, say, has, ago, when } from "./state.js";
import { ask, tell, why, to } from "./api.js";
import { entry, field, input, select } from "./forms.js";
import { addSheet, open, put, close, nameOf, typeName, amountOf } from "./sheets.js";

let part = "quarantine";
let data = {};
let watching = null;
let seen = [];
let port = "";
let invite = { role: "operator" };

const PARTS = { quarantine: "quarantine", devices: "view", log: "maintain", config: "maintain", people: "release" };
const WAYS = { quarantine: "/api/quarantine?limit=50", devices: "/api/devices", log: "/api/log?level=info", config: "/api/config", people: "/api/people" };
const parts = () => Object.keys(PARTS).filter((name) => may(PARTS[name]));

export async function enter() {
  if (!parts().includes(part)) part = parts()[0] || "devices";
  const wanted = part;
  data[wanted] = await ask(WAYS[wanted]);
  change({});
}

function show(name) {
  part = name;
  unwatch();
  change({});
  enter();
}

const then = (asking, done) => asking.then((answer) => {
  tell(answer, done);
  enter();
  return answer;
});

// ---- refused records

function quarantine(all) {
  const rows = all.rows || [];
  return [
    h("div.row", h("p.chip", `${say("rejected")} ${all.total || 0}`), rows.length ? key(say("resend-all"), () => then(ask("/api/quarantine/requeue", { sequences: null }), say("resent"))) : null),
    rows.length ? h("ul.lines.card.tall", rows.map((each) => {
      const record = each.record || {};
      return h("li", { key: each.sequence }, h("b", `${typeName(record.type || "")} ${nameOf(record)} ${amountOf(record)}`), h("span", `${when(each.time || record.time)} · №${each.sequence}`),
        h("span.why", has(`platform.${each.code}`) ? say(`platform.${each.code}`) : each.reason || each.code || ""),
        h("div.row.end", key(say("resend"), () => then(ask("/api/quarantine/requeue", { sequences: [each.sequence] }), say("resent")), "button.small"),
          key(say("amend"), () => open("mend", { row: each }), "button.small")));
    })) : h("p.wait", say("nothing-refused"))];
}

// The fields of a refused record, to be put right: the correction is a new record.
addSheet("mend", (sheet) => {
  const record = sheet.row.record || {};
  const changed = sheet.changed || {};
  const names = ["goods_code", "goods_name", "batch", "buyer", "supplier", "origin_code", "qty"].filter((name) => name in record || name === "batch");
  const send = () => then(ask(`/api/records/${record.id || sheet.row.id}/amend`, { reason: (sheet.text || "").trim(), details: changed }), say("amend")).then((answer) => answer.ok && close());
  return [say("amend"), [
    h("p.why", sheet.row.reason || sheet.row.code),
    names.map((name) => entry(say(`field.${name}`), changed[name] === undefined ? record[name] : changed[name], (text) => put({ changed: { ...changed, [name]: text.trim() } }))),
    entry(say("reason"), sheet.text, (text) => put({ text })),
    key(say("ok"), send, { kind: "button.strong.wide", disabled: !(sheet.text || "").trim() || !Object.keys(changed).length })]];
});

// ---- devices

function unwatch() {
  if (watching) watching.line.close();
  watching = null;
  seen = [];
}

function watch(id) {
  unwatch();
  const line = new EventSource(to`/api/devices/${id}/watch`);
  watching = { id, line };
  line.addEventListener("observation", (event) => {
    seen = [JSON.parse(event.data)].concat(seen).slice(0, 30);
    change({});
  });
  line.onerror = () => line.close();
  change({});
}

// What a device has said since the agent started.
const counted = (counters) => Object.keys(say("counted")).filter((name) => counters[name]).map((name) => `${say(`counted.${name}`)} ${counters[name]}`);

function devices(all) {
  const ids = Object.keys(all).filter((id) => all[id] && all[id].state).sort();
  return [h("ul.lines.card.tall", ids.map((id) => {
    const device = all[id];
    return h("li", { key: id, "data-state": device.state }, h("b", id), h("span", `${device.driver || ""} · ${say(`device.${device.state}`)}`), h("span", [device.state !== "connected" && device.reason, `${say("state-of.last")} ${ago(device.last_age_s)}`, ...counted(device.counters || {})].filter(Boolean).join(" · ")),
      may("maintain") ? h("div.row.end", key(say(watching && watching.id === id ? "unwatch" : "watch"), () => (watching && watching.id === id ? unwatch() || change({}) : watch(id)), "button.small"),
        key(say("restart"), () => then(ask(to`/api/devices/${id}/restart`, {}), say("restart")), "button.small"),
        device.kind === "scale" ? key(say("commission"), () => open("commission", { device: id, mass: "1 kg", steps: [], due: "empty", left: () => ask(to`/api/devices/${id}/commission`, { step: "stop" }) }), "button.small") : null) : null);
  })),
  watching ? h("section.card", h("h2", `${say("watch")} ${watching.id}`), h("pre.out", { tabindex: "0" }, seen.map((each) => `${new Date(each.time_ms).toTimeString().slice(0, 8)} ${each.event} ${[each.weight, each.unit, each.stability, each.text, each.reason].filter(Boolean).join(" ")}  ${String(each.raw || "").slice(0, 60)}`).join("\n") || "…")) : null,
  may("maintain") ? h("form.inline", { onsubmit: (e) => { e.preventDefault(); probe(false); } },
    input(port, (text) => { port = text; }, { "aria-label": say("port"), placeholder: "serial:/dev/serial/by-id/…" }), h("button", { type: "submit", disabled: !port || probing }, say("probe"))) : null,
  probes()];
}

// What speaks on a port: it only listens, with one setting after another, and can be stopped.
let job = null;
let probing = false;
async function probe(pause) {
  const answer = await ask("/api/devices/probe", { port, seconds: 1, ...(pause ? { pause } : {}) });
  job = answer;
  probing = answer.ok;
  if (!answer.ok) tell(answer);
  change({});
  while (probing && s.screen === "maintain") {
    await new Promise((go) => setTimeout(go, 500));
    const now = await ask(`/api/devices/probe/${job.job}`);
    probing = now.ok && now.state === "running";
    job = now.ok ? now : job;
    if (now.state === "failed") tell({ ok: false, refused: "port-closed", reason: now.problem });
    if (now.refused && now.refused !== "lost-page") tell(now);
    change({});
  }
  probing = false;
}

function probes() {
  if (!job) return null;
  if (probing) return h("div.row.probing", h("p.note", { role: "status" }, `${say("probing")} ${Math.round(job.elapsed_s || 0)} / ${Math.round(job.most_s || 0)} ${say("unit.s")}`), key(say("cancel"), () => ask(`/api/devices/probe/${job.job}/stop`, {})));
  if (job.refused === "port-in-use" && job.can_pause) return h("div.row", h("p.note", `${say("refusal.port-in-use")}: ${(job.devices || []).join(", ")}`), key(say("probe-pause"), () => probe(true)));
  return job.result ? probed(job.result) : null;
}

function probed({ fits, warnings, bytes }) {
  const columns = ["driver", "settings", "frames", "share", "against", "said"];
  return h("section.card.probed", h("h2", say(fits.length ? "probe-found" : "probe-none"), h("small", ` ${bytes} B`)),
    warnings.map((each) => h("p.paid.warn", { key: each.warning }, say(`probed.${each.warning}`), each.drivers ? ` ${each.drivers}` : "")),
    fits.length ? [h("div.wide", { tabindex: "0", role: "region", "aria-label": say("probe-found") }, h("table", h("thead", h("tr", columns.map((name) => h("th", { key: name }, say(`column.${name}`))))),
      h("tbody", fits.slice(0, 5).map((fit) => h("tr", { key: fit.driver }, h("td", fit.driver), h("td", fit.line ? `${fit.line.baud} ${fit.line.bytesize}${fit.line.parity}${fit.line.stopbits}` : ""), h("td", fit.frames), h("td", `${Math.round(fit.share * 100)} %`),
        h("td", fit.against.map((word) => say(`probed.${word}`)).join("；")), h("td", fit.said.join(" | "))))))),
    h("pre.out.block", { tabindex: "0" }, fits[0].device)] : null);
}

// Whether a scale is read right: the person types what its own display shows, step by step.
addSheet("commission", (sheet) => {
  const { device, steps, due, outcome, busy, mass } = sheet;
  const text = (sheet.text || "").trim();
  const go = (more) => (event) => {
    event.preventDefault();
    put({ busy: true });
    ask(to`/api/devices/${device}/commission`, { step: due, ...(due === "mass" ? { mass } : {}), ...more }).then((answer) => {
      tell(answer, answer.outcome === "passed" ? say("passed") : "");
      if (s.sheet && s.sheet.device === device) put({ busy: false, ...(answer.ok ? { text: "", steps: answer.steps, due: answer.next, outcome: answer.outcome } : answer.next ? { due: answer.next } : {}) });
    });
  };
  return [`${say("commission")} ${device}`, [
    h("ul.lines.steps-done", steps.map((each) => h("li", { key: each.step, "data-result": each.result }, h("b", `${{ good: "✓", bad: "✗", skipped: "–" }[each.result]} ${say(`commissioning.${each.step}`)}`),
      h("span", each.result === "skipped" ? say("skip") : `${say("shown")} ${each.shown} · ${say("read")} ${each.read}`),
      (each.finding || []).length ? h("span.why", each.finding.map((name) => say(`finding.${name}`)).join(" / ")) : null))),
    outcome ? h("p.paid", { class: outcome === "passed" ? "" : "warn" }, say(outcome))
      : h("form", { key: due, onsubmit: go({ shown: text }) }, h("h3", say(`commissioning.${due}`)),
        due === "mass" ? entry(say("known-mass"), mass, (text) => put({ mass: text })) : null,
        entry(say("display-shows"), sheet.text, (now) => put({ text: now }), { placeholder: "0.000 kg" }),
        h("div.row", /tare|overload/.test(due) ? key(say("skip"), go({ skip: true }), { disabled: busy }) : null, h("button.strong", { type: "submit", disabled: !text || busy }, say("ok"))))]];
});

const log = (all) => [key(say("refresh"), enter), h("pre.out", { tabindex: "0" }, (all.lines || []).slice(-200).reverse().map((line) => {
  const rest = Object.keys(line).filter((name) => !["n", "time", "timestamp", "level", "event"].includes(name)).map((name) => `${name}=${typeof line[name] === "object" ? JSON.stringify(line[name]) : line[name]}`).join(" ");
  return `${String(line.time || line.timestamp || "").slice(11, 19)} ${line.level} ${line.event} ${rest}`;
}).join("\n") || "–")];

const config = (all) => [h("p.note", all.file || ""), h("pre.out", { tabindex: "0" }, JSON.stringify(all.config, null, 2))];

function people(all) {
  const send = (e) => {
    e.preventDefault();
    ask("/api/pairing", invite).then((answer) => { data.invited = answer; if (!answer.ok) tell(answer); change({}); });
  };
  const set = (name) => (text) => { invite[name] = text.trim(); };
  return [h("ul.lines", (all.people || []).map((each) => h("li", { key: each.id }, h("b", `${each.id} ${each.name || ""}`), h("span", say(`roles.${each.role}`)), key(say("remove"), () => open("remove", { person: each }), "button.small")))),
    h("form.card", { onsubmit: send }, h("h2", say("invite")), h("div.two", entry(say("person"), invite.person, set("person")), entry(say("name"), invite.name, set("name"))),
      field(say("role"), select(invite.role, ["operator", "supervisor", "maintainer"].map((role) => [role, say(`roles.${role}`)]), set("role"))),
      h("button.strong", { type: "submit", disabled: !invite.person }, say("invite"))),
    data.invited && data.invited.ok ? h("section.card", h("img.qr", { src: to`/api/pairing/${data.invited.code}.svg`, alt: say("pair") }), h("p.code", data.invited.code), h("p.note", data.invited.url)) : null];
}

addSheet("remove", ({ person }) => [`${say("remove")} ${person.id} ${person.name || ""}`, h("div.row",
  key(say("remove"), () => then(ask(to`/api/people/${person.id}/remove`, {}), say("remove")).then(close), "button.danger"), key(say("cancel"), close))]);

const SHOW = { quarantine, devices, log, config, people };

export function draw() {
  const all = data[part];
  return [h("div.maintain", { key: "maintain" },
    h("div.categories", { role: "group", "aria-label": say("screen.maintain") }, parts().map((name) => key(say(`part.${name}`), () => show(name), { key: name, "aria-pressed": String(part === name) }))),
    s.session.pins ? null : s.session.first ? key(say("pair-it"), () => change({ later: false })) : h("p.note", say("owner")),
    h("div.part", { key: part }, !all ? h("p.wait", say("waiting")) : all.ok === false ? h("p.wait", why(all)) : SHOW[part](all)))];
}
