// The local page: what the stream says, shown. All text goes in as text, never as markup.
import { words } from "/static/words.js";

const icons = {
  empty: "０", loading: "⇣", moving: "≈", stable: "■", captured: "✓", unloading: "⇡", "loaded-at-start": "▲",
  overload: "▲", underload: "▼", stale: "✕", disconnected: "✕", "bad-data": "✕", waiting: "…",
};
const marks = { saved: "✓", sent: "↑", delivered: "✓✓", refused: "!" };

let language = localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
let csrf = "";
const seen = { stations: {}, status: null, records: [] };
const byId = (id) => document.getElementById(id);
const say = () => words[language];

function showStations() {
  const place = byId("stations");
  for (const [id, view] of Object.entries(seen.stations).sort()) {
    let card = place.querySelector(`[data-station="${CSS.escape(id)}"]`);
    if (!card) {
      card = byId("station-card").content.firstElementChild.cloneNode(true);
      card.dataset.station = id;
      card.querySelector(".confirm").addEventListener("click", () => confirmSale(id, card));
      place.append(card);
    }
    const part = (name) => card.querySelector(`.${name}`);
    card.dataset.state = view.state;
    part("name").textContent = id;
    part("value").textContent = view.weight ?? "– –";
    part("unit").textContent = view.weight === null ? "" : view.unit ?? "";
    part("icon").textContent = icons[view.state] ?? "";
    part("word").textContent = say().state[view.state] ?? view.state;
    part("legal").textContent = say().legal;
    const sale = view.mode === "sale";
    const goods = sale ? view.detail.goods_name ?? view.detail.goods_code : view.detail.last_scan;
    part("goods").textContent = goods ? `${sale ? say().goods : say().scanned}: ${visible(goods)}` : sale ? say().noGoods : "";
    part("confirm").hidden = !sale;
    part("confirm").disabled = !view.detail.can_confirm;
    part("confirm").textContent = say().confirm;
  }
}

function showStatus() {
  const status = seen.status;
  if (!status) return;
  byId("place").textContent = `${status.site} · ${status.gateway}`;
  const link = status.link?.state ?? "none";
  byId("link").textContent = say().link[link] ?? link;
  byId("link").dataset.state = link;
  const refused = status.rejected ? `　${say().rejected} ${status.rejected}` : "";
  byId("pending").textContent = `${say().pending} ${status.pending}${refused}`;
  byId("clock").textContent = status.clock_synced ? say().synced : say().unsynced;
  showAlarm(status.alarms.store ? `${say().storeAlarm}: ${status.alarms.store}` : "");
}

function showAlarm(text) {
  byId("alarm").textContent = text;
  byId("alarm").hidden = !text;
}

// Control characters are data in some codes (GS in GS1): shown as their symbols, never sent to the screen.
const visible = (text) => String(text).replace(/[\u0000-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)));

function describe(record) {
  const type = record.type.split(".")[1];
  const name = say().type[type] ?? type;
  const goods = record.goods_name ?? record.goods_code ?? record.text ?? record.tag_id ?? "";
  const weight = record.indication ? `${record.indication} ${record.unit ?? ""}` : "";
  return [name, weight, visible(goods)].filter(Boolean).join("  ");
}

function showRecords() {
  byId("records").replaceChildren(...seen.records.map((record) => {
    const row = document.createElement("li");
    row.dataset.mark = record.mark;
    const cells = [record.time.slice(11, 19), describe(record), marks[record.mark]];
    ["when", "what", "mark"].forEach((name, at) => {
      const cell = document.createElement("span");
      cell.className = name;
      cell.textContent = cells[at];
      row.append(cell);
    });
    row.querySelector(".mark").title = record.reason ? `${say()[record.mark]}: ${record.reason}` : say()[record.mark];
    return row;
  }));
}

function showAll() {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  document.querySelectorAll("[data-word]").forEach((node) => { node.textContent = say()[node.dataset.word]; });
  byId("legend").textContent = say().legend;
  showStations();
  showStatus();
  showRecords();
}

async function confirmSale(station, card) {
  const answer = card.querySelector(".answer");
  try {
    const response = await fetch(`/api/stations/${encodeURIComponent(station)}/confirm`, {
      method: "POST", headers: { "content-type": "application/json", "x-csrf-token": csrf }, body: "{}",
    });
    const result = await response.json();
    answer.textContent = result.ok ? `✓ ${say().saved}` : say().refusal[result.refused] ?? result.refused;
  } catch {
    answer.textContent = say().lostPage;
  }
}

async function connect() {
  try {
    csrf = (await (await fetch("/api/session")).json()).csrf;
  } catch {
    setTimeout(connect, 2000);
    return;
  }
  const stream = new EventSource("/api/events");
  const on = (name, take) => stream.addEventListener(name, (event) => take(JSON.parse(event.data)));
  on("snapshot", (state) => {
    seen.stations = state.stations;
    seen.status = state.status;
    seen.records = state.records;
    showAll();
  });
  on("station", ({ station, view }) => {
    seen.stations[station] = view;
    showStations();
  });
  on("status", (changes) => {
    Object.assign(seen.status, changes);
    showStatus();
  });
  on("record", (record) => {
    seen.records = [record, ...seen.records].slice(0, 50);
    showRecords();
  });
  on("marks", (changes) => {
    for (const change of changes) {
      const record = seen.records.find((each) => each.sequence === change.sequence);
      if (record) Object.assign(record, change);
    }
    showRecords();
  });
  stream.onerror = () => {
    showAlarm(say().lostPage);
    if (stream.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
  };
  stream.onopen = () => showAlarm("");
}

byId("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  localStorage.setItem("language", language);
  showAll();
});
showAll();
connect();
