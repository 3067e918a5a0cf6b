// Sparklines as SVG. Each says in words what it shows.
const SVG = "http://www.w3.org/2000/svg";

function shape(tag, attributes) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function canvas(width, height, label) {
  const svg = shape("svg", { class: "spark", width, height, viewBox: `0 0 ${width} ${height}`, role: "img", preserveAspectRatio: "none" });
  svg.setAttribute("aria-label", label);
  return svg;
}

// A line through what is known; slots without a value keep the last one.
export function line(all, { width = 48, height = 20, label }) {
  const values = all.slice(Math.max(0, all.findIndex((value) => value !== null))); // from the first known one on
  const svg = canvas(width, height, label);
  const known = values.filter((value) => value !== null && value !== undefined);
  if (known.length === 0) return svg;
  const low = Math.min(...known);
  const high = Math.max(...known);
  const flat = high - low < 0.02 * high;
  const step = width / Math.max(1, values.length - 1);
  const points = [];
  let last = null;
  values.forEach((value, index) => {
    last = value ?? last;
    if (last === null) return;
    const y = flat ? height / 2 : height - 2 - ((last - low) / (high - low)) * (height - 4);
    points.push([index * step, y]);
  });
  if (points.length > 1) svg.append(shape("path", { d: `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}` }));
  const [x, y] = points[points.length - 1];
  svg.append(shape("circle", { class: "end", cx: x, cy: y.toFixed(1), r: 2 }));
  return svg;
}

// Attempts per slot: answered, and in another colour on top those that failed.
export function bars(answered, failed, { width = 140, height = 26, label }) {
  const svg = canvas(width, height, label);
  svg.append(shape("path", { class: "base", d: `M0 ${height - 0.5}H${width}` }));
  const most = Math.max(4, ...answered.map((value, index) => value + failed[index]));
  const step = width / answered.length;
  answered.forEach((value, index) => {
    const up = (value / most) * (height - 2);
    const down = (failed[index] / most) * (height - 2);
    const x = (index * step + 0.4).toFixed(2);
    const thick = (step - 0.8).toFixed(2);
    if (up) svg.append(shape("rect", { x, width: thick, y: (height - 1 - up).toFixed(2), height: up.toFixed(2) }));
    if (down) svg.append(shape("rect", { class: "failed", x, width: thick, y: (height - 1 - up - down).toFixed(2), height: down.toFixed(2) }));
  });
  return svg;
}
