// Every sample as a point, A over B, on a canvas: 20,000 points are drawn in a few milliseconds.
const gap = (row) => (row.a === null || row.b === null ? null : row.a - row.b);

function scaleOf(rows, width, height) {
  let low = 1, high = 0;
  for (const row of rows) {
    if (gap(row) === null) continue;
    low = Math.min(low, row.a, row.b);
    high = Math.max(high, row.a, row.b);
  }
  if (low > high) return null;
  const air = Math.max((high - low) * 0.08, 0.01);
  low = Math.max(0, low - air);
  high = Math.min(1, high + air);
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((size) => (high - low) / size <= 5) ?? 0.5;
  const ticks = [];
  for (let tick = Math.ceil(low / step); tick * step <= high; tick++) ticks.push(tick * step);
  const left = 36, bottom = 20;
  const share = (value) => (value - low) / (high - low);
  return {low, high, ticks, left, digits: step < 0.1 ? 2 : 1,
    x: (value) => left + share(value) * (width - left - 10),
    y: (value) => 6 + (1 - share(value)) * (height - bottom - 12)};
}

// `color` gives the value of a colour of the theme by its name.
function drawScatter(plot, rows, current, color) {
  const width = plot.clientWidth, height = plot.clientHeight;
  const scale = width ? scaleOf(rows, width, height) : null;
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  plot.width = width * ratio;
  plot.height = height * ratio;
  if (!scale) return;
  const context = plot.getContext("2d");
  context.scale(ratio, ratio);
  const muted = color("muted"), paint = [color("a"), color("b")];
  context.font = "12px Roboto, sans-serif";
  context.textBaseline = "middle";
  context.fillStyle = muted;
  context.strokeStyle = color("line");
  for (const tick of scale.ticks) {
    context.beginPath();
    context.moveTo(scale.left, scale.y(tick));
    context.lineTo(width - 6, scale.y(tick));
    context.stroke();
    context.textAlign = "right";
    context.fillText(tick.toFixed(scale.digits), scale.left - 6, scale.y(tick));
    context.textAlign = "center";
    context.fillText(tick.toFixed(scale.digits), scale.x(tick), height - 8);
  }
  context.setLineDash([4, 4]);
  context.strokeStyle = muted;
  context.beginPath();
  context.moveTo(scale.x(scale.low), scale.y(scale.low));
  context.lineTo(scale.x(scale.high), scale.y(scale.high));
  context.stroke();
  context.setLineDash([]);
  context.textAlign = "left";
  context.fillText("A better", scale.left + 8, 12);
  context.textAlign = "right";
  context.fillText("B better", width - 10, height - 30);
  const radius = rows.length > 2000 ? 2 : rows.length > 300 ? 3 : 4.5;
  for (const row of rows) {
    const value = gap(row);
    if (value === null) continue;
    const on = row.key === current;
    context.globalAlpha = on ? 1 : 0.55;
    context.fillStyle = paint[Number(value < 0)];
    context.beginPath();
    context.arc(scale.x(row.b), scale.y(row.a), on ? 6 : radius, 0, 7);
    context.fill();
    if (on) {
      context.strokeStyle = color("text");
      context.lineWidth = 2;
      context.stroke();
    }
  }
}

// The place in `rows` of the point next to a click, -1 where none is near.
function nearestPoint(plot, rows, event) {
  const box = plot.getBoundingClientRect(), scale = scaleOf(rows, box.width, box.height);
  if (!scale) return -1;
  let best = -1, least = 24;
  rows.forEach((row, i) => {
    if (gap(row) === null) return;
    const far = Math.hypot(scale.x(row.b) - event.clientX + box.left, scale.y(row.a) - event.clientY + box.top);
    if (far < least) { best = i; least = far; }
  });
  return best;
}
