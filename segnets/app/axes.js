// What matters: one vertical axis a setting or score, one line a trial. Python places the points
// (0 bottom, 1 top); here they are drawn, and a stretch of an axis is chosen: by the pointer, or on the
// axis' title with the arrow keys (with Shift the upper end; Escape frees it). Hovering a line brings it
// to the front.
const HEIGHT = 194, TOP = 35, BOTTOM = 15, REACH = 18, STEP = 5;

export function render({model}) {
  const root = el("div", "sg-axes");
  let lines = model.lines, dragged = null;
  const chosen = () => new Map(model.brush.map(([key, low, high]) => [key, [low, high]]));
  const tell = (key, range) => {
    const now = chosen();
    now.delete(key);
    if (range) now.set(key, range);
    model.brush = [...now].map(([name, [low, high]]) => [name, low, high]);  // at once: keys come fast
    model.send_msg({brush: model.brush});
  };
  const draw = () => {
    const width = root.clientWidth, axes = model.axes;
    if (!width || axes.length < 2) { root.replaceChildren(); return; }
    const left = 64, right = 60, tall = HEIGHT - TOP - BOTTOM;
    const at = (i) => left + i * (width - left - right) / (axes.length - 1);
    const near = at(1) - at(0) < 66;  // of a long title, in pixels
    const up = (share) => TOP + (1 - share) * tall;
    const brush = chosen();
    const ranges = axes.map((axis) => dragged?.key === axis.key ? dragged.range : brush.get(axis.key));
    const inside = (shares) => ranges.every((range, i) => !range
      || (shares[i] !== null && 100 * shares[i] >= range[0] - 0.5 && 100 * shares[i] <= range[1] + 0.5));
    const plot = svg("svg", {width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "group"});
    plot.setAttribute("aria-label", "settings and scores of the trials");
    const drawn = svg("g");
    const order = lines.map((line) => ({...line, inside: inside(line.shares)}))
      .sort((a, b) => a.inside - b.inside || Boolean(a.color) - Boolean(b.color));
    for (const line of order) {
      let path = "", before = null;
      line.shares.forEach((share, i) => {
        if (share === null) { before = null; return; }
        const x = at(i), y = up(share);
        path += before ? `C${(before[0] + x) / 2} ${before[1]} ${(before[0] + x) / 2} ${y} ${x} ${y}` : `M${x} ${y}`;
        before = [x, y];
      });
      const one = svg("path", {d: path, class: `line${line.color ? " on" : ""}${line.inside ? "" : " out"}`});
      if (line.color) one.style.stroke = line.color;
      const name = svg("title");
      name.textContent = line.name;
      one.append(name);
      one.addEventListener("pointerenter", () => { if (!dragged) drawn.append(one); });
      drawn.append(one);
    }
    axes.forEach((axis, i) => {
      plot.append(svg("line", {x1: at(i), x2: at(i), y1: up(0), y2: up(1), class: "axis"}));
      const title = svg("text", {x: at(i), y: 14, class: near ? "title near" : "title", tabindex: 0, role: "slider"});
      const range = ranges[i];
      title.textContent = axis.title;
      title.setAttribute("aria-label", `${axis.title}: choose a range with the arrow keys`);
      title.setAttribute("aria-valuemin", "0");
      title.setAttribute("aria-valuemax", "100");
      title.setAttribute("aria-valuenow", String(range ? range[0] : 0));
      title.setAttribute("aria-valuetext", range ? `from ${range[0]} to ${range[1]} percent of its height` : "all");
      title.addEventListener("keydown", (event) => walk(event, axis.key, range));
      plot.append(title);
      if (range) plot.append(svg("rect", {x: at(i) - 7, width: 14, y: up(range[1] / 100), height: Math.max(2, (range[1] - range[0]) / 100 * tall), rx: 4, class: "brush"}));
    });
    plot.append(drawn);
    axes.forEach((axis, i) => {
      for (const [label, share] of axis.ticks) {
        const beside = i === 0 || i === axes.length - 1;  // between axes: above the lines that leave it
        const spot = {x: at(i) + (i ? 9 : -9), y: up(share) + (beside ? 4 : -5)};
        const tick = svg("text", {...spot, class: i ? "tick" : "tick first"});
        tick.textContent = label;
        plot.append(tick);
      }
    });
    plot.addEventListener("pointerdown", (event) => {
      const box = plot.getBoundingClientRect(), x = event.clientX - box.left;
      const i = axes.findIndex((_, j) => Math.abs(x - at(j)) <= REACH);
      if (i < 0 || event.button) return;
      const share = (y) => Math.round(Math.min(100, Math.max(0, 100 * (1 - (y - box.top - TOP) / tall))));
      const start = share(event.clientY);
      if (event.clientY - box.top < TOP - 12) return;  // its title
      event.preventDefault();
      const move = (now) => {
        const end = share(now.clientY);
        dragged = {key: axes[i].key, range: [Math.min(start, end), Math.max(start, end)]};
        draw();
      };
      const end = (now) => {
        window.removeEventListener("pointermove", move);
        window.removeEventListener("pointerup", end);
        window.removeEventListener("pointercancel", end);
        const range = dragged?.range;
        dragged = null;
        tell(axes[i].key, now.type === "pointerup" && range && range[1] - range[0] >= 2 ? range : null);
        draw();
      };
      window.addEventListener("pointermove", move);
      window.addEventListener("pointerup", end);
      window.addEventListener("pointercancel", end);
    });
    exchange(root, [plot]);
  };
  function walk(event, key, range) {
    const [low, high] = range ?? [0, 100], by = {ArrowUp: STEP, ArrowDown: -STEP}[event.key];
    if (event.key === "Escape" && range) tell(key, null);
    else if (!by) return;
    else if (event.shiftKey) tell(key, [low, Math.min(100, Math.max(low + STEP, high + by))]);
    else tell(key, [Math.max(0, Math.min(high - STEP, low + by)), high]);
    event.preventDefault();
    event.stopPropagation();
  }
  new ResizeObserver(draw).observe(root);
  model.on(["axes", "brush"], draw);
  model.on("lines", () => { lines = model.lines; draw(); });
  model.on("msg:custom", ({moved}) => {  // those that are new, in place
    lines = [...lines];
    for (const [i, line] of moved) lines[i] = line;
    if (!dragged) draw();
  });
  draw();
  return root;
}
