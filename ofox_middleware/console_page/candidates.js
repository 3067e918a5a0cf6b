// The table of candidates of one decision, as the decisions list and the dry run show it.
import { el, meter } from "./dom.js";
import { reason, seconds, share, signed, usd, UNKNOWN } from "./format.js";

const COLUMNS = [["Model", ""], ["Status", ""], ["Quality", ""], ["Cost", "num"], ["Time", "num"], ["Score", "num"]];

function head(columns) {
  return el("thead", {}, el("tr", {}, ...columns.map(([name, kind]) => el("th", { scope: "col", class: kind }, name))));
}

export function status(row) {
  if (row.status === "kept") return "kept";
  return `${row.status}: ${reason(row.reason)}`;
}

function quality(row, tone) {
  if (row.quality === null) return UNKNOWN;
  return el("span", { class: "pair" }, meter(row.quality, tone), share(row.quality));
}

export function candidates(decision, answeredBy) {
  const rows = decision.candidates.map((row) => {
    const picked = row.name === decision.model;
    const answered = answeredBy && row.name === answeredBy;
    const mark = picked && answered ? "picked, answered" : picked ? "picked" : answered ? "answered" : "";
    const guessed = row.ability_source && !["card", "tuned", "measured"].includes(row.ability_source);
    return el("tr", { class: picked ? "pick" : "", "data-status": row.status },
      el("td", {}, el("span", { class: "name" }, row.name), mark && el("span", { class: "mark" }, mark)),
      el("td", {}, status(row)),
      el("td", { title: guessed ? `ability guessed from ${row.ability_source.replaceAll("_", " ")}` : null }, quality(row, picked ? "brand" : "")),
      el("td", { class: "num" }, usd(row.cost_usd)),
      el("td", { class: "num" }, seconds(row.time_s)),
      el("td", { class: "num" }, signed(row.score, 3)));
  });
  return el("div", { class: "scroll" },
    el("table", { class: "candidates" }, el("caption", { class: "unseen" }, "Candidates, best first"), head(COLUMNS), el("tbody", {}, ...rows)));
}

// The same in a narrow column: what it lost by is in the second line.
export function shortCandidates(decision) {
  const rows = decision.candidates.map((row) => el("tr", { class: row.name === decision.model ? "pick" : "", "data-status": row.status },
    el("td", {}, el("span", { class: "name" }, row.name), row.status !== "kept" && el("div", { class: "small" }, status(row))),
    el("td", { class: "num" }, share(row.quality)),
    el("td", { class: "num" }, usd(row.cost_usd)),
    el("td", { class: "num" }, seconds(row.time_s))));
  return el("table", {}, el("caption", { class: "unseen" }, "Candidates, best first"),
    head([["Candidate", ""], ["Quality", "num"], ["Cost", "num"], ["Time", "num"]]), el("tbody", {}, ...rows));
}

export function picks(byPreference, current) {
  const rows = Object.entries(byPreference).map(([name, pick]) => el("tr", { class: name === current ? "pick" : "" },
    el("td", {}, name), el("td", {}, el("span", { class: "name" }, pick.model)),
    el("td", { class: "num" }, usd(pick.cost_usd)), el("td", { class: "num" }, seconds(pick.time_s))));
  return el("table", {}, head([["Preference", ""], ["Picks", ""], ["Cost", "num"], ["Time", "num"]]), el("tbody", {}, ...rows));
}
