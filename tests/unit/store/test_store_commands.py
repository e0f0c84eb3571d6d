import hashlib
import json
import subprocess
import sys

import pytest

from segnets.store.__main__ import main
from segnets.store.bag import Bag
from segnets.store.entry import Live
from segnets.store.folder import FolderStore
from segnets.store.log import claim, read_head

SHA = hashlib.sha256(b"config").hexdigest()


@pytest.fixture
def folder(tmp_path):
    store = FolderStore(tmp_path / "store")
    with claim(store, "m-1", SHA, env={}) as log:
        for epoch in (1, 2):
            file = log.put_file("state.pt", b"epoch %d" % epoch)
            live = [Live(epoch, epoch, ("last",), (file,))]
            log.commit(
                "checkpoint", epoch=epoch, step=9, files=[file], live=live, metrics={}, view={}
            )
    bag = Bag(store, "dataset", "d-1", SHA)
    bag.put_done({"clips": bag.put_item("clips", [bag.put_file("clips.parquet", b"clips")])})
    Bag(store, "run", "pred-1", SHA).put_item("night-20260101t000000z", [])
    return store


def told(capsys):
    """The lines before the last one, and the last one as JSON."""
    *lines, last = capsys.readouterr().out.splitlines()
    return lines, json.loads(last)


def test_ls_says_what_every_subject_is_and_how_large(folder, capsys):
    assert main(["ls", folder.url]) == 0
    lines, counts = told(capsys)
    words = [line.split() for line in lines]
    assert [one[:3] for one in words] == [
        ["trial", "m-1", "7"],
        ["dataset", "d-1", "5"],
        ["run", "pred-1", "0"],
    ]
    assert "checkpoint, epoch 2, step 9, attempt 1" in lines[0]
    assert "done, 1 items" in lines[1]
    assert "1 nights, 0 parts" in lines[2]
    assert counts["subjects"] == {"trial": 1, "dataset": 1, "run": 1}
    assert (counts["command"], counts["status"], counts["bytes"]) == ("ls", "done", 12)


def test_ls_of_an_id_lists_its_files_by_the_names_that_get_takes(folder, capsys, tmp_path):
    assert main(["ls", folder.url, "--id", "m-1"]) == 0
    lines, counts = told(capsys)
    assert lines == ["             7 m-1/step-2/state.pt  epoch-2 last"]
    assert counts["files"] == 1
    for name in (
        "m-1/step-2/state.pt",
        "m-1/epoch-2/state.pt",
        "m-1/last/state.pt",
        "m-1/state.pt",
    ):
        assert main(["get", folder.url, name, "--out", str(tmp_path / "out")]) == 0
        assert (tmp_path / "out").read_bytes() == b"epoch 2"
    assert main(["get", folder.url, "d-1/clips/clips.parquet", "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_bytes() == b"clips"


def test_a_name_without_a_label_is_the_best_epochs_file(folder, tmp_path):
    with claim(folder, "m-2", SHA, env={}) as log:
        kept = []
        for epoch, role in ((1, "best"), (2, "last")):
            file = log.put_file("weights.safetensors", b"weights %d" % epoch)
            kept.append(Live(epoch, epoch, (role,), (file,)))
            log.commit(
                "checkpoint", epoch=epoch, step=9, files=[file], live=kept, metrics={}, view={}
            )
    out = tmp_path / "out"
    assert main(["get", folder.url, "m-2/weights.safetensors", "--out", str(out)]) == 0
    assert out.read_bytes() == b"weights 1"


@pytest.mark.parametrize("name", ["m-1/nosuch.pt", "m-1/epoch-7/state.pt", "d-1/clips"])
def test_a_file_that_is_not_there_is_told_with_where_to_look(folder, capsys, name):
    assert main(["get", folder.url, name, "--out", "never"]) == 4
    said = capsys.readouterr()
    assert said.err == (
        f"error: there is no such file: {name}. "
        f"List them with python -m segnets.store ls URL --id {name[:3]}.\n"
    )
    assert json.loads(said.out)["error"]["exit_code"] == 4


def test_a_damaged_file_is_not_handed_out(folder, capsys, tmp_path):
    (blob,) = (one for one in folder.list("obj/trial/") if one.key == live_key(folder))
    folder.local_path(blob.key).write_bytes(b"epoch X")
    assert main(["get", folder.url, "m-1/state.pt", "--out", str(tmp_path / "out")]) == 4
    assert "state.pt" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def live_key(folder):
    return read_head(folder, "m-1").file("state.pt").key


def test_ls_of_a_prefix_lists_keys(folder, capsys):
    assert main(["ls", folder.url, "--prefix", "obj/dataset/"]) == 0
    lines, counts = told(capsys)
    assert len(lines) == 1
    assert "obj/dataset/d-1/000000-" in lines[0]
    assert counts["keys"] == 1


def test_verify_finds_nothing_in_a_sound_store(folder, capsys):
    assert main(["verify", folder.url]) == 0
    lines, counts = told(capsys)
    assert not lines
    assert [counts[one] for one in ("entries", "files", "bytes", "faults")] == [6, 2, 12, []]


def test_verify_names_what_is_damaged_missing_or_torn(folder, capsys):
    key = live_key(folder)
    folder.local_path(key).write_bytes(b"epoch X")
    assert main(["verify", folder.url]) == 4
    lines, counts = told(capsys)
    assert lines == [f"trial m-1: state.pt is damaged: {key}"]
    assert counts["faults"] == lines
    assert counts["status"] == "failed"
    folder.delete([key])
    assert main(["verify", folder.url, "--id", "m-1"]) == 4
    assert "trial m-1: state.pt is missing" in capsys.readouterr().out
    entry = folder.list("log/trial/")[1]
    folder.local_path(entry.key).write_bytes(b"rot")
    assert main(["verify", folder.url]) == 4
    said = capsys.readouterr().out
    assert f"trial m-1: an entry is torn: {entry.key}" in said
    assert "was built on one that is not there" in said


def test_verify_of_an_unknown_id_says_so(folder, capsys):
    assert main(["verify", folder.url, "--id", "m-9"]) == 3
    assert "nothing in the store has this id: m-9" in capsys.readouterr().err


def test_gc_says_what_it_would_do_and_changes_nothing_when_asked_so(folder, capsys):
    before = folder.list("")
    assert main(["gc", folder.url, "--dry-run"]) == 0
    assert told(capsys)[1]["dry_run"] is True
    assert folder.list("") == before
    assert main(["gc", folder.url]) == 0
    assert folder.list("") == before


def test_get_writes_the_bytes_of_a_key(folder, tmp_path):
    key = read_head(folder, "m-1").file("state.pt").key
    command = [sys.executable, "-m", "segnets.store", "get", folder.url, key]
    run = subprocess.run(command, capture_output=True)
    assert (run.returncode, run.stdout) == (0, b"epoch 2")
    assert main(["get", folder.url, key, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out").read_bytes() == b"epoch 2"


def test_a_store_that_is_not_there_is_one_sentence(tmp_path, capsys):
    assert main(["get", str(tmp_path), "log/x"]) == 4
    assert capsys.readouterr().err.startswith("error: a file is not in the store: ")


@pytest.mark.parametrize(
    "key", ["log/trial/ABC.json", "log/trial/", "obj/../../etc/passwd", "view/"]
)
def test_a_key_that_cannot_be_is_one_sentence(folder, capsys, key):
    assert main(["get", folder.url, key, "--out", "never"]) == 3
    said = capsys.readouterr()
    assert said.err.startswith(f"error: there is no such key: '{key}'. Keys hold small letters")
    assert json.loads(said.out)["error"]["exit_code"] == 3


def test_verify_tells_of_a_lost_file_of_a_bag_by_its_exit_code(folder, capsys):
    (blob,) = folder.list("obj/dataset/")
    folder.delete([blob.key])
    assert main(["verify", folder.url]) == 4
    lines, counts = told(capsys)
    assert lines[-1] == f"dataset d-1: clips.parquet is missing: {blob.key}"
    assert counts["faults"] == lines


def test_get_does_not_promise_a_store_that_it_does_not_look_for(capsys):
    for command, looks in (("get", False), ("ls", True), ("verify", True), ("gc", True)):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert ("$SEGNETS_STORE" in capsys.readouterr().out) == looks
