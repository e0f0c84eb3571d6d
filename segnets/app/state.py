"""What one browser tab looks at, and its address: every view is a link that can be copied.

    ?p=trials&grid=ID&status=done&sort=-miou&sel=ID,ID&in=lr.20-100,_miou.50-100
    &y=class&c=13&x=step&sm=40
    ?p=samples&m=EVAL&s=val/NAME&layer=prediction&o=55&hide=0,255&order=worst
    ?p=compare&a=EVAL&b=EVAL&s=val/NAME&view=swipe&e=2-8&o=55&y=miou
    ?p=runs&grid=ID&status=failed&w=24h&at=12&t=TRIAL
    ?p=dataset&d=DATASET&s=val/NAME
    ?p=pred&r=RUN&n=NIGHT&f=val/NAME&layer=prediction&o=55&order=worst

Nothing from an address becomes a key of the store or a text of the page: ids must be in the listing,
words in the lists below, numbers in their range. What does not fit is dropped, and the pages say so.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote

from segnets.app.read import Reader, Snapshot
from segnets.app.records import FILTERS
from segnets.app.turns import Turns
from segnets.errors import SegnetsError
from segnets.labels import IGNORE_INDEX, NUM_CLASSES

T = TypeVar("T")
PAGES = ("trials", "samples", "compare", "dataset", "runs", "pred")
STATUS_FILTERS = tuple(FILTERS)
METRICS = ("miou", "loss", "class", "lr")
AXES = ("epoch", "time", "step")
LAYERS = ("frame", "truth", "prediction", "errors", "confidence")
ORDERS = ("worst", "best", "name")
WAYS = ("swipe", "side", "blink", "difference")
WINDOWS = ("24h", "2h", "7d", "all")
MOST_TICKED = 8
MOST_RANGES = 8
MOST_SMOOTHING = 95
_SORT = re.compile(r"-?[a-z0-9_]{1,48}")  # a column of pages/table.py: miou, s_batch_size
_MISTAKE = re.compile(r"(1[0-8]|[0-9])-(1[0-9]|[0-9])")
_RANGE = re.compile(r"([a-z0-9_.]{1,40})\.([0-9]{1,3})-([0-9]{1,3})")
_ID = re.compile(r"[a-z0-9_-]{1,120}")

logger = logging.getLogger("segnets.app")


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything that a copied link restores."""

    page: str = "trials"
    grid: str = ""
    status: str = "any"
    sort: str = "-miou"
    ticked: tuple[str, ...] | None = None
    """Trials in order of ticking; None: nobody chose yet, the page ticks the best."""
    metric: str = "miou"
    axis: str = "epoch"
    shown_class: int = 0
    smoothing: int | None = None
    """Of the curves, percent; None: nobody chose, and the page smooths long ones."""
    brush: tuple[tuple[str, int, int], ...] = ()
    """Stretches of the axes of What matters: (setting, low, high), percent of the height."""
    evaluation: str = ""
    sample: str = ""
    layer: str = "prediction"
    opacity: int = 55
    hidden: tuple[int, ...] = ()
    """Classes (trainIds, 255: unlabelled) that the pictures of Samples and Predictions leave out."""
    order: str = "worst"
    first: str = ""
    second: str = ""
    """The two evaluations that Compare sets beside each other."""
    way: str = "swipe"
    mistake: str = ""
    """TRUTH-PREDICTED, two trainIds (19: none of the classes): the samples where it is largest."""
    window: str = "24h"
    lane: int = 0
    """Position of the first trial on the timeline."""
    trial: str = ""
    dataset: str = ""
    run: str = ""
    night: str = ""
    frame: str = ""
    clip: str = ""
    """The sample on the Dataset page: most of its samples are in no evaluation."""

    @property
    def address(self) -> str:
        """The query of this view, with what differs from the defaults."""
        pairs = [("p", self.page)]
        if self.page == "trials":
            pairs += [("grid", self.grid)] if self.grid else []
            pairs += [("status", self.status)] if self.status != "any" else []
            pairs += [("sort", self.sort)] if self.sort != "-miou" else []
            pairs += self._of_curves
            ranges = ",".join(f"{key}.{low}-{high}" for key, low, high in self.brush)
            pairs += [("in", ranges)] if ranges else []
            pairs += [("sel", ",".join(self.ticked))] if self.ticked is not None else []
        elif self.page == "compare":
            pairs += [("a", self.first)] if self.first else []
            pairs += [("b", self.second)] if self.second else []
            pairs += [("s", self.sample)] if self.sample else []
            pairs += [("view", self.way)] if self.way != "swipe" else []
            pairs += [("e", self.mistake)] if self.mistake else []
            pairs += [("o", str(self.opacity))] if self.opacity != 55 else []
            pairs += self._of_curves
        elif self.page == "runs":
            pairs += [("grid", self.grid)] if self.grid else []
            pairs += [("status", self.status)] if self.status != "any" else []
            pairs += [("w", self.window)] if self.window != "24h" else []
            pairs += [("at", str(self.lane))] if self.lane else []
            pairs += [("t", self.trial)] if self.trial else []
        elif self.page == "dataset":
            pairs += [("d", self.dataset)] if self.dataset else []
            pairs += [("s", self.clip)] if self.clip else []
        else:
            if self.page == "pred":
                pairs += [("r", self.run)] if self.run else []
                pairs += [("n", self.night)] if self.night else []
                pairs += [("f", self.frame)] if self.frame else []
            else:
                pairs += [("m", self.evaluation)] if self.evaluation else []
                pairs += [("s", self.sample)] if self.sample else []
            pairs += [("layer", self.layer)] if self.layer != "prediction" else []
            pairs += [("o", str(self.opacity))] if self.opacity != 55 else []
            pairs += [("hide", ",".join(map(str, self.hidden)))] if self.hidden else []
            pairs += [("order", self.order)] if self.order != "worst" else []
        return "?" + "&".join(f"{key}={quote(value, safe='/,-_.')}" for key, value in pairs)

    @property
    def _of_curves(self) -> list[tuple[str, str]]:
        pairs = [("y", self.metric)] if self.metric != "miou" else []
        pairs += [("c", str(self.shown_class))] if self.shown_class else []
        pairs += [("x", self.axis)] if self.axis != "epoch" else []
        return pairs + ([("sm", str(self.smoothing))] if self.smoothing is not None else [])


def parse_address(query: str) -> View:
    """The view of an address; whatever is no such word, id or number keeps its default."""
    try:
        found = {key: values[0] for key, values in parse_qs(query.lstrip("?")[:4000]).items()}
    except ValueError:
        found = {}

    def one_of(key: str, words: tuple[str, ...]) -> str:
        return found[key] if found.get(key) in words else words[0]

    def an_id(key: str) -> str:
        return found[key] if _ID.fullmatch(found.get(key, "")) else ""

    ticked = None
    if "sel" in found or "sel=" in query:
        ids = found.get("sel", "").split(",")
        ticked = tuple(dict.fromkeys(i for i in ids if _ID.fullmatch(i)))[:MOST_TICKED]
    opacity = found.get("o", "")
    layer = found.get("layer", "")
    page = one_of("p", PAGES)
    sample = found.get("s", "")[:300]
    return View(
        page=page,
        grid=an_id("grid"),
        status=one_of("status", STATUS_FILTERS),
        sort=found["sort"] if _SORT.fullmatch(found.get("sort", "")) else "-miou",
        ticked=ticked,
        metric=one_of("y", METRICS),
        axis=one_of("x", AXES),
        shown_class=_position(found.get("c", ""), NUM_CLASSES - 1),
        smoothing=_position(found["sm"], MOST_SMOOTHING) if "sm" in found else None,
        brush=parse_brush(found.get("in", "").split(",")),
        evaluation=an_id("m"),
        sample="" if page == "dataset" else sample,
        layer=layer if layer in LAYERS else "prediction",
        opacity=int(opacity) if opacity.isdecimal() and int(opacity) <= 100 else 55,
        hidden=parse_hidden(found.get("hide", "").split(",")),
        order=one_of("order", ORDERS),
        first=an_id("a"),
        second=an_id("b"),
        way=one_of("view", WAYS),
        mistake=found["e"] if _MISTAKE.fullmatch(found.get("e", "")) else "",
        window=one_of("w", WINDOWS),
        lane=_position(found.get("at", "")),
        trial=an_id("t"),
        dataset=an_id("d"),
        run=an_id("r"),
        night=an_id("n"),
        frame=found.get("f", "")[:300],
        clip=sample if page == "dataset" else "",
    )


def parse_hidden(given: Sequence[object]) -> tuple[int, ...]:
    """The classes among these, sorted; whatever else stands there is dropped."""
    return tuple(one for one in (*range(NUM_CLASSES), IGNORE_INDEX) if str(one) in map(str, given))


def parse_brush(texts: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """The ranges that SETTING.LOW-HIGH name, the first one of each setting; others are dropped."""
    found: dict[str, tuple[str, int, int]] = {}
    for one in texts[:MOST_RANGES]:
        parts = _RANGE.fullmatch(one)
        if parts and int(parts[2]) < int(parts[3]) <= 100:
            found.setdefault(parts[1], (parts[1], int(parts[2]), int(parts[3])))
    return tuple(found.values())


def _position(text: str, most: int = 999_999) -> int:
    return int(text) if re.fullmatch("[0-9]{1,6}", text) and int(text) <= most else 0


@dataclass(slots=True)
class Session:
    """One tab: its view, the reader it shares with all others, and who wants to know of changes."""

    reader: Reader
    view: View = View()
    greeted: bool = False
    """Whether the browser has said that the page stands."""
    narrow: bool = False
    dark: bool = False
    turns: Turns = field(default_factory=lambda: Turns(None))
    listeners: list[Callable[[View, View], None]] = field(default_factory=list)
    missed: float | None = None
    """When a question last had no answer, of time.monotonic; the tab's clock asks the page again."""

    @property
    def snapshot(self) -> Snapshot:
        """What the store held at the last look."""
        return self.reader.snapshot

    def change(self, **fields: Any) -> None:
        """Another view; tells the listeners (old, new) if anything differs."""
        self.show(replace(self.view, **fields))

    def show(self, view: View) -> None:
        """The same for a whole view (Back, Forward)."""
        before, self.view = self.view, view
        if view != before:
            for listener in self.listeners:
                listener(before, view)

    def later(
        self,
        ask: Callable[[], T],
        then: Callable[[T], None],
        failed: Callable[[str], None],
    ) -> None:
        """Ask in the reader's pool, answer on the page: no session callback waits for a store.

        `failed` gets one sentence. A tab that has gone by then is no fault.
        """

        def deliver(future: Future[T]) -> None:
            try:
                answer = future.result()
            except SegnetsError as error:
                self.missed = time.monotonic()
                failed(str(error))
            except Exception:
                logger.exception("a question to %s failed", self.reader.url)
                self.missed = time.monotonic()
                failed("This part of the store could not be read; the app's log says why.")
            else:
                then(answer)

        def done(future: Future[T]) -> None:
            if future.cancelled():
                return
            self.turns.take(partial(deliver, future))

        try:
            self.reader.pool.submit(ask).add_done_callback(done)
        except RuntimeError:  # the app is being stopped
            logger.debug("a question came after the reader was closed")


def query_of(arguments: Mapping[str, list[bytes]]) -> str:
    """The query string that a request came with, from its parsed arguments."""
    pairs = [
        f"{quote(key)}={quote(values[0].decode('utf-8', 'replace'))}"
        for key, values in arguments.items()
        if values
    ]
    return "&".join(pairs)
