"""Find every fault first: each file is looked at once, and all that is wrong is said at once.

Looked at: signature, header, every chunk's CRC, colour type, size, ids of labels; with `deep` the
pixels of frames are decoded too (a conversion does that anyway). `report.parquet` has one row a file:
key, role, split, size, sha256, height, width, kind, detail; kind is "" where nothing is wrong.

kinds: missing_label, missing_frame, unreadable, truncated, damaged, wrong_color_type, wrong_size,
unknown_label_id.
"""

import hashlib
import logging
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segnets.data.cityscapes import ClipFiles, Index, Problem
from segnets.data.decode import PngFault, Role, check_png, decode_label_ids, decode_rgb
from segnets.data.digests import DigestCache
from segnets.errors import DatasetError, Denied, NotFound
from segnets.labels import KNOWN_LABEL_IDS
from segnets.signals import StopRequest
from segnets.store.base import Source

REPORT_VERSION = 1
SAY_EVERY_S = 10.0
log = logging.getLogger("segnets.data")

_WORDS = {
    "missing_label": ("missing label", "missing labels"),
    "missing_frame": ("missing frame", "missing frames"),
    "unreadable": ("unreadable file", "unreadable files"),
    "truncated": ("truncated PNG", "truncated PNGs"),
    "damaged": ("damaged PNG", "damaged PNGs"),
    "wrong_color_type": ("wrong colour type", "wrong colour types"),
    "wrong_size": ("wrong size", "wrong sizes"),
    "unknown_label_id": ("unknown labelId", "labels with unknown labelIds"),
}


@dataclass(frozen=True, slots=True)
class Looked:
    """What one file was found to be; height and width are 0 where it has none."""

    size: int
    sha256: str
    height: int
    width: int
    kind: str
    detail: str
    deep: bool


def look_at(data: bytes, role: Role, key: str, *, deep: bool) -> Looked:
    """One file's bytes, checked on their own (what depends on other files comes later)."""
    sha256 = hashlib.sha256(data).hexdigest()
    height = width = 0
    kind = detail = ""
    try:
        info = check_png(data, role, key)
        height, width = info.height, info.width
        if role == "label":
            label_ids = decode_label_ids(data, key, checked=True)
            counts = np.bincount(label_ids.ravel(), minlength=256)
            unknown = [one for one in np.flatnonzero(counts).tolist() if one not in KNOWN_LABEL_IDS]
            if unknown:
                kind = "unknown_label_id"
                detail = f"labelId {unknown[0]} is unknown ({counts[unknown[0]]} pixels)"
        elif deep:
            decode_rgb(data, key, checked=True)
    except PngFault as fault:
        kind, detail = fault.kind, fault.detail
    return Looked(len(data), sha256, height, width, kind, detail, deep or role == "label")


def look_at_all(
    source: Source,
    index: Index,
    cache: DigestCache,
    *,
    workers: int,
    stop: StopRequest,
    deep: bool = False,
) -> dict[str, Looked]:
    """Every file of the index, by key; what the cache knows is not read again.

    Raises Stopped between two files, and StoreError where the place that holds the files is away.
    """
    looked: dict[str, Looked] = {}
    fresh: list[str] = []
    for key in index.files:
        known = cache.get(key, index.listed[key])
        if known is not None and (known["deep"] or not deep):
            looked[key] = Looked(**known)
        else:
            fresh.append(key)

    def look(key: str) -> Looked:
        stamp = cache.stamp(key, index.listed[key])
        try:
            data = source.get(key)
        except (NotFound, Denied) as error:
            reason = "it is gone" if isinstance(error, NotFound) else "no right to read it"
            return Looked(0, "", 0, 0, "unreadable", f"the file cannot be read: {reason}", deep)
        if key in index.copies and _is_link_text(data, key):
            found = Looked(len(data), hashlib.sha256(data).hexdigest(), 0, 0, "", "", deep=True)
        else:
            found = look_at(data, index.files[key], key, deep=deep)
        cache.put(key, stamp, asdict(found))
        return found

    if fresh:
        log.info("looking at %d files of %s", len(fresh), source.url)
    try:
        looked.update(in_order(look, fresh, workers, stop, "looked at %d of %d files"))
    finally:
        cache.flush()
    return looked


def _is_link_text(data: bytes, key: str) -> bool:
    """Whether a file holds the path of a file of the same name: a link copied as text."""
    return len(data) < 4096 and data.strip().endswith(b"/" + key.rsplit("/", 1)[-1].encode())


def in_order(
    call: Any, items: Sequence[Any], workers: int, stop: StopRequest, progress: str
) -> Iterator[tuple[Any, Any]]:
    """(item, call(item)) in the order of items, computed by threads a few items ahead."""
    said = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        ahead: list[Future[Any]] = []
        try:
            submitted = 0
            for done, item in enumerate(items):
                while submitted < len(items) and len(ahead) < 4 * workers:
                    ahead.append(pool.submit(call, items[submitted]))
                    submitted += 1
                result = ahead.pop(0).result()
                yield item, result
                stop.raise_if_requested()
                if time.monotonic() - said > SAY_EVERY_S:
                    said = time.monotonic()
                    log.info(progress, done + 1, len(items))
        finally:
            for future in ahead:
                future.cancel()


def find_problems(index: Index, looked: Mapping[str, Looked]) -> list[Problem]:
    """Everything wrong with the data, sorted by key: missing files, bad files, wrong sizes."""
    problems = list(index.problems)
    splits = _split_of_key(index)
    for key, found in looked.items():
        if found.kind:
            problems.append(Problem(found.kind, splits[key], key, found.detail))
    problems.extend(_wrong_sizes(index, looked, splits))
    return sorted(problems, key=lambda one: (one.key, one.kind))


def _wrong_sizes(
    index: Index, looked: Mapping[str, Looked], splits: Mapping[str, str]
) -> Iterator[Problem]:
    """Files of another size than most files of their city (one city, one camera)."""
    whole = {key: found for key, found in looked.items() if found.height}
    overall = Counter((found.height, found.width) for found in whole.values())
    by_city: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key in whole:
        by_city[splits[key], key.split("/")[-2]].append(key)
    for (_, city), keys in sorted(by_city.items()):
        sizes = Counter((whole[key].height, whole[key].width) for key in keys)
        usual = max(sizes, key=lambda size: (sizes[size], overall[size], size))
        for key in keys:
            found = whole[key]
            if (found.height, found.width) != usual and not found.kind:
                here = f"the {index.files[key]} is {found.width}x{found.height}"
                detail = f"{here}, {city} is {usual[1]}x{usual[0]}"
                yield Problem("wrong_size", splits[key], key, detail)


def _split_of_key(index: Index) -> dict[str, str]:
    """The split of each file, from its folder."""
    splits: dict[str, str] = {}
    for key in index.files:
        level = key.split("/")[1]
        splits[key] = level if key.count("/") == 3 else "train"
    return splits


def whole_clips(clips: Sequence[ClipFiles], problems: Sequence[Problem]) -> list[ClipFiles]:
    """The clips none of whose files has a problem."""
    bad = {problem.key for problem in problems}
    return [
        clip for clip in clips if not bad.intersection((*clip.frame_keys, clip.label_key or ""))
    ]


def report_table(index: Index, looked: Mapping[str, Looked], problems: Sequence[Problem]) -> Any:
    """report.parquet as a pyarrow table: one row a file, also for files that are missing."""
    import pyarrow as pa

    by_key = {problem.key: problem for problem in problems}
    splits = _split_of_key(index)
    nothing = Looked(0, "", 0, 0, "", "", deep=False)
    columns: dict[str, list[Any]] = defaultdict(list)
    for key in sorted({*index.files, *by_key}):
        found, problem = looked.get(key, nothing), by_key.get(key)
        columns["key"].append(key)
        columns["role"].append(index.files.get(key) or ("label" if "_gtFine_" in key else "frame"))
        columns["split"].append(splits.get(key, problem.split if problem else ""))
        columns["size"].append(found.size)
        columns["sha256"].append(found.sha256)
        columns["height"].append(found.height)
        columns["width"].append(found.width)
        columns["kind"].append(problem.kind if problem else "")
        columns["detail"].append(problem.detail if problem else "")
    integers = {"size": pa.int64(), "height": pa.int32(), "width": pa.int32()}
    names = ("key", "role", "split", "size", "sha256", "height", "width", "kind", "detail")
    return pa.table(
        {name: pa.array(columns[name], integers.get(name, pa.string())) for name in names}
    )


def count_kinds(problems: Sequence[Problem]) -> dict[str, int]:
    """Number of problems by kind, sorted by name."""
    return dict(sorted(Counter(problem.kind for problem in problems).items()))


def describe(problems: Sequence[Problem], index: Index, report: Path | None) -> DatasetError:
    """One sentence for all problems: counts, the first five files, where the rest is, what to do."""
    counts = ", ".join(
        f"{count} {_WORDS[kind][count > 1]}" for kind, count in count_kinds(problems).items()
    )
    first = "; ".join(f"{one.key} ({one.detail})" for one in problems[:5])
    more = f"; and {len(problems) - 5} more" if len(problems) > 5 else ""
    listed = f"All are listed in {report}. " if report is not None else ""
    noun = "problem" if len(problems) == 1 else "problems"
    return DatasetError(
        f"{len(problems)} {noun} in the data ({counts})",
        f"{index.url}: {first}{more}",
        f"{listed}Repair {'it' if len(problems) == 1 else 'them'}, or pass --on-problem skip to "
        "leave the clips concerned out.",
    )


def write_report(data: bytes, folder: Path, name: str) -> Path | None:
    """Keep a report beside the digests, where a person can open it; None where nothing can be written."""
    path = folder / "reports" / f"{name}.report.parquet"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        log.warning("cannot write the report %s: %s", path, error)
        return None
    return path


@contextmanager
def single_torch_thread() -> Iterator[None]:
    """One torch thread a call while our own threads work side by side; put back afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
