"""What a trial is that is done or paused, as its newest entry says. No torch: a look loads nothing."""

from dataclasses import dataclass

from segnets.config.train import TrainConfig
from segnets.store.entry import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What a trial is that is finished, or paused after epoch `paused_at` (then not all is known).

    `resumed_from` is None or {epoch, step}; digests are hex.
    """

    trial: str
    dataset: str
    model: str
    epochs: int
    resumed_from: dict[str, int] | None
    paused_at: int | None
    best_epoch: int | None
    val_loss: float | None
    val_miou: float | None
    val_miou_last: float | None
    pixel_accuracy: float | None
    reused: bool
    weights_sha256: str | None
    state_sha256: str | None


def result_of(
    config: TrainConfig,
    head: Entry,
    *,
    reused: bool,
    resumed_from: dict[str, int] | None = None,
) -> TrialResult:
    """The result that stands in the newest commit of a trial that is done or paused."""
    is_done = head.event == "done"
    assert is_done or is_paused(config, head), head.event
    return TrialResult(
        trial=head.id,
        dataset=config.dataset,
        model=config.model,
        epochs=config.epochs,
        resumed_from=resumed_from,
        paused_at=None if is_done else head.epoch,
        reused=reused,
        **{
            name: head.metrics.get(name)
            for name in (
                "best_epoch",
                "val_loss",
                "val_miou",
                "val_miou_last",
                "pixel_accuracy",
                "weights_sha256",
                "state_sha256",
            )
        },
    )


def is_paused(config: TrainConfig, head: Entry) -> bool:
    """Whether the trial has come as far as this config wants it, short of its end."""
    return config.pause_at is not None and config.pause_at <= head.epoch < config.epochs
