"""The Cityscapes layout: index the three folders, form clips of T frames.

    leftImg8bit/[SPLIT/]CITY/CITY_SEQ_FRAME_leftImg8bit.png             frames that are labelled
    leftImg8bit_sequence/[SPLIT/]CITY/CITY_SEQ_FRAME_leftImg8bit.png    all frames: the past
    gtFine/[SPLIT/]CITY/CITY_SEQ_FRAME_gtFine_labelIds.png              labels

SEQ and FRAME have six digits. Folders other than train, val and test at the split level are left
alone; without a split level everything is train. A sample is keyed by (split, name), where name is
CITY_SEQ_FRAME of its last frame.
"""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from segnets.data.decode import Role
from segnets.errors import DatasetError, NotFound
from segnets.store.base import Listed, Source

SPLITS = ("train", "val", "test")
FRAMES = "leftImg8bit"
SEQUENCE = "leftImg8bit_sequence"
LABELS = "gtFine"

log = logging.getLogger("segnets.data")

_FRAME_NAME = re.compile(r"(?P<city>.+)_(?P<seq>\d{6})_(?P<frame>\d{6})_leftImg8bit\.png")
_LABEL_NAME = re.compile(r"(?P<city>.+)_(?P<seq>\d{6})_(?P<frame>\d{6})_gtFine_labelIds\.png")


class FrameId(NamedTuple):
    """One frame of the data; sorts by split, city, sequence, frame number."""

    split: str
    city: str
    seq: int
    frame: int

    @property
    def name(self) -> str:
        """CITY_SEQ_FRAME."""
        return f"{self.city}_{self.seq:06d}_{self.frame:06d}"

    def before(self, steps: int) -> "FrameId":
        """The frame `steps` numbers earlier."""
        return self._replace(frame=self.frame - steps)


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that cannot be used, or is not there; `kind` is its row in the fault table."""

    kind: str
    split: str
    key: str
    detail: str


@dataclass(frozen=True, slots=True)
class ClipFiles:
    """A clip as files: T frames, oldest first, the last one labelled."""

    split: str
    city: str
    seq: int
    frame: int
    frame_ids: tuple[FrameId, ...]
    frame_keys: tuple[str, ...]
    label_key: str | None

    @property
    def name(self) -> str:
        """CITY_SEQ_FRAME of the last frame."""
        return FrameId(self.split, self.city, self.seq, self.frame).name


@dataclass(frozen=True, slots=True)
class Index:
    """What a folder of data holds, before any file was opened."""

    url: str
    clips: tuple[ClipFiles, ...]
    short: tuple[FrameId, ...]
    """Labelled frames left out because earlier frames are missing."""
    problems: tuple[Problem, ...]
    files: Mapping[str, Role]
    """Every file that belongs to a clip, and the other copy of a frame that lies in both folders."""
    copies: frozenset[str]
    """Those other copies: looked at, but never used."""
    listed: Mapping[str, Listed]


@dataclass(frozen=True, slots=True)
class FrameJob:
    """A frame to predict: `frame_keys` oldest first, the oldest repeated where the past is missing."""

    split: str | None
    city: str
    seq: int
    frame: int
    name: str
    frame_keys: tuple[str, ...]
    label_key: str | None
    files: Mapping[str, Listed] = field(default_factory=dict, compare=False)
    """Each of these files as it was listed."""

    def earlier(self, steps: int) -> "FrameJob":
        """The name of the frame `steps` numbers earlier, as a job that has no files."""
        frame = FrameId(self.split or "", self.city, self.seq, self.frame).before(steps)
        return replace(
            self, frame=frame.frame, name=frame.name, frame_keys=(), label_key=None, files={}
        )


@dataclass(slots=True)
class _Layout:
    """Keys by frame; of a frame that lies in both folders the sequence's copy is used."""

    has_splits: bool = True
    listed: dict[str, Listed] = field(default_factory=dict)
    named: dict[FrameId, str] = field(default_factory=dict)
    sequence: dict[FrameId, str] = field(default_factory=dict)
    labels: dict[FrameId, str] = field(default_factory=dict)

    def key_of(self, frame: FrameId) -> str | None:
        # sequences first: copying tools turn links from leftImg8bit into text files that hold a path
        return self.sequence.get(frame) or self.named.get(frame)


def index_clips(
    source: Source, *, clip_frames: int, stride: int, on_missing: Literal["leave_out", "repeat"]
) -> Index:
    """Index a folder and form its clips, in the order of (split, city, seq, frame).

    A clip ends at each frame named in leftImg8bit and at each labelled frame of a sequence; a split
    with neither gives every frame. The past is every `stride`-th frame before it; with too few of
    them the clip is left out, or shows its oldest frame again (`on_missing` repeat). In train and val
    a label that is missing is a problem, unless the split has none at all.
    Raises DatasetError where nothing is found.
    """
    layout = _read_layout(source, strict=True)
    files: dict[str, Role] = {}
    clips: list[ClipFiles] = []
    short: list[FrameId] = []
    problems: list[Problem] = []
    copies: set[str] = set()
    for last in _last_frames(layout):
        label_key = layout.labels.get(last)
        if layout.key_of(last) is None:
            detail = "the frame of this label is missing"
            problems.append(Problem("missing_frame", last.split, layout.labels[last], detail))
            continue
        ids = _window(layout, last, clip_frames, stride)
        if len(ids) < clip_frames and on_missing == "leave_out":
            short.append(last)
            continue
        ids = (ids[0],) * (clip_frames - len(ids)) + ids
        for one in ids:
            for key in (layout.sequence.get(one), layout.named.get(one)):
                if key is not None:
                    files[key] = "frame"
                    if key != layout.key_of(one):
                        copies.add(key)
        if label_key is not None:
            files[label_key] = "label"
        elif last.split != "test" and any(one.split == last.split for one in layout.labels):
            key = _label_key(layout, last)
            problems.append(Problem("missing_label", last.split, key, "the label is missing"))
            continue
        keys = tuple(key for one in ids if (key := layout.key_of(one)) is not None)
        assert len(keys) == clip_frames
        clips.append(ClipFiles(*last, frame_ids=ids, frame_keys=keys, label_key=label_key))
    return Index(
        url=source.url,
        clips=tuple(clips),
        short=tuple(short),
        problems=tuple(problems),
        files=dict(sorted(files.items())),
        copies=frozenset(copies),
        listed=layout.listed,
    )


def index_frames(
    source: Source,
    *,
    frames: Literal["labelled", "all"] | None,
    split: str | None,
    clip_frames: int,
    stride: int,
) -> list[FrameJob]:
    """The frames to predict, in the order of (split, city, seq, frame).

    labelled: those named in leftImg8bit, the default where that folder has any; all: every frame of
    both folders. `split` of a job is None where the folders have no split level.
    Raises DatasetError where nothing is found.
    """
    layout = _read_layout(source, strict=False)
    if frames == "labelled" and not layout.named:
        raise DatasetError(
            f"there are no frames in {FRAMES}", source.url, "Pass --frames all for the sequences."
        )
    everything = frames == "all" or not layout.named
    wanted = set(layout.named) | set(layout.sequence) if everything else set(layout.named)
    chosen = sorted(one for one in wanted if split is None or one.split == split)
    if not chosen:
        raise DatasetError(
            f"there are no frames in split {split}", source.url, "Choose train, val or test."
        )
    jobs: list[FrameJob] = []
    for last in chosen:
        ids = _window(layout, last, clip_frames, stride)
        ids = (ids[0],) * (clip_frames - len(ids)) + ids
        keys = tuple(key for one in ids if (key := layout.key_of(one)) is not None)
        label_key = layout.labels.get(last)
        files = {key: layout.listed[key] for key in (*keys, label_key) if key is not None}
        jobs.append(
            FrameJob(
                split=last.split if layout.has_splits else None,
                city=last.city,
                seq=last.seq,
                frame=last.frame,
                name=last.name,
                frame_keys=keys,
                label_key=label_key,
                files=files,
            )
        )
    return jobs


def job_of(key: str) -> FrameJob | None:
    """A job of one frame, as its key names it; None for a key that is no frame's."""
    levels = key.split("/")
    match = _FRAME_NAME.fullmatch(levels[-1])
    if match is None or len(levels) not in (3, 4):
        return None
    city, seq, frame = match["city"], int(match["seq"]), int(match["frame"])
    return FrameJob(
        split=levels[1] if len(levels) == 4 else None,
        city=city,
        seq=seq,
        frame=frame,
        name=FrameId("", city, seq, frame).name,
        frame_keys=(key,),
        label_key=None,
    )


def _window(layout: _Layout, last: FrameId, clip_frames: int, stride: int) -> tuple[FrameId, ...]:
    """The frames of a clip that are there, oldest first, without a gap; at least the last one."""
    found = [last]
    for steps in range(1, clip_frames):
        earlier = last.before(steps * stride)
        if earlier.frame < 0 or layout.key_of(earlier) is None:
            break
        found.append(earlier)
    return tuple(reversed(found))


def _last_frames(layout: _Layout) -> list[FrameId]:
    """The frames at which clips end."""
    lasts = set(layout.named) | set(layout.labels)
    known = {one.split for one in lasts}
    return sorted(lasts | {one for one in layout.sequence if one.split not in known})


def _label_key(layout: _Layout, frame: FrameId) -> str:
    """Where a missing label should be."""
    level = f"{frame.split}/" if layout.has_splits else ""
    return f"{LABELS}/{level}{frame.city}/{frame.name}_gtFine_labelIds.png"


def _read_layout(source: Source, *, strict: bool) -> _Layout:
    layout = _Layout()
    found: dict[str, list[tuple[str | None, FrameId, Listed]]] = defaultdict(list)
    for folder, pattern in ((FRAMES, _FRAME_NAME), (SEQUENCE, _FRAME_NAME), (LABELS, _LABEL_NAME)):
        for split, frame, listed in _read_folder(source, folder, pattern, strict=strict):
            found[folder].append((split, frame, listed))
    levels = Counter(split is not None for rows in found.values() for split, _, _ in rows)
    if not levels:
        raise _nothing_found(source)
    if len(levels) == 2:
        raise DatasetError(
            "some files lie under train, val or test and some do not",
            source.url,
            "Give all of them the split level, or none.",
        )
    layout.has_splits = True in levels
    for folder, into in (
        (FRAMES, layout.named),
        (SEQUENCE, layout.sequence),
        (LABELS, layout.labels),
    ):
        for _, frame, listed in found[folder]:
            if frame in into:
                raise DatasetError(
                    f"two files of {folder} have one name, {frame.name}",
                    f"{source.url}: {into[frame]}, {listed.key}",
                    "Remove one of them.",
                )
            into[frame] = listed.key
            layout.listed[listed.key] = listed
    return layout


def _read_folder(
    source: Source, folder: str, pattern: re.Pattern[str], *, strict: bool
) -> Iterator[tuple[str | None, FrameId, Listed]]:
    """(split or None, frame, file) for every file of a folder that is named as in the layout.

    A name that is not UTF-8 is an error where the reading is strict, else passed over with a warning.
    """
    for listed in _list(source, f"{folder}/"):
        levels = listed.key.split("/")[1:]
        match = pattern.fullmatch(levels[-1])
        if match is None or len(levels) not in (2, 3):
            continue
        split = levels[0] if len(levels) == 3 else None
        if split is not None and split not in SPLITS:
            continue  # train_extra and the like
        if not _is_utf8(listed.key):  # no table, JSON or URL could hold it
            error = DatasetError(
                "the name of a file is not UTF-8",
                f"{source.url}: {listed.key!a}",
                "Rename it.",
            )
            if strict:
                raise error
            log.warning("%s It is passed over.", error)
            continue
        frame = FrameId(split or "train", match["city"], int(match["seq"]), int(match["frame"]))
        yield split, frame, listed


def _is_utf8(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def _list(source: Source, prefix: str) -> list[Listed]:
    try:
        return source.list(prefix)
    except NotFound:
        return []


def _nothing_found(source: Source) -> DatasetError:
    """The sentence for a folder without frames, by what is there instead."""
    some = [listed.key for listed in _list(source, "")[:2]]
    if not some:
        return DatasetError(
            "the folder is empty",
            source.url,
            f"--data wants a folder that holds {FRAMES}, {SEQUENCE} and {LABELS}.",
        )
    return DatasetError(
        f"there are no frames in the Cityscapes layout here (but {', '.join(some)})",
        source.url,
        f"--data wants the folder that holds {FRAMES}, {SEQUENCE} and {LABELS}.",
    )
