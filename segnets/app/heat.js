// IoU per class of a few trials: one row a trial, one column a class that occurs, green is good.
function shade(value) {
  const hue = 8 + 132 * Math.pow(Math.max(0, Math.min(1, value)), 0.9);
  return `hsl(${hue.toFixed(0)} 62% ${(76 - 10 * value).toFixed(0)}%)`;
}

export function render({model}) {
  const root = el("div", "sg-heat");
  root.tabIndex = 0;  // it scrolls sideways on a telephone
  root.setAttribute("role", "region");
  root.setAttribute("aria-label", "IoU of each class");
  const draw = () => fill(root, [model.rows, model.classes], () => {
    const used = model.classes.map((_, i) => i).filter((i) => model.rows.some((row) => row.values[i] !== null));
    if (!used.length) return [el("p", "muted", model.rows.length ? "No scored epoch yet." : "Tick trials to see their classes.")];
    const table = el("table");
    const head = el("tr");
    head.append(el("td"));
    for (const i of used) {
      const cell = el("th");
      const name = el("span", "", model.classes[i].name);
      cell.append(name, swatch(model.classes[i].color));
      head.append(cell);
    }
    head.append(el("th", "sum"));
    head.lastChild.append(el("span", "", "mIoU"));
    table.append(head);
    for (const row of model.rows) {
      const line = el("tr");
      const who = el("td", "who");
      who.append(swatch(row.color), el("span", "mono", row.label));
      line.append(who);
      for (const i of used) {
        const value = row.values[i];
        const cell = el("td", value === null ? "cell none" : "cell", value === null ? "–" : Math.round(value * 100));
        if (value !== null) cell.style.background = shade(value);
        cell.title = `${model.classes[i].name}: ${value === null ? "no value" : value.toFixed(3)}`;
        line.append(cell);
      }
      line.append(el("td", "cell sum", row.miou === null ? "–" : row.miou.toFixed(3)));
      table.append(line);
    }
    return [table];
  });
  model.on(["rows", "classes"], draw);
  draw();
  return root;
}
