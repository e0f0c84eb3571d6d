"""A grid as one HTML file that opens from a disk: for a mail, a paper, an archive.

    python -m segnets.app.report GRID [--store URL] [--out FILE] [--samples N]

Everything is inside: curves (Bokeh, with its scripts), scores, the verdict over the two best, pictures of
the worst samples. Nothing is fetched when it is opened, and every text of the store is escaped. The
store is only read. stdout ends in one JSON line: report, grid, store, status, trials, bytes, seconds.
"""

import argparse
import base64
import io
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segnets.app.compare import Verdict, contest, sentence
from segnets.app.pages.figures import duration
from segnets.app.pages.leaderboard import short_name
from segnets.app.pages.pictures import last_frame, truth_of
from segnets.app.pages.samplerows import sample_facts
from segnets.app.pages.series import series, valued
from segnets.app.pages.table import changed_settings
from segnets.app.read import Display, Reader, Samples, Snapshot
from segnets.app.records import Evaluation, Trial, class_values, number
from segnets.app.theme import LIGHT, TRIAL_COLORS, template
from segnets.errors import ConfigError, NotInStore, SegnetsError, Unavailable
from segnets.inference.masks import to_palette_png
from segnets.labels import CLASS_COLORS, CLASS_NAMES, NONE_INDEX
from segnets.store.open import open_store, resolve_url

DRAWN = len(TRIAL_COLORS)
"""Trials with a curve: the best ones, each in a colour of the app."""
IN_CLASSES = 3
SAMPLES = 6
WAIT_S = 15.0
MOST_PIXELS = 16_000_000
"""A picture of the store that claims more is not decoded."""

logger = logging.getLogger("segnets.app")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One sample of the best trial, with its pictures as data URLs; "" where there is none."""

    name: str
    miou: float | None
    frame: str
    truth: str
    prediction: str
    mistakes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """All that the report says, before it is HTML."""

    grid: str
    axes: dict[str, str]
    dataset: str
    store: str
    trials: list[Trial]
    """Best mIoU first, then those without one."""
    settings: list[str]
    """The settings that differ."""
    rows: dict[str, list[dict[str, Any]]]
    """Epochs of the trials that are drawn."""
    rivals: tuple[Trial, Trial] | None
    verdict: Verdict | None
    samples: list[Shown]
    evaluation: Evaluation | None


def main(argv: Sequence[str] | None = None) -> int:
    """Write the report of a grid; the exit code is that of the fault."""
    parser = argparse.ArgumentParser(
        prog="python -m segnets.app.report", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("grid", help="id of a grid, as the leaderboard has it")
    parser.add_argument(
        "--store", help="folder or s3://bucket/prefix (else $SEGNETS_STORE, else ./store)"
    )
    parser.add_argument("--out", type=Path, help="HTML file (default GRID.html)")
    parser.add_argument(
        "--samples", type=int, default=SAMPLES, help=f"worst samples to show (default {SAMPLES})"
    )
    given = parser.parse_args(argv)
    began, url = time.monotonic(), resolve_url(given.store)
    told: dict[str, Any] = {"report": None, "grid": given.grid, "store": url, "status": "done"}
    code = 0
    try:
        told |= _write(given, url)
    except SegnetsError as error:
        code = error.exit_code
        print(f"error: {error}", file=sys.stderr)
        told |= {"status": "failed", "error": {"sentence": str(error), "exit_code": code}}
    print(json.dumps(told | {"seconds": round(time.monotonic() - began, 3)}))
    return code


def _write(given: argparse.Namespace, url: str) -> dict[str, Any]:
    if given.samples < 0:
        raise ConfigError("--samples is negative", str(given.samples), "Give 0 or more.")
    reader = Reader(url, lambda: open_store(url, write=False, wait_s=WAIT_S))
    try:
        content = collect(reader, given.grid, given.samples)
    finally:
        reader.close()
    html = render(content).encode()
    out = given.out or Path(f"{content.grid}.html")
    part = out.with_name(f"{out.name}.part")  # no half report under its own name
    try:
        part.write_bytes(html)
        part.replace(out)
    except OSError as error:
        raise ConfigError(
            f"the report cannot be written ({error.strerror})", str(out), "Name another --out."
        ) from None
    return {"report": str(out), "trials": len(content.trials), "bytes": len(html)}


# --- what it says ------------------------------------------------------------------------------------


def collect(reader: Reader, grid: str, samples: int = SAMPLES) -> Content:
    """Read what the report of a grid says.

    Raises NotInStore for a grid that the store does not have, and StoreError where it is away.
    """
    snapshot = reader.look()
    if snapshot.fault:
        raise Unavailable(snapshot.fault.rstrip("."), reader.url, "Try again once it answers.")
    plan = snapshot.grids.get(grid)
    if plan is None:
        known = ", ".join(sorted(snapshot.grids)[:5]) or "none"
        raise NotInStore(f"there is no grid {grid}", f"store {reader.url}", f"It holds: {known}.")
    trials = [snapshot.trials[trial] for trial in plan.trials if trial in snapshot.trials]
    trials.sort(key=lambda trial: (trial.miou is None, -(trial.miou or 0.0), trial.id))
    scored = [trial for trial in trials if trial.miou is not None]
    evals = [_evaluation(snapshot, trial) for trial in scored[:2]]
    rivals = verdict = None
    if len(evals) == 2 and evals[0] is not None and evals[1] is not None:
        rivals, verdict = (scored[0], scored[1]), contest(reader, evals[0], evals[1]).verdict
    best = evals[0] if evals else None
    return Content(
        grid=grid,
        axes={name: ", ".join(map(str, values)) for name, values in plan.axes.items()},
        dataset=plan.dataset,
        store=reader.url,
        trials=trials,
        settings=changed_settings(trials),
        rows={trial.id: reader.curve(trial.id) for trial in scored[:DRAWN]},
        rivals=rivals,
        verdict=verdict,
        samples=[] if best is None else _samples(reader, best, samples),
        evaluation=best,
    )


def _evaluation(snapshot: Snapshot, trial: Trial) -> Evaluation | None:
    """The newest evaluation of a trial on val of its own dataset."""
    mine = [
        one
        for one in snapshot.evals.values()
        if (one.trial, one.dataset, one.split) == (trial.id, trial.dataset, "val") and one.samples
    ]
    return max(mine, key=lambda one: one.time, default=None)


def _samples(reader: Reader, evaluation: Evaluation, most: int) -> list[Shown]:
    table, display = reader.samples(evaluation.id), reader.display(evaluation.dataset)
    scored = [(number(row.get("miou")), key) for key, row in table.rows.items()]
    worst = sorted((miou, key) for miou, key in scored if miou is not None)[:most]
    return [_shown(reader, table, display, key) for _, key in worst]


def _shown(reader: Reader, table: Samples, display: Display, key: tuple[str, str]) -> Shown:
    row = table.rows[key]
    facts = sample_facts(row)
    names = [*CLASS_NAMES, "none of the classes"]
    mistakes = tuple(
        f"{100 * one['share']:.1f} % of the pixels: {names[one['truth']]} taken for "
        f"{names[min(one['predicted'], NONE_INDEX)]}"
        for one in facts["confusions"][:2]
    )
    frame, _ = last_frame(reader, display, key)
    prediction = reader.picture(table.layers, row.get("pred_offset"), row.get("pred_size"))
    return Shown(
        name="/".join(key),
        miou=facts["miou"],
        frame=_frame_url(frame),
        truth=_mask_url(truth_of(reader, display, key)),
        prediction=_mask_url(prediction),
        mistakes=mistakes,
    )


def _frame_url(data: bytes | None) -> str:
    """A frame of the pack as it is, if Pillow can read it."""
    image = _opened(data)
    return "" if image is None or data is None else _url(data, f"image/{image.format}".lower())


def _mask_url(data: bytes | None) -> str:
    """TrainIds as a palette PNG in the colours of Cityscapes."""
    image = _opened(data)
    if image is None:
        return ""
    return _url(to_palette_png(np.asarray(image.convert("L"))), "image/png")


def _opened(data: bytes | None) -> Image.Image | None:
    if data is None:
        return None
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG", "WEBP", "JPEG"))
        if image.width * image.height > MOST_PIXELS:
            return None
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    return image


def _url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


# --- how it says it ----------------------------------------------------------------------------------


def render(content: Content) -> str:
    """The whole file. The template escapes every value but the figure, which Bokeh makes."""
    from bokeh.embed import components
    from bokeh.resources import Resources
    from markupsafe import Markup

    colors = {one.id: color for one, color in zip(content.trials, TRIAL_COLORS, strict=False)}
    drawn = [trial for trial in content.trials[:DRAWN] if content.rows.get(trial.id)]
    script = figure = ""
    if drawn:
        script, figure = components(_figure(content, drawn, colors))
        # not render(): that adds files of whatever extension is imported, Panel's here
        scripts = Resources(mode="inline", components=["bokeh"]).js_raw
        script = "".join(f"<script>{text}</script>" for text in scripts) + script
    best = content.trials[0] if content.trials and content.trials[0].miou is not None else None
    return template("report.html").render(
        content=content,
        best=best,
        best_name=short_name(best) if best else "",
        verdict=_verdict_words(content),
        trials=[_row(trial, content.settings, colors) for trial in content.trials],
        classes=_class_rows(content),
        colors=LIGHT,
        drawn=len(drawn),
        script=Markup(script),  # noqa: S704  # Bokeh's own scripts, and its JSON, which it escapes
        figure=Markup(figure),  # noqa: S704  # same
        written=time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    )


def _verdict_words(content: Content) -> str:
    if content.rivals is None or content.verdict is None:
        return ""
    a, b = (short_name(trial) for trial in content.rivals)
    return f"A is {a}, B is {b}. {sentence(content.verdict)}"


def _row(trial: Trial, settings: Sequence[str], colors: dict[str, str]) -> dict[str, Any]:
    best = trial.best
    return {
        "id": trial.id,
        "name": short_name(trial),
        "color": colors.get(trial.id, "") if trial.miou is not None else "",
        "settings": [str(trial.settings.get(name, "")) for name in settings],
        "miou": _decimals(best.miou),
        "loss": _decimals(best.loss),
        "accuracy": _decimals(best.pixel_accuracy),
        "epoch": f"{best.epoch or '–'} of {trial.epochs}",
        "time": duration(trial.seconds) if trial.seconds else "–",
        "restarts": trial.restarts,
        "status": trial.status,
        "error": trial.error,
    }


def _decimals(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _class_rows(content: Content) -> dict[str, Any]:
    """Per-class IoU in percent of the best few at their best epochs; classes without a value left out."""
    shown = [trial for trial in content.trials[:IN_CLASSES] if content.rows.get(trial.id)]
    columns = []
    for trial in shown:
        values: list[float | None] = class_values(None)
        for row in content.rows[trial.id]:
            if row.get("split") == "val" and row.get("epoch") == trial.best.epoch:
                values = class_values(row.get("iou"))
        columns.append(values)
    rows = [
        {
            "name": name,
            "color": "rgb({},{},{})".format(*color),
            "values": [_percent(values[index]) for values in columns],
        }
        for index, (name, color) in enumerate(zip(CLASS_NAMES, CLASS_COLORS, strict=True))
        if any(values[index] is not None for values in columns)
    ]
    return {"trials": [short_name(trial) for trial in shown], "rows": rows}


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _figure(content: Content, drawn: Sequence[Trial], colors: dict[str, str]) -> Any:
    """Score and loss over the epochs, side by side; a click on a name hides its lines."""
    from bokeh.layouts import row
    from bokeh.models import HoverTool
    from bokeh.plotting import figure

    plots = []
    for metric, title in (("miou", "val mIoU"), ("loss", "loss (train is dashed)")):
        plot = figure(
            height=300,
            sizing_mode="stretch_width",
            title=title,
            x_axis_label="epoch",
            tools="pan,wheel_zoom,box_zoom,reset,save",
            toolbar_location="above",
        )
        plot.toolbar.logo = None
        dots: list[Any] = []
        for trial in drawn:
            strong, pale = series(content.rows[trial.id], metric, "epoch", 0)
            look = {"color": colors[trial.id], "legend_label": short_name(trial)}
            for points, dash in ((strong, "solid"), (pale or [], "dashed")):
                if points:
                    source = {
                        "x": [x for x, _ in points],
                        "y": [y for _, y in points],
                        "says": [valued(y) for _, y in points],
                        "who": [short_name(trial)] * len(points),
                    }
                    plot.line("x", "y", source=source, line_dash=dash, line_width=2, **look)
                    dots.append(plot.scatter("x", "y", source=source, size=6, **look))
        tips = [("trial", "@who"), ("epoch", "@x{0}"), (title, "@says")]
        plot.add_tools(HoverTool(renderers=dots, tooltips=tips))
        plot.legend.click_policy = "hide"
        plot.legend.location = "bottom_right" if metric == "miou" else "top_right"
        plot.legend.label_text_font_size = "11px"
        plots.append(plot)
    return row(*plots, sizing_mode="stretch_width")


if __name__ == "__main__":
    raise SystemExit(main())
