// The log of the opened trial: entries with their seals, what happened in words, what to do next.
function moment(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const date = new Date(1000 * seconds), today = new Date();
  const time = date.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false});
  if (date.toDateString() === today.toDateString()) return time;
  return `${date.toLocaleDateString([], {day: "numeric", month: "short"})} ${time}`;
}
const COLUMNS = [["slot", "num"], ["time", ""], ["event", ""], ["epoch", "num"], ["step", "num"], ["seal", ""],
  ["mIoU", "num"], ["attempt", "num"], ["sha256", ""], ["writer", ""]];

export function render({model}) {
  const root = el("div", "sg-log");
  const entries = el("section", "card entries"), said = el("section", "card said"), next = el("section", "card next");
  root.append(entries, said, next);

  const head = (title, note) => {
    const line = el("div", "head");
    line.append(el("h2", "", title), el("span", "muted clip", note));
    return line;
  };
  const cell = (text, cls) => el("td", cls, text);
  const entry = (row) => {
    const line = el("tr", row.sealed ? "" : "torn");
    if (!row.sealed) {
      const what = cell("", "");
      what.append(el("span", "pill failed", "torn"));
      line.append(cell(row.seq, "num"), cell("–", ""), what, cell("–", "num"), cell("–", "num"), cell("no seal", "bad"),
        cell("–", "num"), cell("–", "num"), cell("–", "mono"), cell("–", "mono"));
      return line;
    }
    const what = cell("", "what");
    what.append(el("span", `pill ${row.event}`, row.event));
    for (const tag of row.tags) what.append(el("span", tag === "resumed from" ? "pill running" : "pill", tag));
    line.append(cell(row.seq, "num"), cell(moment(row.time), "mono time"), what, cell(row.epoch, "num"), cell(row.step, "num"),
      cell("✓ sealed", "good"), cell(row.miou === null ? "–" : row.miou.toFixed(3), "num"), cell(row.attempt, "num"),
      cell(row.sha || "–", "mono muted"), cell(row.writer, "mono muted"));
    if (row.notes.length) line.title = row.notes.join("\n");
    return line;
  };

  const drawEntries = () => fill(entries, [model.title, model.fault, model.rows, model.reading, model.total, model.attempts], () => {
    const more = model.total > model.rows.length ? `the newest ${model.rows.length} of ${model.total} entries` : `${model.rows.length} entries`;
    const counts = model.rows.length ? `${more} · ${model.attempts} attempt${model.attempts === 1 ? "" : "s"}` : "";
    const parts = [head(`Log of ${model.title}`, counts)];
    if (model.fault) parts.push(el("p", "warn", model.fault));
    else if (model.reading) parts.push(el("p", "muted", "reading the log …"));
    else if (!model.rows.length) parts.push(el("p", "muted", "No entry yet: nobody has claimed this trial."));
    if (!model.rows.length) return parts;
    const box = el("div", "scroll");
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", "entries of the log");
    const table = el("table"), top = el("tr");
    for (const [name, cls] of COLUMNS) { const th = el("th", cls, name); th.scope = "col"; top.append(th); }
    table.append(top, ...model.rows.map(entry));
    box.append(table);
    return [...parts, box];
  });
  const drawSaid = () => fill(said, [model.title, model.story], () => {
    const parts = [head("What happened", model.title)];
    const list = el("ol", "story");
    for (const one of model.story) {
      const line = el("li");
      line.append(el("span", "mono muted", moment(one.time)), el("span", one.tone, one.text));
      list.append(line);
    }
    return [...parts, model.story.length ? list : el("p", "muted", model.reading ? "reading the log …" : "Nothing yet.")];
  });
  const drawNext = () => fill(next, [model.title, model.status, model.advice, model.commands], () => {
    const top = el("div", "head");
    top.append(el("h2", "", "What next"));
    if (model.status) top.append(el("span", `pill ${model.status}`, model.status));
    const parts = [top, el("p", model.advice[1], model.advice[0])];
    for (const [label, command] of model.commands) {
      if (label) parts.push(el("p", "muted", label));
      parts.push(el("code", "mono", command));
    }
    return parts;
  });
  const draw = () => { drawEntries(); drawSaid(); drawNext(); };
  model.on(["title", "status", "fault", "attempts", "rows", "total", "story", "reading", "advice", "commands"], draw);
  draw();
  return root;
}
