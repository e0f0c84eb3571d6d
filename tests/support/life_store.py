"""Logs of trials with deaths in them, written by the store's own claim and commit."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from support.results_store import SHA, epoch_rows, trial_content

from segnets.store.base import Store
from segnets.store.entry import Live
from segnets.store.log import claim
from segnets.store.tables import to_parquet

STEPS_PER_EPOCH = 12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Try:
    """One attempt: what it loaded, what it saved {(epoch, step)}, how it ended (None: no word)."""

    resumed: tuple[int, int] | None = None
    saves: Sequence[tuple[int, int]] = ()
    end: str | None = None
    notes: Sequence[tuple[str, str]] = ()
    failure: dict[str, Any] = dataclasses.field(default_factory=dict)


def live_through(
    store: Store, trial: str, *tries: Try, dataset: str = "d", epochs: int = 12
) -> None:
    """Claim and commit as training would; between two attempts nobody says a word."""
    for index, one in enumerate(tries):
        log = claim(store, trial, SHA, env={}, take_over=True)
        live = [] if log.head is None else list(log.head.live)
        if one.resumed is not None:
            epoch, step = one.resumed
            log.note(
                "resumed", f"goes on from the checkpoint of epoch {epoch} (step {step}, lr 0.1)"
            )
        for kind, text in one.notes:
            log.note(kind, text)
        ends = [(*place, "checkpoint") for place in one.saves]
        if one.end in {"done", "stopped"} and ends:
            ends[-1] = (*one.saves[-1], one.end)
        elif one.end:
            place = one.saves[-1] if one.saves else (one.resumed or (0, 0))
            ends.append((*place, one.end))
        for epoch, step, event in ends:
            rows = epoch_rows(epoch, 0.5, 7, log_started)
            files = []
            if event != "failed":
                files = [
                    log.put_file("state.pt", f"state {epoch} {step} {index}".encode()),
                    log.put_file("epochs.parquet", to_parquet(pa.Table.from_pylist(rows), 1)),
                ]
                live = [*live[-1:], Live(epoch, step, ("last",), tuple(files))]
            word = {"checkpoint": "running"}.get(event, event)
            log.commit(
                event,
                epoch=epoch,
                step=step,
                files=files,
                live=live,
                metrics={"val_miou": 0.5, "val_miou_last": 0.4, **one.failure},
                view=trial_content(
                    trial, word, rows, epochs, dataset, attempts=index + 1, error=None
                ),
            )
        log.close()


log_started = 1_700_000_000.0
