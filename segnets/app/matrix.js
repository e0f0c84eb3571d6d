// Confusion of A, of B, or the difference: a row is a true class, its shares by predicted class. A cell
// off the diagonal opens the samples where this mistake is largest. One stop of the Tab key; arrows move.
const NONE = 19;

export function render({model}) {
  const root = el("div", "sg-matrix");
  let focus = null;
  const percent = (value) => Math.round(100 * Math.abs(value));
  function value(truth, predicted) {
    const a = model.a[truth]?.[predicted] ?? null, b = model.b[truth]?.[predicted] ?? null;
    if (model.side === "a") return a;
    if (model.side === "b") return b;
    return a === null || b === null ? null : a - b;
  }
  function paint(cell, share, same) {
    if (percent(share) < 1) return;
    const strong = Math.min(1, Math.abs(share) ** 0.6 * (model.side === "gap" ? 1.6 : 1));
    // in a difference the colour says who is better: A with more on the diagonal or fewer mistakes
    const better = (share > 0) === same ? "a" : "b";
    const hue = model.side === "gap" ? better : same ? "a" : "bar-bad";
    const full = same && model.side !== "gap" && strong > 0.62;
    cell.style.background = full ? "var(--sg-a-strong)" : `color-mix(in srgb, var(--sg-${hue}) ${Math.round(12 + 50 * strong)}%, var(--sg-paper))`;
    cell.style.color = full ? "#fff" : "var(--sg-text)";
  }
  const draw = () => fill(root, [model.a, model.b, model.side, model.mistake], () => {
    const known = model.side === "b" ? model.b : model.a;
    const rows = model.classes.map((_, i) => i).filter((i) => known[i]?.some((share) => share !== null));
    if (!rows.length) return [el("p", "muted", "This evaluation kept no confusion counts.")];
    const columns = [...model.classes.keys(), NONE].filter((i) => rows.includes(i) || rows.some((t) => percent(value(t, i) ?? 0) >= 1));
    const table = el("table");
    const title = (truth, predicted) => {
      const to = model.classes[predicted]?.name ?? "none of the classes";
      const number = (share) => (share === null || share === undefined ? "–" : `${(100 * share).toFixed(1)} %`);
      return `${model.classes[truth].name} read as ${to}: A ${number(model.a[truth]?.[predicted])}, B ${number(model.b[truth]?.[predicted])}`;
    };
    for (const truth of rows) {
      const line = el("tr");
      const name = el("th", "", model.classes[truth].name);
      name.scope = "row";
      line.append(name);
      for (const predicted of columns) {
        const cell = el("td"), same = truth === predicted, share = value(truth, predicted) ?? 0;
        const says = percent(share) < 1 ? "" : `${share < 0 ? "−" : ""}${percent(share)}`;
        const spot = el(same ? "span" : "button", says.length > 2 ? "cell long" : "cell", says);
        paint(spot, share, same);
        spot.title = title(truth, predicted);
        if (!same) {
          spot.type = "button";
          spot.tabIndex = -1;
          spot.dataset.at = `${truth}-${predicted}`;
          spot.setAttribute("aria-label", spot.title);
          spot.setAttribute("aria-pressed", String(model.mistake === spot.dataset.at));
          spot.onclick = () => model.send_msg({type: "mistake", mistake: model.mistake === spot.dataset.at ? "" : spot.dataset.at});
        }
        cell.append(spot);
        line.append(cell);
      }
      table.append(line);
    }
    const foot = el("tr");
    foot.append(el("td"));
    for (const predicted of columns) {
      const cell = el("td", "foot"), row = model.classes[predicted];
      const mark = swatch(row ? row.color : "#000");
      mark.title = row?.name ?? "none of the classes";
      cell.append(mark);
      foot.append(cell);
    }
    table.append(foot);
    const first = table.querySelector(`[data-at="${focus ?? model.mistake}"]`) ?? table.querySelector("button");
    if (first) first.tabIndex = 0;
    return [table, el("p", "muted", "Click a cell: the samples where this mistake is largest.")];
  });
  root.addEventListener("keydown", (event) => {
    const from = event.target, by = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]}[event.key];
    if (!by || !from.dataset?.at) return;
    event.preventDefault();
    event.stopPropagation();  // arrows also walk through the samples
    const cells = [...root.querySelectorAll("tr")].map((row) => [...row.querySelectorAll(".cell")]);
    let y = cells.findIndex((row) => row.includes(from)), x = cells[y].indexOf(from);
    do { y += by[0]; x += by[1]; } while (cells[y]?.[x] && !cells[y][x].dataset.at);
    const to = cells[y]?.[x];
    if (!to) return;
    from.tabIndex = -1;
    to.tabIndex = 0;
    focus = to.dataset.at;
    to.focus();
  });
  model.on(["a", "b", "side", "mistake"], draw);
  draw();
  return root;
}
