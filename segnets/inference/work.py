"""The work of one night: the loop over parts and frames, and what it has counted.

Before each part the night says what it takes in hand, and then looks at what is recorded: two nights
at once do not do the same. Frames that are known to be done are not read.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segnets.data.cityscapes import FrameJob, job_of
from segnets.errors import DatasetError, Stopped, StoreError
from segnets.inference.arrivals import NotSettledError, find_growing
from segnets.inference.frames import Frames
from segnets.inference.ledger import Ledger, Seen, digest_of_all, sha256_of
from segnets.inference.night import (
    Part,
    frame_key,
    places_of,
    reason_of,
    row_without_mask,
)
from segnets.inference.predictor import Predictor
from segnets.signals import StopRequest
from segnets.store.bag import Bag
from segnets.store.base import Sink, Source
from segnets.store.retry import side_by_side

logger = logging.getLogger("segnets.predict")

PART_FRAMES = 32
"""Frames of one part: what a killed process does again, and two nights may do twice."""
CHECKS_AT_ONCE = 8
"""Masks of earlier nights that are read at a time, to see that they stand as recorded."""


class Work:
    """One night over the jobs of a run; `rows`, `failed`, `waiting` are what it did with each frame."""

    def __init__(
        self,
        predictor: Predictor,
        source: Source,
        sink: Sink,
        bag: Bag,
        on_frame: Callable[[int, int], None] | None,
        jobs: Sequence[FrameJob],
    ) -> None:
        self.predictor, self.sink, self.bag = predictor, sink, bag
        items = bag.items()
        self.frames = Frames(source, predictor.height, predictor.width, Seen.load(bag, items))
        self.ledger = Ledger(sink, self.frames.seen)
        self.ledger.look(items)
        self.hold = bag.hold()
        self.on_frame = on_frame
        self.jobs = {frame_key(job): job for job in jobs}
        self._inputs = {name: self.frames.known_inputs(job) for name, job in self.jobs.items()}
        self.written = self.reused = 0
        self.rows: list[dict[str, Any]] = []
        self.failed: dict[str, dict[str, Any]] = {}
        self.waiting: dict[str, dict[str, Any]] = {}
        self.parts: list[str] = []
        self._before: tuple[str, NDArray[np.uint8]] = ("", np.empty(0, np.uint8))

    @property
    def num_frames(self) -> int:
        """The jobs, and the bad frames that are none."""
        return len(self.jobs) + len(self.failed.keys() - self.jobs.keys())

    def work(self, stop: StopRequest, settle_s: float) -> None:
        """All parts; Stopped after the part of frames done so far is put."""
        todo = self._undone(stop)
        self._leave_growing(todo, settle_s, stop)
        while todo := [name for name in todo if name not in self.waiting]:
            taken = self.hold.take(todo, PART_FRAMES)
            # after the hold: what others recorded before they let go of it is seen now
            items = self.bag.items()
            self.ledger.look(items)
            number = sum(item.startswith("part-") for item in items)
            left = [name for name in todo if not self._is_done(name)]
            self.reused += len(todo) - len(left)
            here = [name for name in taken if not self._is_done(name)]
            self._work_part(Part(number), here, stop)
            worked = set(here)
            todo = [name for name in left if name not in worked]
            self._say_progress()
        self._name_bad_past()

    def _undone(self, stop: StopRequest) -> list[str]:
        """The frames that are not known to be done, in order; masks of the others are looked at."""
        recorded = [
            (name, inputs)
            for name, inputs in self._inputs.items()
            if inputs is not None and self.ledger.has(name, inputs)
        ]
        lost = set()
        for start in range(0, len(recorded), 8 * CHECKS_AT_ONCE):
            stop.raise_if_requested()
            some = recorded[start : start + 8 * CHECKS_AT_ONCE]
            checks = [partial(self._check, name, inputs) for name, inputs in some]
            stand = side_by_side(checks, CHECKS_AT_ONCE)
            lost |= {name for (name, _), is_there in zip(some, stand, strict=True) if not is_there}
        if lost:
            logger.warning("masks of %d frames are gone or changed and written again", len(lost))
        done = {name for name, _ in recorded} - lost
        self.reused = len(done)
        return [name for name in self.jobs if name not in done]

    def _check(self, name: str, inputs: str) -> bool:
        places = places_of(self.jobs[name], self.predictor.columns)
        return self.ledger.check(name, inputs, list(places.values()))

    def _is_done(self, name: str) -> bool:
        inputs = self._inputs[name]
        return inputs is not None and self.ledger.has(name, inputs)

    def _leave_growing(self, todo: Sequence[str], settle_s: float, stop: StopRequest) -> None:
        files = {key: listed for name in todo for key, listed in self.jobs[name].files.items()}
        growing = find_growing(self.frames.source, files, settle_s, stop)
        for name in todo:
            if not growing.isdisjoint(self.jobs[name].files):
                key = min(growing.intersection(self.jobs[name].files))
                self._wait(name, f"it is still being written: {self._where(key)}")

    def _work_part(self, part: Part, names: Sequence[str], stop: StopRequest) -> None:
        try:
            for name in names:
                stop.raise_if_requested()
                self._work_frame(part, name)
                self._say_progress()
        except Stopped:
            self._put(part)
            raise
        self._put(part)

    def _put(self, part: Part) -> None:
        if part.rows:
            self.rows += part.put(self.bag)
            self.parts.append(part.item)
            logger.info("masks of %d frames are written", self.written)

    def _work_frame(self, part: Part, name: str) -> None:
        began, job, its = time.monotonic(), self.jobs[name], self.predictor
        try:
            clip = self.frames.read(job)
        except NotSettledError as fault:
            self._wait(name, str(fault))
            return
        except DatasetError as fault:
            self._fail(name, job, fault)
            return
        except StoreError:  # the frames are away, which ends the night; what is done is recorded
            self._put(part)
            raise
        if self.ledger.has(name, clip.inputs) and self._check(name, clip.inputs):
            self.reused += 1
            return
        logits = its.logits(clip)
        small_ids, confidence = its.small(logits)
        flicker = self._flicker(job, small_ids)
        self._before = (name, small_ids)
        ids, files = its.files(clip, logits)
        places = places_of(job, its.columns)
        changes = [self._put_mask(places[column], data) for column, data in files.items()]
        self.written += 1
        part.add(
            job,
            train_ids=ids,
            small_ids=small_ids,
            small_frame=clip.small[-1],
            confidence=float(confidence.mean()),
            flicker=flicker,
            seconds=time.monotonic() - began,
            places=places,
            inputs=clip.inputs,
            masks=digest_of_all(sha256_of(data) for data in files.values()),
            is_new=any(changes),
        )

    def _put_mask(self, key: str, data: bytes) -> bool:
        """Put a file unless the same bytes stand there; whether it was put."""
        if self.sink.get(key) == data:
            return False
        self.sink.put(key, data)
        return True

    def _flicker(self, job: FrameJob, small_ids: NDArray[np.uint8]) -> float | None:
        """The share of pixels that are of another class than in the frame before; None without one.

        Where another night or part had the frame before, it is decided once more: a value must not
        depend on who did what.
        """
        before = self.jobs.get(frame_key(job.earlier(self.predictor.stride)))
        if before is None:
            return None
        name, ids = self._before
        if name != frame_key(before):
            try:
                ids, _ = self.predictor.small(self.predictor.logits(self.frames.read(before)))
            except (DatasetError, NotSettledError):
                return None
        return float((ids != small_ids).mean())

    def _wait(self, name: str, sentence: str) -> None:
        logger.info("left for the next night, %s: %s", name, sentence)
        self.waiting[name] = row_without_mask(self.jobs[name], "waiting", sentence)

    def _fail(self, name: str, job: FrameJob, fault: DatasetError) -> None:
        logger.warning("no mask for %s: %s", name, reason_of(fault))
        self.failed[name] = row_without_mask(job, "failed", reason_of(fault))

    def _name_bad_past(self) -> None:
        """A row for each bad frame that only stands in the past of others."""
        for key, fault in self.frames.bad.items():
            job = job_of(key)
            if job is not None and frame_key(job) not in self.jobs:
                self._fail(frame_key(job), job, fault)

    def _where(self, key: str) -> str:
        return f"{self.frames.source.url}/{key}"

    def _say_progress(self) -> None:
        if self.on_frame is not None:
            seen = self.written + self.reused + len(self.failed) + len(self.waiting)
            self.on_frame(seen, self.num_frames)
