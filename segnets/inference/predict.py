"""Frames of a source to masks under a sink, going on where earlier nights stopped.

    OUT/{color,labelIds,overlay,confidence}/[SPLIT/]CITY/CITY_SEQ_FRAME_{color,labelIds,...}.png

A frame is decided by the function that scores use (evaluate.py), so masks on disk and scores agree to
the pixel. It counts as done once a part in the run's bag names it with the digest of its inputs
(ledger.py); a process that dies in between does that part again and finds its masks equal. A mask is
put under its name whole, and only if absent or different. Nights that overlap share the work by hints
(store/hold.py). A bad frame is a row with its reason, a file that still grows is left for the next night.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from segnets.data.cityscapes import FrameJob
from segnets.errors import Stopped, Unavailable
from segnets.inference.drift import Training, measure
from segnets.inference.night import RUN_VERSION, done_frames, night_name, put_night
from segnets.inference.predictor import Predictor
from segnets.inference.work import Work
from segnets.signals import catch_stop
from segnets.store.bag import Bag
from segnets.store.base import Sink, Source
from segnets.store.retry import hurry_all

logger = logging.getLogger("segnets.predict")

SETTLE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NightResult:
    """Counts of one night: frames of the source = written + reused + failed + waiting (+ not reached).

    A bad frame that only stands in the past of others is one of the frames too, and failed.
    """

    night: str
    frames: int
    written: int
    reused: int
    failed: int
    waiting: int
    drift: dict[str, Any] | None
    """What drift.measure says; None where no frame was decided."""


def predict_frames(
    predictor: Predictor,
    jobs: Sequence[FrameJob],
    source: Source,
    sink: Sink,
    bag: Bag,
    *,
    meta: Mapping[str, Any],
    training: Training | None = None,
    drift_above: float = 1.0,
    settle_s: float = SETTLE_S,
    on_frame: Callable[[int, int], None] | None = None,
) -> NightResult:
    """Write the masks of the jobs that the run's bag does not count as done yet.

    `meta` (trial, dataset, weights_sha256, source, out, why, scheduled) goes into run.json and the view.
    A frame that cannot be read is a row of the night's table and tried again the next night.
    `on_frame` gets the frames seen and their number. Raises StoreError, and Stopped after the parts
    and the night are recorded.
    """
    predictor.module.eval().to(predictor.runtime.torch_device)
    started = time.time()
    night = Work(predictor, source, sink, bag, on_frame, jobs)
    stopped = None
    with catch_stop(hurry_all(source.patience, sink.patience, bag.patience)) as stop:
        try:
            night.work(stop, settle_s)
        except Stopped as request:
            stopped = request
        finally:
            night.hold.close()
    drift = measure(night.rows, training or Training(), drift_above) if night.rows else None
    result = NightResult(
        night=night_name(started),
        frames=night.num_frames,
        written=night.written,
        reused=night.reused,
        failed=len(night.failed),
        waiting=len(night.waiting),
        drift=drift,
    )
    content = {
        "v": RUN_VERSION,
        "run": bag.id,
        **meta,
        **asdict(result),
        "status": "stopped" if stopped else "done",
        "started": started,
        "ended": time.time(),
        "min_confidence": predictor.min_confidence,
        "parts": night.parts,
        "env": predictor.runtime.env(),
    }
    seen = night.frames.seen.to_bytes(all_asked=stopped is None)
    try:
        rows = [*night.rows, *night.failed.values(), *night.waiting.values()]
        put_night(bag, result.night, content, rows, seen)
        _put_view(bag, meta, result)
    except Unavailable as error:
        if stopped is None:
            raise
        logger.warning("the stopped night is not recorded: %s", error)
    if stopped is not None:
        raise stopped
    return result


def _put_view(bag: Bag, meta: Mapping[str, Any], result: NightResult) -> None:
    items = bag.items()
    bag.put_view(
        {
            "v": RUN_VERSION,
            "kind": "run",
            "id": bag.id,
            "trial": meta.get("trial"),
            "source": meta.get("source"),
            "out": meta.get("out"),
            "nights": sum(item.startswith("night-") for item in items),
            "frames": len(done_frames(items)),
            "failed": result.failed,
            "time": time.time(),
        }
    )
