"""TensorBoard and MLflow on as many runs as the app's benchmark has, seen for the first time.

They need an environment of their own (`pip install tensorboard mlflow setuptools`); its interpreter is
given to bench_app.py as --peers, and also writes the runs (peer_runs.py).
"""

import contextlib
import os
import signal
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from support.servers import free_port

WRITER = Path(__file__).with_name("peer_runs.py")
STARTS_S = 300.0


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
    """Seconds until the first rows and curves stand, milliseconds from a tick to its curve, of each."""
    found: dict[str, Any] = {}
    for kind, peer in PEERS.items():
        runs = folder / kind
        subprocess.run([interpreter, str(WRITER), kind, str(runs), str(num)], check=True)
        port = free_port()
        words = (word.format(folder=runs, port=port) for word in peer.command)
        with serving([interpreter, *words], port, folder / f"{kind}.log"):
            looks = [_look(browser, f"http://127.0.0.1:{port}", peer) for _ in range(rounds + 1)]
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
    with contextlib.suppress(Exception):
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


@contextlib.contextmanager
def serving(command: list[str], port: int, log: Path) -> Iterator[None]:
    """A server of theirs, from its first answer on."""
    quiet = {"DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env={**os.environ, **quiet}, stdout=out, stderr=out, start_new_session=True
        )
    try:
        until = time.monotonic() + STARTS_S
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20).close()
                break
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(log.read_text())
            time.sleep(0.5)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
