// The row of facts and the spend card.
import { byId, el, meter, text } from "./dom.js";
import { count, seconds, share, signedUsd, UNKNOWN, usd } from "./format.js";

let before = null;
let rate = 0;

function perMinute(totals, now) {
  if (before && now > before.now) {
    const fresh = ((totals.decided - before.decided) / (now - before.now)) * 60;
    rate = fresh < 0 ? 0 : 0.8 * rate + 0.2 * fresh; // counts begin anew when the server does
  }
  before = { now, decided: totals.decided };
  return rate;
}

export function showSummary({ totals, savings, now }) {
  text(byId("f-requests"), count(totals.decided));
  const speed = perMinute(totals, now);
  text(byId("f-rate"), totals.decided ? `${speed < 0.5 ? "0" : Math.round(speed)} a minute now` : "none yet");
  const counted = totals.ended - totals.left;
  text(byId("f-answered"), counted ? share(totals.ok / counted, 1) : UNKNOWN);
  text(byId("f-fallbacks"), totals.decided ? `${count(totals.fallbacks)} rescued by a fallback` : "no request yet");
  text(byId("f-ttft"), seconds(totals.ttft_median_s));
  showMoney(savings);
}

function showMoney(savings) {
  const any = savings.requests > 0;
  text(byId("f-spent"), any ? usd(savings.spent_usd) : UNKNOWN);
  text(byId("f-priced"), savings.unpriced ? `${count(savings.unpriced)} without a known price` : "at list prices");
  const saved = byId("f-saved");
  const part = savings.strongest_usd > 0 ? savings.against_strongest_usd / savings.strongest_usd : 0;
  saved.dataset.tone = !any ? "" : part >= 0 ? "good" : "bad";
  saved.replaceChildren(any ? signedUsd(savings.against_strongest_usd) : UNKNOWN, any ? el("small", {}, `${part < 0 ? "−" : ""}${share(Math.abs(part))}`) : "");
  text(byId("f-cheapest"), any ? `${signedUsd(savings.against_cheapest_usd)} against always-cheapest` : "against always-cheapest –");
  byId("spend-empty").hidden = any;
  byId("spend").replaceChildren(...(any ? spend(savings) : []));
}

function spend(savings) {
  const most = Math.max(savings.strongest_usd, savings.spent_usd, savings.cheapest_usd, 1e-12);
  const way = (name, amount, tone, note) => el("div", { class: "way" }, el("span", {}, name), meter(amount / most, tone), el("b", {}, usd(amount)), note && el("small", {}, note));
  const shares = Object.entries(savings.by_model).sort((a, b) => b[1].spent_usd - a[1].spent_usd).slice(0, 8);
  return [
    way("Always strongest", savings.strongest_usd, "", `routing saved ${signedUsd(savings.against_strongest_usd)}`),
    way("Routed", savings.spent_usd, "brand"),
    way("Always cheapest", savings.cheapest_usd, "", `routing saved ${signedUsd(savings.against_cheapest_usd)}: the price of better answers`),
    el("div", { class: "shares" }, ...shares.map(([name, row]) => el("div", {}, el("span", {}, name), el("span", { class: "num" }, `${count(row.requests)} ×`), el("span", { class: "num" }, usd(row.spent_usd))))),
  ];
}
