import random

import numpy as np
import pytest
import torch
from support import states
from support.states import one_step

from segnets.errors import Corrupt
from segnets.training.checkpoint import parse_state, state_bytes, weights_bytes
from segnets.training.state import (
    keys_digest,
    restore,
    snapshot,
    state_sha256,
)


@pytest.fixture
def make_state(trial_config):
    def make(*, steps=0, **settings):
        return states.make_state(trial_config(**settings), steps=steps)

    return make


def taken_from(state):
    return snapshot(state, ["train/a", "train/b"], {"threads": 1})


@pytest.mark.parametrize("settings", [{}, {"ema": 0.0, "optimizer": "rmsprop"}], ids=str)
def test_a_state_put_back_takes_the_same_next_step_to_the_bit(make_state, settings):
    state = make_state(steps=3, **settings)
    state.best = {"epoch": 0, "step": 2, "miou": float("nan"), "loss": 1.0, "pixel_accuracy": 0.5}
    taken = taken_from(state)
    data = state_bytes(taken)
    one_step(state)
    expected = state_sha256(taken_from(state))
    random.seed(99)
    torch.manual_seed(99)
    other = make_state(**settings)
    np.random.seed(99)  # noqa: NPY002
    digest = restore(other, parse_state(data, "here"), "here")
    assert digest == keys_digest(["train/a", "train/b"])
    assert (other.step, other.samples) == (3, 6)
    for generator in ("python", "numpy"):
        assert taken_from(other)["rng"][generator] == taken["rng"][generator]
    assert [p.stride() for p in other.module.parameters()] == [
        p.stride() for p in state.module.parameters()
    ]
    one_step(other)
    assert state_sha256(taken_from(other)) == expected


def test_a_snapshot_is_a_copy_that_later_steps_leave_alone(make_state):
    state = make_state(steps=1)
    taken = taken_from(state)
    before = state_sha256(taken)
    one_step(state)
    state.totals.counts += 1
    assert state_sha256(taken) == before


@pytest.mark.parametrize("part", ["model", "ema", "optimizer", "rng", "totals"])
def test_the_digest_of_a_state_notices_one_bit_in_every_part(make_state, part):
    taken = taken_from(make_state(steps=1))
    before = state_sha256(taken)
    tensors = {
        "model": lambda: taken["model"]["0.weight"],
        "ema": lambda: taken["ema"]["1.running_var"],
        "optimizer": lambda: taken["optimizer"]["state"][0]["exp_avg"],
        "rng": lambda: taken["rng"]["torch"],
        "totals": lambda: taken["totals"]["counts"],
    }
    tensor = tensors[part]()
    tensor[(0,) * tensor.ndim] += 1 if tensor.dtype != torch.float32 else 1e-3
    assert state_sha256(taken) != before


def test_what_other_threads_draw_is_put_back_but_is_not_in_the_digest(make_state):
    state = make_state()
    taken = taken_from(state)
    random.random()
    np.random.random()  # noqa: NPY002  # the global one
    drawn = taken_from(state)
    assert drawn["rng"]["python"] != taken["rng"]["python"]
    assert drawn["rng"]["numpy"] != taken["rng"]["numpy"]
    assert state_sha256(drawn) == state_sha256(taken)


def test_the_digest_of_a_state_leaves_times_alone(make_state):
    state = make_state(steps=1)
    before = state_sha256(taken_from(state))
    state.seconds += 5
    state.rows.append({"time": 1.0})
    assert state_sha256(taken_from(state)) == before


def test_equal_weights_are_equal_bytes_whatever_their_strides(make_state):
    taken = taken_from(make_state(steps=1))
    backwards = {
        **taken,
        "ema": {
            name: value.contiguous(memory_format=torch.contiguous_format)
            for name, value in reversed(taken["ema"].items())
        },
    }
    data = weights_bytes(taken)
    assert weights_bytes(backwards) == data
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    assert b"__metadata__" not in header


def bomb(taken):
    taken["model"]["0.weight"] = torch.zeros(1).as_strided((4, 3, 3, 3), (0, 0, 0, 0))


def rename(taken):
    taken["model"]["nosuch"] = taken["model"].pop("0.weight")


def widen(taken):
    taken["ema"]["0.weight"] = taken["ema"]["0.weight"].double()


def swap_layout(taken):
    exp_avg = taken["optimizer"]["state"][0]["exp_avg"]
    taken["optimizer"]["state"][0]["exp_avg"] = exp_avg.contiguous()


def lose(taken):
    del taken["rng"]["numpy"]


def run_ahead(taken):
    taken["position"]["step"] = 11


def invent(taken):
    taken["optimizer"]["state"][77] = taken["optimizer"]["state"][0]


def no_tensor(taken):
    taken["totals"]["counts"] = [1, 2]


@pytest.mark.parametrize(
    "spoil", [bomb, rename, widen, swap_layout, lose, run_ahead, invent, no_tensor]
)
def test_a_state_that_does_not_fit_is_corrupt_and_changes_no_weight(make_state, spoil):
    taken = taken_from(make_state(steps=2))
    spoil(taken)
    data = state_bytes(taken)
    fresh = make_state()
    before = {name: value.clone() for name, value in fresh.module.state_dict().items()}
    with pytest.raises(Corrupt, match="checkpoint of epoch 7"):
        restore(fresh, parse_state(data, "x"), "checkpoint of epoch 7")
    after = fresh.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


class Payload:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "pickle", "other version"])
def test_bytes_that_are_no_state_are_corrupt_and_run_nothing(make_state, kind, capsys):
    data = state_bytes(taken_from(make_state()))
    hostile = {
        "empty": b"",
        "text": b"hello",
        "cut": data[:-1],
        "pickle": state_bytes({"v": 1, "model": Payload()}),
        "other version": state_bytes({"v": 2}),
    }
    with pytest.raises(Corrupt, match="a checkpoint cannot be used"):
        parse_state(hostile[kind], "obj/x")
    assert "executed" not in capsys.readouterr().out
