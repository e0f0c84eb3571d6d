// One line of controls, described by a list: title, note, select, segments, button, slider, toggle,
// live, keys, gap, save, png, copy. A change of a value updates its node in place, so that focus and open menus stay.
const makers = {
  title: (item) => {
    const node = el(item.level === 1 ? "h1" : "h2", "title");
    return [node, (now) => { node.textContent = now.text; }];
  },
  note: () => {
    const node = el("span", "note");
    return [node, (now) => { node.textContent = now.text; node.className = `note ${now.tone || ""}`; }];
  },
  live: () => {
    const node = el("span", "chip live");
    const dot = el("i", "dot");
    const text = el("span");
    node.append(dot, text);
    return [node, (now) => { text.textContent = now.text; dot.className = `dot ${now.tone}`; }];
  },
  select: (item, send) => {
    const node = el("label", "chip select");
    const mark = el("span", "swatch");
    const label = el("span", "label", item.label || "");
    const select = el("select");
    select.setAttribute("aria-label", item.aria || item.label || item.key);
    select.onchange = () => send(item.key, select.value);
    node.append(mark, label, select, icon("down", 16));
    return [node, (now) => {
      mark.style.display = now.color ? "" : "none";
      mark.style.background = now.color || "";
      fill(select, now.options, () => now.options.map((option) => {
        const choice = el("option", "", option.label);
        choice.value = option.value;
        return choice;
      }));
      select.value = now.value;
    }];
  },
  segments: (item, send) => {
    const node = el("div", "seg");
    node.setAttribute("role", "group");
    node.setAttribute("aria-label", item.aria || item.key);
    return [node, (now) => fill(node, [now.options, now.value], () => now.options.map((option) => {
      const button = el("button", "", option.label);
      button.type = "button";
      button.setAttribute("aria-pressed", String(option.value === now.value));
      button.onclick = () => send(item.key, option.value);
      return button;
    }))];
  },
  button: (item, send) => {
    const node = el("button", "chip");
    node.type = "button";
    node.onclick = () => send(item.key, true);
    return [node, (now) => { node.textContent = now.text; node.setAttribute("aria-label", now.aria || now.text); }];
  },
  save: (item, send) => {
    const node = el("button", "chip save");
    node.type = "button";
    node.append(icon("save", 16), el("span", "", item.text));
    node.setAttribute("aria-label", item.aria);
    node.title = item.aria;
    node.onclick = () => send(item.key, "save");
    return [node, () => {}];
  },
  png: (item) => {
    const [node] = makers.save(item, () => {});
    let now = item;
    node.onclick = async () => {
      const view = window.Bokeh.index.find_one_by_id(now.figure);
      if (view) save(now.name, await view.export("png").to_blob());
    };
    return [node, (next) => { now = next; }];
  },
  slider: (item, send) => {
    const node = el("label", "slide");
    const range = el("input");
    Object.assign(range, {type: "range", min: item.min, max: item.max, step: item.step});
    const value = el("span", "num");
    node.append(el("span", "muted", item.label), range, value);
    range.oninput = () => { value.textContent = range.value; };
    range.onchange = () => send(item.key, Number(range.value));
    return [node, (now) => { range.value = now.value; value.textContent = now.value; }];
  },
  toggle: (item, send) => {
    const node = el("label", "toggle");
    const box = el("input");
    box.type = "checkbox";
    box.onchange = () => send(item.key, box.checked);
    node.append(box, el("span", "muted", item.label));
    return [node, (now) => { box.checked = now.value; }];
  },
  keys: (item) => {
    const node = el("span", "keys");
    for (const [keys, text] of item.keys) {
      for (const key of keys) node.append(el("kbd", "", key));
      node.append(el("span", "muted", text));
    }
    return [node, () => {}];
  },
  gap: () => [el("span", "gap"), () => {}],
  copy: (item) => {
    const node = el("button", "primary");
    let pins = item.pins;
    // what the page has chosen by itself may be another thing tomorrow: the copy names it
    const pinned = () => {
      const url = new URL(location.href);
      for (const [key, value] of Object.entries(pins)) {
        if (value && !url.searchParams.has(key)) url.searchParams.set(key, value);
      }
      return url.href;
    };
    node.type = "button";
    const text = el("span", "", "Copy link");
    node.append(icon("link", 17), text);
    node.onclick = async () => {
      try {
        await navigator.clipboard.writeText(pinned());
        text.textContent = "Copied";
      } catch {
        text.textContent = "Copy it from the address bar";
      }
      setTimeout(() => { text.textContent = "Copy link"; }, 1800);
    };
    return [node, (now) => { pins = now.pins; }];
  },
};

export function render({model}) {
  const root = el("div", `sg-bar ${model.kind}`);
  let shape = "";
  let updates = [];
  const send = (key, value) => model.send_msg({key, value});
  const draw = () => {
    const now = JSON.stringify(model.items.map((item) => [item.type, item.key, item.keys]));
    if (now !== shape) {
      shape = now;
      const made = model.items.map((item) => makers[item.type](item, send));
      exchange(root, made.map(([node]) => node));
      updates = made.map(([, update]) => update);
    }
    model.items.forEach((item, i) => updates[i](item));
  };
  model.on("items", draw);
  model.on("msg:custom", (data) => save(data.file, new Blob([data.content], {type: "text/csv"})));
  draw();
  return root;
}
