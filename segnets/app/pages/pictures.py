"""The pictures that a viewer wants: only of samples that a table names, read in the reader's pool."""

import contextlib
from collections.abc import Callable, Container
from typing import Any, Protocol

from segnets.app.read import Display, Reader
from segnets.app.records import sequence
from segnets.app.state import Session
from segnets.errors import SegnetsError

MOST_WANTED = 32
"""Samples in one message of a browser; its list asks for what is in sight."""

Key = tuple[str, str]
"""(split, name) of a sample."""
Ask = Callable[[], dict[str, Any]]
"""Reads and returns what one message to the viewer holds; called in a thread of the pool."""


class Asker(Protocol):
    """A part of a page that asks for samples; `source` names what they are of."""

    source: str

    def answer(self, data: dict[str, Any]) -> None:
        """Send one message to the browser."""


def known(sample: object, rows: Container[Key]) -> Key | None:
    """The key of split/name if the table names it: nothing else is ever read."""
    split, _, name = str(sample).partition("/")
    return (split, name) if (split, name) in rows else None


def supply(
    session: Session,
    asker: Asker,
    data: dict[str, Any],
    rows: Container[Key],
    asks: Callable[[Key, bool, bool], Ask],
) -> None:
    """Answer a message {type: want, keys, past, source} of a browser, a message a sample.

    `keys` name the samples that it lacks, `past` those whose earlier frames it lacks; what is in both
    is answered at once. `asks(key, sample, past)` is called at once and takes the tables that are on
    show now. A message that comes from before a change of source is dropped.
    """
    if data.get("source") != asker.source:
        return
    keys, past = (
        [key for key in sequence(data.get(name)) if isinstance(key, str)]
        for name in ("keys", "past")
    )
    for wanted in list(dict.fromkeys([*keys, *past]))[:MOST_WANTED]:
        if (key := known(wanted, rows)) is not None:
            _answer(session, asker, key, asks(key, wanted in keys, wanted in past))


def _answer(session: Session, asker: Asker, key: Key, ask: Ask) -> None:
    base = {"key": "/".join(key), "source": asker.source}
    session.later(
        lambda: {**base, "type": "sample", **ask()},
        asker.answer,
        lambda says: asker.answer({**base, "type": "fault", "sentence": says}),
    )


def _places(display: Display, key: Key) -> list[tuple[Any, Any]]:
    """(offset, size) of each frame of a clip in the pack, as the table has them."""
    row = display.rows.get(key, {})
    return list(
        zip(sequence(row.get("frame_offsets")), sequence(row.get("frame_sizes")), strict=False)
    )


def past_of(reader: Reader, display: Display, key: Key) -> list[bytes | None]:
    """The frames of a clip before the labelled one, in order; None for one that is not in the pack."""
    return [reader.picture(display.pack, *place) for place in _places(display, key)[:-1]]


def clip_answer(
    pictures: Ask, past: Callable[[], list[bytes | None]], *, sample: bool, with_past: bool
) -> dict[str, Any]:
    """The pictures of a sample, its past, or both; a past that cannot be read keeps no picture back."""
    if not sample:
        return {"past": past()}
    answer = pictures()
    if with_past:
        with contextlib.suppress(SegnetsError):  # then the browser asks for it when it is needed
            answer["past"] = past()
    return answer


def last_frame(reader: Reader, display: Display, key: Key) -> tuple[bytes | None, int]:
    """The labelled frame of a clip, and how many frames the clip has."""
    places = _places(display, key)
    return (reader.picture(display.pack, *places[-1]) if places else None), len(places)


def truth_of(reader: Reader, display: Display, key: Key) -> bytes | None:
    """The label of a clip's last frame, PNG bytes of its trainIds."""
    row = display.rows.get(key, {})
    return reader.picture(display.pack, row.get("truth_offset"), row.get("truth_size"))
