"""Checkpoints that somebody made to harm: sealed as they should be, and each refused by name."""

import hashlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from support.states import make_state

from segnets.store.entry import Live
from segnets.store.log import claim
from segnets.training.checkpoint import resume, state_bytes
from segnets.training.state import snapshot

SHA = hashlib.sha256(b"config").hexdigest()
KEYS = ["train/a", "train/b"]
MOST_MB = 64
HUGE = 200_000_000


class RunsCode:
    """What pickle runs when it is read."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return (os.mkdir, (self.target,))


class AsksForMemory:
    """Allowed by torch's weights_only."""

    def __reduce__(self):
        return (bytearray, (HUGE,))


def repacked(data, *, compression=zipfile.ZIP_STORED, swap=None):
    """The same archive, written again by zipfile; `swap` maps names to other bytes."""
    old, new = zipfile.ZipFile(io.BytesIO(data)), io.BytesIO()
    with zipfile.ZipFile(new, "w", compression=compression) as archive:
        for one in old.infolist():
            archive.writestr(one.filename, (swap or {}).get(one.filename, old.read(one)))
    return new.getvalue()


def zeros_in_a_zip():
    """200 MB of zeros as a tensor that torch would unpack: 200 kB on disk."""
    one = torch.save(
        {"v": 1, "model": {"w": torch.zeros(1, dtype=torch.uint8)}}, found := io.BytesIO()
    )
    assert one is None
    archive = zipfile.ZipFile(io.BytesIO(found.getvalue()))
    pickled = archive.read("archive/data.pkl")
    (at,) = (
        i for i in range(len(pickled)) if pickled[i : i + 4] == b"K\x01tq"
    )  # numel of the storage
    pickled = pickled[:at] + b"J" + HUGE.to_bytes(4, "little") + pickled[at + 2 :]
    swap = {"archive/data.pkl": pickled, "archive/data/0": bytes(HUGE // 10) * 10}
    return repacked(found.getvalue(), compression=zipfile.ZIP_DEFLATED, swap=swap)


def with_parts(taken, **parts):
    return state_bytes({**taken, **parts})


def stride_0(taken):
    name, weight = next(iter(taken["model"].items()))
    bomb = torch.zeros(1).as_strided((100_000, 100_000), (0, 0))
    return with_parts(taken, model={**taken["model"], name: bomb.to(weight.dtype)})


def wrong_shape(taken):
    name, weight = next(iter(taken["model"].items()))
    return with_parts(taken, model={**taken["model"], name: torch.zeros(*weight.shape, 2)})


def wrong_name(taken):
    model = dict(taken["model"])
    model["nosuch"] = model.pop(next(iter(model)))
    return with_parts(taken, model=model)


HOSTILE = {
    "a pickle that runs code": (
        lambda taken, at: with_parts(taken, best=RunsCode(at)),
        "asks for 'posix mkdir'",
    ),
    "a bare pickle that runs code": (lambda _, at: pickle.dumps(RunsCode(at)), "no whole archive"),
    "a pickle that asks for memory": (
        lambda taken, _: with_parts(taken, best=AsksForMemory()),
        "asks for '__builtin__ bytearray'",
    ),
    "truncated": (lambda taken, _: state_bytes(taken)[:-700], "no whole archive"),
    "a flipped byte": (lambda taken, _: flipped(state_bytes(taken)), "is not what was sealed"),
    "empty": (lambda _, __: b"", "no whole archive"),
    "a foreign zip": (lambda _, __: foreign_zip(), "no archive of torch"),
    "zeros in a zip": (lambda _, __: zeros_in_a_zip(), "a record of it is compressed"),
    "stride 0": (lambda taken, _: stride_0(taken), "0.weight has shape, dtype, strides"),
    "wrong shapes": (lambda taken, _: wrong_shape(taken), "0.weight has shape, dtype, strides"),
    "wrong names": (lambda taken, _: wrong_name(taken), "the names of its model are not those"),
    "contents that do not fit": (
        lambda _, __: state_bytes({"v": 1, "model": 3}),
        "the names of its model are not those",
    ),
    "too large": (lambda _, __: bytes(100_000_000), "more than a state of this model"),
}


def flipped(data):
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def foreign_zip():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("../../etc/passwd", b"root")
    return data.getvalue()


def peak_mb():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def forget_peak():
    Path("/proc/self/clear_refs").write_text("5")


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc"
)
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_checkpoint_is_refused_by_name_and_the_one_before_is_taken(
    store, trial_config, tmp_path, kind
):
    make, reason = HOSTILE[kind]
    target = tmp_path / "made by the checkpoint"
    good, newer = (make_state(trial_config(), steps=steps) for steps in (1, 2))
    good.epoch, newer.epoch = 1, 2
    data = make(snapshot(newer, KEYS, {}), target)
    sealed = state_bytes(snapshot(newer, KEYS, {})) if kind == "a flipped byte" else data
    with claim(store, "m-1", SHA, env={}) as log:
        live = []
        for epoch, content in ((1, state_bytes(snapshot(good, KEYS, {}))), (2, sealed)):
            file = log.put_file("state.pt", content)
            live.append(Live(epoch, epoch, ("last",), (file,)))
            log.commit(
                "checkpoint", epoch=epoch, step=epoch, files=[file], live=live, metrics={}, view={}
            )
        if data is not sealed:
            store.local_path(file.key).write_bytes(data)
    del data, sealed
    fresh = make_state(trial_config())
    with claim(store, "m-1", SHA, env={}) as log:
        before = forget_peak() or peak_mb()
        resumed = resume(log, store, fresh, lambda: KEYS)
        grown = peak_mb() - before
        notes = [note.text for note in log._notes]
    assert resumed is not None
    assert resumed.live.epoch == fresh.epoch == 1
    assert len(notes) == 1
    assert "epoch 2" in notes[0]
    assert reason in notes[0]
    assert not target.exists()
    assert grown < MOST_MB
