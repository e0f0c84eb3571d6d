// IoU difference per class: a bar to the right where A is better, to the left where B is.
export function render({model}) {
  const root = el("div", "sg-gaps");
  const draw = () => fill(root, model.rows, (rows) => {
    if (!rows.length) return [el("p", "muted", "No class has a value in both.")];
    const most = Math.max(...rows.map((row) => Math.abs(row.a - row.b)), 0.02);
    const low = Math.min(0, ...rows.map((row) => row.a - row.b)) / most;
    const high = Math.max(0, ...rows.map((row) => row.a - row.b)) / most;
    const zero = -low / (high - low || 1);
    return rows.map((row) => {
      const gap = row.a - row.b, line = el("div", "gapline");
      const way = el("span", "way"), bar = el("i", gap < 0 ? "b" : "a");
      const wide = Math.abs(gap) / most / (high - low || 1);
      bar.style.left = `${100 * (gap < 0 ? zero - wide : zero)}%`;
      bar.style.width = `${100 * wide}%`;
      const axis = el("u");
      axis.style.left = `${100 * zero}%`;
      way.append(bar, axis);
      line.title = `${row.name}: A ${row.a.toFixed(3)}, B ${row.b.toFixed(3)}`;
      line.append(swatch(row.color), el("span", "clip", row.name), way,
        el("b", Math.abs(gap) < 5e-4 ? "num muted" : gap < 0 ? "num isb" : "num isa", `${gap < 0 ? "−" : "+"}${Math.abs(gap).toFixed(3)}`));
      return line;
    });
  });
  model.on("rows", draw);
  draw();
  return root;
}
