import math

import pytest

from segnets.errors import Corrupt, DatasetError, Diverged
from segnets.store.log import read_head
from segnets.store.views import list_views, read_view
from segnets.training.loop import train
from segnets.training.outcome import rank, reason_of, scores_of, sentence_of


def test_a_mean_that_is_not_a_number_is_never_the_best():
    assert rank({"miou": math.nan}) < rank({"miou": 0.0}) < rank({"miou": 0.1})


def test_scores_are_those_of_the_best_epoch_and_the_last_miou():
    rows = [{"split": split, "miou": miou} for split, miou in [("val", 0.5), ("val", 0.4)]]
    best = {"epoch": 1, "loss": 1.5, "miou": 0.5, "pixel_accuracy": 0.8}
    assert scores_of(best, rows) == {
        "best_epoch": 1,
        "val_loss": 1.5,
        "val_miou": 0.5,
        "pixel_accuracy": 0.8,
        "val_miou_last": 0.4,
    }
    assert set(scores_of(None, []).values()) == {None}


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (Diverged("the loss is not finite", "nan", "Lower --lr."), "diverged", "Lower --lr."),
        (DatasetError("a page is damaged", "x", "Make it again."), "data", "a page is damaged: x"),
        (Corrupt("a shard is damaged", "x", "Make it again."), "data", "a shard"),
        (ZeroDivisionError("by nought"), "error", "ZeroDivisionError: by nought"),
    ],
)
def test_a_failure_has_one_word_and_one_sentence(error, reason, words):
    assert reason_of(error) == reason
    assert words in sentence_of(error)


def test_a_summary_that_was_lost_after_done_is_written_by_the_next_start(
    tiny_net, trial_config, dataset, store
):
    config = trial_config()
    result = train(config, dataset, store, on_epoch=lambda _: None)
    (key,) = (listed.key for listed in list_views(store, "trial").values())
    before = read_view(store, key)
    store.delete([key])
    assert train(config, dataset, store, on_epoch=lambda _: None).reused
    (key,) = (listed.key for listed in list_views(store, "trial").values())
    after = read_view(store, key)
    assert before["status"] == after["status"] == "done"
    assert after["weights_sha256"] == result.weights_sha256
    assert read_head(store, result.trial).metrics["state_sha256"] == result.state_sha256
    for name in set(before) - {"time"}:
        assert after[name] == before[name], name
