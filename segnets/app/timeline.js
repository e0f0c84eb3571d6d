// The timeline: one lane a trial. Python says from when to when each bar reaches and where the dots
// are; here they are placed, and times are written in the reader's own zone. A lane is a button.
const STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 31536000];
const LEGEND = [["good", "done"], ["live", "running"], ["idle", "ended earlier, or stopped"], ["warn", "died, or silent"], ["bad", "failed"]];

function clock(seconds, step) {
  const date = new Date(1000 * seconds);
  if (step >= 86400) return date.toLocaleDateString([], {day: "numeric", month: "short"});
  return date.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", hour12: false, ...(step < 60 ? {second: "2-digit"} : {})});
}

export function render({model}) {
  const root = el("div", "sg-timeline");
  const list = el("div", "lanes");
  list.setAttribute("role", "group");
  list.setAttribute("aria-label", "Trials over time; Enter opens the log");
  const axis = el("div", "axis");
  axis.setAttribute("aria-hidden", "true");
  const legend = el("div", "legend");
  for (const [tone, word] of LEGEND) {
    const item = el("span", "muted");
    item.append(el("i", `key ${tone}`), document.createTextNode(word));
    legend.append(item);
  }
  root.append(list, axis, legend);

  const draw = () => {
    const [from, to] = model.span;
    if (!(to > from)) return;
    const room = Math.max(120, axis.clientWidth);
    // a little air on the right, so that the word "now" has room
    const end = to + 0.02 * (to - from);
    const at = (seconds) => 100 * Math.min(1, Math.max(0, (seconds - from) / (end - from)));
    const place = (node, a, b) => { node.style.left = `${at(a)}%`; node.style.width = `${Math.max(0, at(b) - at(a))}%`; return node; };
    const step = STEPS.find((one) => (end - from) / one <= room / 90) ?? STEPS.at(-1);
    const shift = 60 * new Date(1000 * from).getTimezoneOffset();
    const ticks = [];
    for (let t = Math.ceil((from - shift) / step) * step + shift; t <= end; t += step) ticks.push(t);
    fill(axis, [ticks, from, end, model.now, room], () => {
      const marks = ticks.map((t) => {
        const mark = el("span", "tick", clock(t, step));
        mark.style.left = `${at(t)}%`;
        return mark;
      });
      if (model.now <= end) {
        const now = el("span", "tick now", `now ${clock(model.now, 60)}`);
        now.style.left = `${at(model.now)}%`;
        return [...marks.filter((_, i) => Math.abs(at(ticks[i]) - at(model.now)) > 9000 / room), now];
      }
      return marks;
    });
    fill(list, [model.lanes, model.opened, ticks, from, end, model.now, room], () => model.lanes.map((lane) => {
      const row = el("button", "lane");
      row.type = "button";
      row.setAttribute("aria-pressed", String(lane.id === model.opened));
      row.setAttribute("aria-label", `${lane.name} ${lane.sub}, ${lane.status}`);
      row.title = lane.id;
      const who = el("span", "who");
      who.append(el("b", "clip", lane.name), el("small", "muted clip", lane.sub));
      const track = el("span", "way");
      for (const t of ticks) { const line = el("i", "rule"); line.style.left = `${at(t)}%`; track.append(line); }
      if (model.now <= end) { const line = el("i", "rule now"); line.style.left = `${at(model.now)}%`; track.append(line); }
      for (const gap of lane.gaps) track.append(place(el("i", `gap ${gap.tone}`), gap.from, gap.to));
      for (const bar of lane.bars) {
        if (bar.to < from) continue;
        const node = place(el("i", `bar ${bar.tone}`), bar.from, bar.to);
        node.title = bar.title;
        track.append(node);
        let last = -1;
        for (const t of bar.dots) {
          const x = at(t) * room / 100;
          if (t < from || x - last < 5) continue;  // dots that touch say no more than one
          last = x;
          const dot = el("i", `dot ${bar.tone}`);
          dot.style.left = `${at(t)}%`;
          track.append(dot);
        }
      }
      let free = Infinity;
      for (const gap of lane.gaps.toReversed()) {
        if (gap.to < from) continue;
        // the newest is told; two labels on one place can be read by nobody, and the log has both
        const wide = 6.4 * gap.text.length, x = Math.min(at(gap.to) * room / 100, Math.max(0, room - wide));
        if (x + wide > free) continue;
        free = x;
        const label = el("small", `said ${gap.tone}`, gap.text);
        label.style.left = `${x}px`;
        track.append(label);
      }
      for (const mark of lane.marks) {
        if (mark.at < from) continue;
        const node = el("i", `mark ${mark.kind}`, mark.kind === "stop" ? "" : "×");
        node.style.left = `${at(mark.at)}%`;
        track.append(node);
      }
      if (lane.text) track.append(el("small", "muted none", lane.text));
      row.append(who, track);
      row.onclick = () => model.send_msg({trial: lane.id});
      return row;
    }));
  };
  list.addEventListener("keydown", (event) => {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    const rows = [...list.children], here = rows.indexOf(list.getRootNode().activeElement);
    if (!step || here < 0 || !rows[here + step]) return;
    event.preventDefault();
    rows[here + step].focus();
  });
  const resized = new ResizeObserver(draw);
  resized.observe(root);
  model.on(["lanes", "span", "now", "opened"], draw);
  model.on("remove", () => resized.disconnect());
  draw();
  return root;
}
