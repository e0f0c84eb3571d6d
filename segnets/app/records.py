"""What the views hold, as records: any JSON goes in, only the expected types come out.

A view may be torn, foreign, old or hostile. Nothing here raises for its content: what has the wrong
type is absent. Texts stay texts; the pages hand them to plain-text sinks only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from segnets.labels import NUM_CLASSES

STATUSES = ("running", "silent", "queued", "paused", "stopped", "failed", "diverged", "done")
"""In the order of the pages. `silent` is a word of the app: running, and nobody has been seen alive;
`paused`: a search has stopped it after an epoch, and may go on with it."""
FILTERS = {
    "any": STATUSES,
    "running": ("running", "silent", "queued", "paused"),
    "done": ("done",),
    "failed": ("failed", "diverged", "stopped"),
}
"""What the pages offer to choose by, and the statuses that each takes; `running`: not over yet."""

_LONGEST = 300  # characters of any text that goes to a browser
_LARGEST, _SMALLEST = 1e100, 1e-100
"""Beyond these no score, time or setting can be meant; within, sums and quotients stay finite."""


@dataclass(frozen=True, slots=True)
class Score:
    """One epoch's val scores; None where the trial does not say."""

    epoch: int | None = None
    miou: float | None = None
    loss: float | None = None
    pixel_accuracy: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial as its view tells it; `key` is the view's key and changes with every commit."""

    id: str
    status: str
    key: str = ""
    dataset: str = ""
    model: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    epoch: int = 0
    epochs: int = 0
    best: Score = Score()
    last: Score = Score()
    curve: tuple[tuple[float, float], ...] = ()
    attempts: int = 0
    resumed: int = 0
    clips_s: float | None = None
    seconds: float | None = None
    error: str = ""
    time: float = 0.0

    @property
    def miou(self) -> float | None:
        """Best val mIoU so far."""
        return self.best.miou

    @property
    def restarts(self) -> int:
        """How often the trial was claimed again."""
        return max(self.attempts - 1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A grid: which settings vary and which trials it has."""

    id: str
    key: str = ""
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    trials: tuple[str, ...] = ()
    dataset: str = ""
    time: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores of one trial on one split."""

    id: str
    key: str = ""
    trial: str = ""
    dataset: str = ""
    split: str = ""
    miou: float | None = None
    samples: int = 0
    time: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What preprocess made."""

    id: str
    key: str = ""
    name: str = ""
    height: int = 0
    width: int = 0
    clip_frames: int = 0
    clips: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    prior_miou: float | None = None
    time: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A job of predictions: one model, one source, one place for the masks, night after night."""

    id: str
    key: str = ""
    trial: str = ""
    source: str = ""
    out: str = ""
    nights: int = 0
    frames: int = 0
    failed: int = 0
    time: float = 0.0


def text(value: object) -> str:
    """The value if it is a text, cut to 300 characters, else nothing; half a surrogate pair is a ?."""
    if not isinstance(value, str):
        return ""
    return value[:_LONGEST].encode("utf-8", "replace").decode()  # JSON may say "\ud800"


def number(value: object) -> float | None:
    """A number up to 1e100, else None; one as good as nothing is 0. True and False are no numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not -_LARGEST <= value <= _LARGEST:  # NaN too, and an int that no float holds
        return None
    return float(value) if abs(value) >= _SMALLEST else 0.0


def count(value: object) -> int:
    """A whole number from 0 on, else 0."""
    found = number(value)
    return int(found) if found is not None and 0 <= found < 2**53 else 0


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is an object with text keys, else an empty one."""
    return value if isinstance(value, Mapping) and all(isinstance(k, str) for k in value) else {}


def sequence(value: object) -> Sequence[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def plain(value: object) -> str | float | int | bool | None:
    """A setting's value as something a cell can hold."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**53:  # as far as a browser counts
        return value
    if isinstance(value, float) and number(value) is not None:
        return value
    return text(value if isinstance(value, str) else str(value))


def settings_of(value: object) -> dict[str, Any]:
    """A trial's settings by name."""
    return {text(name)[:80]: plain(setting) for name, setting in mapping(value).items()}


def score(value: object) -> Score:
    """A {epoch, miou, loss, pixel_accuracy} of a view."""
    fields = mapping(value)
    epoch = number(fields.get("epoch"))
    return Score(
        epoch=None if epoch is None else count(epoch),
        miou=number(fields.get("miou")),
        loss=number(fields.get("loss")),
        pixel_accuracy=number(fields.get("pixel_accuracy")),
    )


def trial(subject: str, key: str, view: Mapping[str, Any]) -> Trial:
    """The trial of this id from its view."""
    status = text(view.get("status"))
    points = []
    for point in sequence(view.get("curve"))[:64]:
        pair = sequence(point)
        values = [number(part) for part in pair[:2]]
        if len(values) == 2 and values[0] is not None and values[1] is not None:
            points.append((values[0], values[1]))
    return Trial(
        id=subject,
        key=key,
        status=status if status in STATUSES and status != "silent" else "running",
        dataset=text(view.get("dataset")),
        model=text(view.get("model")),
        settings=settings_of(view.get("settings")),
        epoch=count(view.get("epoch")),
        epochs=count(view.get("epochs")),
        best=score(view.get("best")),
        last=score(view.get("last")),
        curve=tuple(points),
        attempts=count(view.get("attempts")),
        resumed=_resumed(view),
        clips_s=number(view.get("clips_s")),
        seconds=number(view.get("seconds")),
        error=text(view.get("error")),
        time=number(view.get("time")) or 0.0,
    )


def _resumed(view: Mapping[str, Any]) -> int:
    """How many restarts went on from a checkpoint: views say so with a number or a plain yes."""
    value = view.get("resumed")
    return max(count(view.get("attempts")) - 1, 0) if value is True else count(value)


def queued(plan: Mapping[str, Any], grid: Grid) -> dict[str, Trial]:
    """The trials that a grid's plan.json names, as if nobody had claimed one of them."""
    found = {}
    for row in sequence(plan.get("trials")):
        fields = mapping(row)
        subject = text(fields.get("trial"))
        if subject:
            settings = settings_of(fields.get("settings"))
            found[subject] = Trial(
                id=subject,
                status="queued",
                dataset=grid.dataset,
                model=text(settings.get("model")) or subject.rsplit("-", 1)[0],
                settings=settings,
            )
    return found


def grid(subject: str, key: str, view: Mapping[str, Any]) -> Grid:
    """The grid of this id from its view."""
    axes = mapping(view.get("axes"))
    return Grid(
        id=subject,
        key=key,
        axes={text(k): tuple(plain(v) for v in sequence(values)) for k, values in axes.items()},
        trials=tuple(t for t in map(text, sequence(view.get("trials"))) if t),
        dataset=text(view.get("dataset")),
        time=number(view.get("time")) or 0.0,
    )


def evaluation(subject: str, key: str, view: Mapping[str, Any]) -> Evaluation:
    """The evaluation of this id from its view."""
    return Evaluation(
        id=subject,
        key=key,
        trial=text(view.get("trial")),
        dataset=text(view.get("dataset")),
        split=text(view.get("split")),
        miou=number(mapping(view.get("network")).get("miou")),
        samples=count(view.get("samples")),
        time=number(view.get("time")) or 0.0,
    )


def dataset(subject: str, key: str, view: Mapping[str, Any]) -> Dataset:
    """The dataset of this id from its view."""
    return Dataset(
        id=subject,
        key=key,
        name=text(view.get("name")),
        height=count(view.get("height")),
        width=count(view.get("width")),
        clip_frames=count(view.get("clip_frames")),
        clips={text(k): count(v) for k, v in mapping(view.get("clips")).items()},
        skipped=count(view.get("skipped")),
        prior_miou=number(view.get("prior_miou")),
        time=number(view.get("time")) or 0.0,
    )


def run(subject: str, key: str, view: Mapping[str, Any]) -> Run:
    """The run of predictions of this id from its view."""
    return Run(
        id=subject,
        key=key,
        trial=text(view.get("trial")),
        source=text(view.get("source")),
        out=text(view.get("out")),
        nights=count(view.get("nights")),
        frames=count(view.get("frames")),
        failed=count(view.get("failed")),
        time=number(view.get("time")) or 0.0,
    )


def class_values(value: object) -> list[float | None]:
    """19 numbers, None where a class has no value; all None for anything else."""
    parts = [number(part) for part in sequence(value)]
    return parts if len(parts) == NUM_CLASSES else [None] * NUM_CLASSES


def class_counts(value: object) -> list[int]:
    """19 whole numbers from 0 on; all 0 for anything else."""
    found = [count(part) for part in sequence(value)]
    return found if len(found) == NUM_CLASSES else [0] * NUM_CLASSES
