// Share of pixels of each class on a log scale, a bar a split: the first solid, the others paler.
// Behind its name how well the best model finds it.
const HEIGHT = 356, TOP = 12, LEFT = 56, BOTTOM = 92;
const PALE = [1, 0.55, 0.28];

export function render({model}) {
  const root = el("div", "sg-frequency");
  const label = (value) => (value >= 0.0095 ? `${+(100 * value).toPrecision(2)}%` : `${+(100 * value).toPrecision(1)}%`);
  const draw = () => {
    const width = root.clientWidth, splits = model.splits;
    if (!width || !splits.length) { root.replaceChildren(); return; }
    const values = splits.flatMap((split) => split.shares).filter((value) => value > 0);
    const floor = Math.max(-6, Math.floor(Math.log10(Math.min(...values, 0.01))));
    const up = (value) => TOP + (HEIGHT - TOP - BOTTOM) * Math.min(1, Math.log10(value) / floor);
    const base = HEIGHT - BOTTOM;
    const plot = svg("svg", {width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img"});
    plot.setAttribute("aria-label", `share of pixels of each class in ${splits.map((split) => split.name).join(", ")}`);
    for (let power = 0; power >= floor; power--) {
      const y = up(10 ** power);
      plot.append(svg("line", {x1: LEFT, x2: width - 4, y1: y, y2: y, class: "grid"}));
      const tick = svg("text", {x: LEFT - 8, y: y + 4, class: "tick"});
      tick.textContent = `${+(100 * 10 ** power).toFixed(4)}%`;
      plot.append(tick);
    }
    const step = (width - LEFT - 8) / model.classes.length, bar = Math.min(16, step * 0.78 / splits.length);
    model.classes.forEach((row, i) => {
      const middle = LEFT + (i + 0.5) * step;
      const there = splits.filter((split) => split.shares[i] > 0);
      const group = svg("g");
      const title = svg("title");
      const iou = there.length ? model.ious[i] ?? null : null;
      const found = iou === null ? "" : `, IoU ${iou.toFixed(2)}`;
      title.textContent = `${row.name}: ${splits.map((split) => `${split.name} ${split.shares[i] ? label(split.shares[i]) : "none"}`).join(", ")}${found}`;
      group.append(title);
      splits.forEach((split, at) => {
        if (!(split.shares[i] > 0)) return;
        const y = up(split.shares[i]);
        group.append(svg("rect", {x: middle + (at - splits.length / 2) * bar + 0.5, y, rx: 2, width: Math.max(bar - 1, 1.5),
          height: Math.max(base - y, 1), fill: row.color, "fill-opacity": PALE[at] ?? 0.2, class: "bar"}));
      });
      if (!there.length) {
        const none = svg("text", {x: middle, y: base - 6, class: "none"});
        none.textContent = step > 26 ? "none" : "–";
        group.append(none);
      }
      const name = svg("text", {x: middle + 4, y: base + 14, transform: `rotate(-42 ${middle + 4} ${base + 14})`, class: there.length ? "name" : "name absent"});
      name.textContent = row.name;
      if (iou !== null) {
        const score = svg("tspan", {class: "iou"});
        score.textContent = ` ${iou.toFixed(2)}`;
        name.append(score);
      }
      group.append(name);
      plot.append(group);
    });
    root.replaceChildren(plot);
  };
  const resized = new ResizeObserver(draw);
  resized.observe(root);
  model.on(["splits", "classes", "ious"], draw);
  model.on("remove", () => resized.disconnect());
  draw();
  return root;
}
