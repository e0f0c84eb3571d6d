// A plain table: columns {title, kind}, rows of cells; kind is text, name, file, number or tone.
export function render({model}) {
  const root = el("div", model.stacked ? "sg-rows stacked" : "sg-rows");
  root.tabIndex = 0;  // it scrolls
  const draw = () => fill(root, [model.columns, model.rows], () => {
    if (!model.rows.length) return [];
    const table = el("table");
    const head = el("tr");
    for (const column of model.columns) {
      const cell = el("th", column.kind, column.title);
      cell.scope = "col";
      head.append(cell);
    }
    const body = model.rows.map((row) => {
      const line = el("tr");
      row.forEach((value, i) => {
        const {kind} = model.columns[i];
        const cell = el("td", kind);
        const part = el("span", kind === "tone" ? `pill ${value}` : kind === "file" ? "mono" : "", value);
        if (kind === "file") part.title = value;
        cell.append(part);
        line.append(cell);
      });
      return line;
    });
    table.append(head, ...body);
    return [table];
  });
  model.on(["columns", "rows"], draw);
  draw();
  return root;
}
