"""What a run's bag says is done: frames by the digest of what went into their masks.

A frame is done if a part has recorded it with the very bytes that its clip and its truth have now, and
if its masks are those that this part wrote. Other bytes under the old name, an earlier frame that came
late, a mask that somebody removed or replaced: each makes it undone.

Files are known again by key, size and time of change (`Seen`), so a night reads what is new: frames
that came since, and once more the masks of the night before, to see that they stand as recorded. Only
that look finds the mask of a night that was overtaken and killed: it wrote, and recorded nothing.
"""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segnets.errors import Corrupt, NotFound
from segnets.store.bag import Bag, Item
from segnets.store.base import Listed, Sink
from segnets.store.tables import from_parquet, to_parquet

SEEN_FILE = "seen.parquet"
SEEN_VERSION = 1
RACY_S = 2.0
"""A mask that changed so lately is not remembered: within one tick of the sink's clock it may be replaced
by one of the same size and time (S3 servers date by the second, or by the millisecond)."""

logger = logging.getLogger("segnets.predict")


def sha256_of(data: bytes) -> str:
    """SHA-256 of bytes, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of_all(digests: Iterable[str]) -> str:
    """One digest for several in their order."""
    return sha256_of("\n".join(digests).encode())


class Seen:
    """SHA-256 of files that were read whole before, by side, key, size and time of change.

    A cache: what is not in it costs one reading.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[int, float, str]] = {}
        self._asked: set[tuple[str, str]] = set()

    def get(self, side: str, listed: Listed) -> str | None:
        """The digest, if this very file was read before."""
        size, modified, sha256 = self._known.get((side, listed.key), (-1, 0.0, ""))
        if (size, modified) != (listed.size, listed.modified):
            return None
        self._asked.add((side, listed.key))
        return sha256

    def put(self, side: str, listed: Listed, sha256: str) -> None:
        """Remember a file whose bytes had this digest after it had been listed like this."""
        self._known[side, listed.key] = (listed.size, listed.modified, sha256)
        self._asked.add((side, listed.key))

    def to_bytes(self, *, all_asked: bool) -> bytes:
        """As Parquet; files that nobody asked for go, if `all_asked` says that all were in question."""
        import pyarrow as pa

        rows = [
            {"side": side, "key": key, "size": size, "modified": modified, "sha256": sha256}
            for (side, key), (size, modified, sha256) in sorted(self._known.items())
            if not all_asked or (side, key) in self._asked
        ]
        texts, numbers = ("side", "key", "sha256"), {"size": pa.int64(), "modified": pa.float64()}
        schema = pa.schema([*((name, pa.string()) for name in texts), *numbers.items()])
        return to_parquet(pa.Table.from_pylist(rows, schema), SEEN_VERSION)

    @classmethod
    def load(cls, bag: Bag, items: Mapping[str, Sequence[Item]]) -> "Seen":
        """What the newest night that has such a file knew; empty if none can be read."""
        seen = cls()
        nights = [
            line for item, lines in items.items() if item.startswith("night-") for line in lines
        ]
        for line in sorted(nights, key=lambda line: line.time, reverse=True):
            try:
                rows = from_parquet(bag.get_file(line.file(SEEN_FILE))).to_pylist()
            except (NotFound, Corrupt):
                continue
            for row in rows:
                place = (row["side"], row["key"])
                seen._known[place] = (row["size"], row["modified"], row["sha256"])
            break
        return seen


class Ledger:
    """Frames that are done, read from the parts of a bag and held against the masks that are there."""

    def __init__(self, sink: Sink, seen: Seen) -> None:
        self._sink, self._seen = sink, seen
        self._masks: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._lines: set[str] = set()
        self._new: set[tuple[str, str]] | None = None
        self._there: dict[str, Listed] = {}
        self._old_enough = 0.0

    def look(self, items: Mapping[str, Sequence[Item]]) -> None:
        """Take in the parts that were recorded since the last look; the first one lists the masks too."""
        new = set()
        for item, lines in items.items():
            for line in lines:
                if item.startswith("part-") and line.key not in self._lines:
                    self._lines.add(line.key)
                    new |= self._add(line.metrics)
        if self._new is None:
            self._new = set()
            if new:
                self._old_enough = self._sink.now() - RACY_S
                self._there = {listed.key: listed for listed in self._sink.list()}
        else:
            self._new |= new

    def has(self, frame: str, inputs: str) -> bool:
        """Whether a part has recorded this frame with these inputs."""
        return (frame, inputs) in self._masks

    def check(self, frame: str, inputs: str, places: Sequence[str]) -> bool:
        """Whether its masks stand as recorded; if not, it is recorded no longer.

        What another night has recorded since the first look is not listed yet, and is believed.
        """
        if (frame, inputs) in (self._new or ()):
            return True
        found = [self._mask_sha256(place) for place in places]
        if None not in found and digest_of_all(map(str, found)) in self._masks[frame, inputs]:
            return True
        self._masks.pop((frame, inputs), None)
        return False

    def _mask_sha256(self, place: str) -> str | None:
        listed = self._there.get(place)
        if listed is None:
            return None
        known = self._seen.get("out", listed)
        if known is not None:
            return known
        data = self._sink.get(place)
        if data is None or len(data) != listed.size:
            return None  # another night is at it
        if listed.modified < self._old_enough:
            self._seen.put("out", listed, sha256_of(data))
        return sha256_of(data)

    def _add(self, metrics: Mapping[str, Any]) -> set[tuple[str, str]]:
        # a part of version 1 says nothing of its inputs: its frames count as never done
        rows = zip(
            metrics.get("frames", ()),
            metrics.get("inputs", ()),
            metrics.get("masks", ()),
            strict=False,
        )
        added = set()
        for frame, inputs, masks in rows:
            self._masks[str(frame), str(inputs)].add(str(masks))
            added.add((str(frame), str(inputs)))
        return added
