from segnets.app.read import Snapshot
from segnets.app.records import Evaluation, Trial
from segnets.app.rivals import NoPair, choose, rivals


def scored(name, miou, *, dataset="d", split="val", time=0.0, trial=None):
    return Evaluation(
        id=name, trial=trial or f"trial-{name}", dataset=dataset, split=split, miou=miou, time=time
    )


EVALS = {
    one.id: one
    for one in (
        scored("low", 0.2),
        scored("mid", 0.4),
        scored("top", 0.6),
        scored("test", 0.9, split="test"),
        scored("again", 0.6, trial="trial-top", time=1.0),
    )
}
TRIALS = {one.trial: Trial(id=one.trial, status="done") for one in EVALS.values()}


def ids(wanted, ticked=(), evals=EVALS, looked=1.0, fault=""):
    snapshot = Snapshot(looked=looked, fault=fault, evals=evals, trials=TRIALS)
    found = choose(snapshot, wanted, ticked, "s3://bucket/p")
    return found if isinstance(found, NoPair) else tuple(one.id for one in found)


def test_the_best_two_trials_stand_beside_each_other_until_somebody_chooses():
    assert ids(("", "")) == ("again", "mid")  # the newest of a trial, never one twice


def test_ticked_trials_come_first_in_the_order_of_ticking():
    assert ids(("", ""), ("trial-low", "trial-gone", "trial-top")) == ("low", "again")
    assert ids(("", ""), ("trial-low",)) == ("again", "mid")
    assert ids(("", ""), ("trial-test", "trial-low")) == ("again", "mid")  # not of one split


def test_one_of_the_address_is_kept_and_gets_the_best_that_can_be_compared():
    assert ids(("low", "")) == ("low", "again")
    assert ids(("", "low")) == ("again", "low")
    assert ids(("low", "mid")) == ("low", "mid")


def test_why_there_is_nothing_is_one_sentence_and_what_to_do():
    assert "split" in ids(("low", "test")).sentence
    assert ids(("gone", "low")).sentence.startswith("Evaluation gone is not in this store")
    assert ids(("", ""), evals={}).command.endswith("--store s3://bucket/p")
    assert "holds one" in ids(("", ""), evals={"top": EVALS["top"]}).sentence
    assert ids(("", ""), evals={}, looked=0.0).sentence == "Looking at the store …"
    assert "does not answer" in ids(("", ""), evals={}, fault="away").sentence


def test_trials_of_the_store_go_before_those_that_are_only_named():
    evals = {"top": EVALS["top"], "stray": scored("stray", 0.99, trial="nowhere")}
    assert rivals(evals, TRIALS, ()) == ("top", "stray")
