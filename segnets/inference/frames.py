"""Frames of a source as clips at network size, and the digest of what went into them.

A bad frame has no clip. In the past of others it counts as one that never came: the clip begins behind
it, and shows its oldest frame again.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segnets.data.cityscapes import FrameJob
from segnets.data.decode import PngFault, decode_label_ids, decode_rgb
from segnets.data.resize import resize_frame
from segnets.errors import DatasetError, Denied
from segnets.inference.arrivals import check_settled, read_settled
from segnets.inference.ledger import Seen, digest_of_all, sha256_of
from segnets.inference.masks import to_train_ids
from segnets.labels import IGNORE_INDEX
from segnets.store.base import Source

SIDE = "in"


@dataclass(frozen=True, slots=True)
class Clip:
    """What a frame is decided from."""

    inputs: str
    """Digest of the bytes of its frames and its truth."""
    rgb: NDArray[np.uint8]
    """The frame itself (Ho, Wo, 3)."""
    small: NDArray[np.uint8]
    """Its clip at network size (T, H, W, 3)."""
    unlabelled: NDArray[np.bool_] | None
    """Where a given truth is unlabelled (Ho, Wo); None without a truth."""


class Frames:
    """Reads the clips of jobs; neighbours share frames, so small ones are kept for a while."""

    def __init__(self, source: Source, height: int, width: int, seen: Seen) -> None:
        self.source, self.height, self.width, self.seen = source, height, width, seen
        self.bad: dict[str, DatasetError] = {}
        """Files that cannot be used, by key: each is read once a night."""
        self._small: OrderedDict[str, NDArray[np.uint8]] = OrderedDict()
        self._sha256: dict[str, str] = {}

    def known_inputs(self, job: FrameJob) -> str | None:
        """The digest of a job's inputs, if all of its files were read before; nothing is read."""
        for listed in job.files.values():
            known = self.seen.get(SIDE, listed)
            if known is None or listed.key in self.bad:
                return None
            self._sha256[listed.key] = known
        return self._inputs(job.frame_keys, job.label_key) if job.files else None

    def read(self, job: FrameJob) -> Clip:
        """The clip of a job.

        Raises DatasetError if the frame or its truth is bad, NotSettledError if a file of it is not
        what was listed.
        """
        keys = list(dict.fromkeys(job.frame_keys))  # a frame that is shown again stands there twice
        rgb = self._decode(job, keys[-1])
        good = [keys[-1]]
        for key in reversed(keys[:-1]):
            try:
                self._keep(job, key)
            except PngFault:
                break
            good.insert(0, key)
        good = [good[0]] * (len(job.frame_keys) - len(good)) + good
        unlabelled = self._unlabelled(job, rgb.shape[:2])
        clip = np.stack([self._small[key] for key in good])
        while len(self._small) > 2 * len(keys):
            self._small.popitem(last=False)
        return Clip(self._inputs(good, job.label_key), rgb, clip, unlabelled)

    def _inputs(self, keys: Sequence[str], label_key: str | None) -> str:
        label = "" if label_key is None else self._sha256[label_key]
        return digest_of_all([*(self._sha256[key] for key in keys), label])

    def _keep(self, job: FrameJob, key: str) -> None:
        """Have the frame at network size."""
        if key in self._small:
            self._small.move_to_end(key)
        else:
            self._decode(job, key)

    def _decode(self, job: FrameJob, key: str) -> NDArray[np.uint8]:
        """The frame (Ho, Wo, 3); at network size it is kept."""
        data = self._bytes(job, key)
        rgb = self._or_bad(job, key, lambda: decode_rgb(data, self._where(key)))
        self._small[key] = resize_frame(rgb, self.height, self.width)
        self._small.move_to_end(key)
        self._is_good(job, key, data)
        return rgb

    def _unlabelled(self, job: FrameJob, size: tuple[int, ...]) -> NDArray[np.bool_] | None:
        """Where the truth is unlabelled.

        A truth without any scored pixel says nothing (the official test labels are such files).
        """
        key = job.label_key
        if key is None:
            return None
        data = self._bytes(job, key)
        label_ids = self._or_bad(job, key, lambda: decode_label_ids(data, self._where(key)))
        if label_ids.shape != size:
            raise DatasetError(
                f"the label is {label_ids.shape[1]}x{label_ids.shape[0]}, its frame {size[1]}x{size[0]}",
                self._where(key),
                "Replace one of them.",
            )
        self._is_good(job, key, data)
        unlabelled: NDArray[np.bool_] = to_train_ids(label_ids) == IGNORE_INDEX
        return None if unlabelled.all() else unlabelled

    def _bytes(self, job: FrameJob, key: str) -> bytes:
        if key in self.bad:
            raise self.bad[key]
        try:
            return read_settled(self.source, key, job.files.get(key))
        except Denied:
            if self.source.local_path(key) is None:
                raise  # of object storage it is the key or the token that is refused, not one file
            fault = PngFault("unreadable", "this user may not read the file", self._where(key))
            self.bad[key] = fault
            raise fault from None

    def _or_bad(
        self, job: FrameJob, key: str, decode: Callable[[], NDArray[np.uint8]]
    ) -> NDArray[np.uint8]:
        try:
            return decode()
        except PngFault as fault:
            check_settled(self.source, job.files.get(key))
            self.bad[key] = fault
            raise

    def _is_good(self, job: FrameJob, key: str, data: bytes) -> None:
        self._sha256[key] = sha256_of(data)
        if key in job.files:
            self.seen.put(SIDE, job.files[key], self._sha256[key])

    def _where(self, key: str) -> str:
        return f"{self.source.url}/{key}"
