// Nights beside each other: a bar each, as high as masks were written, and the confidence as a line.
export function render({model}) {
  const root = el("div", "sg-nights");
  root.setAttribute("role", "group");
  root.setAttribute("aria-label", "Nights, the oldest first");
  const draw = () => fill(root, [model.nights, model.chosen], () => {
    const bars = model.nights.map((night, i) => {
      const date = night.time === null ? null : new Date(1000 * night.time);
      const day = date ? date.toLocaleDateString([], {day: "numeric", month: "short"}) : "?";
      const time = date ? date.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", hour12: false}) : "";
      const button = el("button", "night");
      button.type = "button";
      button.setAttribute("aria-pressed", String(night.id === model.chosen));
      const sure = night.confidence === null ? "" : `, confidence ${night.confidence.toFixed(3)}`;
      button.title = `${day} ${time}: ${night.title}${sure}`;
      button.setAttribute("aria-label", button.title);
      const room = el("span", "room");
      const bar = el("i", `bar ${night.tone}`);
      bar.style.height = `${Math.max(4, 100 * night.height)}%`;
      room.append(bar);
      const before = i ? new Date(1000 * model.nights[i - 1].time) : null;
      const isNewDay = !before || !date || before.toDateString() !== date.toDateString();
      const short = isNewDay ? (date ? date.getDate() : "?") : "\u00b7";  // many nights: no room for a time
      const label = model.nights.length > 12 ? short : isNewDay ? day : time;
      button.append(room, el("small", "muted", label));
      button.onclick = () => model.send_msg({night: night.id});
      return button;
    });
    const known = model.nights.map((night) => night.confidence).filter((value) => value !== null);
    if (known.length < 2) return bars;
    const low = Math.min(...known), high = Math.max(...known), span = Math.max(high - low, 0.02);
    const plot = svg("svg", {class: "line", viewBox: `0 0 ${model.nights.length} 1`, preserveAspectRatio: "none", "aria-hidden": "true"});
    const points = model.nights.map((night, i) => night.confidence === null ? null : `${i + 0.5},${0.85 - 0.7 * (night.confidence - low) / span}`);
    plot.append(svg("polyline", {points: points.filter(Boolean).join(" ")}));
    root.style.setProperty("--nights", model.nights.length);
    return [...bars, plot];
  });
  root.addEventListener("keydown", (event) => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    const bars = [...root.querySelectorAll("button")], here = bars.indexOf(root.getRootNode().activeElement);
    if (!step || here < 0) return;
    event.preventDefault();
    event.stopPropagation();  // the viewer below listens on the document for the same keys
    bars[here + step]?.focus();
  });
  model.on(["nights", "chosen"], draw);
  draw();
  return root;
}
