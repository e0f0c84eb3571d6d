"""Frames of a source to masks under a sink, going on where an earlier night stopped.

    OUT/{color,labelIds,overlay}/[SPLIT/]CITY/CITY_SEQ_FRAME_{color,labelIds,overlay}.png

A frame is decided by the function that scores use (evaluate.py), so masks on disk and scores agree to
the pixel. It counts as done once a part in the run's bag names it; a process that dies in between does
that part again and finds its masks equal. A mask is put under its name only if absent or different.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from segnets.data.cityscapes import FrameJob
from segnets.data.decode import PngFault, decode_label_ids, decode_rgb
from segnets.data.resize import resize_frame
from segnets.errors import DatasetError, NotFound, Stopped, Unavailable
from segnets.inference.device import Runtime
from segnets.inference.evaluate import decide, decide_above, frame_logits
from segnets.inference.masks import (
    black_out,
    to_label_png,
    to_overlay_png,
    to_palette_png,
    to_train_ids,
)
from segnets.inference.night import (
    RUN_VERSION,
    Part,
    done_frames,
    failed_row,
    frame_key,
    night_name,
    put_night,
)
from segnets.labels import IGNORE_INDEX
from segnets.signals import StopRequest, catch_stop
from segnets.store.bag import Bag
from segnets.store.base import Sink, Source
from segnets.store.retry import hurry_all

logger = logging.getLogger("segnets.predict")

PART_FRAMES = 32
"""Frames of one part: what a killed process does again, and two nights may do twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NightResult:
    """Counts of one night: frames of the source = written + reused + failed (+ not reached)."""

    night: str
    frames: int
    written: int
    reused: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """A trained model in eval mode, and what it wants of a clip."""

    module: nn.Module
    runtime: Runtime
    mean: Sequence[float]
    std: Sequence[float]
    height: int
    width: int
    min_confidence: float = 0.0


def predict_frames(
    predictor: Predictor,
    jobs: Sequence[FrameJob],
    source: Source,
    sink: Sink,
    bag: Bag,
    *,
    meta: Mapping[str, Any],
    on_frame: Callable[[int, int], None] | None = None,
) -> NightResult:
    """Write the masks of the jobs that the run's bag does not count as done yet.

    `meta` (trial, dataset, weights_sha256, source, out, why, cron) goes into run.json and the view.
    A frame that cannot be read is a row of the night's table and tried again the next night.
    `on_frame` gets the frames seen and their number. Raises StoreError, and Stopped after the parts
    and the night are recorded.
    """
    predictor.module.eval().to(predictor.runtime.torch_device)
    started = time.time()
    night = _Night(predictor, source, sink, bag, on_frame, len(jobs))
    stopped = None
    with catch_stop(hurry_all(source.patience, sink.patience, bag.patience)) as stop:
        try:
            night.work(jobs, stop)
        except Stopped as request:
            stopped = request
    result = NightResult(
        night=night_name(started),
        frames=len(jobs),
        written=night.written,
        reused=night.reused,
        failed=len(night.failed),
    )
    content = {
        "v": RUN_VERSION,
        "run": bag.id,
        **meta,
        "night": result.night,
        "status": "stopped" if stopped else "done",
        "started": started,
        "ended": time.time(),
        "frames": result.frames,
        "written": result.written,
        "reused": result.reused,
        "failed": result.failed,
        "min_confidence": predictor.min_confidence,
        "parts": night.parts,
        "env": predictor.runtime.env(),
    }
    try:
        put_night(bag, result.night, content, night.rows + night.failed)
        _put_view(bag, meta, result)
    except Unavailable as error:
        if stopped is None:
            raise
        logger.warning("the stopped night is not recorded: %s", error)
    if stopped is not None:
        raise stopped
    return result


class _Night:
    """The loop over parts and frames, and what it has counted."""

    def __init__(
        self,
        predictor: Predictor,
        source: Source,
        sink: Sink,
        bag: Bag,
        on_frame: Callable[[int, int], None] | None,
        num_frames: int,
    ) -> None:
        self.predictor, self.sink, self.bag = predictor, sink, bag
        self.frames = _Frames(source, predictor.height, predictor.width)
        self.on_frame, self.num_frames = on_frame, num_frames
        self.written = self.reused = 0
        self.rows: list[dict[str, Any]] = []
        self.failed: list[dict[str, Any]] = []
        self.parts: list[str] = []

    def work(self, jobs: Sequence[FrameJob], stop: StopRequest) -> None:
        """All parts; Stopped after the part of frames done so far is put."""
        left = list(jobs)
        lost = self._lost(left)
        while left:
            items = self.bag.items()  # again before each part: another night may be at work
            done = done_frames(items) - lost
            todo = [job for job in left if frame_key(job) not in done]
            self.reused += len(left) - len(todo)
            number = sum(item.startswith("part-") for item in items)
            left = todo[PART_FRAMES:]
            self._work_part(Part(number), todo[:PART_FRAMES], stop)

    def _lost(self, jobs: Sequence[FrameJob]) -> set[str]:
        """Frames that a part has recorded but whose masks somebody has removed since."""
        done = done_frames(self.bag.items())
        recorded = [job for job in jobs if frame_key(job) in done]
        if not recorded:
            return set()
        there = {found.key for found in self.sink.list()}
        lost = {frame_key(job) for job in recorded if not there.issuperset(_places(job).values())}
        if lost:
            logger.warning("masks of %d frames are gone and written again", len(lost))
        return lost

    def _work_part(self, part: Part, jobs: Iterable[FrameJob], stop: StopRequest) -> None:
        try:
            for job in jobs:
                stop.raise_if_requested()
                self._work_frame(part, job)
                if self.on_frame is not None:
                    self.on_frame(self.reused + self.written + len(self.failed), self.num_frames)
        except Stopped:
            self._put(part)
            raise
        self._put(part)

    def _put(self, part: Part) -> None:
        if part.rows:
            self.rows += part.put(self.bag)
            self.parts.append(part.item)
            logger.info("masks of %d frames are written", self.written)

    def _work_frame(self, part: Part, job: FrameJob) -> None:
        began = time.monotonic()
        try:
            rgb, clip = self.frames.read(job)
            unlabelled = self.frames.unlabelled(job, rgb.shape[:2])
        except (DatasetError, NotFound) as fault:
            sentence = _sentence(fault)
            logger.warning("no mask for %s: %s", frame_key(job), sentence)
            self.failed.append(failed_row(job, sentence))
            return
        its = self.predictor
        logits = frame_logits(its.module, clip, its.mean, its.std, its.runtime)
        size = (rgb.shape[0], rgb.shape[1])
        ids = decide_above(logits, size, its.min_confidence)
        if unlabelled is not None:
            ids = black_out(ids, unlabelled)
        small_ids, confidence = decide(logits, (its.height, its.width))
        small_ids = black_out(small_ids, confidence < its.min_confidence)
        places = _places(job)
        files = {
            "color": to_palette_png(ids),
            "label_ids": to_label_png(ids),
            "overlay": to_overlay_png(rgb, ids),
        }
        changes = [self._put_mask(places[column], data) for column, data in files.items()]
        self.written += 1
        part.add(
            job,
            train_ids=ids,
            small_ids=small_ids,
            small_frame=clip[-1],
            confidence=float(confidence.mean()),
            seconds=time.monotonic() - began,
            places=places,
            is_new=any(changes),
        )

    def _put_mask(self, key: str, data: bytes) -> bool:
        """Put a file unless the same bytes stand there; whether it was put."""
        if self.sink.get(key) == data:
            return False
        self.sink.put(key, data)
        return True


class _Frames:
    """Reads the frames of jobs; neighbours share frames, so small ones are kept for a while."""

    def __init__(self, source: Source, height: int, width: int) -> None:
        self.source, self.height, self.width = source, height, width
        self._small: OrderedDict[str, NDArray[np.uint8]] = OrderedDict()

    def read(self, job: FrameJob) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The frame itself (Ho, Wo, 3), and its clip at network size (T, H, W, 3); DatasetError."""
        keys = job.frame_keys
        rgb = decode_rgb(self.source.get(keys[-1]), self._where(keys[-1]))
        self._keep(keys[-1], rgb)
        for key in keys:
            if key not in self._small:
                self._keep(key, decode_rgb(self.source.get(key), self._where(key)))
            self._small.move_to_end(key)
        while len(self._small) > 2 * len(keys):
            self._small.popitem(last=False)
        return rgb, np.stack([self._small[key] for key in keys])

    def unlabelled(self, job: FrameJob, size: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Where a given truth is unlabelled (Ho, Wo); None without a truth.

        A truth without any scored pixel says nothing (the official test labels are such files).
        """
        if job.label_key is None:
            return None
        label_ids = decode_label_ids(self.source.get(job.label_key), self._where(job.label_key))
        if label_ids.shape != size:
            raise DatasetError(
                "the label has another size than its frame",
                self._where(job.label_key),
                "Replace one of them.",
            )
        unlabelled: NDArray[np.bool_] = to_train_ids(label_ids) == IGNORE_INDEX
        return None if unlabelled.all() else unlabelled

    def _keep(self, key: str, rgb: NDArray[np.uint8]) -> None:
        self._small[key] = resize_frame(rgb, self.height, self.width)

    def _where(self, key: str) -> str:
        return f"{self.source.url}/{key}"


def _places(job: FrameJob) -> dict[str, str]:
    """Column -> key under the sink."""
    level = f"{job.split}/" if job.split else ""
    folders = {"color": "color", "label_ids": "labelIds", "overlay": "overlay"}
    return {
        column: f"{folder}/{level}{job.city}/{job.name}_{folder}.png"
        for column, folder in folders.items()
    }


def _sentence(fault: DatasetError | NotFound) -> str:
    what = fault.detail if isinstance(fault, PngFault) else fault.what
    return f"{what}: {fault.where}"


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
