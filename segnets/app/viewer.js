// The Samples page: worst-first list, strip of frames, the picture with its layers, scores, legend.
//
// Python sends the catalogue (one small row a sample) and, on demand, encoded pictures by message.
// Decoding, colouring, opacity, hiding of classes and the readout happen here, so a move of the mouse
// or of a slider waits for nobody (pixels.js).
const KEEP = 48;            // decoded samples held, fewer of large ones
const ROW = 58;             // height of a row of the list, px
const LABELS = {frame: "frame", truth: "truth", prediction: "prediction", errors: "errors", confidence: "confidence"};

function tone(value) {
  return value === null ? "none" : value < 0.4 ? "bad" : value < 0.65 ? "warn" : "good";
}

function barColor(value) {
  return `var(--sg-bar-${{bad: "bad", warn: "warn", good: "good", none: "bad"}[tone(value)]})`;
}

export function render({model}) {
  const root = el("div", model.plain ? "sg-viewer plain" : model.layers.length > 2 ? "sg-viewer" : "sg-viewer short");
  const store = samplesHeld(KEEP);
  const thumbs = new Map();   // key -> small canvas
  const hidden = new Set(model.hidden[0]);
  let order = [];             // catalogue rows as the list shows them
  let current = null;         // key of the sample on show
  let frameIndex = -1;        // which frame of the strip; -1: the labelled one
  let masked = true;          // false while space is held
  let point = null;           // pixel under the cursor
  let playing = null;

  // -- skeleton
  const side = el("section", "card side");
  const sideHead = el("div", "head");
  const sideCount = el("span", "muted right num");
  const words = model.words;
  sideHead.append(el("h2", "", words.title), el("span", "muted clip", words.by), sideCount);
  const list = el("div", "list");
  list.tabIndex = 0;
  list.setAttribute("aria-label", "Samples");
  const inner = el("div", "inner");
  list.append(inner);
  side.append(sideHead, list);

  const stage = el("section", "card stage");
  const stageHead = el("div", "head");
  const strip = el("div", "strip");
  const controls = el("div", "controls");
  const picture = el("div", "picture");
  const canvas = el("canvas", "big");
  const tip = el("div", "tip");
  const cross = el("i", "cross");
  const veil = el("div", "veil", "");
  picture.append(canvas, cross, tip, veil);
  const readout = el("div", "readout");
  const layerRow = el("div", "layers");
  const miniHead = el("div", "minihead muted");
  const miniText = el("span"), miniMedian = el("span", "right");
  miniHead.append(miniText, miniMedian);
  const mini = el("canvas", "mini");
  const walk = el("div", "walk");
  stage.append(stageHead, strip, controls, picture, readout, layerRow, miniHead, mini);

  const facts = el("div", "facts");
  const scores = el("section", "card scores");
  scores.tabIndex = 0;  // it scrolls where many classes have a score
  scores.setAttribute("aria-label", "Scores");
  const legend = el("section", "card legend");
  facts.append(scores, legend);
  root.append(side, stage, facts, walk);

  // -- asking
  // What one act of somebody asks for and says goes to Python as one message.
  const outgoing = [];
  const send = (data) => {
    if (!outgoing.length) queueMicrotask(() => model.send_msg({batch: outgoing.splice(0)}));
    outgoing.push(data);
  };
  const retry = laterAgain(() => visible(), () => want([current], store.has(current)));
  const early = new Map();  // pasts that came before their samples
  let settled = null;  // the sample whose answer has come, whatever it was
  const want = (keys, withPast = true) => {
    // the picture that somebody waits for comes first: neighbours and list follow its answer
    if (settled !== current && !store.has(current) && keys.some((key) => key !== current)) return;
    const missing = keys.filter((key) => !store.has(key) && store.due(key));
    const hasPast = (held) => held && (held.past || held.steps <= 1);
    const past = withPast ? keys.filter((key) => !hasPast(store.get(key)) && store.due(`${key} past`)) : [];
    if (missing.length || past.length) send({type: "want", keys: missing, past, source: model.source});
  };
  const index = () => order.findIndex((row) => row.key === current);
  const neighbours = () => {
    const i = index();
    return [1, -1, 2, -2].map((step) => order[i + step]?.key).filter(Boolean);
  };
  const near = () => [current, ...neighbours()];

  async function receive(data) {
    if (data.source !== model.source) return;
    const settle = () => {
      if (data.key !== current || settled === current) return;
      settled = current;
      want(neighbours());
      drawList();
    };
    if (data.type === "fault") {
      store.failed(data.key);
      store.failed(`${data.key} past`);
      if (data.key === current) { veil.textContent = data.sentence; retry.start(); }
      settle();
      return;
    }
    if (data.type !== "sample") return;
    if (!("frame" in data)) {  // the past of a sample that is here, or still being read or decoded
      const held = store.get(data.key);
      if (held) held.past = data.past;
      else early.set(data.key, data.past);
      if (data.key === current) unpack(held);
      return;
    }
    const decoded = await Promise.all([
      data.frame && bitmap(data.frame, "image/webp"),
      data.truth && channel(data.truth, "image/png"),
      data.prediction && channel(data.prediction, "image/png"),
      data.confidence && channel(data.confidence, "image/webp"),
    ]).catch(() => null);
    if (data.source !== model.source) return;  // another model was chosen meanwhile
    const [frame, truth, prediction, confidence] = decoded ?? [];
    const size = prediction || truth || frame;
    if (!size) {
      early.delete(data.key);
      if (data.key === current) {
        veil.textContent = decoded ? "This sample has no pictures in the store."
          : DAMAGED;
      }
      settle();
      return;
    }
    const held = {frames: [frame || null], truth, prediction, confidence, width: size.width, height: size.height,
      iou: data.iou, confusions: data.confusions, labelled: data.labelled, steps: data.steps,
      miou: data.miou, accuracy: data.accuracy, past: data.past ?? early.get(data.key), mask: {}};
    early.delete(data.key);
    store.add(data.key, held, near());
    makeThumb(data.key, held);
    if (!near().includes(data.key)) shed(held);
    if (data.key === current) {
      drawAll();
      unpack(held);
      want([current]);
      settle();
    } else drawList();
  }

  // The frames before the labelled one, decoded only for the sample on show: they are the larger part.
  async function unpack(held) {
    if (!held?.past || held.frames.length > 1) return;
    const decode = (bytes) => bytes && bitmap(bytes, "image/webp").catch(() => null);
    const past = await Promise.all(held.past.map(decode));
    if (store.get(current) !== held || held.frames.length > 1) {
      past.forEach((photo) => photo?.close());
      return;
    }
    held.frames = [...past, held.frames.at(-1)];
    drawStrip();
  }

  // Lets go of what can be painted or decoded again: at 2048x1024 it is 50 MB of a sample's 70.
  function shed(held) {
    for (const mask of Object.values(held.mask)) mask.canvas.width = 0;
    held.mask = {};
    for (const photo of held.frames.splice(0, held.frames.length - 1)) photo?.close();
  }

  // -- painting
  function paintMask(held, layer) {
    const name = `${layer} ${[...hidden].sort().join()}`;
    if (held.mask[layer]?.name !== name) held.mask[layer] = {name, canvas: painted(held, pixelOf(held, layer))};
    return held.mask[layer].canvas;
  }
  function pixelOf({truth, prediction, confidence, width, height}, layer) {
    const table = classTable(model.classes, hidden);
    const t = truth?.data, p = prediction?.data;
    if (layer === "truth") return (i) => table[t[i]];
    if (layer === "prediction") return (i) => table[p[i]];
    if (layer === "errors") {
      const red = opaque(255, 64, 64), dim = opaque(14, 18, 26, 205), none = opaque(0, 0, 0, 235);
      return (i) => (t[i] === UNLABELLED ? none : t[i] === p[i] || hidden.has(t[i]) ? dim : red);
    }
    const {width: w, height: h, data} = confidence;
    return (i) => {
      const x = i % width, y = (i / width) | 0;
      const v = data[Math.min(h - 1, (y * h / height) | 0) * w + Math.min(w - 1, (x * w / width) | 0)];
      return opaque(v, v, v);
    };
  }
  function has(held, layer) {
    return {frame: held.frames.at(-1), truth: held.truth, prediction: held.prediction,
      errors: held.truth && held.prediction, confidence: held.confidence}[layer];
  }
  function compose(target, held, layer, opacity, frame) {
    const context = target.getContext("2d");
    context.globalAlpha = 1;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = "high";
    context.fillStyle = "#000";
    context.fillRect(0, 0, target.width, target.height);
    const photo = held.frames.at(frame) || held.frames.at(-1);
    if (photo) context.drawImage(photo, 0, 0, target.width, target.height);
    if (layer === "frame" || !has(held, layer)) return;
    context.globalAlpha = opacity;
    context.imageSmoothingEnabled = target.width < held.width;
    context.drawImage(paintMask(held, layer), 0, 0, target.width, target.height);
    context.globalAlpha = 1;
  }
  function makeThumb(key, held) {
    const thumb = canvasOf(152, Math.round(152 * held.height / held.width));
    compose(thumb, held, held.prediction ? "prediction" : "truth", 0.5, -1);
    thumbs.set(key, thumb);
    if (thumbs.size > 600) thumbs.delete(thumbs.keys().next().value);
  }
  function drawPicture() {
    const held = store.get(current);
    veil.style.display = held ? "none" : "";
    canvas.style.visibility = held ? "" : "hidden";
    if (!held) return;
    picture.style.aspectRatio = `${held.width} / ${held.height}`;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.max(held.width, Math.round((canvas.clientWidth || held.width) * ratio));
    const height = Math.round(width * held.height / held.width);
    if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
    const now = frameIndex === -1 && masked;
    compose(canvas, held, now ? model.layer : "frame", model.opacity / 100, frameIndex);
    drawReadout();
  }

  // -- parts
  function sortRows() {
    const byName = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0);
    const none = (row) => row.miou === null;
    const rows = [...model.catalog];
    if (model.plain) { order = rows; return; }
    if (model.order === "name") rows.sort(byName);
    else rows.sort((a, b) => (model.order === "worst" && Boolean(b.flag) - Boolean(a.flag)) || none(a) - none(b) || (model.order === "best" ? b.miou - a.miou : a.miou - b.miou) || byName(a, b));
    order = rows;
  }
  function drawHead() {
    const held = store.get(current), i = index(), row = order[i];
    sideCount.textContent = order.length ? `${i + 1} / ${order.length}` : "";
    fill(stageHead, [row, current, Boolean(held)], () => {
      if (!row) return [];
      const name = el("b", "mono name", row.name);
      name.title = row.name;
      const right = el("span", "right sums");
      if (row.miou !== null) {
        right.append(el("span", "muted", words.score), el("b", `large ${tone(row.miou)}`, row.miou.toFixed(3)));
      }
      if (row.accuracy !== null) {
        right.append(el("span", "muted wide", "pixels right"), el("b", "large wide", `${(100 * row.accuracy).toFixed(1)}%`));
      }
      if (row.flag) right.prepend(el("span", "warn", row.flag));
      return [name, el("span", "muted wide", [row.city, row.split, held && `${held.width}×${held.height}`].filter(Boolean).join(" · ")), right];
    });
    fill(walk, [i, order.length], () => {
      const make = (text, step) => {
        const button = el("button", "card", text);
        button.type = "button";
        button.disabled = !order[i + step];
        button.onclick = () => go(i + step);
        return button;
      };
      const words = {worst: ["← worse", "better →"], best: ["← better", "worse →"], name: ["← before", "next →"]}[model.order];
      return [make(words[0], -1), el("span", "card num", `${i + 1} / ${order.length}`), make(words[1], 1)];
    });
  }
  function drawStrip() {
    const held = store.get(current);
    const frames = held ? held.frames : [];
    const steps = held?.steps || frames.length || 4;
    strip.style.display = steps > 1 && (model.plain || model.layers.length > 2) ? "" : "none";  // one frame is the picture itself
    fill(strip, [current, frames.map(Boolean), steps, frameIndex], () => Array.from({length: steps}, (_, i) => {
      const cell = el("button", "shot");
      cell.type = "button";
      const back = steps - 1 - i;
      const photo = frames.length === steps ? frames[i] : back === 0 ? frames.at(-1) : null;
      if (photo) {
        const view = canvasOf(220, Math.round(220 * held.height / held.width));
        view.getContext("2d").drawImage(photo, 0, 0, view.width, view.height);
        cell.append(view);
      } else cell.append(el("span", "blank"));
      const on = frameIndex === -1 ? back === 0 : frames.length + frameIndex === i;
      cell.setAttribute("aria-pressed", String(on));
      cell.append(el("span", "when", back ? `t−${back}` : held?.labelled ? "t · labelled" : "t"));
      cell.onclick = () => { stopPlay(); frameIndex = back === 0 ? -1 : -1 - back; drawStrip(); drawPicture(); };
      return cell;
    }));
  }
  function stopPlay() { clearInterval(playing); playing = null; }
  function play() {
    const held = store.get(current);
    if (playing || !held || held.frames.length < 2) { stopPlay(); frameIndex = -1; drawStrip(); drawControls(); drawPicture(); return; }
    let at = 0;
    playing = setInterval(() => {
      const now = store.get(current);
      if (!now || now.frames.length < 2 || !visible()) { stopPlay(); drawControls(); return; }
      const step = at++ % (now.frames.length + 1);  // the labelled frame stays twice as long
      frameIndex = step >= now.frames.length - 1 ? -1 : step - now.frames.length;
      drawStrip();
      drawPicture();
    }, 260);
    drawControls();
  }
  // The slider stays where it is, whatever is drawn on its sides: somebody may be dragging it.
  const slide = el("label", "slide");
  const range = el("input");
  const percent = el("b", "num");
  Object.assign(range, {type: "range", min: 0, max: 100, step: 1});
  range.setAttribute("aria-label", "opacity");
  range.oninput = () => { model.opacity = Number(range.value); };
  range.onchange = () => send({type: "opacity", opacity: Number(range.value)});
  slide.append(el("span", "muted", "opacity"), range, percent);
  const choice = el("span", "beside"), acts = el("span", "beside");
  controls.append(choice, slide, acts);
  function drawOpacity() {
    range.value = model.opacity;
    percent.textContent = `${model.opacity}%`;
  }
  function drawControls() {
    const held = store.get(current);
    drawOpacity();
    fill(choice, [model.layer, model.layers.map((name) => Boolean(held && has(held, name)))], () => {
      const seg = el("div", "seg");
      seg.setAttribute("role", "group");
      seg.setAttribute("aria-label", "layer");
      for (const name of model.layers) {
        const button = el("button", "", LABELS[name]);
        button.type = "button";
        button.setAttribute("aria-pressed", String(name === model.layer));
        button.disabled = Boolean(held) && !has(held, name);
        button.onclick = () => setLayer(name);
        seg.append(button);
      }
      return [seg];
    });
    fill(acts, [Boolean(playing), Boolean(held), strip.style.display], () => {
      const run = el("button", "play");
      run.type = "button";
      run.append(icon(playing ? "pause" : "play", 16), el("span", "", playing ? "stop" : "play"));
      run.onclick = play;
      const take = el("button", "play");
      take.type = "button";
      take.append(icon("save", 16), el("span", "", "PNG"));
      take.setAttribute("aria-label", "save the picture as PNG");
      take.title = "save the picture as PNG";
      take.disabled = !held;
      take.onclick = () => canvas.toBlob((blob) => save(`${current}_${model.layer}.png`, blob));
      return strip.style.display ? [take] : [run, take];
    });
  }
  function drawLayers() {
    const held = store.get(current);
    fill(layerRow, [current, Boolean(held), [...hidden], model.layer], () => model.layers.length <= 2 ? [] : model.layers.slice(1).map((name) => {
      const cell = el("button", "small");
      cell.type = "button";
      cell.setAttribute("aria-pressed", String(name === model.layer));
      let text = LABELS[name];
      if (held && name === "errors" && held.accuracy !== null) text += ` · ${(100 - 100 * held.accuracy).toFixed(1)}% of pixels`;
      cell.append(el("span", "muted", text));
      if (held && has(held, name)) {
        const view = canvasOf(Math.min(held.width, 448), Math.round(Math.min(held.width, 448) * held.height / held.width));
        const context = view.getContext("2d");
        context.fillStyle = "#10151d";
        context.fillRect(0, 0, view.width, view.height);
        context.imageSmoothingEnabled = false;
        context.drawImage(paintMask(held, name), 0, 0, view.width, view.height);
        cell.append(view);
        cell.onclick = () => setLayer(name);
      } else {
        cell.append(el("span", "blank", held ? "none" : ""));
        cell.disabled = true;
      }
      return cell;
    }));
  }
  let layersDue = 0;
  function layersSoon() {  // once the large picture stands: four masks of 2048x1024 take longer than it
    clearTimeout(layersDue);
    layersDue = setTimeout(() => requestAnimationFrame(() => { drawLayers(); paintAhead(neighbours().slice(0, 2)); }));
  }
  function paintAhead(keys) {  // one at a time: a step that comes meanwhile waits for no other
    clearTimeout(layersDue);
    if (!keys.length) return;
    layersDue = setTimeout(() => {
      const held = store.get(keys[0]);
      if (held && model.layer !== "frame" && has(held, model.layer)) paintMask(held, model.layer);
      paintAhead(keys.slice(1));
    });
  }
  function drawScores() {
    const held = store.get(current);
    fill(scores, [current, Boolean(held)], () => {
      const head = el("div", "head");
      head.append(el("h2", "", words.scores), el("span", "muted", words.order));
      if (!held) return [head];
      const rows = held.iou.map((value, id) => ({id, value})).filter((row) => row.value !== null).sort((a, b) => words.shares ? b.value - a.value : a.value - b.value);
      const parts = [head];
      for (const {id, value} of rows) {
        const line = el("div", "iou");
        const track = el("span", "track");
        const fillBar = el("i");
        fillBar.style.width = `${100 * value}%`;
        if (!words.shares) fillBar.style.background = barColor(value);
        track.append(fillBar);
        line.append(swatch(`rgb(${model.classes[id].rgb})`), el("span", "clip", model.classes[id].name), track, el("b", "num", words.shares ? `${(100 * value).toFixed(1)}` : value.toFixed(2)));
        parts.push(line);
      }
      const absent = held.iou.length - rows.length;
      if (!rows.length) parts.push(el("p", "muted", held.labelled ? "No class has a value here." : words.none));
      else if (absent && !words.shares) parts.push(el("p", "muted", `${absent === 1 ? "One class does" : `${absent} classes do`} not occur here: no value, not counted.`));
      if (held.confusions.length) {
        parts.push(el("h2", "second", "Most confused here"));
        for (const row of held.confusions.slice(0, 6)) {
          const line = el("div", "confused");
          line.append(...className(row.truth), el("span", "muted", " read as "), ...className(row.predicted), el("b", "num right", `${(100 * row.share).toFixed(1)}%`));
          parts.push(line);
        }
      }
      return parts;
    });
  }
  function className(id) {
    const row = model.classes[id];
    return [swatch(row ? `rgb(${row.rgb})` : "#000"), el("span", "clip", row ? row.name : "none")];
  }
  function drawLegend() {
    const held = store.get(current);
    const seen = held ? held.seen ??= idsIn(held.truth, held.prediction) : new Set();
    fill(legend, [current, Boolean(held), [...hidden]], () => {
      const head = el("div", "head");
      head.append(el("h2", "", "Classes"), el("span", "muted clip", model.plain ? "click hides" : "click hides, twice isolates"));
      const grid = el("div", "classes");
      [...model.classes.keys(), UNLABELLED].forEach((id) => {
        const button = el("button", seen.has(id) || !held ? "" : "absent");
        button.type = "button";
        button.setAttribute("aria-pressed", String(!hidden.has(id)));
        button.append(swatch(id === UNLABELLED ? "#000" : `rgb(${model.classes[id].rgb})`),
          el("span", "", id === UNLABELLED ? "unlabelled" : model.classes[id].name));
        button.onclick = (event) => {
          if (event.detail > 1) return;
          if (hidden.has(id)) hidden.delete(id); else hidden.add(id);
          tellHidden();
        };
        button.ondblclick = () => {
          const all = [...model.classes.keys(), UNLABELLED].filter((other) => other !== id);
          const isolated = all.every((other) => hidden.has(other));
          hidden.clear();
          if (!isolated) all.forEach((other) => hidden.add(other));
          tellHidden();
        };
        grid.append(button);
      });
      return [head, grid];
    });
  }
  function redraw() { drawPicture(); drawLayers(); drawLegend(); }
  function tellHidden() {
    redraw();
    send({type: "hidden", hidden: [...hidden].sort((a, b) => a - b)});
  }
  function drawList() {
    inner.style.height = `${order.length * ROW}px`;
    if (!list.clientHeight) return;
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 2);
    const last = Math.min(order.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 2);
    const rows = order.slice(first, last);
    const missing = rows.map((row) => row.key).filter((key) => !thumbs.has(key));
    if (missing.length) want(missing.slice(0, 24), false);
    fill(inner, [first, rows, current, rows.map((row) => thumbs.has(row.key))], () => rows.map((row, i) => {
      const button = el("button", "row");
      button.type = "button";
      button.tabIndex = -1;
      button.style.top = `${(first + i) * ROW}px`;
      if (row.key === current) button.setAttribute("aria-current", "true");
      const shown = thumbs.get(row.key);
      const view = el("canvas", row.flag ? "thumb flagged" : "thumb");
      if (shown) { view.width = shown.width; view.height = shown.height; view.getContext("2d").drawImage(shown, 0, 0); }
      const text = el("span", "text");
      const top = el("span", "top");
      if (model.plain) top.append(el("b", "", row.split));
      else top.append(el("b", tone(row.miou), row.miou === null ? "–" : row.miou.toFixed(3)));
      top.append(el("span", "muted", `#${first + i + 1}`));
      const name = el("span", "mono muted clip", row.name.length > 9 ? `…${row.name.slice(-8)}` : row.name);
      const track = el("span", "track");
      const bar = el("i");
      bar.style.width = `${100 * (row.miou ?? 0)}%`;
      bar.style.background = barColor(row.miou);
      track.append(bar);
      text.append(top, name, track);
      button.title = row.flag ? `${row.name}: ${row.flag}` : row.name;
      button.append(view, text);
      button.onclick = () => { list.focus({preventScroll: true}); go(first + i); };  // rows come and go
      return button;
    }));
  }
  function drawMini() {
    const width = mini.clientWidth, height = mini.clientHeight;
    if (!width) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    mini.width = width * ratio;
    mini.height = height * ratio;
    const context = mini.getContext("2d");
    context.scale(ratio, ratio);
    const style = getComputedStyle(root);
    const paint = {bad: style.getPropertyValue("--sg-bar-bad"), warn: style.getPropertyValue("--sg-bar-warn"),
      good: style.getPropertyValue("--sg-bar-good"), none: style.getPropertyValue("--sg-track")};
    const step = width / Math.max(order.length, 1), i = index();
    const gap = step > 4 ? Math.min(3, step * 0.2) : 0;
    const bar = Math.min(step - gap, 40);
    order.forEach((row, at) => {
      context.globalAlpha = at === i ? 1 : 0.55;
      context.fillStyle = paint[tone(row.miou)];
      const tall = Math.max(2, (row.miou ?? 1) * (height - 2));
      context.beginPath();
      context.roundRect(at * step, height - tall, Math.max(bar, 0.6), tall, bar > 6 ? [3, 3, 0, 0] : 0);
      context.fill();
      if (at === i) {
        context.strokeStyle = style.getPropertyValue("--sg-text");
        context.lineWidth = 1.5;
        context.stroke();
      }
    });
    const scored = order.map((row) => row.miou).filter((value) => value !== null).sort((a, b) => a - b);
    const words = {worst: "worst to best", best: "best to worst", name: "by name"}[model.order];
    miniText.textContent = `all ${order.length} samples, ${words} · click to jump`;
    miniMedian.textContent = scored.length ? `median ${scored[scored.length >> 1].toFixed(3)}` : "";
  }
  function drawReadout() {
    const held = store.get(current);
    const inside = held && point && point.x >= 0 && point.y >= 0 && point.x < held.width && point.y < held.height;
    tip.style.display = cross.style.display = inside ? "" : "none";
    if (!inside) { fill(readout, null, () => [el("span", "muted", "touch the picture to read a pixel")]); return; }
    const at = point.y * held.width + point.x;
    const lines = [];
    if (held.prediction) {
      const line = el("div", "line");
      line.append(el("span", "muted", "predicted "), ...named(held.prediction.data[at]));
      if (held.confidence) {
        const {width: w, height: h, data} = held.confidence;
        const v = data[Math.min(h - 1, (point.y * h / held.height) | 0) * w + Math.min(w - 1, (point.x * w / held.width) | 0)] / 255;
        line.append(el("b", tone(v), v.toFixed(2)));
      }
      lines.push(line);
    }
    if (held.truth) {
      const line = el("div", "line");
      line.append(el("span", "muted", "truth "), ...named(held.truth.data[at]));
      lines.push(line);
    }
    lines.push(el("div", "line muted num", `x ${point.x}  y ${point.y}  of ${held.width}×${held.height}`));
    tip.replaceChildren(...lines);
    readout._print = undefined;
    readout.replaceChildren(...lines.map((line) => line.cloneNode(true)));
    const box = canvas.getBoundingClientRect();
    const x = (point.x + 0.5) / held.width * box.width, y = (point.y + 0.5) / held.height * box.height;
    cross.style.transform = `translate(${x}px, ${y}px)`;
    const left = x > box.width - 230 ? x - 16 - tip.offsetWidth : x + 16;
    const top = y > box.height - 90 ? y - tip.offsetHeight - 12 : y + 14;
    tip.style.transform = `translate(${Math.max(0, left)}px, ${Math.max(0, top)}px)`;
  }
  function named(id) {
    const row = model.classes[id];
    return [swatch(row ? `rgb(${row.rgb})` : "#000"), el("b", "", row ? row.name : "unlabelled")];
  }
  function drawAll() {
    drawHead(); drawStrip(); drawControls(); drawPicture(); layersSoon(); drawScores(); drawLegend(); drawList(); drawMini();
  }

  // -- moving
  function show(key, tell) {
    if (!model.catalog.some((row) => row.key === key)) key = order[0]?.key ?? null;
    if (key !== current) {
      const left = current;
      current = key;
      const kept = near();  // a neighbour's mask is what comes next
      for (const [other, held] of store.entries()) if (other === left || !kept.includes(other)) shed(held);
      frameIndex = -1;
      point = null;
      veil.textContent = "loading …";
    }
    if (current === null) { drawAll(); return; }
    const held = store.touch(current);
    want([current], Boolean(held));  // what nobody has loaded comes without its past first
    unpack(held);
    want(neighbours());
    const i = index();
    if (list.clientHeight && (i * ROW < list.scrollTop || (i + 1) * ROW > list.scrollTop + list.clientHeight)) {
      list.scrollTop = Math.max(0, i * ROW - list.clientHeight / 2);
    }
    drawAll();
    if (tell) send({type: "show", sample: current});
  }
  function go(i) { if (order[i]) show(order[i].key, true); }
  function setLayer(layer) { model.layer = layer; stopPlay(); frameIndex = -1; send({type: "layer", layer}); drawControls(); drawStrip(); drawLayers(); drawPicture(); }
  const visible = () => root.checkVisibility();  // a page that is not open has a size too
  const pointer = pointerWatch();
  function keydown(event) {
    const target = event.composedPath()[0];
    pointer.keyed(event);
    if (!visible() || (model.plain && !event.composedPath().includes(root))) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target instanceof HTMLSelectElement || (target instanceof HTMLInputElement && target.type !== "range")) return;
    if (target instanceof HTMLInputElement && event.key.startsWith("Arrow")) return;
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1}[event.key];
    if (step) { event.preventDefault(); go(index() + step); }
    else if (model.layers[Number(event.key) - 1] && event.key !== " ") setLayer(model.layers[Number(event.key) - 1]);
    else if (event.key === " ") { if (target instanceof HTMLButtonElement && !pointer.used()) return; event.preventDefault(); if (masked) { masked = false; drawPicture(); } }
    else if (event.key === "Home") { event.preventDefault(); go(0); }
    else if (event.key === "End") { event.preventDefault(); go(order.length - 1); }
    else return;
  }
  function keyup(event) {
    if (event.key === " " && !masked) { event.preventDefault(); masked = true; drawPicture(); }
  }
  function move(event) {
    const held = store.get(current), box = canvas.getBoundingClientRect();
    if (!held || !box.width) return;
    point = {x: Math.floor((event.clientX - box.left) / box.width * held.width), y: Math.floor((event.clientY - box.top) / box.height * held.height)};
    drawReadout();
  }
  picture.addEventListener("pointermove", move);
  picture.addEventListener("pointerdown", move);
  picture.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") { point = null; drawReadout(); } });
  list.addEventListener("scroll", () => requestAnimationFrame(drawList));
  mini.addEventListener("click", (event) => {
    const box = mini.getBoundingClientRect();
    go(Math.min(order.length - 1, Math.floor((event.clientX - box.left) / box.width * order.length)));
  });
  document.addEventListener("keydown", keydown);
  document.addEventListener("keyup", keyup);
  const resized = new ResizeObserver(() => { drawPicture(); drawList(); drawMini(); });
  resized.observe(root);

  let waiting = null, asked = false;
  function restart() {  // source, catalogue and the sample that is asked for come together
    waiting ??= setTimeout(() => {
      waiting = null;
      store.clear();
      early.clear();
      thumbs.clear();
      stopPlay();
      sortRows();
      const key = asked ? model.sample[0] : current ?? model.sample[0];
      current = settled = null;
      asked = false;
      list.scrollTop = 0;
      show(key, false);
    }, 0);
  }
  function wish() {  // Python's: nothing that was told from here comes back
    const [key] = model.sample;
    if (waiting !== null) asked = true;
    else if (!key || model.catalog.some((row) => row.key === key)) show(key, false);
    else if (current !== null) send({type: "show", sample: current});  // it is not among these
  }
  model.on("msg:custom", receive);
  model.on(["source", "catalog"], restart);
  model.on("order", () => { sortRows(); show(current, false); list.scrollTop = Math.max(0, index() * ROW - list.clientHeight / 2); drawList(); });
  model.on("sample", wish);
  model.on("layer", () => { drawControls(); drawLayers(); drawPicture(); });
  model.on("opacity", () => { drawOpacity(); drawPicture(); });
  model.on("hidden", () => {
    hidden.clear();
    model.hidden[0].forEach((id) => hidden.add(id));
    redraw();
  });
  model.on("dark", () => setTimeout(drawMini, 60));
  model.on("remove", () => {
    stopPlay();
    clearTimeout(waiting);
    retry.stop();
    resized.disconnect();
    pointer.stop();
    document.removeEventListener("keydown", keydown);
    document.removeEventListener("keyup", keyup);
  });
  sortRows();
  show(model.sample[0], false);
  return root;
}
