"""Did the night go well: figures, the nights beside each other, classes against training, doubts."""

from collections.abc import Mapping, Sequence
from statistics import mean, pstdev
from typing import Any

from segnets.app.nights import Night, Row, has_mask
from segnets.app.pages.figures import duration
from segnets.app.records import Run, class_values, number, text
from segnets.labels import CLASS_COLORS, CLASS_NAMES, NUM_CLASSES

LEAST_SHARE = 0.005
"""Below 5 pixels in 1,000, in training and at night, a class is too rare for its ratio to say much."""
FAR = 2.0
"""So many times more or less than in training is worth a look."""
ENOUGH_NIGHTS = 3
"""A class that the model has found on none of so many nights is no news of this one."""

Figure = dict[str, Any]
Share = tuple[float | None, ...]


def night_figures(nights: Sequence[Night], night: Night, training: Share) -> list[Figure]:
    """Frames written, failed, speed, confidence against the nights before, drift."""
    return [
        _written(night),
        _failed(night),
        _speed(night),
        _confidence(nights, night),
        _drift(night, training),
    ]


def _figure(label: str, value: str, *notes: tuple[str, str], tone: str = "") -> Figure:
    return {"label": label, "value": value, "tone": tone, "notes": [list(note) for note in notes]}


def _written(night: Night) -> Figure:
    notes = [(f"of {night.frames} frames", "")]
    if night.reused:
        notes.append((f"{night.reused} were there", ""))
    if night.waiting:
        notes.append((f"{night.waiting} still being written, left for the next night", ""))
    left = night.frames - night.written - night.reused - night.failed - night.waiting
    if left > 0:
        notes.append((f"stopped, {left} not reached", "bad"))
    return _figure("Masks written", f"{night.written:,}", *notes, tone="bad" if left > 0 else "")


def _failed(night: Night) -> Figure:
    if not night.failed:
        return _figure("Failed", "0", ("every frame could be read", ""), tone="good")
    return _figure(
        "Failed", str(night.failed), ("named below, tried again next night", ""), tone="warn"
    )


def _speed(night: Night) -> Figure:
    if night.started is None or night.ended is None or night.frames_s is None:
        return _figure("Throughput", "–", ("nothing was written", ""))
    value = f"{night.frames_s:.1f} /s"
    return _figure("Throughput", value, (f"in {duration(night.ended - night.started)}", ""))


def _confidence(nights: Sequence[Night], night: Night) -> Figure:
    if night.confidence is None:
        return _figure("Confidence", "–", ("no new frame this night", ""))
    before = [
        one.confidence
        for one in nights
        if one.confidence is not None and (one.started or 0.0) < (night.started or 0.0)
    ]
    if not before:
        return _figure("Confidence", f"{night.confidence:.3f}", ("mean of its pixels", ""))
    change = night.confidence - mean(before)
    tone = "warn" if change < -0.05 else ""
    count = f"{len(before)} night{'s' if len(before) > 1 else ''} before"
    return _figure(
        "Confidence", f"{night.confidence:.3f}", (f"{change:+.3f} against {count}", tone), tone=tone
    )


def _drift(night: Night, training: Share) -> Figure:
    """The measure that the flow marks nights by, and the class that moved most."""
    tone = "warn" if night.drift else ""
    if night.share_distance is None:
        return _figure("Drift", "–", ("nothing to compare", ""), tone=tone)
    notes = [("of pixels in other classes than in training", tone)]
    moved = [
        (abs(now - usual), f"most {name}, {100 * now:.1f}% instead of {100 * usual:.1f}%")
        for name, now, usual in zip(CLASS_NAMES, night.share, training, strict=True)
        if now is not None and usual is not None
    ]
    if moved:
        notes.append((max(moved)[1], ""))
    return _figure("Drift", f"{100 * night.share_distance:.0f}%", *notes, tone=tone or "good")


def ratios(share: Share, training: Share) -> dict[int, float]:
    """Class -> share of this night over that of training, for classes that are not too rare."""
    return {
        index: (now or 0.0) / known
        for index, (now, known) in enumerate(zip(share, training, strict=True))
        if now is not None and known and max(now, known) >= LEAST_SHARE
    }


def _far(ratio: float) -> float:
    return max(ratio, 1 / ratio) if ratio > 0 else float("inf")


def night_bars(nights: Sequence[Night]) -> list[dict[str, Any]]:
    """One bar a night: how many masks of how many frames, confidence, and its colour."""
    most = max((night.written + night.failed for night in nights), default=0) or 1
    bars = []
    for night in nights:
        is_cut = night.status == "stopped"
        is_odd = night.failed or night.drift
        tone = "bad" if is_cut else "warn" if is_odd else "good" if night.written else "idle"
        words = f"{night.written} written, {night.reused} were there, {night.failed} failed"
        bars.append(
            {
                "id": night.id,
                "time": night.started,
                "height": (night.written + night.failed) / most,
                "tone": tone,
                "confidence": night.confidence,
                "title": words
                + (", drifts" if night.drift else "")
                + (", stopped before its end" if is_cut else ""),
            }
        )
    return bars


def share_rows(nights: Sequence[Night], night: Night, training: Share) -> list[dict[str, Any]]:
    """A row a class that occurs: share of this night, of training, their ratio, and all nights."""
    known = ratios(night.share, training)
    rows = []
    for index in range(NUM_CLASSES):
        now, usual = night.share[index], training[index]
        if not now and not usual:
            continue
        ratio = known.get(index)
        before = [one.share[index] for one in nights if one.confidence is not None]
        is_never = len(before) >= ENOUGH_NIGHTS and not any(before)
        rows.append(
            {
                "name": CLASS_NAMES[index],
                "color": "rgb({},{},{})".format(*CLASS_COLORS[index]),
                "share": now,
                "training": usual,
                "ratio": ratio,
                "never": is_never,
                "far": ratio is not None and _far(ratio) >= FAR and not is_never,
                "nights": before,
            }
        )
    return sorted(rows, key=lambda row: -max(row["share"] or 0.0, row["training"] or 0.0))


def failed_rows(rows: Mapping[tuple[str, str], Row]) -> list[dict[str, str]]:
    """Frames that could not be read, by name, with the reason."""
    return [
        {"name": "/".join(part for part in key if part), "why": text(row.get("error")) or "unknown"}
        for key, row in sorted(rows.items())
        if row.get("status") == "failed"
    ]


def doubts(rows: Mapping[tuple[str, str], Row]) -> dict[tuple[str, str], str]:
    """Frames to look at first, with the reason: unsure, or a class far above the rest of its night."""
    shown = {key: row for key, row in rows.items() if has_mask(row)}
    sure = {key: number(row.get("confidence")) for key, row in shown.items()}
    values = [one for one in sure.values() if one is not None]
    shares = {key: class_values(row.get("share")) for key, row in shown.items()}
    found: dict[tuple[str, str], str] = {}
    if len(values) < 3:
        return found
    low = mean(values) - 2 * pstdev(values)
    means = [mean(share[c] or 0.0 for share in shares.values()) for c in range(NUM_CLASSES)]
    spreads = [pstdev(share[c] or 0.0 for share in shares.values()) for c in range(NUM_CLASSES)]
    for key, share in shares.items():
        certainty = sure[key]
        if certainty is not None and certainty < low:
            found[key] = "low confidence"
            continue
        jumps = [
            ((share[c] or 0.0) - means[c], c)
            for c in range(NUM_CLASSES)
            if (share[c] or 0.0) > means[c] + 3 * spreads[c] + 0.01
        ]
        if jumps:
            found[key] = f"class jump: {CLASS_NAMES[max(jumps)[1]]}"
    return found


def frame_catalogue(rows: Mapping[tuple[str, str], Row]) -> list[dict[str, Any]]:
    """One small row a frame that has a mask, for the viewer; `flag` is why to look at it first."""
    reasons = doubts(rows)
    return [
        {
            "key": f"{split}/{name}",
            "name": name,
            "split": split,
            "city": text(row.get("city")),
            "flag": reasons.get((split, name), ""),
            "miou": number(row.get("confidence")),
            "accuracy": None,
        }
        for (split, name), row in rows.items()
        if has_mask(row)
    ]


def run_label(run: Run) -> str:
    """What people call it: the model's digits, where the frames come from, how many nights."""
    source = run.source.rstrip("/").rsplit("/", 1)[-1]
    digits = run.trial.rsplit("-", 1)[-1][:4]
    nights = f"{run.nights} night{'' if run.nights == 1 else 's'}"
    return f"{digits} → {source} · {nights} · {run.frames} frames"


def night_facts(night: Night) -> list[list[str]]:
    """Where a night comes from: [name, value] pairs."""
    facts = [
        ["model", night.trial],
        ["why it", night.why],
        ["frames of", night.source],
        ["masks in", night.out],
        ["started", "by its schedule" if night.scheduled else "by hand"],
        ["night", night.id],
    ]
    if night.min_confidence:
        facts.append(["black below", f"confidence {night.min_confidence:g}"])
    facts += [["drifts", why] for why in night.drift]
    return [fact for fact in facts if fact[1]]
