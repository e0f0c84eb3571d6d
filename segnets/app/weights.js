// Class weights as bars with their values; mean and deviation of the channels beside them.
export function render({model}) {
  const root = el("div", "sg-weights");
  const draw = () => fill(root, [model.rows, model.mean, model.std], () => {
    const most = Math.max(...model.rows.map((row) => row.value), 1e-9);
    const bars = el("div", "bars");
    for (const row of model.rows) {
      const cell = el("div", "bar");
      const bar = el("i");
      bar.style.height = `${Math.max(2, 64 * row.value / most)}px`;
      bar.style.background = row.color;
      cell.title = `${row.name}: ${row.value.toFixed(3)}`;
      cell.append(el("span", "num muted", row.value.toFixed(1)), bar);
      bars.append(cell);
    }
    if (!model.mean.length) return [bars];
    const table = el("table", "channels");
    for (const [name, values] of [["", ["R", "G", "B"]], ["mean", model.mean], ["std", model.std]]) {
      const line = el("tr");
      line.append(el(name ? "th" : "td", "", name));
      for (const value of values) line.append(el(name ? "td" : "th", "num", name ? value.toFixed(3) : value));
      table.append(line);
    }
    return [bars, table];
  });
  model.on(["rows", "mean", "std"], draw);
  draw();
  return root;
}
