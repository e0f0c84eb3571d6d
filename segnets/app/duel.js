// Two models on one frame: swipe, side by side, blink, who is wrong where; every sample A over B; the
// samples in order of their gap.
//
// Python sends the catalogue, already in order, and on demand the encoded pictures of a sample. What
// the user does with them (the handle, opacity, flipping) is painted here without asking.
const KEEP = 32;           // decoded samples held, fewer of large ones
const LISTED = 200;        // rows of the list; the chart and the keys reach all
const BLINK_MS = 800;
const WAYS = ["swipe", "side", "blink", "difference"];
const WORDS = {swipe: "swipe", side: "side by side", blink: "blink", difference: "difference"};

export function render({model}) {
  const root = el("div", "sg-duel");
  const store = samplesHeld(KEEP);
  let order = [];            // rows of the catalogue as the list has them
  let current = null;
  let split = 0.52;          // where the handle stands, 0 left, 1 right
  let shownB = false;        // which of the two blink shows
  let ticking = null;
  let masked = true;         // false while space is held
  let point = null;
  const narrow = matchMedia("(max-width: 760px)");
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  // -- skeleton
  const stage = el("section", "card stage");
  const head = el("div", "head");
  const picture = el("div", "picture");
  const canvas = el("canvas", "big");
  const tagA = el("span", "tag a"), tagB = el("span", "tag b");
  const handle = el("div", "handle");
  handle.append(el("i", "", "⇆"));
  handle.tabIndex = 0;
  handle.setAttribute("role", "slider");
  handle.setAttribute("aria-label", "share of the picture that shows A");
  handle.setAttribute("aria-valuemin", "0");
  handle.setAttribute("aria-valuemax", "100");
  handle.setAttribute("aria-valuenow", String(Math.round(100 * split)));
  const veil = el("div", "veil");
  picture.append(canvas, tagA, tagB, handle, veil);
  const foot = el("div", "foot");
  const readout = el("div", "readout");
  const controls = el("div", "controls");
  foot.append(readout, controls);
  stage.append(head, picture, foot);
  const below = el("div", "below");
  const where = el("section", "card where");
  const whereHead = el("div", "head");
  whereHead.append(el("h2", "", "Where they differ"));
  const map = el("canvas", "map");
  const key = el("div", "key");
  where.append(whereHead, map, key);
  const every = el("section", "card every");
  const everyHead = el("div", "head");
  const plot = el("canvas", "plot");
  plot.setAttribute("role", "img");
  every.append(everyHead, plot);
  const listed = el("section", "card listed");
  const listHead = el("div", "head");
  const list = el("div", "list");
  listed.append(listHead, list);
  below.append(where, every, listed);
  root.append(stage, below);

  const send = (data) => model.send_msg(data);
  const index = () => order.findIndex((row) => row.key === current);
  const color = (name) => getComputedStyle(root).getPropertyValue(`--sg-${name}`).trim();
  const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;

  const neighbours = () => [1, -1, 2].map((by) => order[index() + by]?.key).filter(Boolean);
  function want(keys) {
    const missing = keys.filter((name) => !store.has(name) && store.due(name));
    if (missing.length) send({type: "want", keys: missing, source: model.source});
  }
  const retry = laterAgain(() => visible(), () => want([current]));
  async function receive(data) {
    if (data.source !== model.source) return;
    if (data.type === "fault") {
      store.failed(data.key);
      if (data.key === current) { veil.textContent = data.sentence; want(neighbours()); retry.start(); }
      return;
    }
    const decoded = await Promise.all([
      data.frame && bitmap(data.frame, "image/webp"),
      ...[data.truth, data.a, data.b].map((bytes) => bytes && channel(bytes, "image/png")),
    ]).catch(() => null);
    if (data.source !== model.source) return;  // another pair was chosen meanwhile
    const [frame, truth, a, b] = decoded ?? [];
    if (!a || !b) {
      if (data.key === current) {
        veil.textContent = decoded ? "One of the two kept no picture of this sample."
          : DAMAGED;
        want(neighbours());
      }
      return;
    }
    store.add(data.key, {frame, truth, a, b, width: a.width, height: a.height}, [current, ...neighbours()]);
    if (data.key === current) { draw(); want(neighbours()); }
  }

  // Lets go of what can be painted again: at 2048x1024 it is 24 MB of a sample's 38.
  function shed(held) {
    for (const mask of [held.masks?.a, held.masks?.b, held.wrong?.canvas]) if (mask) mask.width = 0;
    held.masks = held.wrong = undefined;
  }

  // -- painting
  function mask(held, side) {
    held.masks ??= {};
    if (!held.masks[side]) {
      const table = classTable(model.classes);
      held.masks[side] = painted(held, (i) => table[held[side].data[i]]);
    }
    return held.masks[side];
  }
  function wrong(held) {
    if (!held.truth) return null;
    const numbers = (name) => opaque(...color(name).match(/\w\w/g).map((part) => parseInt(part, 16)));
    const onlyB = numbers("a"), onlyA = numbers("b"), both = numbers("both");
    const t = held.truth.data, a = held.a.data, b = held.b.data;
    if (held.wrong?.dark !== model.dark) {
      const out = painted(held, (i) => {
        if (t[i] === UNLABELLED || (a[i] === t[i] && b[i] === t[i])) return 0;
        return a[i] === t[i] ? onlyB : b[i] === t[i] ? onlyA : both;
      });
      held.wrong = {dark: model.dark, canvas: out};
    }
    return held.wrong.canvas;
  }
  function photo(context, held, x, y, width, height, dim) {
    context.globalAlpha = 1;
    context.filter = dim ? "grayscale(1) brightness(.55)" : "none";
    context.imageSmoothingEnabled = true;
    if (held.frame) context.drawImage(held.frame, x, y, width, height);
    else { context.fillStyle = "#10151d"; context.fillRect(x, y, width, height); }
    context.filter = "none";
  }
  function one(context, held, side, x, y, width, height) {
    photo(context, held, x, y, width, height, side === "difference");
    const over = side === "difference" ? wrong(held) : mask(held, side);
    if (!masked || !over) return;
    context.globalAlpha = side === "difference" ? 0.95 : model.opacity / 100;
    context.imageSmoothingEnabled = false;
    context.drawImage(over, x, y, width, height);
    context.globalAlpha = 1;
  }
  function drawPicture() {
    const held = store.get(current), way = model.way;
    veil.style.display = held ? "none" : "";
    for (const part of [handle, tagA, tagB]) part.style.display = held ? "" : "none";
    canvas.style.visibility = held ? "" : "hidden";
    if (!held) return;
    const beside = way === "side" && !narrow.matches, above = way === "side" && narrow.matches;
    picture.style.aspectRatio = `${held.width * (beside ? 2 : 1)} / ${held.height * (above ? 2 : 1)}`;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.max(64, Math.round(picture.clientWidth * ratio));
    const height = Math.round(width * held.height * (above ? 2 : 1) / (held.width * (beside ? 2 : 1)));
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const context = canvas.getContext("2d");
    const at = Math.round(split * width), gutter = 2 * ratio;
    if (beside) {
      one(context, held, "a", 0, 0, width / 2, height);
      one(context, held, "b", width / 2, 0, width / 2, height);
      context.clearRect(width / 2 - gutter, 0, 2 * gutter, height);
    } else if (above) {
      one(context, held, "a", 0, 0, width, height / 2);
      one(context, held, "b", 0, height / 2, width, height / 2);
      context.clearRect(0, height / 2 - gutter, width, 2 * gutter);
    } else if (way === "swipe") {
      one(context, held, "b", 0, 0, width, height);
      context.save();
      context.beginPath();
      context.rect(0, 0, at, height);
      context.clip();
      one(context, held, "a", 0, 0, width, height);
      context.restore();
    } else one(context, held, way === "blink" ? (shownB ? "b" : "a") : "difference", 0, 0, width, height);
    handle.style.display = way === "swipe" ? "" : "none";
    handle.style.left = `${100 * split}%`;
    handle.setAttribute("aria-valuenow", String(Math.round(100 * split)));
    tagA.style.display = way === "difference" || (way === "blink" && shownB) ? "none" : "";
    tagB.style.display = way === "difference" || (way === "blink" && !shownB) ? "none" : "";
    tagB.className = way === "side" ? (above ? "tag b under" : "tag b half") : "tag b";
    drawReadout();
  }
  function drawMap() {
    const held = store.get(current);
    fill(key, [model.dark, Boolean(held && !held.truth)], () => held && !held.truth
      ? [el("span", "muted", "This sample has no label.")]
      : [["a", "only B wrong"], ["b", "only A wrong"], ["both", "both wrong"]].map(([name, text]) => {
        const part = el("span");
        part.append(swatch(`var(--sg-${name})`), el("span", "muted", text));
        return part;
      }));
    if (!held) { map.style.visibility = "hidden"; return; }
    map.style.visibility = "";
    map.width = held.width;
    map.height = held.height;
    one(map.getContext("2d"), held, "difference", 0, 0, held.width, held.height);
  }
  function drawHead() {
    const i = index(), row = order[i];
    fill(head, [row, i, order.length, model.way, model.labels, model.picked.length], () => {
      if (!row) return [];
      const name = el("b", "mono name", row.name);
      name.title = row.name;
      const words = model.picked.length ? "largest mistake first" : "biggest gap first";
      const seg = el("div", "seg");
      seg.setAttribute("role", "group");
      seg.setAttribute("aria-label", "how the two are shown");
      for (const way of WAYS) {
        const button = el("button", "", WORDS[way]);
        button.type = "button";
        button.setAttribute("aria-pressed", String(way === model.way));
        button.onclick = () => setWay(way);
        seg.append(button);
      }
      const step = (text, by, label) => {
        const button = el("button", "step", text);
        button.type = "button";
        button.setAttribute("aria-label", label);
        button.disabled = !order[i + by];
        button.onclick = () => go(i + by);
        return button;
      };
      const walk = el("span", "walk");
      walk.append(step("←", -1, "sample before"), el("span", "num", `${i + 1} / ${order.length}`), step("→", 1, "next sample"));
      return [name, el("span", "muted wide", words), walk, seg];
    });
    for (const [tag, side] of [[tagA, "a"], [tagB, "b"]]) {
      const score = row && row[side] !== null ? row[side].toFixed(3) : "–";
      tag.textContent = `${side.toUpperCase()} ${model.labels[side] ?? ""}  ${score}`;
    }
  }
  function drawControls() {
    fill(controls, [model.opacity, current, model.way], () => {
      const slide = el("label", "slide");
      const range = el("input");
      Object.assign(range, {type: "range", min: 0, max: 100, step: 1, value: model.opacity});
      range.setAttribute("aria-label", "opacity");
      const value = el("b", "num", `${model.opacity}%`);
      range.oninput = () => { value.textContent = `${range.value}%`; model.opacity = Number(range.value); };
      range.onchange = () => send({type: "opacity", opacity: Number(range.value)});
      slide.append(el("span", "muted", "opacity"), range, value);
      const links = ["a", "b"].map((side) => {
        const button = el("button", "link", `${side.toUpperCase()} in Samples`);
        button.type = "button";
        button.onclick = () => send({type: "open", side, sample: current});
        return button;
      });
      return [slide, ...links];
    });
  }
  function named(id) {
    const row = model.classes[id];
    return [swatch(row ? `rgb(${row.rgb})` : "#000"), el("b", "", row ? row.name : "none")];
  }
  function drawReadout() {
    const held = store.get(current);
    const inside = held && point && point.x >= 0 && point.y >= 0 && point.x < held.width && point.y < held.height;
    fill(readout, [current, inside && point], () => {
      if (!inside) return [el("span", "muted", "point at the picture to read a pixel")];
      const at = point.y * held.width + point.x;
      const parts = [];
      for (const [word, side] of [["A", held.a], ["B", held.b], ["truth", held.truth]]) {
        if (!side) continue;
        const part = el("span");
        part.append(el("span", "muted", word), ...named(side.data[at]));
        parts.push(part);
      }
      return [...parts, el("span", "muted num wide", `x ${point.x}  y ${point.y}`)];
    });
  }
  function drawPlot() {
    fill(everyHead, null, () => [el("h2", "", "Every sample"),
      el("span", "muted", "mIoU of A over B; click a point")]);
    plot.setAttribute("aria-label", `mIoU of A over mIoU of B, ${order.length} samples`);
    drawScatter(plot, order, current, color);
  }
  function drawList() {
    const shown = order.slice(0, LISTED);
    fill(listHead, [model.picked.length, model.mistake, order.length], () => {
      if (!model.mistake) return [el("h2", "", "Biggest gaps"), el("span", "muted", "A − B")];
      const clear = el("button", "link", "show all");
      clear.type = "button";
      clear.onclick = () => send({type: "mistake", mistake: ""});
      const name = el("h2", "", model.mistake);
      name.title = model.mistake;
      return [name, clear];
    });
    fill(list, [shown, current, order.length, model.mistake], () => {
      const most = Math.max(...shown.map((row) => (row.pixels ? Math.max(...row.pixels) : 0)), 1);
      const rows = shown.map((row, i) => {
        const button = el("button", "row");
        button.type = "button";
        button.tabIndex = row.key === current ? 0 : -1;  // one stop of the Tab key; arrows walk
        if (row.key === current) button.setAttribute("aria-current", "true");
        button.title = row.name;
        const value = gap(row);
        const name = el("span", "mono clip start", `\u200e${row.name}`);
        button.append(el("span", "muted num rank", i + 1), name);
        if (row.pixels) {
          const bars = el("span", "pixels");
          row.pixels.forEach((pixels, side) => {
            const bar = el("i", side ? "b" : "a");
            bar.style.width = `${Math.max(100 * pixels / most, pixels ? 2 : 0)}%`;
            bars.append(bar);
          });
          bars.title = `A ${row.pixels[0]} pixels, B ${row.pixels[1]} pixels`;
          button.append(bars);
        } else {
          button.append(el("b", value === null ? "num muted" : value < 0 ? "num isb" : "num isa", value === null ? "–" : signed(value)));
        }
        button.onclick = () => go(i);
        return button;
      });
      if (model.mistake && !model.picked.length) {
        rows.unshift(el("p", "muted", "Not among the eight largest mistakes of any sample; by gap instead:"));
      }
      if (order.length > shown.length) rows.push(el("p", "muted", `and ${order.length - shown.length} more: ← → or the chart`));
      return rows;
    });
    const row = list.querySelector("[aria-current]");
    if (list.contains(list.getRootNode().activeElement)) row?.focus({preventScroll: true});
    if (row && (row.offsetTop < list.scrollTop || row.offsetTop + row.offsetHeight > list.scrollTop + list.clientHeight)) {
      list.scrollTop = row.offsetTop - list.clientHeight / 2;
    }
  }
  function draw() {
    drawHead(); drawPicture(); drawControls(); drawMap(); drawPlot(); drawList();
  }

  // -- moving
  function sort() {
    if (!model.picked.length) { order = [...model.catalog]; return; }
    const rows = new Map(model.catalog.map((row) => [row.key, row]));
    order = model.picked.filter((row) => rows.has(row.key)).map((row) => ({...rows.get(row.key), pixels: [row.a, row.b]}));
  }
  function show(name, tell) {
    if (!order.some((row) => row.key === name)) name = order[0]?.key ?? null;
    if (name !== current) {
      const left = store.get(current);
      if (left) shed(left);
      current = name;
      point = null;
      veil.textContent = "loading …";
    }
    if (current !== null) {
      const held = store.touch(current);
      want([current]);
      if (held) want(neighbours());  // else they follow its answer
      if (tell) send({type: "show", sample: current});
    }
    draw();
  }
  function go(i) { if (order[i]) show(order[i].key, true); }
  function setWay(way) { model.way = way; send({type: "way", way}); }
  function tickBlink() {
    clearInterval(ticking);
    ticking = null;
    if (model.way === "blink" && !still.matches) ticking = setInterval(() => { if (visible()) flip(); }, BLINK_MS);
  }
  function flip() { shownB = !shownB; drawPicture(); }
  function slideTo(share) { split = Math.min(1, Math.max(0, share)); drawPicture(); }
  const visible = () => root.checkVisibility();  // a page that is not open has a size too
  const pointer = pointerWatch();
  function keydown(event) {
    const target = event.composedPath()[0];
    pointer.keyed(event);
    if (!visible() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (target instanceof HTMLSelectElement || target instanceof HTMLInputElement) return;
    if (target === handle && event.key.startsWith("Arrow")) {
      event.preventDefault();
      slideTo(split + (event.key === "ArrowLeft" || event.key === "ArrowDown" ? -0.05 : 0.05));
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      event.preventDefault();
      go(index() + (event.key === "ArrowRight" ? 1 : -1));
    } else if (/^[1-4]$/.test(event.key)) setWay(WAYS[Number(event.key) - 1]);
    else if (event.key === "f") {
      if (model.way !== "blink") setWay("blink");
      clearInterval(ticking);
      flip();
    } else if (event.key === " " && (pointer.used() || !(target instanceof HTMLButtonElement))) {
      event.preventDefault();
      if (masked) { masked = false; drawPicture(); }
    }
  }
  function keyup(event) {
    if (event.key === " " && !masked) { event.preventDefault(); masked = true; drawPicture(); }
  }
  let dragging = false;
  function move(event) {
    const held = store.get(current), box = canvas.getBoundingClientRect();
    if (!held || !box.width) return;
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    if (dragging && model.way === "swipe") slideTo(x);
    const beside = model.way === "side" && !narrow.matches, above = model.way === "side" && narrow.matches;
    point = {x: Math.floor((beside ? (2 * x) % 1 : x) * held.width), y: Math.floor((above ? (2 * y) % 1 : y) * held.height)};
    drawReadout();
  }
  picture.addEventListener("pointerdown", (event) => {
    dragging = true;
    try { picture.setPointerCapture(event.pointerId); } catch { /* the pointer has gone */ }
    move(event);
  });
  picture.addEventListener("pointermove", move);
  for (const name of ["pointerup", "pointercancel"]) picture.addEventListener(name, () => { dragging = false; });
  picture.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") { point = null; drawReadout(); } });
  plot.addEventListener("click", (event) => {
    const i = nearestPoint(plot, order, event);
    if (i >= 0) go(i);
  });
  document.addEventListener("keydown", keydown);
  document.addEventListener("keyup", keyup);
  const resized = new ResizeObserver(() => { drawPicture(); drawPlot(); });
  resized.observe(root);
  const again = () => setTimeout(draw, 60);  // when the colours of the other theme are there
  model.on("msg:custom", receive);
  // Source, catalogue and picked samples come together: drawn once, when all are there. Another pair
  // keeps the sample; another mistake goes to where it is largest.
  let waiting = null, asked = false, source = model.source, mistake = model.mistake;
  function restart() {
    waiting ??= setTimeout(() => {
      waiting = null;
      const other = source !== model.source, chosen = mistake !== model.mistake && model.picked.length > 0;
      if (other) store.clear();
      source = model.source;
      mistake = model.mistake;
      sort();
      if (chosen && !other && order.length) show(order[0].key, true);
      else show(other || asked ? model.sample[0] : current ?? model.sample[0], false);
      asked = false;
    }, 0);
  }
  function wish() {  // Python's: nothing that was told from here comes back
    const [name] = model.sample;
    if (waiting !== null) asked = true;
    else if (!name || order.some((row) => row.key === name)) show(name, false);
    else if (current !== null) send({type: "show", sample: current});  // it is not among these
  }
  model.on(["source", "catalog", "picked", "mistake"], restart);
  model.on("sample", wish);
  model.on("labels", drawHead);
  model.on("way", () => { shownB = false; tickBlink(); drawHead(); drawPicture(); });
  model.on("opacity", drawPicture);
  model.on("dark", again);
  model.on("remove", () => {
    clearInterval(ticking);
    clearTimeout(waiting);
    retry.stop();
    resized.disconnect();
    pointer.stop();
    document.removeEventListener("keydown", keydown);
    document.removeEventListener("keyup", keyup);
  });
  sort();
  tickBlink();
  show(model.sample[0], false);
  return root;
}
