"""What every store promises, asked of a folder and of two real S3 servers."""

import contextlib
import hashlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.servers import ministack_server, rclone_server
from support.stores import open_s3_store, use_server

from segnets.errors import (
    Conflict,
    Corrupt,
    Denied,
    Misconfigured,
    NotFound,
    StoreError,
    TakenOver,
    Unavailable,
)
from segnets.store import preflight, refusals, s3
from segnets.store.__main__ import main as store_command
from segnets.store.bag import Bag, read_done
from segnets.store.entry import Live
from segnets.store.gc import collect, plan
from segnets.store.keys import new_writer, probe_key
from segnets.store.log import claim, read_head
from segnets.store.open import open_sink, open_source, open_store

SHA = hashlib.sha256(b"config").hexdigest()
A_STORE = settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
NAMES = st.text(alphabet="abz019._-", min_size=1, max_size=6).filter(lambda name: name.strip("."))


@pytest.fixture(params=["rclone", "ministack"])
def s3_store(request, monkeypatch):
    """A store on each S3 server, with parts small enough that a little data has several."""
    monkeypatch.setattr(s3, "PART_BYTES", 100_000)
    return open_s3_store(request.param, request, monkeypatch)


@pytest.fixture(params=["folder", "ministack"])
def exclusive_store(request, tmp_path, monkeypatch):
    """The stores that refuse a second writer; on rclone the names of the writers differ instead."""
    if request.param == "folder":
        return open_store(str(tmp_path), write=True)
    return open_s3_store(request.param, request, monkeypatch)


def save(log, epoch, event="checkpoint"):
    file = log.put_file("state.pt", b"state %d" % epoch)
    before = () if log.head is None else log.head.live
    live = (*before, Live(epoch, epoch, ("last",), (file,)))[-2:]
    return log.commit(event, epoch=epoch, step=epoch, files=[file], live=live, metrics={}, view={})


@A_STORE
@given(data=st.binary(max_size=3000), name=NAMES)
def test_what_was_put_comes_back(store, data, name):
    store.put(f"obj/{name}/x", data)
    assert store.get(f"obj/{name}/x") == data


def test_a_large_object_comes_back_whole_and_in_ranges(store):
    data = os.urandom(2**20) * 17  # two parts
    store.put("obj/large", data)
    assert store.get("obj/large") == data
    edge = s3.PART_BYTES
    assert store.get_range("obj/large", edge - 5, 10) == data[edge - 5 : edge + 5]
    assert store.get_range("obj/large", len(data) - 1, 1) == data[-1:]
    assert store.get_range("obj/large", 7, 0) == b""
    for offset, size in ((len(data) - 1, 2), (len(data) + 5, 1)):
        with pytest.raises(Corrupt, match="shorter than it was"):
            store.get_range("obj/large", offset, size)


def test_what_is_not_there_is_not_found(store):
    for ask in (lambda: store.get("obj/no"), lambda: store.get_range("obj/no", 0, 1)):
        with pytest.raises(NotFound, match="obj/no"):
            ask()
    store.delete(["obj/no", "obj/neither"])
    assert store.list("obj/") == []
    assert store.local_path("obj/no") is None


@pytest.mark.parametrize(
    "thing",
    [bytearray(b"x"), memoryview(b"x"), "x", None, io.BytesIO(b"x")],
    ids=lambda thing: type(thing).__name__,
)
def test_only_bytes_are_stored_never_a_stream(store, thing):
    for put in (store.put, store.put_if_absent):
        with pytest.raises(TypeError, match="a store takes bytes"):
            put("obj/x", thing)
    assert store.list("obj/") == []


@A_STORE
@given(names=st.sets(NAMES, max_size=12), data=st.data())
def test_a_listing_is_sorted_and_complete_and_begins_behind_after(store, names, data):
    root = f"log/{os.urandom(4).hex()}"
    keys = sorted({f"{root}/{name}" for name in names})
    for key in keys:
        store.put(key, key.encode())
    found = store.list(f"{root}/")
    assert [listed.key for listed in found] == keys
    assert [listed.size for listed in found] == [len(key) for key in keys]
    limit = data.draw(st.integers(1, 12))
    assert [listed.key for listed in store.list(f"{root}/", limit=limit)] == keys[:limit]
    if keys:
        after = data.draw(st.sampled_from(keys))
        behind = [listed.key for listed in store.list(f"{root}/", after=after)]
        assert behind == [key for key in keys if key > after]


def test_a_prefix_may_end_within_a_name(store):
    for key in ("view/trial/m-1.a", "view/trial/m-1.b", "view/trial/m-12.a", "view/grid/m-1.a"):
        store.put(key, b"x")
    assert [one.key for one in store.list("view/trial/m-1.")] == [
        "view/trial/m-1.a",
        "view/trial/m-1.b",
    ]
    assert len(store.list("view/")) == 4


def test_the_clock_of_a_listing_is_the_stores_own(store):
    store.put("obj/x", b"x")
    (listed,) = store.list("obj/")
    assert abs(store.now() - listed.modified) < 5


def test_a_second_put_if_absent_meets_the_first(store):
    store.put_if_absent("log/x", b"first")
    store.put_if_absent("log/x", b"first")  # the same bytes: a repetition of mine
    if store.conditional:
        with pytest.raises(Conflict, match="the key is taken"):
            store.put_if_absent("log/x", b"second")
    assert store.get("log/x") == b"first"


@pytest.mark.s3
def test_of_many_who_create_a_key_at_once_exactly_one_wins(exclusive_store):
    store = exclusive_store
    assert store.conditional
    ready, won = threading.Barrier(6), []

    def race(number):
        ready.wait()
        for key in range(5):
            with contextlib.suppress(Conflict):
                store.put_if_absent(f"log/{key}", b"%d" % number)
                won.append((key, number))

    threads = [threading.Thread(target=race, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(key for key, _ in won) == list(range(5))
    assert all(store.get(f"log/{key}") == b"%d" % number for key, number in won)


def test_a_reader_sees_the_old_bytes_or_the_new_ones_never_a_part(store):
    old, new = b"a" * 300_000, b"b" * 300_000
    store.put("beat/x", old)
    stop, torn = threading.Event(), []

    def read():
        while not stop.is_set():
            data = store.get("beat/x")
            if data not in (old, new):
                torn.append(len(data))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(10):
        store.put("beat/x", new if number % 2 == 0 else old)
    stop.set()
    for thread in threads:
        thread.join()
    assert torn == []


def test_a_trial_is_saved_resumed_taken_over_and_cleaned(store):
    with claim(store, "m-1", SHA, env={"threads": 1}) as log:
        save(log, 1)
    old = claim(store, "m-1", SHA, env={}, take_over=True)
    orphan = old.put_file("state.pt", b"never committed")
    with claim(store, "m-1", SHA, env={}, take_over=True) as log:
        assert log.get_file(log.head.file("state.pt")) == b"state 1"
        with pytest.raises(TakenOver):
            save(old, 2)
        for epoch in (2, 3):
            save(log, epoch)
        save(log, 4, "done")
    old.close()
    collect(store, plan(store, courtesy_s=-5))
    with pytest.raises(NotFound):
        store.get(orphan.key)
    head = read_head(store, "m-1", SHA)
    assert (head.event, head.epoch) == ("done", 4)
    assert {listed.key for listed in store.list("obj/")} == head.live_keys()
    assert len(store.list("view/trial/")) == 1
    assert store.list("beat/") == []


TRAINING = """
import sys
from segnets.store.entry import Live
from segnets.store.log import claim
from segnets.store.open import open_store

with claim(open_store(sys.argv[1], write=True), "m-1", "0" * 64, env={}) as log:
    epoch = 0 if log.head is None else log.head.epoch
    if log.head is not None:
        assert log.get_file(log.head.file("state.pt")) == str(epoch).encode() * 20_000
    while True:
        epoch += 1
        file = log.put_file("state.pt", str(epoch).encode() * 20_000)
        live = (*(() if log.head is None else log.head.live), Live(epoch, 0, (), (file,)))[-2:]
        log.commit("checkpoint", epoch=epoch, step=0, files=[file], live=live, metrics={}, view={})
        print(epoch, flush=True)
"""


def test_after_a_kill_the_same_command_goes_on_at_once_from_what_was_said(store):
    said = 0
    for number in range(3):
        started = time.monotonic()
        command = [sys.executable, "-c", TRAINING, store.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            first = int(process.stdout.readline())
            assert first > said
            assert time.monotonic() - started < 20  # two periods of beats would be 30 s
            time.sleep(0.05 * number)
            process.kill()
            said = max([first, *(int(line) for line in process.stdout.read().split())])
        assert read_head(store, "m-1").epoch >= said


def test_a_bag_is_made_by_two_and_read_by_all(store):
    bags = [Bag(store, "dataset", "d-1", SHA) for _ in range(2)]
    clips = bags[0].put_item("clips", [bags[0].put_file("clips.parquet", b"clips")])
    bags[1].put_item("tables", [bags[1].put_file("stats.json", b"{}")])
    items = {name: lines[0] for name, lines in bags[0].items().items()}
    assert items["clips"] == clips
    bags[0].put_done(items)
    done = read_done(store, "dataset", "d-1")
    assert bags[1].get_file(done.file("stats.json")) == b"{}"


def test_opening_leaves_nothing_behind_and_a_reader_writes_nothing(store):
    assert store.list("") == []
    reader = open_store(store.url, write=False)
    assert reader.list("") == []
    assert list(store.leftovers("")) == []


def test_files_of_others_are_read_and_written_under_any_name(store):
    sink = open_sink(f"{store.url}/masks")
    name = "color/val/Zürich A/frame (1)_color.png"
    assert sink.get(name) is None
    sink.put(name, b"1")
    sink.put(name, b"2")
    source = open_source(f"{store.url}/masks")
    assert [listed.key for listed in source.list()] == [name]
    assert source.get(name) == b"2"


def lose_replies(store, operations, *, applied):
    """Cut the line once at each of these operations, before or after the server has done it."""
    once, left = store._once, list(operations)
    lock = threading.Lock()  # parts of an upload go side by side

    def cut(operation, **arguments):
        with lock:
            lost = operation in left
            if lost:
                left.remove(operation)
        if lost and not applied:
            raise Unavailable("the line was cut", operation, "Wait.")
        answer = once(operation, **arguments)
        if lost:
            raise Unavailable("the line was cut", operation, "Wait.")
        return answer

    store._once = cut
    return left


@pytest.mark.s3
@pytest.mark.parametrize("applied", [True, False], ids=["reply-lost", "request-lost"])
@pytest.mark.parametrize(
    "operation",
    ["create_multipart_upload", "upload_part", "complete_multipart_upload", "put_object"],
)
def test_a_cut_line_loses_nothing_and_doubles_nothing(s3_store, operation, applied):
    store = s3_store
    left = lose_replies(store, [operation], applied=applied)
    data = os.urandom(s3.PART_BYTES + 5)
    store.put("obj/x", data)
    store.put_if_absent("log/x", b"mine")
    # only a server that excludes is ever sent a plain PUT
    assert left == ([] if store.conditional or operation != "put_object" else ["put_object"])
    assert store.get("obj/x") == data
    assert store.get("log/x") == b"mine"
    store.put_if_absent("log/x", b"mine")
    assert len(store.list("")) == 2


@pytest.mark.s3
def test_a_conflict_behind_a_lost_request_is_found(exclusive_store):
    store = exclusive_store
    store.put_if_absent("log/x", b"theirs")
    if isinstance(store, s3.S3Store):
        lose_replies(store, ["put_object"], applied=False)
    with pytest.raises(Conflict):
        store.put_if_absent("log/x", b"mine")
    assert store.get("log/x") == b"theirs"


@pytest.mark.s3
def test_an_upload_that_nobody_ended_is_aborted_by_gc(s3_store):
    store = s3_store
    with claim(store, "m-1", SHA, env={}) as log:
        key = log.put_file("state.pt", b"x").key
    store._once("create_multipart_upload", Key=store._name(f"{key}0"))
    with claim(store, "m-1", SHA, env={}) as log:
        assert not plan(store).leftovers
        save(log, 1)
        found = plan(store)
        assert [leftover.key for leftover in found.leftovers] == [f"{key}0"]
        collect(store, found)
        collect(store, found)
        assert not list(store.leftovers(""))


# -- refusals: rclone checks signatures and clocks, ministack does not ----------------------------


@pytest.fixture
def refusing(s3_server, monkeypatch):
    """A server that says no where it should, and the reason that a user reads."""
    use_server(s3_server, monkeypatch)
    monkeypatch.setattr(preflight, "WAIT_S", 1.0)

    def refuse(kind, url=f"s3://{s3_server.bucket}/x", *, write=True, **variables):
        for name, text in variables.items():
            monkeypatch.setenv(name, text)
        with pytest.raises(StoreError) as caught:
            open_store(url, write=write)
        assert type(caught.value) is kind, caught.value
        return str(caught.value)

    return SimpleNamespace(refuse=refuse, server=s3_server, monkeypatch=monkeypatch)


@pytest.mark.s3
def test_a_wrong_secret_is_named(refusing):
    said = refusing.refuse(Denied, AWS_SECRET_ACCESS_KEY="wrong")
    assert refusing.refuse(Denied, write=False) == said
    assert "the secret key does not fit the access key id: bucket segnets at http://127" in said
    assert "AWS_SECRET_ACCESS_KEY" in said


@pytest.mark.s3
def test_an_unknown_key_id_is_named(refusing):
    said = refusing.refuse(Denied, AWS_ACCESS_KEY_ID="nobody")
    assert "does not know this access key id" in said


@pytest.mark.s3
def test_no_keys_at_all_are_named(refusing, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        refusing.monkeypatch.delenv(name)
    refusing.monkeypatch.setenv("HOME", str(tmp_path))
    assert "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in refusing.refuse(Denied)


@pytest.mark.s3
def test_a_missing_bucket_is_named(refusing):
    said = refusing.refuse(Misconfigured, url="s3://nosuch/x")
    assert refusing.refuse(Misconfigured, url="s3://nosuch/x", write=False) == said
    assert "there is no such bucket: bucket nosuch at http://127" in said
    assert "Create the bucket" in said


@pytest.mark.s3
@pytest.mark.parametrize(("minutes", "way"), [(-20, "behind"), (20, "ahead of")])
def test_a_wrong_clock_is_named_with_its_offset(refusing, minutes, way):
    import botocore.auth

    now, wrong = botocore.auth.get_current_datetime, timedelta(minutes=minutes)
    clock = SimpleNamespace(time=lambda: time.time() + wrong.total_seconds())
    refusing.monkeypatch.setattr(
        botocore.auth, "get_current_datetime", lambda *given, **named: now(*given, **named) + wrong
    )
    refusing.monkeypatch.setattr(refusals, "time", clock)
    sentence = rf"the clock of this machine is (1199|12\d\d) s {way} the server's: bucket segnets"
    said = [refusing.refuse(Misconfigured, write=write) for write in (True, False)]
    assert all(re.search(sentence, one) for one in said), said
    assert "Set the clock of this machine" in said[0]


@pytest.mark.s3
def test_an_endpoint_where_nobody_listens_is_named(refusing):
    said = refusing.refuse(Unavailable, AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert "Connection refused" in said
    assert "bucket segnets at http://127.0.0.1:9" in said
    assert "AWS_ENDPOINT_URL" in said


@pytest.mark.s3
def test_tls_to_a_server_without_it_is_named(refusing):
    url = refusing.server.endpoint.replace("http:", "https:")
    assert "the server speaks no TLS" in refusing.refuse(Misconfigured, AWS_ENDPOINT_URL=url)


@pytest.mark.s3
def test_a_profile_or_endpoint_that_cannot_be_is_named(refusing):
    assert "nosuch" in refusing.refuse(Denied, AWS_PROFILE="nosuch")
    refusing.monkeypatch.delenv("AWS_PROFILE")
    assert "Invalid endpoint" in refusing.refuse(Misconfigured, AWS_ENDPOINT_URL="nonsense")


@pytest.mark.s3
def test_a_private_authority_is_trusted_when_it_is_named_and_refused_otherwise(
    tmp_path, monkeypatch
):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("openssl is not at hand")
    monkeypatch.setattr(preflight, "WAIT_S", 2.0)
    with rclone_server(tmp_path, tls=(certificate, key)) as server:
        use_server(server, monkeypatch)
        with pytest.raises(Misconfigured, match=r"certificate is not accepted.*AWS_CA_BUNDLE"):
            open_store(f"s3://{server.bucket}/x", write=True)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        store = open_store(f"s3://{server.bucket}/x", write=True)
        store.put("obj/x", b"1")
        assert store.get_range("obj/x", 0, 1) == b"1"
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint.replace("https:", "http:"))
        with pytest.raises(StoreError, match="https"):
            open_store(f"s3://{server.bucket}/x", write=True)


@pytest.mark.s3
@pytest.mark.parametrize("start", [rclone_server, ministack_server])
def test_a_server_that_dies_and_comes_back_is_waited_for(start, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    with start(tmp_path) as server:
        use_server(server, monkeypatch)
        port = int(server.endpoint.rpartition(":")[2])
        store = open_store(f"s3://{server.bucket}/x", write=True, wait_s=30)
        log = claim(store, "m-1", SHA, env={})
        save(log, 1)
        os.killpg(server.pid, signal.SIGKILL)
        saved = []
        thread = threading.Thread(target=lambda: saved.append(save(log, 2)))
        thread.start()
        time.sleep(0.5)
    assert not saved
    with start(tmp_path, port=port):
        thread.join(30)
        assert saved[0].epoch == 2
        assert read_head(store, "m-1").epoch == 2
        assert "waiting for the store to write" in caplog.text
        log.note("x", "y")
        notes = save(log, 3).notes
        assert any("waited" in note.text for note in (*saved[0].notes, *notes))
        log.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small tmpfs")
def test_gc_makes_room_where_none_is_left(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        store = open_store(str(tmp_path), write=True)
        old = probe_key(new_writer())
        store.put(old, bytes(32_768))  # left by a probe that was killed
        os.utime(store.local_path(old), (0, 0))
        (tmp_path / "ballast").write_bytes(bytes(shutil.disk_usage(tmp_path).free))
        with pytest.raises(StoreError, match="full"):
            open_store(str(tmp_path), write=True)
        assert store_command(["gc", str(tmp_path)]) == 0
        assert store.list("probe/") == []
        open_store(str(tmp_path), write=True)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.s3
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small tmpfs")
def test_a_full_disk_of_a_server_is_told_and_costs_nothing_that_was_there(tmp_path, monkeypatch):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        with rclone_server(disk) as server:
            use_server(server, monkeypatch)
            store = open_store(f"s3://{server.bucket}/x", write=True, wait_s=1)
            store.put("obj/a", b"1" * 1000)
            with pytest.raises(StoreError, match=r"full disk.*Make room on the server's disk"):
                store.put("obj/b", os.urandom(8 * 2**20))
            assert store.get("obj/a") == b"1" * 1000
            assert [listed.key for listed in store.list("")] == ["obj/a"]
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.s3
def test_conditional_writes_can_be_left_untried(conditional_s3_server, monkeypatch):
    use_server(conditional_s3_server, monkeypatch)
    url = f"s3://{conditional_s3_server.bucket}/off{os.urandom(4).hex()}"
    monkeypatch.setenv("SEGNETS_S3_CONDITIONAL", "off")
    store = open_store(url, write=True)
    assert not store.conditional
    monkeypatch.delenv("SEGNETS_S3_CONDITIONAL")
    assert open_store(url, write=True).conditional
    with claim(store, "m-1", SHA, env={}) as log:
        save(log, 1)
    with claim(open_store(url, write=True), "m-1", SHA, env={}) as log:  # a log with both names
        assert log.head.epoch == 1
        save(log, 2)
    assert read_head(store, "m-1").epoch == 2
