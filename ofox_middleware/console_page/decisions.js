// The stream of decisions, each opening to its reasons.
import { candidates } from "./candidates.js";
import { byId, chip, el, meter, text } from "./dom.js";
import { clock, difficulty, failure, fixed, mainDomain, reason, seconds, share, usd, UNKNOWN } from "./format.js";
import { call } from "./live.js";

const MOST = 100;
const entries = new Map(); // id -> {entry, item}; in the order they came
const labels = new Map(); // id -> what this page itself asked for
const held = [];
let paused = false;
let reading = false; // paused because a decision was opened, not by the button

function failed(entry) {
  const outcome = entry.outcome;
  return (outcome?.attempts ?? []).slice(0, -1).map((name, at) => [name, failure(outcome.failures?.[at])]);
}

function who(entry) {
  const tried = entry.outcome?.attempts ?? [entry.model];
  const parts = failed(entry).flatMap(([name, why]) => [el("s", { title: `${name}: ${why}` }, name), " → "]);
  return el("span", { class: "who" }, ...parts, el("span", { class: "name" }, tried.at(-1) ?? entry.model));
}

function why(entry) {
  const fellBack = (entry.outcome?.attempts.length ?? 1) > 1;
  const outcome = entry.outcome;
  let end = null;
  if (outcome && !outcome.ok) end = outcome.status === null ? chip("caller left", "warn") : chip(`failed, ${outcome.status}`, "bad");
  else if (fellBack) end = chip("fallback", "warn");
  const label = labels.get(entry.id);
  return el("span", { class: "why" }, end, label && el("span", { class: "chip", "data-tone": "quiet" }, label),
    el("span", { class: "tag" }, `${entry.preference}, ${reason(entry.reason)}`));
}

// The meter, then what kind of task it is.
function hardness(entry) {
  const title = `difficulty ${fixed(entry.difficulty)}: ${difficulty(entry.difficulty)}`;
  return el("span", { class: "hard", title }, meter(entry.difficulty, entry.difficulty > 0.6 ? "brand" : ""),
    el("span", { class: "unseen" }, title), el("span", { class: "kind" }, mainDomain(entry.domains)));
}

function cost(entry) {
  const seen = entry.outcome?.cost_usd;
  if (seen !== null && seen !== undefined) return usd(seen);
  const name = entry.outcome?.model ?? entry.model;
  return usd(entry.candidates.find((row) => row.name === name)?.cost_usd);
}

function summary(entry, open, toggle) {
  return el("button", { type: "button", class: "line", "aria-expanded": String(open), onclick: toggle },
    el("span", { class: "at" }, clock(entry.at)), who(entry), why(entry), hardness(entry),
    el("span", { class: "num cost" }, cost(entry)),
    el("span", { class: "num took" }, entry.outcome ? seconds(entry.outcome.total_s) : "…"),
    el("i", { class: "caret", "aria-hidden": "true" }));
}

function told(entry) {
  const pair = (name, value) => el("span", {}, `${name} `, el("b", {}, value));
  const mix = Object.entries(entry.domains).sort((a, b) => b[1] - a[1]).slice(0, 3);
  const because = Object.entries(entry.evidence).slice(0, 5);
  const fell = failed(entry).map(([name, why]) => `${name}: ${why}`).join(", ");
  return el("div", { class: "told" },
    fell && pair("Tried first", fell),
    pair("Difficulty", `${fixed(entry.difficulty)}, ${difficulty(entry.difficulty)}`),
    pair("Kind", mix.map(([name, part]) => `${name.replaceAll("_", " ")} ${share(part)}`).join(", ") || UNKNOWN),
    because.length > 0 && pair("Because of", because.map(([name, weight]) => `${name.replaceAll("_", " ")} ${weight < 0 ? "−" : "+"}${fixed(Math.abs(weight))}`).join(", ")),
    pair("Tokens", `${entry.input_tokens} in, ${entry.outcome?.output_tokens ?? `about ${entry.output_tokens}`} out`),
    entry.outcome && pair("First byte", seconds(entry.outcome.ttft_s)),
    entry.panic && pair("Panic", "half of the pool was unhealthy"),
    entry.ask && pair("Ask", entry.ask));
}

function rating(entry) {
  const said = el("span", { role: "status" }, entry.feedback === null ? "" : `rated ${share(entry.feedback)}`);
  const rate = (score) => async () => {
    try {
      await call("api/feedback", { id: entry.id, score });
      entry.feedback = score;
      text(said, `rated ${share(score)}`);
    } catch (error) {
      text(said, error.message);
    }
  };
  return el("div", { class: "rate" }, "Was the answer good?",
    el("button", { type: "button", class: "plain", onclick: rate(1) }, "Good"),
    el("button", { type: "button", class: "plain", onclick: rate(0.5) }, "So-so"),
    el("button", { type: "button", class: "plain", onclick: rate(0) }, "Bad"), said, el("code", {}, entry.id));
}

function details(entry) {
  return el("div", { class: "opened" }, told(entry), candidates(entry, entry.outcome?.ok ? entry.outcome.model : null), rating(entry));
}

function draw(record) {
  const { entry, item } = record;
  const focused = item.contains(document.activeElement) && document.activeElement.className === "line";
  const toggle = () => {
    record.open = !record.open;
    draw(record);
    if (record.open && !paused) {
      pause(); // or new rows would push away what is being read
      reading = true;
    } else if (![...entries.values()].some(({ open }) => open)) resume();
  };
  const line = summary(entry, record.open, toggle);
  item.replaceChildren(line, ...(record.open ? [details(entry)] : []));
  if (focused) line.focus({ preventScroll: true });
}

function matches(entry, wanted) {
  const words = [entry.id, entry.model, entry.preference, entry.reason, reason(entry.reason), labels.get(entry.id) ?? "", ...(entry.outcome?.attempts ?? [])];
  if ((entry.outcome?.attempts.length ?? 1) > 1) words.push("fallback");
  if (entry.outcome && !entry.outcome.ok) words.push("failed");
  return words.some((word) => word.toLowerCase().includes(wanted));
}

const wanted = () => byId("filter").value.trim().toLowerCase();

function refilter() {
  const words = wanted();
  let shown = 0;
  for (const { entry, item } of entries.values()) {
    item.hidden = words !== "" && !matches(entry, words);
    shown += !item.hidden;
  }
  const empty = byId("decisions-empty");
  empty.hidden = shown > 0;
  if (entries.size > 0) text(empty, "No decision here matches. Enter a whole decision id to look it up in the log.");
}

function add(entry, fresh) {
  if (entries.has(entry.id)) return;
  const item = el("li", { class: fresh ? "fresh" : "", "data-id": entry.id });
  const record = { entry, item, open: false };
  entries.set(entry.id, record);
  draw(record);
  item.hidden = wanted() !== "" && !matches(entry, wanted());
  byId("decisions").prepend(item);
  byId("decisions-empty").hidden = true;
  while (entries.size > MOST) {
    const [oldest, { item: gone }] = entries.entries().next().value;
    gone.remove();
    entries.delete(oldest);
  }
}

export function showDecisions(newestFirst) {
  entries.clear();
  byId("decisions").replaceChildren();
  for (const entry of newestFirst.toReversed()) add(entry, false);
}

function take(kind, data) {
  if (kind === "decision") {
    add(data, true);
    return;
  }
  const record = entries.get(data.id);
  if (!record) return;
  record.entry.outcome = data.outcome;
  draw(record);
}

export function noteDecision(kind, data) {
  if (!paused || (kind === "outcome" && entries.has(data.id))) {
    take(kind, data);
    return;
  }
  held.push([kind, data]);
  if (held.length > 2 * MOST) held.shift();
  const waiting = held.filter(([what]) => what === "decision").length;
  text(byId("pause"), `Resume (${waiting} new)`);
  text(byId("newer"), waiting === 1 ? "1 newer decision. Show it" : `${waiting} newer decisions. Show them`);
  byId("newer").hidden = waiting === 0;
}

// What this page itself asked; the prompt stays with the page.
export function labelDecision(id, label) {
  labels.set(id, label);
  const record = entries.get(id);
  if (record) draw(record);
}

// Goes on after a decision was read; what was paused by the button stays so.
export function resume() {
  if (paused && reading) pause();
}

export function pause() {
  paused = !paused;
  reading = false;
  byId("newer").hidden = true;
  const button = byId("pause");
  button.setAttribute("aria-pressed", String(paused));
  text(button, paused ? "Resume" : "Pause");
  if (!paused) for (const [kind, data] of held.splice(0)) take(kind, data);
}

async function lookUp() {
  const id = wanted();
  if (!/^[0-9a-f]{16}$/.test(id) || entries.has(id)) return;
  try {
    add(await call(`api/decisions/${id}`), true);
    refilter();
  } catch (error) {
    text(byId("decisions-empty"), error.message);
  }
}

export function startDecisions() {
  byId("pause").addEventListener("click", pause);
  byId("newer").addEventListener("click", pause);
  byId("filter").addEventListener("input", () => {
    refilter();
    lookUp();
  });
}
