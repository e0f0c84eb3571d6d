import hashlib
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.errors import Unavailable
from segnets.store.entry import FileRef, Live
from segnets.training.uploader import Retention, Save, Saver


def checkpoint(epoch, step):
    ref = FileRef("state.pt", f"obj/{epoch}-{step}", hashlib.sha256(b"").hexdigest(), 0)
    return Live(epoch, step, (), (ref,))


@given(
    epochs=st.integers(1, 12),
    keep_last=st.integers(2, 4),
    keep_every=st.integers(0, 5),
    best=st.integers(1, 12),
)
def test_the_newest_the_best_and_each_mth_epoch_stay_and_nothing_else(
    epochs, keep_last, keep_every, best
):
    best = min(best, epochs)
    retention = Retention(keep_last, keep_every, steps_per_epoch=5)
    live = ()
    for epoch in range(1, epochs + 1):
        so_far = Live(min(best, epoch), 5 * min(best, epoch), (), ())
        checkpoints = [*(one for one in live if one.files), checkpoint(epoch, 5 * epoch)]
        live = retention.keep(checkpoints, so_far, done=epoch == epochs)
    assert [one.epoch for one in live] == sorted(one.epoch for one in live)
    with_state = {one.epoch for one in live if one.files}
    every = {e for e in range(1, epochs + 1) if keep_every and e % keep_every == 0}
    assert with_state == every | set(range(max(1, epochs - keep_last + 1), epochs + 1))
    assert [one.epoch for one in live if "best" in one.roles] == [best]
    assert [one.epoch for one in live if "final" in one.roles] == [epochs]


def test_a_save_in_mid_epoch_counts_as_newest_but_never_as_an_mth_epoch():
    retention = Retention(2, 1, steps_per_epoch=5)
    live = retention.keep([checkpoint(1, 5), checkpoint(1, 7)], None, done=False)
    assert [one.roles for one in live] == [("last", "every"), ("last",)]


class StuckLog:
    """A log whose puts wait until they are let go, then fail."""

    def __init__(self):
        self.let_go = threading.Event()

    def put_file(self, *_):
        assert self.let_go.wait(10)
        raise Unavailable("the store does not answer", "here", "Wait.")


def test_a_save_runs_beside_the_loop_and_its_fault_comes_out_when_it_is_collected():
    log = StuckLog()
    saver = Saver(log, Retention(2, 0, 5), b"{}", None)
    taken = {"position": {"epoch": 1, "step": 5, "samples": 0}, "best": None, "rows": []}
    saver.start(Save("checkpoint", taken, {}, lambda weights: {"weights": weights}))
    assert saver.collect() is None
    assert not saver.wait(0.05)
    with pytest.raises(InterruptedError):
        saver.wait(check=raise_interrupted)
    log.let_go.set()
    assert saver.wait(10)
    with pytest.raises(Unavailable):
        saver.collect()
    assert saver.live == ()
    assert saver.seconds_blocking > 0


def raise_interrupted():
    raise InterruptedError
