"""Nights of a camera fleet: frames late, twice, cut, of other sizes; nights killed and overlapping.

    python -m tests.crash nights --part 1/1 --store folder       30 nights in 1/1, shared out by n

A night is a forked child, or two at once, that runs the whole of `predict` over one source; meanwhile
this process goes on to write frames there, half a file at a time in a folder, and kills. What arrives is
drawn: new frames of each camera, frames that come nights later than those behind them, the same bytes
again, other bytes under the old name, cut files, texts, truths of another size, frames of another size.

After each night every mask is a whole picture. In the end, after one calm night: each good frame has
exactly one mask of each kind, to the byte that of one single undisturbed night over the final state;
each bad frame is in the report of the night with the reason that the undisturbed night gives; the
store is whole; and a further night writes nothing. Of two nights that nobody killed, at most one part
was worked on twice.
"""

import io
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet  # noqa: F401  # so that no child imports it
import pyvips  # noqa: F401  # same
import torch
from PIL import Image
from support.servers import rclone_server

from crash import tiny
from crash.places import damage, ended, environment, fork, share, wait
from segnets.data.cityscapes import index_frames
from segnets.inference import ledger, work
from segnets.inference.device import Runtime
from segnets.inference.predict import predict_frames
from segnets.inference.predictor import Predictor
from segnets.store.bag import Bag, read_items
from segnets.store.entry import read_file
from segnets.store.open import open_sink, open_source, open_store
from segnets.store.tables import from_parquet

NIGHTS = 30
RUN = "pred-1"
PART_FRAMES = 3
CLIP_FRAMES = 3
SIZE, OTHER_SIZE = (24, 48), (30, 37)
CAMERAS = ("bonn", "ulm")
SETTLE_S = 0.02
COLUMNS = ("color", "label_ids", "overlay", "confidence_map")


def run(part: int, parts: int, seed: int, store: str, nights: int = NIGHTS) -> dict[str, Any]:
    """This part's share of the nights, over a fleet of its own."""
    num = share(nights, part, parts)
    chance = random.Random(f"nights {store} {seed} {part}/{parts}")
    with _places(store) as base:
        fleet = Fleet(f"{base}/frames", chance)
        proof = Proof(base, fleet, chance)
        for _ in range(num):
            proof.disturbed_night()
        proof.end()
    ok = num if not proof.told else 0
    return {"points": num, "ok": ok, **proof.counts, "told": proof.told}


@contextmanager
def _places(kind: str) -> Iterator[str]:
    """A folder, or a prefix of an rclone server, for frames, masks and stores."""
    before = work.PART_FRAMES, ledger.RACY_S
    work.PART_FRAMES = PART_FRAMES
    torch.set_num_threads(1)
    folder = Path(tempfile.mkdtemp(prefix="segnets-nights-", dir=tiny._quick_folder()))
    owner = os.getpid()
    try:
        if kind == "folder":
            ledger.RACY_S = 0.05  # its clock ticks every 4 ms
            yield str(folder)
        else:
            assert kind == "rclone", kind
            with rclone_server(folder) as server, environment(server.env):
                yield f"s3://{server.bucket}"
    finally:
        work.PART_FRAMES, ledger.RACY_S = before
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)


class SeesItsPast(torch.nn.Module):
    """One convolution over all frames of a clip: every frame of it counts."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.conv = torch.nn.Conv2d(3 * CLIP_FRAMES, 19, 3, padding=1)
        with torch.no_grad():
            self.conv.weight.copy_(torch.randn(self.conv.weight.shape, generator=generator))
            self.conv.bias.zero_()

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.conv(clips.flatten(1, 2))
        return logits


class Fleet:
    """Cameras that write frames; `files` is what lies in the source when everything has arrived."""

    def __init__(self, url: str, chance: random.Random) -> None:
        self.url, self.chance = url, chance
        self.files: dict[str, bytes] = {}
        self._whole: set[bytes] = set()
        self.counts: Counter[str] = Counter()
        self._sink = open_sink(url)
        self._root = Path(url) if "://" not in url else None
        self._late: list[tuple[str, bytes]] = []
        self._next = 0

    def arrivals(self) -> list[tuple[str, bytes]]:
        """What is written from this night to the next, in order."""
        found: list[tuple[str, bytes]] = []
        for _ in range(self.chance.randint(2, 4)):
            for camera in CAMERAS:
                found += self._new(camera, self._next // 12, self._next)
            self._next += 1
        due = [one for one in self._late if self.chance.random() < 0.4]
        self._late = [one for one in self._late if one not in due]
        known = sorted(self.files)
        frames = [key for key in known if "gtFine" not in key]
        cut = [key for key in known if self.files[key] not in self._whole]
        again = [(key, self.files[key]) for key in self._some(known, 2)]
        other = [(key, self._picture(SIZE)) for key in self._some(frames, 2)]
        mended = [(key, self._like(key)) for key in self._some(cut, 1)]
        self.counts.update(late=len(due), again=len(again), changed=len(other), mended=len(mended))
        rest = due + again + other + mended
        self.chance.shuffle(rest)
        return found + rest

    def last_arrivals(self) -> list[tuple[str, bytes]]:
        """What is still late."""
        late, self._late = self._late, []
        return late

    def put(self, key: str, data: bytes) -> Iterator[None]:
        """Write a file as a camera does: in a folder half of it, a pause, the rest; else at once."""
        self.files[key] = data
        if self._root is None:
            self._sink.put(key, data)
            return
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            if self.chance.random() < 0.3:
                file.write(data[: len(data) // 2])
                file.flush()
                yield
                data = data[len(data) // 2 :]
            file.write(data)

    def bad(self) -> set[str]:
        """CITY_SEQ_FRAME of the frames that are not whole, or whose truth is not, or of another size."""
        frames, truths = {}, {}
        for key, data in self.files.items():
            (truths if "gtFine" in key else frames)[_frame_of(key)] = data
        pairs = [(name, data, truths.get(name, data)) for name, data in frames.items()]
        return {
            name
            for name, frame, truth in pairs
            if not {frame, truth} <= self._whole or _size(frame) != _size(truth)
        }

    def _new(self, camera: str, seq: int, frame: int) -> list[tuple[str, bytes]]:
        name = f"{camera}/{camera}_{seq:06d}_{frame:06d}"
        key, kind = f"leftImg8bit_sequence/{name}_leftImg8bit.png", self.chance.random()
        data = self._picture(OTHER_SIZE if 0.1 < kind < 0.2 else SIZE)
        self.counts["other_size"] += 0.1 < kind < 0.2
        if kind < 0.1:
            self.counts["cut"] += 1
            data = data[: self.chance.randrange(len(data))]
        elif kind > 0.95:
            self.counts["no_picture"] += 1
            data = b"see the other disk"
        files = [(key, data)]
        if self.chance.random() < 0.15:
            size = SIZE if self.chance.random() < 0.5 else (8, 8)
            self.counts["truth"] += 1
            files.insert(0, (f"gtFine/{name}_gtFine_labelIds.png", self._truth(size)))
        if self.chance.random() < 0.15:
            self._late += files
            return []
        return files

    def _picture(self, size: tuple[int, int]) -> bytes:
        rng = np.random.default_rng(self.chance.getrandbits(32))
        coarse = rng.integers(0, 255, (3, 4, 3), np.uint8)
        return self._png(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.NEAREST))

    def _truth(self, size: tuple[int, int]) -> bytes:
        ids = np.full(size, 7, np.uint8)
        ids[: size[0] // 3] = 0
        return self._png(Image.fromarray(ids))

    def _like(self, key: str) -> bytes:
        return self._truth(SIZE) if "gtFine" in key else self._picture(SIZE)

    def _png(self, image: Image.Image) -> bytes:
        target = io.BytesIO()
        image.save(target, "PNG")
        self._whole.add(target.getvalue())
        return target.getvalue()

    def _some(self, keys: list[str], most: int) -> list[str]:
        return self.chance.sample(keys, min(len(keys), self.chance.randint(0, most)))


class Proof:
    """One job over one fleet, night after night, and what was found wrong."""

    def __init__(self, base: str, fleet: Fleet, chance: random.Random) -> None:
        self.base, self.fleet, self.chance = base, fleet, chance
        self.counts: Counter[str] = fleet.counts
        self.told: list[str] = []
        self._scratch = Path(tempfile.mkdtemp(prefix="segnets-told-"))
        self._faults = self._scratch / "faults"
        self._longest = 0.3

    def disturbed_night(self) -> None:
        """One night, or two at once, while frames arrive; some are killed."""
        self.counts["nights"] += 1
        arrivals = self.fleet.arrivals()
        before = len(arrivals) // 2
        for key, data in arrivals[:before]:
            for _ in self.fleet.put(key, data):
                pass
        known = self._recorded()
        pids = [self._start() for _ in range(self.chance.choice([1, 1, 2]))]
        began = time.monotonic()
        doomed = {pid: self.chance.uniform(0, self._longest) for pid in pids if self._unlucky()}
        for key, data in arrivals[before:]:
            for _ in self.fleet.put(key, data):
                time.sleep(self.chance.uniform(0, self._longest / 20))
            self._kill(doomed, time.monotonic() - began)
        killed = self._wait(pids, doomed, began)
        self.counts.update(killed=killed, overlapping=len(pids) == 2)
        if len(pids) == 2 and not killed:
            self._judge_double_work(known)
        self._judge_masks_whole()

    def end(self) -> None:
        """A calm night over the final state, and what must be true then."""
        for key, data in self.fleet.last_arrivals():
            for _ in self.fleet.put(key, data):
                pass
        self._calm("store", "masks")
        self._calm("calm-store", "calm-masks")
        masks, calm = self._masks("masks"), self._masks("calm-masks")
        bad = self.fleet.bad()
        for place in sorted(calm):
            if masks.get(place) != calm[place]:
                self.told.append(f"{place} is {'another' if place in masks else 'missing'}")
        # a frame that was good once and is bad now keeps its older mask
        extra = [place for place in masks.keys() - calm.keys() if _frame_of(place) not in bad]
        self.told += [f"{place} is too many" for place in extra]
        good = {_frame_of(key) for key in self.fleet.files if "gtFine" not in key} - bad
        if {_frame_of(place) for place in calm} != good or len(calm) != len(COLUMNS) * len(good):
            self.told.append(
                "the undisturbed night has not one mask of each kind for each good frame"
            )
        failed, calm_failed = self._failed("store"), self._failed("calm-store")
        if failed != calm_failed or set(failed) != bad or not all(failed.values()):
            self.told.append(f"bad: {sorted(bad)}, told: {failed}, undisturbed: {calm_failed}")
        self.told += damage(open_store(f"{self.base}/store", write=False))
        recorded = self._recorded()
        self._calm("store", "masks")
        if self._recorded() != recorded:
            self.told.append("a night with nothing new has written something")
        if self._faults.exists():
            self.told.append(self._faults.read_text())
        self.counts.update(frames=len(good), bad=len(bad), masks=len(calm), waited=self._waited())
        shutil.rmtree(self._scratch)

    def _unlucky(self) -> bool:
        return self.chance.random() < 0.4

    def _start(self, store: str = "store", out: str = "masks") -> int:
        return fork(
            lambda: night(f"{self.base}/{store}", self.fleet.url, f"{self.base}/{out}"),
            self._faults,
        )

    def _calm(self, store: str, out: str) -> None:
        began = time.monotonic()
        code = wait(self._start(store, out))
        self._longest = max(self._longest, time.monotonic() - began)
        if code != 0:
            self.told.append(f"a calm night ended with {code}")

    def _kill(self, doomed: dict[int, float], elapsed_s: float) -> None:
        for pid in [pid for pid, at_s in doomed.items() if 0 <= at_s <= elapsed_s]:
            os.kill(pid, signal.SIGKILL)
            doomed[pid] = -1.0

    def _wait(self, pids: list[int], doomed: dict[int, float], began: float) -> int:
        """How many nights were killed."""
        codes: dict[int, int] = {}
        while len(codes) < len(pids):
            self._kill(
                {p: s for p, s in doomed.items() if p not in codes}, time.monotonic() - began
            )
            for pid in pids:
                if pid not in codes and (code := ended(pid)) is not None:
                    codes[pid] = code
            time.sleep(0.002)
        if set(codes.values()) - {0, -signal.SIGKILL}:
            self.told.append(f"nights ended with {sorted(codes.values())}")
        if not any(codes.values()):
            self._longest = 0.5 * self._longest + 0.5 * (time.monotonic() - began)
        return sum(code == -signal.SIGKILL for code in codes.values())

    def _recorded(self) -> Counter[tuple[str, str]]:
        """How often each frame is recorded with each digest of its inputs."""
        store = open_store(f"{self.base}/store", write=True)
        return Counter(
            one
            for item, lines in read_items(store, "run", RUN).items()
            if item.startswith("part-")
            for line in lines
            for one in zip(line.metrics["frames"], line.metrics["inputs"], strict=True)
        )

    def _waited(self) -> int:
        """How often a night left a frame for the next one."""
        items = read_items(open_store(f"{self.base}/store", write=False), "run", RUN)
        nights = [line for lines in items.values() for line in lines if "waiting" in line.metrics]
        return sum(line.metrics["waiting"] for line in nights)

    def _judge_double_work(self, known: Counter[tuple[str, str]]) -> None:
        new = self._recorded() - known
        twice = sum(times - 1 for times in new.values())
        self.counts.update(side_by_side=1, twice=twice)
        if twice > PART_FRAMES:
            self.told.append(f"{twice} frames of {len(new)} were worked on twice")

    def _judge_masks_whole(self) -> None:
        for place, data in self._masks("masks").items():
            try:
                with Image.open(io.BytesIO(data)) as image:
                    image.load()
            except (OSError, SyntaxError) as error:
                self.told.append(f"{place} is torn: {error}")

    def _masks(self, out: str) -> dict[str, bytes]:
        sink = open_sink(f"{self.base}/{out}")
        return {listed.key: sink.get(listed.key) or b"" for listed in sink.list()}

    def _failed(self, store: str) -> dict[str, str]:
        """Frame -> reason, of the newest night."""
        opened = open_store(f"{self.base}/{store}", write=False)
        items = read_items(opened, "run", RUN)
        newest = max(
            (line for item, lines in items.items() if item.startswith("night-") for line in lines),
            key=lambda line: line.time,
        )
        rows = from_parquet(read_file(opened, newest.file("frames.parquet"))).to_pylist()
        if waiting := [row["name"] for row in rows if row["status"] == "waiting"]:
            self.told.append(f"{waiting} wait though everything has arrived")
        return {row["name"]: row["error"] for row in rows if row["status"] == "failed"}


def night(store_url: str, source_url: str, out_url: str) -> None:
    """What tasks/predict.py does, with a model that needs no trial."""
    source = open_source(source_url)
    jobs = index_frames(source, frames="all", split=None, clip_frames=CLIP_FRAMES, stride=1)
    predictor = Predictor(
        module=SeesItsPast(),
        runtime=Runtime(device="cpu", precision="fp32", threads=1),
        mean=[0.5] * 3,
        std=[0.25] * 3,
        height=16,
        width=32,
        min_confidence=0.3,
        columns=COLUMNS,
    )
    bag = Bag(open_store(store_url, write=True), "run", RUN, "0" * 64)
    sink = open_sink(out_url)
    predict_frames(predictor, jobs, source, sink, bag, meta={}, settle_s=SETTLE_S)


def _size(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size


def _frame_of(place: str) -> str:
    """CITY_SEQ_FRAME of any file that is named for its frame."""
    return "_".join(place.rpartition("/")[2].split("_")[:3])
