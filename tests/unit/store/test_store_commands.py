import hashlib
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


def test_ls_says_what_every_subject_is(folder, capsys):
    assert main(["ls", folder.url]) == 0
    said = capsys.readouterr().out
    assert "checkpoint, epoch 2, step 9, attempt 1" in said
    assert "done, 1 items" in said
    assert "1 nights, 0 parts" in said


def test_ls_of_a_prefix_lists_keys(folder, capsys):
    assert main(["ls", folder.url, "--prefix", "obj/dataset/"]) == 0
    assert capsys.readouterr().out.count("obj/dataset/d-1/000000-") == 1


def test_verify_finds_nothing_in_a_sound_store(folder, capsys):
    assert main(["verify", folder.url]) == 0
    assert capsys.readouterr().out.endswith("6 entries, 2 files, 12 bytes: all as sealed\n")


def test_verify_names_what_is_damaged_missing_or_torn(folder, capsys):
    (blob,) = folder.list("obj/trial/")
    folder.local_path(blob.key).write_bytes(b"epoch X")
    assert main(["verify", folder.url]) == 4
    assert "trial m-1: state.pt is damaged: obj/trial/m-1/" in capsys.readouterr().out
    folder.delete([blob.key])
    assert main(["verify", folder.url, "--id", "m-1"]) == 4
    assert "trial m-1: state.pt is missing" in capsys.readouterr().out
    entry = folder.list("log/trial/")[1]
    folder.local_path(entry.key).write_bytes(b"rot")
    assert main(["verify", folder.url]) == 4
    said = capsys.readouterr().out
    assert f"trial m-1: an entry is torn: {entry.key}" in said
    assert "was built on one that is not there" in said


def test_verify_of_an_unknown_id_says_so(folder, capsys):
    assert main(["verify", folder.url, "--id", "m-9"]) == 4
    assert "nothing in the store has this id: m-9" in capsys.readouterr().err


def test_gc_says_what_it_would_do_and_changes_nothing_when_asked_so(folder, capsys):
    before = folder.list("")
    assert main(["gc", folder.url, "--dry-run"]) == 0
    assert "would delete 0 files" in capsys.readouterr().out
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
    assert capsys.readouterr().err.startswith("a file is not in the store: ")
