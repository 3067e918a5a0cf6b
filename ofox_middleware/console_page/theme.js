// Light and dark: what the system prefers, unless the person chose.
import { byId, text } from "./dom.js";

const KEY = "ofox-console-theme";
const NAMES = ["auto", "light", "dark"];
let chosen = NAMES.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : "auto";

function apply() {
  document.documentElement.dataset.theme = chosen; // the style sheet knows what "auto" is
  text(byId("theme"), `Theme: ${chosen}`);
}

export function nextTheme() {
  chosen = NAMES[(NAMES.indexOf(chosen) + 1) % NAMES.length];
  localStorage.setItem(KEY, chosen);
  apply();
}

export function startTheme() {
  apply();
  byId("theme").addEventListener("click", nextTheme);
}
