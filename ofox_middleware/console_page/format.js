// Numbers as people read them. Everything that is unknown is an en dash.
export const UNKNOWN = "–";

export function usd(amount) {
  if (amount === null || amount === undefined) return UNKNOWN;
  const size = Math.abs(amount);
  if (size === 0) return "$0";
  if (size >= 100) return `$${size.toFixed(0)}`;
  if (size >= 1) return `$${size.toFixed(2)}`;
  if (size >= 0.01) return `$${size.toFixed(3)}`;
  if (size >= 0.0001) return `$${size.toFixed(5)}`;
  return size >= 0.000001 ? `$${size.toFixed(6)}` : "<$0.000001";
}

export function signedUsd(amount) {
  if (amount === null || amount === undefined) return UNKNOWN;
  if (Math.abs(amount) < 1e-9) return "±$0";
  return (amount > 0 ? "+" : "−") + usd(amount);
}

export function seconds(value) {
  if (value === null || value === undefined) return UNKNOWN;
  if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
  return value < 100 ? `${value.toFixed(value < 10 ? 2 : 1)} s` : `${Math.round(value)} s`;
}

export function share(value, digits = 0) {
  if (value === null || value === undefined) return UNKNOWN;
  if (value > 0.9995) return "100%";
  return `${(100 * value).toFixed(digits)}%`;
}

export const fixed = (value, digits = 2) => (value === null || value === undefined ? UNKNOWN : value.toFixed(digits));

export const count = (value) => value.toLocaleString("en-US");

export const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");

const REASONS = {
  best: "best score", only: "only candidate", tie: "shares with equals", session: "keeps its conversation",
  probe: "probe of a recovering model", last_resort: "last resort", fallback: "fallback", escalated: "stuck, escalated",
  refused: "refused", at_limit: "at its limit", not_named: "not named by the caller", excluded: "excluded",
  over_max_cost: "over the cost cap",
  below_floor: "too weak for this", breaker_open: "unhealthy", probing: "being probed", unknown_price: "price unknown",
  context_window: "prompt does not fit", output_limit: "answer may not fit",
};

const FAILURES = { 401: "key refused", 402: "no credit", 404: "no such model", 408: "timed out", 429: "rate limited", 503: "unavailable", 529: "overloaded" };

// Why an attempt failed: a status, or a word.
export function failure(word) {
  if (!word) return "failed";
  if (word === "overtaken") return "slower than its hedge";
  if (word === "silent") return "silent for too long";
  if (!/^\d+$/.test(word)) return word;
  return FAILURES[word] ? `${word} ${FAILURES[word]}` : word;
}

export const signed = (value, digits) => fixed(value, digits).replace("-", "−");

export const reason = (word) => REASONS[word] ?? word.replaceAll("_", " ");

export function difficulty(level) {
  if (level < 0.25) return "easy";
  if (level < 0.5) return "moderate";
  return level < 0.75 ? "hard" : "very hard";
}

export function mainDomain(domains) {
  const [name] = Object.entries(domains ?? {}).sort((a, b) => b[1] - a[1])[0] ?? [""];
  return name.replace("writing_chat", "writing").replace("tools_agentic", "agentic");
}
