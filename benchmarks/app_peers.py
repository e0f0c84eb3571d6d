"""TensorBoard and MLflow on as many runs as the app's benchmark has, seen for the first time.

They need an environment of their own (`pip install tensorboard mlflow setuptools`); its interpreter is
given to bench_app.py as --peers, and also writes the runs (peer_runs.py).
"""

import contextlib
import os
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import TimeoutError as NeverCame
from support.servers import free_port, process

WRITER = Path(__file__).with_name("peer_runs.py")
STARTS_S = 300.0
QUIET = {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}


class Peer(NamedTuple):
    """Where its curves stand; what a row, a tick of it and a drawn curve are in its page."""

    command: tuple[str, ...]  # arguments of the interpreter; {folder} and {port} are put in
    view: str
    row: str
    tick: str
    curve: str


PEERS = {
    "tensorboard": Peer(
        ("-m", "tensorboard.main", "--logdir", "{folder}", "--port", "{port}"),
        "/#timeseries",
        "runs-data-table tb-data-table-content-row",
        "runs-data-table tb-data-table-content-row mat-checkbox",
        "scalar-card-data-table tb-data-table-content-row",  # beside the curve, which is a canvas
    ),
    "mlflow": Peer(
        (
            *("-m", "mlflow", "server", "--backend-store-uri", "sqlite:///{folder}/mlflow.db"),
            *("--port", "{port}", "--workers", "1"),
        ),
        "/#/experiments/1/runs?compareRunsMode=CHART",
        ".ag-row",
        ".ag-row label:has(.is-visibility-toggle-checkbox:not(:checked))",
        ".js-plotly-plot .scatterlayer path.js-line",
    ),
}


def measure(browser: Any, interpreter: str, folder: Path, rounds: int, num: int) -> dict[str, Any]:
    """Seconds until the first rows and curves stand, milliseconds from a tick to its curve, of each.

    The tick is a click of Playwright's, some tens of milliseconds more than one made inside the page.
    """
    found: dict[str, Any] = {}
    for kind, peer in PEERS.items():
        runs = folder / kind
        subprocess.run([interpreter, str(WRITER), kind, str(runs), str(num)], check=True)
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        words = (word.format(folder=runs, port=port) for word in peer.command)
        log, env = folder / f"{kind}.log", os.environ | QUIET
        with process([interpreter, *words], env, log, f"{address}/", up_s=STARTS_S):
            looks = [_look(browser, address, peer) for _ in range(rounds + 1)]
        names = ("first_rows_s", "first_curve_s", "tick_ms")
        columns = zip(*looks[1:], strict=True)  # the first one warms the server
        found[kind] = {
            name: None if None in took else round(statistics.median(took), 2)
            for name, took in zip(names, columns, strict=True)
        }
    return found


def _look(browser: Any, address: str, peer: Peer) -> tuple[float, float | None, float]:
    """One look, in a profile without a cache; no first curve where nothing is ticked by itself."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    began = time.monotonic()
    page.goto(address + peer.view, wait_until="commit")
    page.wait_for_selector(peer.row, timeout=120_000)
    rows_s, curve_s = time.monotonic() - began, None
    with contextlib.suppress(NeverCame):
        page.wait_for_selector(peer.curve, state="attached", timeout=10_000)
        curve_s = time.monotonic() - began
    page.wait_for_timeout(2000)
    before = page.locator(peer.curve).count()
    began = time.monotonic()
    page.locator(peer.tick).nth(3).click()
    page.wait_for_function(
        "([curve, before]) => document.querySelectorAll(curve).length != before",
        arg=[peer.curve, before],
    )
    tick_ms = 1000 * (time.monotonic() - began)
    context.close()
    return rows_s, curve_s, tick_ms
