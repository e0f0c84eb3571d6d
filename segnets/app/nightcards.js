// Shares of the classes against training and over the nights, frames that failed, and the run's facts.
function percent(value) {
  if (value === null) return "–";
  return `${(100 * value).toFixed(value < 0.0995 ? 2 : 1)}%`;
}
function spark(values) {
  const known = values.filter((value) => value !== null);
  const plot = svg("svg", {class: "spark", viewBox: "0 0 60 18", "aria-hidden": "true"});
  if (known.length < 2) return plot;
  const high = Math.max(...known, 1e-9);
  const points = known.map((value, i) => `${(2 + 56 * i / (known.length - 1)).toFixed(1)},${(16 - 14 * value / high).toFixed(1)}`);
  plot.append(svg("polyline", {points: points.join(" ")}));
  return plot;
}

function ratio(row) {
  if (row.share === null || row.training === null) return "–";
  return row.never ? "never" : row.ratio === null ? "rare" : `×${row.ratio.toFixed(1)}`;
}

export function render({model}) {
  const root = el("div", "sg-nightcards");
  const shares = el("section", "card shares"), failed = el("section", "card failed"), facts = el("section", "card facts");
  root.append(shares, failed, facts);
  const head = (title, note) => {
    const line = el("div", "head");
    line.append(el("h2", "", title), el("span", "muted", note));
    return line;
  };
  const draw = () => {
    fill(shares, model.shares, () => {
      const parts = [head("Share of pixels", "bar: this night; mark: training; line: all nights")];
      if (!model.shares.length) return [...parts, el("p", "muted", "No share is known.")];
      const most = Math.max(...model.shares.map((row) => Math.max(row.share ?? 0, row.training ?? 0)), 1e-9);
      // square root: otherwise the road is a bar and all the others are nothing
      const long = (value) => 100 * Math.sqrt(value / most);
      const grid = el("div", "grid");
      for (const row of model.shares) {
        const track = el("span", "way");
        const bar = el("i", row.far ? "bar far" : "bar");
        bar.style.width = `${long(row.share ?? 0)}%`;
        track.append(bar);
        if (row.training) {
          const mark = el("i", "known");
          mark.style.left = `${long(row.training)}%`;
          track.append(mark);
        }
        const line = el("div", "share");
        line.title = `${row.name}: ${percent(row.share)} this night, ${percent(row.training)} in training`;
        line.append(swatch(row.color), el("span", "clip", row.name), track, el("b", "num", percent(row.share)),
          el("span", row.far ? "warn num" : "muted num", ratio(row)), spark(row.nights));
        grid.append(line);
      }
      const far = model.shares.filter((row) => row.far);
      const named = far.slice(0, 3).map((row) => `${row.name} ×${row.ratio.toFixed(1)}`).join(", ");
      const more = far.length > 3 ? ` and ${far.length - 3} more classes` : "";
      const say = far.length ? el("p", "warn", `${named}${more}: look before you trust this night.`)
        : model.shares.every((row) => row.training === null) ? el("p", "muted", "The training set is not in this store: nothing to compare with.")
        : model.shares.every((row) => row.share === null) ? el("p", "muted", "No new frame to compare.")
        : el("p", "good", "No class is far from its share in training.");
      return [...parts, say, grid];
    });
    fill(failed, model.failed, () => {
      const parts = [head("Failed", String(model.failed.length))];
      if (!model.failed.length) return [...parts, el("p", "good", "Every frame of this night could be read.")];
      const list = el("ul", "");
      for (const row of model.failed.slice(0, 200)) {
        const line = el("li");
        line.append(el("span", "mono", row.name), el("span", "muted", row.why));
        list.append(line);
      }
      if (model.failed.length > 200) list.append(el("li", "muted", `and ${model.failed.length - 200} more`));
      return [...parts, list];
    });
    fill(facts, model.facts, () => {
      const list = el("dl", "");
      for (const [name, value] of model.facts) list.append(el("dt", "muted", name), el("dd", name === "why it" ? "" : "mono", value));
      return [head("Where it comes from", ""), list];
    });
  };
  model.on(["shares", "failed", "facts"], draw);
  draw();
  return root;
}
