// Try a prompt: a dry run. Moving the preference decides again at once.
import { picks, shortCandidates } from "./candidates.js";
import { byId, el, meter } from "./dom.js";
import { difficulty, fixed, mainDomain, reason, seconds, share, usd } from "./format.js";
import { call } from "./live.js";

const PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
let latest = 0;

export function preference() {
  return document.querySelector("#preferences input:checked")?.value;
}

export function showPreferences({ profiles, preference: usual }) {
  const now = preference() ?? usual;
  byId("preferences").replaceChildren(...Object.keys(profiles).map((name) =>
    el("label", {}, el("input", { type: "radio", name: "preference", value: name, checked: name === now }), el("span", {}, name))));
}

function request() {
  const prompt = byId("prompt").value;
  const needs = (name) => byId("try").elements[name].checked;
  const content = needs("image") ? [{ type: "text", text: prompt }, { type: "image_url", image_url: { url: PIXEL } }] : prompt;
  const body = { messages: [{ role: "user", content }], model_routing_config: { preference: preference() } };
  if (needs("tools")) body.tools = [{ type: "function", function: { name: "look_up", parameters: { type: "object" } } }];
  if (needs("json")) body.response_format = { type: "json_schema", json_schema: { name: "answer", schema: { type: "object" } } };
  return body;
}

function explained({ decision, picks: byPreference }) {
  const pick = decision.candidates.find((row) => row.name === decision.model);
  const because = Object.entries(decision.evidence).slice(0, 6);
  return [
    el("p", { class: "small" }, `${decision.preference}: ${reason(decision.reason)}`),
    el("p", { class: "verdict" }, decision.model),
    el("p", { class: "small" }, `${share(pick.quality)} expected quality, ${usd(pick.cost_usd)}, ${seconds(pick.time_s)}`),
    el("div", { class: "gauge" }, el("span", {}, "Difficulty"), meter(decision.difficulty, "brand"),
      el("b", {}, `${fixed(decision.difficulty)} ${difficulty(decision.difficulty)}`), el("span", { class: "small" }, mainDomain(decision.domains))),
    el("div", { class: "evidence" }, ...because.map(([name, weight]) => el("span", {}, `${name.replaceAll("_", " ")} ${weight < 0 ? "−" : "+"}${fixed(Math.abs(weight))}`))),
    shortCandidates(decision),
    el("h3", {}, "The same prompt under each preference"),
    picks(byPreference, decision.preference),
  ];
}

function refused(error) {
  const left = (error.error.candidates ?? []).map((row) => el("li", {}, el("b", {}, row.name), ` ${reason(row.reason)}`));
  return [el("p", { class: "error" }, error.message.split(" (")[0]), el("ul", {}, ...left)];
}

async function explain() {
  const box = byId("tried");
  if (byId("prompt").value.trim() === "") {
    byId("prompt").focus();
    return;
  }
  const mine = ++latest;
  const shown = await call("api/explain", { request: request() }).then(explained, refused);
  if (mine !== latest) return; // a later one is on its way
  box.hidden = false;
  box.replaceChildren(...shown);
}

export function startTry() {
  byId("try").addEventListener("submit", (event) => {
    event.preventDefault();
    explain();
  });
  byId("try").addEventListener("change", (event) => {
    if (event.target.type !== "textarea" && !byId("tried").hidden) explain();
  });
  byId("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) explain();
  });
}
