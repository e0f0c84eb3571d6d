import errno
import json
import os
import subprocess
import sys
import threading

import pytest

from segnets.errors import Conflict, Denied, Misconfigured, OutOfSpace, Unavailable
from segnets.store import folder
from segnets.store.folder import FolderStore
from segnets.store.preflight import probe


def test_of_many_who_create_a_key_at_once_exactly_one_wins(tmp_path):
    store = FolderStore(tmp_path)
    ready, won = threading.Barrier(8), []

    def race(number):
        ready.wait()
        for key in range(10):
            try:
                store.put_if_absent(f"log/{key}", b"%d" % number)
                won.append((key, number))
            except Conflict:
                pass

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key for key, _ in won) == list(range(10))
    assert all(store.get(f"log/{key}") == b"%d" % number for key, number in won)


def test_everything_is_fsynced_before_its_name_is_there_and_then_the_directory(
    tmp_path, monkeypatch
):
    done = []
    fsync, link, rename = os.fsync, os.link, folder.Path.rename
    monkeypatch.setattr(
        os, "fsync", lambda fd: (done.append(os.path.realpath(f"/proc/self/fd/{fd}")), fsync(fd))
    )
    monkeypatch.setattr(os, "link", lambda a, b: (done.append("link"), link(a, b)))
    monkeypatch.setattr(
        folder.Path, "rename", lambda self, to: (done.append("rename"), rename(self, to))
    )
    store = FolderStore(tmp_path / "store")
    for put, step in ((store.put, "rename"), (store.put_if_absent, "link")):
        done.clear()
        put(f"log/{step}", b"1")
        where = done.index(step)
        assert ".tmp-" in done[where - 1]
        assert done[where + 1] == str(tmp_path / "store" / "log")


def test_a_starter_fsyncs_also_the_parents_that_it_found(tmp_path, monkeypatch):
    FolderStore(tmp_path / "store").put("log/a", b"1")
    synced = []
    monkeypatch.setattr(folder, "sync_directory", synced.append)
    FolderStore(tmp_path / "store").put("log/b", b"1")
    assert {tmp_path / "store" / "log", tmp_path / "store", tmp_path} <= set(synced)


def test_a_directory_that_is_known_is_fsynced_again_when_it_gets_a_new_one(tmp_path, monkeypatch):
    store = FolderStore(tmp_path / "store")
    store.put("probe/one", b"1")
    synced = []
    monkeypatch.setattr(folder, "sync_directory", synced.append)
    store.put("view/trial/two", b"2")
    below = [path for path in synced if path.is_relative_to(tmp_path)]
    assert below == [store.root / "view/trial", store.root / "view", store.root, below[0]]


def test_what_a_dead_writer_left_is_neither_listed_nor_in_the_way(tmp_path):
    store = FolderStore(tmp_path)
    store.put("log/a", b"1")
    (tmp_path / "log" / ".tmp-dead").write_bytes(b"half")
    assert [listed.key for listed in store.list("")] == ["log/a"]
    (leftover,) = store.leftovers("")
    store.drop_leftover(leftover)
    store.drop_leftover(leftover)
    assert not store.leftovers("")


def test_without_hard_links_a_folder_is_not_conditional_but_works(tmp_path, monkeypatch):
    def no_links(a, b):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    store = FolderStore(tmp_path)
    probe(store)
    assert not store.conditional
    store.put_if_absent("log/a", b"1")
    assert store.get("log/a") == b"1"


def test_a_link_whose_reply_was_lost_counts_as_made(tmp_path, monkeypatch):
    store, link = FolderStore(tmp_path), os.link

    def lossy(
        source, target
    ):  # NFS sends the call again: the second one finds the first one's link
        link(source, target)
        raise FileExistsError(errno.EEXIST, "File exists", target)

    monkeypatch.setattr(os, "link", lossy)
    assert store.create("log/1", b"mine")
    monkeypatch.setattr(os, "link", link)
    assert not store.create("log/1", b"another's")
    assert store.get("log/1") == b"mine"


def test_a_directory_that_vanished_is_made_again(tmp_path):
    store = FolderStore(tmp_path)
    store.put("log/a", b"1")
    (tmp_path / "log" / "a").unlink()
    (tmp_path / "log").rmdir()
    store.put("log/b", b"2")
    assert store.get("log/b") == b"2"


def test_a_short_write_is_gone_on_with(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    store = FolderStore(tmp_path)
    store.put("a", b"0123456789")
    assert store.get("a") == b"0123456789"


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, OutOfSpace, "the disk of the store is full"),
        (errno.EDQUOT, OutOfSpace, "the disk of the store is full"),
        (errno.EROFS, OutOfSpace, "the disk of the store is read-only"),
        (errno.EACCES, Denied, "this user may not use the store"),
        (errno.EIO, Unavailable, "the disk does not answer"),
        (errno.ESTALE, Unavailable, "the disk does not answer"),
    ],
)
def test_a_fault_of_the_disk_is_one_sentence_that_says_where(
    tmp_path, monkeypatch, number, kind, words
):
    store = FolderStore(tmp_path)
    store.put("log/a", b"1")

    def fail(fd):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind, match=words) as caught:
        store.put("log/b", b"2")
    assert str(tmp_path / "log" / "b") in str(caught.value)
    assert not store.leftovers("")
    assert [listed.key for listed in store.list("")] == ["log/a"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small tmpfs")
def test_a_full_disk_keeps_what_it_had_and_says_which_it_is(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        store = FolderStore(disk)
        store.put("obj/a", b"1" * 1000)
        with pytest.raises(OutOfSpace, match=r"disk of the store is full.*/disk/obj/b"):
            store.put("obj/b", b"2" * 400_000)
        assert store.get("obj/a") == b"1" * 1000
        assert [listed.key for listed in store.list("")] == ["obj/a"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_file_in_the_place_of_the_folder_is_explained(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(Misconfigured, match="a file stands where the store needs a folder"):
        probe(FolderStore(tmp_path / "file" / "store"))


def test_a_foreign_folder_may_use_any_name_but_none_that_leads_out(tmp_path):
    store = FolderStore(tmp_path, any_key=True)
    store.put("leftImg8bit/Zürich A.png", b"1")
    assert store.get("leftImg8bit/Zürich A.png") == b"1"
    for key in ("../x", "a/../../x", "/etc/passwd", ""):
        with pytest.raises(AssertionError):
            store.get(key)


def keys(store, prefix=""):
    return [listed.key for listed in store.list(prefix)]


def test_linked_folders_are_listed_and_links_that_lead_back_are_not_followed(tmp_path):
    disk, data = tmp_path / "disk", tmp_path / "data"
    FolderStore(disk, any_key=True).put("train/aachen/1.png", b"1")
    (data / "gtFine").mkdir(parents=True)
    for link, there in (
        ("leftImg8bit", disk),
        ("gtFine/train", disk / "train"),
        ("gtFine/val", disk / "train"),  # two splits may be one folder
        ("one", "."),
        ("two", "."),
        ("gtFine/up", ".."),
        ("gtFine/all", "/"),
    ):
        (data / link).symlink_to(there)
    for link, there in (("here", "."), ("train/back", data), ("train/over", "..")):
        (disk / link).symlink_to(there)
    store = FolderStore(data, any_key=True)
    expected = [
        "gtFine/train/aachen/1.png",
        "gtFine/val/aachen/1.png",
        "leftImg8bit/train/aachen/1.png",
    ]
    assert keys(store) == expected
    assert keys(store, "leftImg8bit/train/a") == expected[2:]
    assert keys(store, "gtFine") == keys(store, "gtFine/") == expected[:2]


def test_links_among_linked_folders_do_not_multiply(tmp_path):
    folders = [tmp_path / "pool" / f"{number:02d}" for number in range(12)]
    for one in folders:
        one.mkdir(parents=True)
        (one / "file").write_bytes(b"1")
        for other in folders:
            (one / other.name).symlink_to(other)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(folders[0])
    assert len(keys(FolderStore(tmp_path / "data", any_key=True))) == len(folders)


def test_only_what_can_begin_with_a_prefix_is_walked(tmp_path, monkeypatch):
    store, opened, scandir = FolderStore(tmp_path, any_key=True), [], os.scandir
    for key in ("gtFine/val/a", "leftImg8bit/val/b", "leftImg8bit_sequence/c", "other/d/e"):
        store.put(key, b"1")
    monkeypatch.setattr(os, "scandir", lambda path: (opened.append(path), scandir(path))[1])
    assert keys(store, "leftImg8bit") == ["leftImg8bit/val/b", "leftImg8bit_sequence/c"]
    root = store.root
    below = ("leftImg8bit", "leftImg8bit/val", "leftImg8bit_sequence")
    assert sorted(opened) == [root / "", *(root / one for one in below)]


def test_temporary_files_of_other_programs_are_no_leftovers(tmp_path):
    store = FolderStore(tmp_path)
    for key in ("obj/a", "mine/notes"):
        store.put(key, b"1")
        (tmp_path / key).with_name(".tmp-x").write_bytes(b"half")
    assert [leftover.key for leftover in store.leftovers("")] == ["obj/.tmp-x"]


# Root may read every folder: these run in a process whose root may not.
AS_OTHERS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def as_others(code, *arguments):
    """The JSON that a piece of code prints, run as somebody whom the rights of folders bind."""
    bound = AS_OTHERS if os.geteuid() == 0 else ()
    command = [*bound, sys.executable, "-c", code, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


@pytest.fixture
def closed():
    """Makes folders that their owner may not read, and opens them again at the end."""
    made = []

    def close(path):
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0)
        made.append(path)

    yield close
    for path in reversed(made):
        path.chmod(0o755)


LIST = """
import json, sys
from segnets.errors import Denied
from segnets.store.open import open_sink, open_source, open_store
def told(step):
    try:
        return step()
    except Denied as fault:
        return fault.args[1]
open_it = {"store": lambda url: open_store(url, write=False), "data": open_source, "out": open_sink}
found = []
for kind in ("store", "data", "out"):
    found.append(told(lambda: [one.key for one in open_it[kind](sys.argv[1]).list("")]))
print(json.dumps(found))
"""


def test_a_folder_of_the_disk_itself_is_passed_over(tmp_path, closed):
    FolderStore(tmp_path).put("log/a", b"1")
    closed(tmp_path / "lost+found")
    closed(tmp_path / "log" / "lost+found")
    closed(tmp_path / ".Trash-0")
    assert as_others(LIST, tmp_path) == [["log/a"]] * 3


def test_a_folder_that_may_hold_what_is_asked_for_is_refused_by_name(tmp_path, closed):
    FolderStore(tmp_path).put("log/a", b"1")
    closed(
        tmp_path / "private"
    )  # of a store never, of data perhaps: frames must not vanish in silence
    private = str(tmp_path / "private")
    assert as_others(LIST, tmp_path) == [["log/a"], private, private]
    closed(tmp_path / "obj" / "trial")
    assert as_others(LIST, tmp_path)[0] == str(tmp_path / "obj" / "trial")
    closed(tmp_path)
    assert as_others(LIST, tmp_path) == [str(tmp_path)] * 3


def test_every_command_reads_a_store_on_the_root_of_a_disk(tmp_path, closed):
    FolderStore(tmp_path).put("log/a", b"1")
    closed(tmp_path / "lost+found")
    closed(tmp_path / "private")
    code = (
        "import json, sys; from segnets.store.__main__ import main; "
        "codes = [main([one, sys.argv[1]]) for one in ('ls', 'verify', 'gc')]; print(json.dumps(codes))"
    )
    assert as_others(code, tmp_path) == [0, 0, 0]
    closed(tmp_path / "view")
    assert as_others(code, tmp_path) == [0, 4, 4]
