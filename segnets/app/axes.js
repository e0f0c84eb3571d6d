// What matters: one vertical axis a setting or score, one line a trial. Python places the points
// (0 bottom, 1 top); here they are only drawn. Hovering a line brings it to the front.
const HEIGHT = 194, TOP = 35, BOTTOM = 15;

export function render({model}) {
  const root = el("div", "sg-axes");
  const draw = () => {
    const width = root.clientWidth;
    if (!width || model.axes.length < 2) { root.replaceChildren(); return; }
    const left = 64, right = 60;
    const at = (i) => left + i * (width - left - right) / (model.axes.length - 1);
    const up = (share) => TOP + (1 - share) * (HEIGHT - TOP - BOTTOM);
    const plot = svg("svg", {width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img"});
    plot.setAttribute("aria-label", "settings and scores of the trials");
    model.axes.forEach((axis, i) => {
      plot.append(svg("line", {x1: at(i), x2: at(i), y1: up(0), y2: up(1), class: "axis"}));
      const title = svg("text", {x: at(i), y: 14, class: "title"});
      title.textContent = axis.title;
      plot.append(title);
    });
    const lines = svg("g");
    const order = [...model.lines].sort((a, b) => Boolean(a.color) - Boolean(b.color));
    for (const line of order) {
      let path = "", before = null;
      line.shares.forEach((share, i) => {
        if (share === null) { before = null; return; }
        const x = at(i), y = up(share);
        path += before ? `C${(before[0] + x) / 2} ${before[1]} ${(before[0] + x) / 2} ${y} ${x} ${y}` : `M${x} ${y}`;
        before = [x, y];
      });
      const drawn = svg("path", {d: path, class: line.color ? "line on" : "line"});
      if (line.color) drawn.style.stroke = line.color;
      const name = svg("title");
      name.textContent = line.name;
      drawn.append(name);
      drawn.addEventListener("pointerenter", () => lines.append(drawn));
      lines.append(drawn);
    }
    plot.append(lines);
    model.axes.forEach((axis, i) => {
      for (const [label, share] of axis.ticks) {
        const beside = i === 0 || i === model.axes.length - 1;  // between axes: above the lines that leave it
        const spot = {x: at(i) + (i ? beside ? 7 : 4 : -7), y: up(share) + (beside ? 4 : -5)};
        const tick = svg("text", {...spot, class: i ? "tick" : "tick first"});
        tick.textContent = label;
        plot.append(tick);
      }
    });
    root.replaceChildren(plot);
  };
  new ResizeObserver(draw).observe(root);
  model.on(["axes", "lines"], draw);
  draw();
  return root;
}
