"""What bench_app.py does in the browser: walk through samples, look at many trials, watch one train."""

import contextlib
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import store_listing
from support.panel import Tab, panel_serve
from support.results_store import LiveTrial, write_store

from segnets.store.base import Store
from segnets.store.open import open_store

SAMPLES = 60
FAR = (10, 40, 20, 50, 30, 15, 45, 25, 55)
"""Positions of jumps: none is loaded before somebody goes there."""

# Acts, then looks before each frame until another sample's picture stands.
_UNTIL_SHOWN = f"""(viewer, to) => new Promise((done, fail) => {{
  const name = () => viewer.querySelector(".stage .name")?.textContent;
  const veil = viewer.querySelector(".veil"), before = name();
  const there = () => name() !== before && veil.style.display === "none";
  const began = performance.now();
  if (typeof to === "string") document.dispatchEvent(new KeyboardEvent("keydown", {{key: to}}));
  else {{
    const map = viewer.querySelector("canvas.mini"), box = map.getBoundingClientRect();
    const clientX = box.left + box.width * (to + 0.5) / {SAMPLES};
    map.dispatchEvent(new MouseEvent("click", {{clientX, clientY: box.top + 1}}));
  }}
  const look = () => there() ? done(performance.now() - began)
    : performance.now() - began > 30000 ? fail("nothing came in 30 s") : requestAnimationFrame(look);
  requestAnimationFrame(look);
}})"""

_ROW = "#first tbody tr >> nth=0"
_CURVES = """() => Bokeh.documents.flatMap((doc) => [...doc._all_models.values()])
    .filter((model) => model.type === "ColumnDataSource" && model.get_column("name")?.length).length"""
# Clicks a row, then looks before each frame until one curve more is in the figure; the next frame has it.
_UNTIL_DRAWN = f"""(row) => new Promise((done, fail) => {{
  const curves = {_CURVES};
  const before = curves(), began = performance.now();
  row.querySelector("[tabulator-field=trial]").click();
  const look = () => curves() > before ? requestAnimationFrame(() => done(performance.now() - began))
    : performance.now() - began > 30000 ? fail("no curve in 30 s") : requestAnimationFrame(look);
  requestAnimationFrame(look);
}})"""


@dataclass(frozen=True, slots=True)
class Served:
    """A running app."""

    address: str
    pid: int

    def cpu_s(self) -> float:
        """Seconds that the server's threads have run so far, to the nanosecond."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


@contextlib.contextmanager
def serving(log: Path, url: str, env: Mapping[str, str]) -> Iterator[Served]:
    """The app on a store, having answered once."""
    with panel_serve(log, **env, SEGNETS_STORE=url) as address:
        port = int(address.rsplit(":", 1)[1].split("/")[0])
        urllib.request.urlopen(address, timeout=60).read()  # noqa: S310  # our own server
        yield Served(address, _listener(port))


def _listener(port: int) -> int:
    """The process that was started for this port."""
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0") if folder.name.isdigit() else []
            if b"serve" in words and str(port).encode() in words:
                return int(folder.name)
    raise RuntimeError(f"nobody serves port {port}")


@contextlib.contextmanager
def serving_samples(folder: Path, scale: int) -> Iterator[Served]:
    """The app on a store with an evaluation of samples of this size (times 112x224)."""
    store = open_store(str(folder), write=True)
    made = write_store(store, samples=SAMPLES, scale=scale)
    try:
        with serving(folder.with_suffix(".log"), store.url, {}) as served:
            yield served
    finally:
        for trial in made["live"]:
            trial.close()


def fill(root: Path, num: int, *, conditional: bool) -> None:
    """A store of finished trials, by the store's own names and bytes."""
    store_listing.fill(root, range(num), conditional=conditional)


@contextlib.contextmanager
def _tab(browser: Any, served: Served) -> Iterator[Tab]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    yield Tab(context.new_page(), served.address)
    context.close()


def walk_samples(browser: Any, served: Served, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of the next sample and of a jump, CPU milliseconds of the server for each step."""
    took: dict[str, list[float]] = {"next": [], "jump": [], "cpu": []}
    with _tab(browser, served) as opened:
        opened.open("?p=samples")
        opened.page.wait_for_selector(".sg-viewer .veil", state="hidden", timeout=60_000)
        viewer = opened.page.locator(".sg-viewer")
        for _ in range(rounds):
            opened.page.wait_for_timeout(1500)  # somebody looks at it; the neighbours come
            before = served.cpu_s()
            took["next"].append(viewer.evaluate(_UNTIL_SHOWN, "ArrowRight"))
            opened.page.wait_for_timeout(500)
            took["cpu"].append(1000 * (served.cpu_s() - before - _idle(served)))
        for position in FAR[:rounds]:
            opened.page.wait_for_timeout(1500)
            took["jump"].append(viewer.evaluate(_UNTIL_SHOWN, position))
    return took


def _idle(served: Served, seconds: float = 0.5) -> float:
    """CPU seconds that the server needs for its clock in that time."""
    before = served.cpu_s()
    time.sleep(seconds)
    return served.cpu_s() - before


def look_at_trials(browser: Any, served: Served, rounds: int) -> dict[str, list[float]]:
    """Seconds until the first rows are in sight, the live table stands and the first curve is drawn.

    Nothing is in the browser's cache; then the first rows and the live table once more.
    """
    names = ("first_rows_s", "live_table_s", "first_curve_s", "cached_s", "cached_live_s")
    took: dict[str, list[float]] = {name: [] for name in names}
    with _tab(browser, served) as opened:  # a server that has just started knows no trial yet
        opened.open("?p=trials")
        opened.see(".tabulator-row", timeout_s=90)
    for _ in range(rounds):
        with _tab(browser, served) as opened:
            since = _stopwatch()
            opened.page.goto(f"{served.address}?p=trials", wait_until="commit")
            opened.see(_ROW, timeout_s=90)
            took["first_rows_s"].append(since())
            opened.see(".tabulator-row", timeout_s=90)
            took["live_table_s"].append(since())
            opened.page.wait_for_function(f"() => ({_CURVES})() > 0")
            took["first_curve_s"].append(since())
            since = _stopwatch()
            opened.page.reload(wait_until="commit")
            opened.see(_ROW, timeout_s=90)
            took["cached_s"].append(since())
            opened.see(".tabulator-row", timeout_s=90)
            took["cached_live_s"].append(since())
    return took


def _stopwatch() -> Callable[[], float]:
    began = time.monotonic()
    return lambda: time.monotonic() - began


def tick_rows(browser: Any, served: Served, rounds: int) -> list[float]:
    """Milliseconds from the click on a row until its curve is drawn."""
    took: list[float] = []
    with _tab(browser, served) as opened:
        for number in range(rounds):  # each a trial whose curve nobody has seen
            if number % 4 == 0:
                opened.open("?p=trials&sel=")
                opened.see(".tabulator-row >> nth=0")
            opened.page.wait_for_timeout(1000)
            row = opened.page.locator(".tabulator-row").nth(number)
            took.append(row.evaluate(_UNTIL_DRAWN))
    return took


def watch_live(browser: Any, served: Served, store: Store, rounds: int) -> list[float]:
    """Bytes that reach the browser from a trial's new epoch until the page shows it."""
    trial = LiveTrial(store, "resnet_convlstm-ffffffff", "d", epochs=2 * rounds + 9, best=0.99)
    for _ in range(rounds + 6):  # until it leads, so that its row is in sight
        trial.epoch()
    received, took = [0], []
    with _tab(browser, served) as opened:
        opened.page.on(
            "websocket",
            lambda ws: ws.on("framereceived", lambda d: received.append(received[-1] + len(d))),
        )
        opened.open("?p=trials&sort=-miou&sel=")
        for _ in range(rounds):
            opened.wait_for(f"{trial.done} / {trial.epochs}", ".state")
            opened.page.wait_for_timeout(1500)
            before = received[-1]
            trial.epoch()
            opened.wait_for(f"{trial.done} / {trial.epochs}", ".state")
            opened.page.wait_for_timeout(200)
            took.append(float(received[-1] - before))
    trial.close()
    return took
