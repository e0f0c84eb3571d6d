"""Street scenes as an ordinary Cityscapes folder.

    leftImg8bit/SPLIT/CITY/CITY_SSSSSS_FFFFFF_leftImg8bit.png            the labelled frame
    leftImg8bit_sequence/SPLIT/CITY/CITY_SSSSSS_FFFFFF_leftImg8bit.png   all frames, that one too
    gtFine/SPLIT/CITY/CITY_SSSSSS_FFFFFF_gtFine_{labelIds,color,instanceIds}.png   train and val
    streets.json                                                         written last: all is there

Every file is written under another name and renamed, so that whatever dies leaves no half file; the
next call draws the clips whose files are not all there. The same settings give the same bytes.
"""

import errno
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segnets.errors import ConfigError, DatasetError, OutOfSpace
from segnets.labels import LABELS
from segnets.signals import catch_stop
from segnets.synthetic.render import Renderer
from segnets.synthetic.scene import FRAME_S, make_scene
from segnets.synthetic.textures import atlas

GENERATOR_VERSION = 1
"""Part of dataset ids: raised by every change that moves a pixel."""

CITIES: dict[str, tuple[str, ...]] = {
    "train": ("aldermark", "brunnfeld"),
    "val": ("castelmont",),
    "test": ("dornhaven",),
}
SPLITS = tuple(CITIES)
MARKER = "streets.json"
LABELLED_FRAME = 19  # as in Cityscapes, unless the clip is longer
_PNG_LEVEL = 1  # 2.4 times as fast as 6 for 5 % more bytes: the noise does not compress
_LOG_EVERY_S = 10.0

Past = Literal["moving", "unrelated"]
_LOG = logging.getLogger("segnets.synthetic")
_PALETTE = np.zeros((256, 4), np.uint8)
for _row in LABELS:
    _PALETTE[_row.label_id] = (*_row.color, 255)


@dataclass(frozen=True)
class ClipPlan:
    """One clip to draw: where it goes and which scene it shows."""

    split: str
    city: str
    sequence: int
    number: int  # in its split: rare classes take turns by it

    def stem(self, frame: int) -> str:
        """The name of a frame up to its kind."""
        return f"{self.city}_{self.sequence:06d}_{frame:06d}"


def split_scenes(scenes: int) -> dict[str, int]:
    """How many clips each split gets: two ninths val, one ninth test, the rest train."""
    val, test = round(scenes * 2 / 9), round(scenes / 9)
    return {"train": scenes - val - test, "val": val, "test": test}


def streets_folder(
    *, size: tuple[int, int], scenes: int, clip_frames: int, seed: int = 0, past: Past = "moving"
) -> str:
    """The name of the folder for these settings: two settings never share one."""
    text = json.dumps(
        _settings(split_scenes(scenes), size, clip_frames, seed, past), sort_keys=True
    )
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"streets-{size[0]}x{size[1]}-{scenes}-{digest}"


def write_streets(
    root: Path, *, clips: Mapping[str, int], size: tuple[int, int], clip_frames: int = 4,
    seed: int = 0, past: Past = "moving", workers: int | None = None,
) -> Path:  # fmt: skip
    """Draw `clips` {split: count} of `clip_frames` frames of `size` (H, W = 2H) under `root`.

    `past="unrelated"` shows another scene in all frames but the labelled one: a control in which
    time cannot help. Returns `root`. Raises ConfigError for a size that is not 2:1 or an unknown
    split, DatasetError if the folder holds other streets or cannot be used, OutOfSpace if the disk is
    full, Stopped after a signal.
    """
    height, width = size
    if width != 2 * height or height < 32:
        raise ConfigError("street scenes are twice as wide as high, 32 rows or more",
                          f"{height}x{width}", "Choose another --source-size.")  # fmt: skip
    for split in clips:
        if split not in CITIES:
            raise ConfigError("no such split", split, f"Use {', '.join(SPLITS)}.")
    root = Path(root)
    with _explained(root):
        return _write_streets(root, clips, size, clip_frames, seed, past, workers)


def _write_streets(
    root: Path,
    clips: Mapping[str, int],
    size: tuple[int, int],
    clip_frames: int,
    seed: int,
    past: Past,
    workers: int | None,
) -> Path:
    settings = _settings(clips, size, clip_frames, seed, past)
    plans = list(_plans(clips))
    if _is_whole(root, settings, plans, clip_frames):
        _LOG.info("street scenes are all there: %s", root)
        return root
    missing = [plan for plan in plans if not _clip_is_there(root, plan, clip_frames)]
    _LOG.info("drawing %d street scenes of %d frames, %dx%d, into %s",
              len(missing), clip_frames, *size, root)  # fmt: skip
    for folder in {file.parent for plan in plans for file in _files(root, plan, clip_frames)}:
        folder.mkdir(parents=True, exist_ok=True)
    _put(root / "streets.unfinished.json", _encode_settings(settings))
    atlas()  # once, before the threads ask for it
    began = said = time.monotonic()
    threads = workers or os.cpu_count() or 1
    with catch_stop() as stop, ThreadPoolExecutor(threads) as pool:
        jobs = [
            pool.submit(_draw_clip, root, plan, size, clip_frames, seed, past) for plan in missing
        ]
        try:
            for done, job in enumerate(jobs, 1):
                job.result()
                stop.raise_if_requested()
                if time.monotonic() - said > _LOG_EVERY_S:
                    said = time.monotonic()
                    _LOG.info("drew %d of %d street scenes", done, len(jobs))
        except BaseException:
            for job in jobs:
                job.cancel()
            raise
    sizes = sum(file.stat().st_size for plan in plans for file in _files(root, plan, clip_frames))
    _put(root / MARKER, _encode_settings(settings | {"bytes": sizes}))
    (root / "streets.unfinished.json").unlink(missing_ok=True)
    _LOG.info("drew %d street scenes in %.1f s", len(missing), time.monotonic() - began)
    return root


def _settings(
    clips: Mapping[str, int], size: tuple[int, int], clip_frames: int, seed: int, past: Past
) -> dict[str, Any]:
    return {
        "generator": GENERATOR_VERSION,
        "clips": {split: int(clips.get(split, 0)) for split in SPLITS},
        "size": list(size),
        "clip_frames": clip_frames,
        "seed": seed,
        "past": past,
    }


def _encode_settings(settings: Mapping[str, Any]) -> bytes:
    return (json.dumps(settings, sort_keys=True, indent=1) + "\n").encode()


def _plans(clips: Mapping[str, int]) -> Iterator[ClipPlan]:
    for split in SPLITS:
        cities = CITIES[split]
        for number in range(clips.get(split, 0)):
            yield ClipPlan(split, cities[number % len(cities)], number // len(cities), number)


def _labelled(clip_frames: int) -> int:
    return max(LABELLED_FRAME, clip_frames - 1)


def _files(root: Path, plan: ClipPlan, clip_frames: int) -> list[Path]:
    last = _labelled(clip_frames)
    place = Path(plan.split) / plan.city
    files = [
        root / "leftImg8bit_sequence" / place / f"{plan.stem(frame)}_leftImg8bit.png"
        for frame in range(last - clip_frames + 1, last + 1)
    ]
    files.append(root / "leftImg8bit" / place / f"{plan.stem(last)}_leftImg8bit.png")
    if plan.split != "test":  # as in Cityscapes, nobody has the truth of test
        files += [
            root / "gtFine" / place / f"{plan.stem(last)}_gtFine_{kind}.png"
            for kind in ("labelIds", "color", "instanceIds")
        ]
    return files


def _clip_is_there(root: Path, plan: ClipPlan, clip_frames: int) -> bool:
    return all(file.is_file() for file in _files(root, plan, clip_frames))


def _is_whole(
    root: Path, settings: Mapping[str, Any], plans: list[ClipPlan], clip_frames: int
) -> bool:
    """Whether the marker is there for these settings and every file has its bytes."""
    for name in (MARKER, "streets.unfinished.json"):
        try:
            found = json.loads((root / name).read_bytes())
        except FileNotFoundError:
            continue
        except ValueError:
            found = {}
        total = found.pop("bytes", None)
        if found != settings:
            raise DatasetError("the folder holds other street scenes", root / name,
                               "Delete the folder or choose another one.")  # fmt: skip
        if name != MARKER:
            continue
        try:
            there = sum(
                file.stat().st_size for plan in plans for file in _files(root, plan, clip_frames)
            )
        except FileNotFoundError:
            return False
        if there == total:
            return True
        _LOG.warning("files in %s have changed; drawing all of them again", root)
        for plan in plans:
            for file in _files(root, plan, clip_frames):
                file.unlink(missing_ok=True)
    return False


def _draw_clip(
    root: Path, plan: ClipPlan, size: tuple[int, int], clip_frames: int, seed: int, past: Past
) -> None:
    """Draw and write one clip; the labelled frame last."""
    height, width = size
    past_s = FRAME_S * (clip_frames - 1)
    key = (seed, SPLITS.index(plan.split), plan.number)
    renderer = Renderer(make_scene(key, plan.number, past_s), height, width, past_s)
    earlier = renderer
    if past == "unrelated":
        earlier = Renderer(make_scene((*key, 1), plan.number + 1, past_s), height, width, past_s)
    last = _labelled(clip_frames)
    files = _files(root, plan, clip_frames)
    for back in range(clip_frames - 1, 0, -1):
        picture = earlier.draw(-FRAME_S * back)
        _put(files[clip_frames - 1 - back], _png(picture.rgb))
    picture = renderer.draw(0.0)
    now = _png(picture.rgb)
    contents = [now, now]
    if plan.split != "test":
        contents += [
            _png(picture.label_ids),
            _png(_PALETTE[picture.label_ids]),
            _png(picture.instance_ids),
        ]
    assert files[clip_frames - 1].name.startswith(plan.stem(last))
    for file, data in zip(files[clip_frames - 1 :], contents, strict=True):
        _put(file, data)


def _png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def _put(file: Path, data: bytes) -> None:
    """Write `data` under another name, then rename: the file is whole or not there."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with _explained(file):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(file)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say what an error of the operating system means for the street scenes at `path`."""
    try:
        yield
    except OSError as error:
        or_else = "choose another folder by $SEGNETS_DATA."
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            what = "the disk is full or read-only"
            raise OutOfSpace(what, path, f"Make room or {or_else}") from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST):
            place = Path(error.filename or path)
            file = next((one for one in (place, *place.parents) if one.is_file()), place)
            what = "a file stands where street scenes need a folder"
            raise DatasetError(what, file, f"Move it away or {or_else}") from error
        what = f"street scenes cannot be kept here ({error.strerror or error})"
        raise DatasetError(what, path, f"Look at its rights and its disk, or {or_else}") from error
