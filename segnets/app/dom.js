// What our components share: nodes are made here, and texts go into `textContent` only, never into
// markup, so no name from a store can run anything. Put in front of each component's file.
const SVG = "http://www.w3.org/2000/svg";

function el(tag, cls = "", text = null) {
  const node = document.createElement(tag);
  if (cls) node.className = cls;
  if (text !== null) node.textContent = String(text);
  return node;
}

function svg(tag, attributes = {}) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  return node;
}

const ICONS = {
  trials: "M4 20v-8h4v8zM10 20V4h4v16zM16 20v-5h4v5z",
  samples: "M7 3h14v14H7zM3 7v14h14M10 14l3-4 2.5 3L17 11l2 3",
  compare: "M4 5h7v14H4zM13 5h7v14h-7M13 9h4M13 13h4",
  dataset: "M4 5h16v14H4zM7.5 9.5l1.2 1.2 2-2M7.5 14.5l1.2 1.2 2-2M13.5 10h3.5M13.5 15h3.5",
  store: "M7 18a4.5 4.5 0 0 1-.5-9A6 6 0 0 1 18 10.5 3.8 3.8 0 0 1 17.5 18z",
  lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  moon: "M19 14.5A7.5 7.5 0 0 1 9.5 5 7.5 7.5 0 1 0 19 14.5z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4",
  link: "M10 14a4 4 0 0 1 0-5.6l2.5-2.5a4 4 0 0 1 5.6 5.6L16.5 13M14 10a4 4 0 0 1 0 5.6l-2.5 2.5a4 4 0 0 1-5.6-5.6L7.5 11",
  grid: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h6v6h-6z",
  down: "M7 10l5 5 5-5",
  save: "M12 4v11M7.5 10.5 12 15l4.5-4.5M5 19.5h14",
  play: "M8 5l11 7-11 7z",
  pause: "M7 5h4v14H7zM14 5h4v14h-4z",
  pred: "M19 14.5A7.5 7.5 0 0 1 9.5 5 7.5 7.5 0 1 0 19 14.5zM17 4v4M15 6h4",
  runs: "M4 12a8 8 0 1 0 2.6-5.9M4 4v4h4M12 8v4.5l3 1.8",
};

function icon(name, size = 18) {
  const node = svg("svg", {viewBox: "0 0 24 24", width: size, height: size, fill: "none",
    stroke: "currentColor", "stroke-width": 1.8, "stroke-linejoin": "round",
    "stroke-linecap": "round", "aria-hidden": "true"});
  node.append(svg("path", {d: ICONS[name] || ""}));
  return node;
}

function swatch(color) {
  const node = el("span", "swatch");
  node.style.background = color;
  return node;
}

// Lets the browser save a file; names from a store keep only what every file system takes.
function save(name, blob) {
  const link = el("a");
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^A-Za-z0-9._-]+/g, "_").slice(-120);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Replaces the children; what takes the place of a control that had the focus has it then.
function exchange(node, children) {
  const stops = () => [...node.querySelectorAll("button, select, input, [tabindex]")];
  const at = stops().indexOf(node.getRootNode().activeElement);
  node.replaceChildren(...children);
  if (at >= 0) stops()[at]?.focus({preventScroll: true});
}

// The same, but only if what the children show has changed: open menus and texts in selection stay.
function fill(node, shown, make) {
  const print = JSON.stringify(shown);
  if (node._print === print) return;
  node._print = print;
  exchange(node, make(shown));
}
