// Builds elements. Text is always set as text, so nothing that the server says can become markup.
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const byId = (id) => document.getElementById(id);

export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

export function chip(label, tone, shape = "") {
  return el("span", { class: "chip", "data-tone": tone, "data-shape": shape }, el("i", { class: "dot", "aria-hidden": "true" }), label);
}

// A bar from 0 to 1; the number beside it says the same, so it is hidden from screen readers.
export function meter(value, tone = "") {
  const fill = el("i");
  fill.style.width = `${Math.round(100 * Math.min(1, Math.max(0, value || 0)))}%`;
  return el("span", { class: "meter", "data-tone": tone, "aria-hidden": "true" }, fill);
}
