// Pictures of a store in the browser, for each component that shows them. Class ids come as grey PNG
// and must be decoded without colour conversion and premultiplication: then the red channel is the id
// exactly.
const UNLABELLED = 255;

async function bitmap(bytes, type) {
  const options = {colorSpaceConversion: "none", premultiplyAlpha: "none"};
  return createImageBitmap(new Blob([bytes], {type}), options);
}

function canvasOf(width, height) {
  const node = document.createElement("canvas");
  node.width = width;
  node.height = height;
  return node;
}

// The red channel of an encoded picture: class ids of a grey PNG, or confidence of a WebP.
async function channel(bytes, type) {
  const image = await bitmap(bytes, type);
  const context = canvasOf(image.width, image.height).getContext("2d", {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  const rgba = context.getImageData(0, 0, image.width, image.height).data;
  const out = new Uint8Array(image.width * image.height);
  for (let i = 0; i < out.length; i++) out[i] = rgba[4 * i];
  const size = {width: image.width, height: image.height, data: out};
  image.close();
  return size;
}

const DAMAGED = "A picture of this sample is damaged; verify names it: python -m segnets.store verify URL";

// The ids that occur in these channels; two megapixels take 4 ms, through an array of all 100.
function idsIn(...channels) {
  const seen = new Uint8Array(256);
  for (const channel of channels) if (channel) for (const id of channel.data) seen[id] = 1;
  return new Set([...seen.keys()].filter((id) => seen[id]));
}

// A colour as canvas memory has it.
const opaque = (r, g, b, a = 255) => ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;

// The colour of each class id; what is hidden is transparent, unlabelled is black.
function classTable(classes, hidden = new Set()) {
  const table = new Uint32Array(256);
  classes.forEach(({rgb}, id) => { table[id] = hidden.has(id) ? 0 : opaque(...rgb); });
  table[UNLABELLED] = hidden.has(UNLABELLED) ? 0 : opaque(0, 0, 0);
  return table;
}

// A canvas of this size whose pixel i has the colour pixel(i).
function painted({width, height}, pixel) {
  const out = canvasOf(width, height);
  const context = out.getContext("2d");
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = pixel(i);
  context.putImageData(image, 0, 0);
  return out;
}

// The decoded samples that a component holds, the most recent last, and what it has asked for: not
// twice within this time, unless a fault was the answer. A decoded pixel takes 7 bytes (frame, ids,
// confidence), so all together stay near 250 MB.
const ASKED_MS = 8000, AGAIN_MS = 5000;
const HELD_PX = 36e6, FEWEST = 8;

function samplesHeld(keep) {
  const held = new Map(), asked = new Map();
  return {
    get: (key) => held.get(key),
    has: (key) => held.has(key),
    entries: () => held.entries(),
    // Those that are near, the one on show and its neighbours, make room for none.
    add(key, sample, near) {
      held.delete(key);
      held.set(key, sample);
      const room = Math.min(keep, Math.max(FEWEST, Math.floor(HELD_PX / (sample.width * sample.height))));
      for (const old of held.keys()) {
        if (held.size <= room) break;
        if (near.includes(old)) continue;
        held.delete(old);
        asked.delete(old);  // it may be asked for again
        asked.delete(`${old} past`);
      }
    },
    touch(key) {
      const sample = held.get(key);
      if (sample) { held.delete(key); held.set(key, sample); }
      return sample;
    },
    // Whether this may be asked now; then it counts as asked.
    due(mark) {
      const now = performance.now();
      if (now - (asked.get(mark) ?? -Infinity) < ASKED_MS) return false;
      asked.set(mark, now);
      return true;
    },
    failed: (mark) => asked.delete(mark),
    clear() { held.clear(); asked.clear(); },
  };
}

// Asks once more after a while, as long as the pictures are in sight: a store that was away comes back.
function laterAgain(visible, ask) {
  let timer = null;
  const start = () => {
    clearTimeout(timer);
    timer = setTimeout(() => { if (visible()) ask(); else start(); }, AGAIN_MS);
  };
  return {start, stop: () => clearTimeout(timer)};
}

// Whether the mouse was used last: after a click of it, space hides the mask and presses no button.
function pointerWatch() {
  let used = false;
  const down = () => { used = true; };
  document.addEventListener("pointerdown", down);
  return {
    used: () => used,
    keyed: (event) => { if (event.key === "Tab") used = false; },
    stop: () => document.removeEventListener("pointerdown", down),
  };
}
