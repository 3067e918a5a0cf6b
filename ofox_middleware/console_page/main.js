// Starts the page, and hands what the server says to those who show it.
import { noteDecision, pause, showDecisions, startDecisions } from "./decisions.js";
import { startDemo } from "./demo.js";
import { byId, text } from "./dom.js";
import { call, listen, setToken } from "./live.js";
import { noteChanges, showModels, showPool } from "./models.js";
import { showSummary } from "./summary.js";
import { nextTheme, startTheme } from "./theme.js";
import { showPreferences, startTry } from "./try.js";

let history = {};
let boot = null;
let heardUpTo = 0;
let demoStarted = false;

function showStatus(status) {
  history = status.history ?? history;
  showSummary(status);
  showPool(status.models, status.panic);
  showModels(status.models, history);
  noteChanges(status.models, status.now);
  byId("reload").hidden = !status.reload.can;
}

function live(tone, words) {
  byId("live").dataset.tone = tone;
  text(byId("live").lastElementChild, words);
}

async function load() {
  const status = await call("api/status");
  boot = status.boot;
  heardUpTo = status.events;
  showPreferences(status.settings);
  showDecisions(status.decisions);
  showStatus(status);
  if (status.demo && !demoStarted) {
    demoStarted = true;
    await startDemo(status.demo);
  }
}

function heard(kind, data) {
  if (kind !== "status") {
    heardUpTo = data.number;
    noteDecision(kind, data);
  } else if (data.boot !== boot) {
    boot = data.boot;
    load();
  } else {
    showStatus(data);
  }
}

function askForToken(again) {
  byId("login-error").hidden = !again;
  if (!byId("login").open) byId("login").showModal();
}

async function start(again = false) {
  try {
    await load();
  } catch (error) {
    if (error.status === 401) {
      askForToken(again);
      return;
    }
    live("bad", "No connection");
    notice(error.message);
    setTimeout(start, 3000);
    return;
  }
  notice("");
  byId("login").close();
  listen(() => heardUpTo, {
    heard,
    up: () => live("good", "Live"),
    down: (error) => {
      if (error.status === 401) {
        askForToken(false);
        return false;
      }
      live("bad", "Reconnecting");
      return true;
    },
  });
}

function notice(words) {
  byId("notice").hidden = words === "";
  text(byId("notice"), words);
}

async function reload() {
  try {
    const result = await call("api/reload", {});
    const waiting = result.needs_restart.length ? ` A restart is needed for: ${result.needs_restart.join(", ")}.` : "";
    notice(`Configuration reloaded; changed: ${result.changed.join(", ") || "nothing"}.${waiting}`);
    showPreferences((await call("api/status")).settings);
  } catch (error) {
    notice(error.message);
  }
}

const KEYS = { "/": () => byId("prompt").focus(), f: () => byId("filter").focus(), p: pause, t: nextTheme };

function onKey(event) {
  const typing = event.target.matches("input:not([type=radio], [type=checkbox]), textarea");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
}

startTheme();
startTry();
startDecisions();
byId("reload").addEventListener("click", reload);
byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(byId("token").value);
  start(true);
});
document.addEventListener("keydown", onKey);
start();
