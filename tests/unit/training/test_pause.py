"""A trial that is paused after an epoch, and a search that pauses its trials at the rungs."""

import os
import signal
from dataclasses import replace

import pytest
from support.memory_store import MemoryStore

from segnets.config.build import build
from segnets.config.grid import GridConfig
from segnets.config.ids import trial_id
from segnets.errors import Stopped
from segnets.grid.halving import search, standing
from segnets.grid.plan import put_plan
from segnets.store.entry import read_file
from segnets.store.log import read_head, read_history
from segnets.store.tables import from_parquet
from segnets.store.views import list_views, read_view
from segnets.training.curves import TIME_COLUMNS
from segnets.training.loop import train

pytestmark = pytest.mark.usefixtures("tiny_net")


def ignore(_row):
    """The epochs are looked at in the store."""


def run(config, dataset, store, pause_at=None, **hooks):
    return train(replace(config, pause_at=pause_at), dataset, store, on_epoch=ignore, **hooks)


def bits(store, trial):
    """What must be equal after any interruption: both digests and the table without times."""
    head = read_head(store, trial)
    table = from_parquet(read_file(store, head.file("epochs.parquet")))
    shown = repr(table.drop_columns(list(TIME_COLUMNS)).to_pylist())
    return head.metrics["weights_sha256"], head.metrics.get("state_sha256"), shown


def test_a_trial_paused_after_each_epoch_ends_with_the_bits_of_an_undisturbed_one(
    trial_config, dataset
):
    config, calm, store = trial_config(epochs=3), MemoryStore(), MemoryStore()
    expected = run(config, dataset, calm)
    for epoch in (1, 2):
        paused = run(config, dataset, store, pause_at=epoch)
        assert (paused.paused_at, paused.state_sha256) == (epoch, None)
        head = read_head(store, paused.trial)
        assert (head.event, head.epoch, head.metrics["reason"]) == ("stopped", epoch, "paused")
        (view,) = list_views(store, "trial").values()
        assert read_view(store, view.key)["status"] == "paused"
    result = run(config, dataset, store)
    assert result.resumed_from["epoch"] == 2
    assert result.paused_at is None
    assert bits(store, result.trial) == bits(calm, expected.trial)


def test_a_trial_that_has_its_epoch_is_not_claimed_again(trial_config, dataset, store):
    config = trial_config(epochs=3)
    first = run(config, dataset, store, pause_at=2)
    entries = len(read_history(store, first.trial))
    for epoch in (1, 2):
        again = run(config, dataset, store, pause_at=epoch)
        assert (again.paused_at, again.reused) == (2, True)
    assert len(read_history(store, first.trial)) == entries


def test_a_pause_at_or_beyond_the_end_is_none(trial_config, dataset, store):
    assert run(trial_config(epochs=2), dataset, store, pause_at=2).paused_at is None
    assert run(trial_config(epochs=2, seed=1), dataset, store, pause_at=9).state_sha256


def test_a_paused_trial_that_a_signal_stops_before_goes_on_to_its_pause(
    trial_config, dataset, store
):
    def stop(step, _total):
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    config = trial_config(epochs=3)
    with pytest.raises(Stopped):
        run(config, dataset, store, pause_at=1, on_step=stop)
    assert run(config, dataset, store, pause_at=1).paused_at == 1


def test_a_trial_beyond_a_rung_stands_there_with_what_it_had_at_the_rung(
    trial_config, dataset, store
):
    config = trial_config(epochs=3)
    run(config, dataset, store, pause_at=1)
    at_rung = standing(store, config, 1)
    assert at_rung.state == "reached"
    assert standing(store, config, 2).state == "open"
    run(config, dataset, store)
    assert standing(store, config, 1) == at_rung
    scores = [standing(store, config, epoch).miou for epoch in (1, 2, 3)]
    assert scores[0] == at_rung.miou
    assert scores[2] == read_head(store, trial_id(config)).metrics["val_miou_last"]


class Interrupted(BaseException):
    """The search is gone, as after a kill -9 that a test outlives."""


class Search:
    """A search in one process that may be interrupted before or after any launch, or at a seal."""

    def __init__(self, grid, dataset):
        self.grid, self.dataset = grid, dataset
        self.store = MemoryStore()
        self.store.before = self.look
        self.moments, self.at = [], None

    def moment(self, name):
        self.moments.append(name)
        if len(self.moments) - 1 == self.at:
            raise Interrupted(name)

    def look(self, operation, key):
        if operation == "append" and "/rung-" in key:
            self.moment("seal")

    def bring(self, configs, epoch):
        for config in configs:
            if epoch is not None and standing(self.store, config, epoch).state == "reached":
                continue
            self.moment("launch")
            run(config, self.dataset, self.store, pause_at=epoch)
            self.moment("ended")

    def run(self, interrupt_at=None):
        self.moments, self.at = [], interrupt_at
        put_plan(self.store, self.grid)
        return search(self.store, self.grid, self.bring)


@pytest.fixture
def grid(trial_config):
    trial = trial_config(epochs=3)
    return build(
        GridConfig, {"trial": trial, "grid": ("lr=0.05,0.0005", "seed=0,1"), "search": "halving"}
    )


def test_a_search_interrupted_anywhere_keeps_the_same_trials_with_the_same_bits(grid, dataset):
    calm = Search(grid, dataset)
    expected = calm.run()
    moments = list(calm.moments)
    assert moments.count("launch") == 4 + 2 + 1
    assert moments.count("seal") == 2
    (survivor,) = expected[-1].survivors
    undisturbed = MemoryStore()
    config = next(one for one in grid.trials() if trial_id(one) == survivor)
    run(config, dataset, undisturbed)
    assert bits(calm.store, survivor) == bits(undisturbed, survivor)
    for at, moment in enumerate(moments):
        stormy = Search(grid, dataset)
        with pytest.raises(Interrupted, match=moment):
            stormy.run(at)
        assert stormy.run() == expected, (at, moment)
        assert bits(stormy.store, survivor) == bits(undisturbed, survivor), (at, moment)
