// The demo's controls: send simulated traffic through the front door, and break simulated providers.
import { labelDecision, resume } from "./decisions.js";
import { byId, el, text } from "./dom.js";
import { preference } from "./try.js";

const COUNTRIES = ["France", "Peru", "Kenya", "Norway", "Japan", "Chile", "Ghana", "Nepal", "Malta", "Laos"];
const EASY = () => `What is the capital of ${any(COUNTRIES)}?`;
const HARD = () => `Prove that every finite group of order p^2 for a prime p is abelian, then derive step by step how many groups of order p^${any([3, 4, 5])} there are up to isomorphism, and justify each case rigorously. Variant ${Math.floor(Math.random() * 1e6)}.`;
const CODE = () => `Implement a lock-free ${any(["queue", "stack", "hash map", "skip list"])} in C++20 with hazard pointers and analyse the memory orderings it needs on ARM.`;
const CHAT = () => `Write a friendly two-line note to thank ${any(["Ana", "Bo", "Chen", "Dara"])} for ${any(["the flowers", "lunch", "the review", "the ride"])}.`;
const MIX = [["easy question", EASY], ["easy question", EASY], ["hard proof", HARD], ["hard code", CODE], ["short note", CHAT], ["short note", CHAT]];
const STATES = [["up", "good"], ["slow", "warn"], ["limited", "warn"], ["down", "bad"]];
const BETWEEN_MS = 450;

let timer = null;

function any(list) {
  return list[Math.floor(Math.random() * list.length)];
}

async function send(label, prompt) {
  const body = { model: "auto", messages: [{ role: "user", content: prompt }], stream: true, model_routing_config: { preference: preference(), session_id: crypto.randomUUID() } };
  const answer = await fetch("../v1/chat/completions", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const id = answer.headers.get("x-ofox-decision-id");
  if (id) labelDecision(id, label);
  await answer.text();
}

const quietly = (label, make) => send(label, make()).catch(() => {});

function once(label, make) {
  resume(); // who sends something wants to see it
  quietly(label, make);
}

function steady() {
  resume();
  const running = timer === null;
  byId("traffic").setAttribute("aria-pressed", String(running));
  text(byId("traffic"), running ? "Stop traffic" : "Steady traffic");
  if (!running) {
    clearInterval(timer);
    timer = null;
    return;
  }
  timer = setInterval(() => quietly(...any(MIX)), BETWEEN_MS);
}

function switches(base, name, state) {
  const set = (event) => fetch(`${base}/providers/${name}`, { method: "POST", body: JSON.stringify({ state: event.target.value }) });
  return el("fieldset", {}, el("legend", {}, name), el("div", { class: "segments" }, ...STATES.map(([value, tone]) =>
    el("label", { "data-tone": tone }, el("input", { type: "radio", name: `provider-${name}`, value, checked: value === state, onchange: set }), el("span", {}, value)))));
}

export async function startDemo(prefix) {
  const base = `..${prefix}`;
  const providers = await (await fetch(`${base}/providers`)).json();
  byId("providers").replaceChildren(...Object.entries(providers).map(([name, row]) => switches(base, name, row.state)));
  byId("send-easy").addEventListener("click", () => once("easy question", EASY));
  byId("send-hard").addEventListener("click", () => once("hard proof", HARD));
  byId("traffic").addEventListener("click", steady);
  byId("demo").hidden = false;
}
