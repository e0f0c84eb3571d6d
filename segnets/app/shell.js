// The navigation (left on a wide screen, at the bottom on a narrow one) and the address bar: a page that
// somebody goes to is a new entry of the history, everything else replaces the present one, and Back
// goes to Python.
function logo() {
  const colors = ["#4682b4", "#4682b4", "#464646", "#6b8e23", "#00008e", "#464646", "#804080", "#804080", "#f423e8"];
  const node = svg("svg", {viewBox: "0 0 28 28", width: 28, height: 28, "aria-hidden": "true"});
  colors.forEach((fill, i) => node.append(svg("rect", {
    x: 1 + 9 * (i % 3), y: 1 + 9 * Math.floor(i / 3), width: 8, height: 8, rx: 2, fill})));
  return node;
}

export function render({model}) {
  const nav = el("nav", "nav");
  nav.setAttribute("aria-label", "Pages");
  const brand = el("div", "brand");
  brand.append(logo(), el("b", "", "segnets"));
  const list = el("div", "list");
  const foot = el("div", "foot");
  const store = el("div", "fact mono-ish");
  const storeText = el("span", "clip");
  store.append(icon("store", 16), storeText);
  const looked = el("div", "fact");
  const lookedText = el("span");
  looked.append(icon("lock", 16), lookedText);
  const theme = el("button", "fact theme");
  theme.type = "button";
  foot.append(store, looked, theme);
  nav.append(brand, list, foot);

  let seen = performance.now();
  const drawPages = () => fill(list, [model.pages, model.page, model.dark], () => {
    const buttons = model.pages.map((page) => {
      const button = el("button", "page");
      button.type = "button";
      if (page.id === model.page) button.setAttribute("aria-current", "page");
      button.append(icon(page.icon, 20), el("span", "long", page.label), el("span", "short", page.short));
      if (page.count !== "") button.append(el("span", "count", page.count));
      button.onclick = () => model.send_msg({type: "page", page: page.id});
      return button;
    });
    const last = el("button", "page last");
    last.type = "button";
    last.append(icon(model.dark ? "sun" : "moon", 20), el("span", "short", model.dark ? "Light" : "Dark"));
    last.onclick = toggle;
    return [...buttons, last];
  });
  const drawFoot = () => {
    storeText.textContent = `\u200e${model.store}`;
    store.title = model.store;
    const age = Math.max(0, Math.round((performance.now() - seen) / 1000));
    lookedText.textContent = model.away ? "read-only · store is away"
      : model.looked ? `read-only · seen ${age} s ago` : "read-only · looking …";
    looked.classList.toggle("warn", model.away);
    fill(theme, model.dark, () => [icon(model.dark ? "sun" : "moon", 16),
      el("span", "", model.dark ? "Light theme" : "Dark theme")]);
  };
  function toggle() {
    const dark = !model.dark;
    try { localStorage.setItem("segnets-theme", dark ? "dark" : "light"); } catch { /* private window */ }
    model.send_msg({type: "theme", dark});
  }
  theme.onclick = toggle;

  // Python counts the entries. Where the page came from Back there is none to add: the answer may find
  // the browser an entry further, and the next answer corrects what this one writes there.
  let entries = model.entries;
  const address = () => {
    const method = model.entries > entries ? "pushState" : "replaceState";
    entries = model.entries;
    if (!model.search || model.search === location.search) return;
    history[method](history.state, "", location.pathname + model.search);
  };
  let due = null;
  const addressSoon = () => {  // address and count come together
    due ??= setTimeout(() => { due = null; address(); });
  };
  const back = () => model.send_msg({type: "address", search: location.search.slice(0, 2000)});
  const narrow = matchMedia("(max-width: 760px)");
  const tellWidth = () => model.send_msg({type: "narrow", narrow: narrow.matches});
  // Said until it is answered: only then the connection is known to work in both directions, and
  // Python's clock for this tab starts (a page that curl fetches has none).
  const hello = () => {
    if (model.greeted) { clearInterval(greeting); return; }
    let wanted = null;
    try { wanted = localStorage.getItem("segnets-theme"); } catch { /* private window */ }
    wanted ??= matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    model.send_msg({type: "hello", dark: wanted === "dark", narrow: narrow.matches});
  };
  const greeting = setInterval(hello, 1500);

  model.on(["search", "entries"], addressSoon);
  model.on(["pages", "page"], drawPages);
  const paint = () => {
    document.documentElement.classList.toggle("sg-dark", model.dark);
    document.documentElement.classList.toggle("sg-light", !model.dark);
  };
  model.on("dark", () => { paint(); drawPages(); drawFoot(); });
  model.on(["store", "away"], drawFoot);
  model.on("looked", () => { seen = performance.now(); drawFoot(); });
  addEventListener("popstate", back);
  narrow.addEventListener("change", tellWidth);
  const timer = setInterval(drawFoot, 1000);
  model.on("remove", () => {
    clearInterval(timer);
    clearInterval(greeting);
    clearTimeout(due);
    removeEventListener("popstate", back);
    narrow.removeEventListener("change", tellWidth);
  });
  drawPages();
  drawFoot();
  setTimeout(() => {
    address();
    hello();
  }, 0);
  return nav;
}
