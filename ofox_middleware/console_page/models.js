// The table of models, and the log of what happened to their health.
import { byId, chip, el, meter, text } from "./dom.js";
import { clock, count, fixed, seconds, share, UNKNOWN } from "./format.js";
import { bars, line } from "./spark.js";

const EMPTY = { answered: Array(60).fill(0), failed: Array(60).fill(0), ttft_s: [], tokens_per_s: [] };
const DOUBTFUL = 0.85;
const isDoubtful = (model) => model.state === "closed" && model.availability < DOUBTFUL;
const rows = new Map();
const last = new Map();

function stateChip(model) {
  if (model.state === "open") {
    const wait = model.reopens_in_s > 0.5 ? `, retry in ${Math.ceil(model.reopens_in_s)} s` : "";
    return chip(`Open${wait}`, "bad", "open");
  }
  if (model.state === "half_open") return chip("Half-open, probing", "warn", "half");
  if (isDoubtful(model)) return chip("Closed, demoted", "warn");
  return chip("Closed", model.seen ? "good" : "quiet");
}

function price(model) {
  if (model.input_usd_per_m === null || model.input_usd_per_m === undefined) return model.in_pool ? "price unknown" : "not in the pool";
  return `$${model.input_usd_per_m} in, $${model.output_usd_per_m} out per M`;
}

function name(model) {
  const cut = model.name.indexOf("/") + 1;
  return el("div", {}, el("div", { class: "name" }, el("span", {}, model.name.slice(0, cut)), model.name.slice(cut)), el("span", { class: "small" }, price(model)));
}

function measured(model, value, curve) {
  const number = el("b", { class: model.seen ? "" : "prior", title: model.seen ? null : "expected; nothing was sent to it yet" }, value);
  return el("span", { class: "pair" }, number, curve);
}

function cells(model, history) {
  const sent = history.answered.reduce((a, b) => a + b, 0);
  const failed = history.failed.reduce((a, b) => a + b, 0);
  const said = `${count(sent)} answered, ${count(failed)} failed in three minutes`;
  const load = model.limit ? model.in_flight / model.limit : 0;
  return [
    name(model),
    stateChip(model),
    el("span", { title: said }, bars(history.answered, history.failed, { label: said })),
    measured(model, seconds(model.ttft_s), line(history.ttft_s, { label: `time to first token, now ${seconds(model.ttft_s)}` })),
    measured(model, fixed(model.tokens_per_s, 0), line(history.tokens_per_s, { label: `tokens per second, now ${fixed(model.tokens_per_s, 0)}` })),
    model.seen ? share(model.availability) : UNKNOWN,
    el("span", { class: "pair" }, meter(load, load > 0.7 ? "warn" : ""), `${model.in_flight} / ${fixed(model.limit, 0)}`),
  ];
}

const LABELS = ["", "", "", "TTFT", "Tokens/s", "Success", "In flight"];

export function showModels(models, histories) {
  const body = byId("models");
  byId("models-empty").hidden = models.length > 0;
  for (const model of models) {
    const history = histories[model.name] ?? EMPTY;
    const key = JSON.stringify([model, history]);
    let row = rows.get(model.name);
    if (row?.key === key) continue;
    const node = el("tr", { role: "row", "data-model": model.name, "data-state": model.state },
      ...cells(model, history).map((cell, index) => el("td", { role: "cell", "data-label": LABELS[index], class: index === 5 ? "num" : "" }, cell)));
    if (row) row.node.replaceWith(node);
    else body.append(node);
    rows.set(model.name, { key, node });
  }
  const names = new Set(models.map((model) => model.name));
  for (const [gone, row] of rows) {
    if (names.has(gone)) continue;
    row.node.remove();
    rows.delete(gone);
  }
  const flying = models.reduce((sum, model) => sum + model.in_flight, 0);
  text(byId("models-note"), `${models.length} in the pool, ${flying} in flight`);
}

export function showPool(models, panic) {
  const away = models.filter((model) => model.in_pool && model.state !== "closed");
  const pool = byId("pool");
  byId("panic").hidden = !panic;
  const doubtful = models.filter((model) => model.in_pool && isDoubtful(model));
  pool.dataset.tone = panic ? "bad" : away.length + doubtful.length ? "warn" : "good";
  if (panic) text(pool, "Panic");
  else if (away.length) text(pool, `${away.length} of ${models.length} unhealthy`);
  else text(pool, doubtful.length ? `${doubtful.length} of ${models.length} demoted` : "All models healthy");
}

function change(model, before) {
  if (before.state !== model.state) {
    if (model.state === "open") {
      const others = model.opened_by_others ? ", as other workers report" : "";
      const row = model.failures_in_row > 1 ? ` after ${model.failures_in_row} failures in a row` : "";
      return ["bad", `breaker opened${row}${others}; traffic leaves it`];
    }
    if (model.state === "half_open") return ["warn", "half-open: one probe at a time may go"];
    return ["good", "closed again: back in use"];
  }
  if (isDoubtful(model) && !isDoubtful(before)) return ["warn", `demoted: ${share(model.availability)} of requests succeed`];
  if (!isDoubtful(model) && isDoubtful(before)) return ["good", "no longer demoted"];
  return null;
}

export function noteChanges(models, now) {
  const list = byId("events");
  for (const model of models) {
    const before = last.get(model.name);
    last.set(model.name, model);
    const told = before && change(model, before);
    if (!told) continue;
    const [tone, words] = told;
    const said = () => [el("time", {}, clock(now)), el("span", {}, el("b", {}, model.name), ` ${words}`)];
    list.prepend(el("li", { "data-tone": tone }, ...said()));
    byId("latest").hidden = false;
    byId("latest").dataset.tone = tone;
    byId("latest").replaceChildren(...said());
    text(byId("announce"), `${model.name}: ${words}`);
    while (list.children.length > 12) list.lastChild.remove();
  }
  byId("events-empty").hidden = list.children.length > 0;
}
