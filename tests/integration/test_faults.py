"""Two real S3 servers behind a proxy that misbehaves: every fault at every request of every operation."""

import hashlib
import itertools
import os
import random
import threading
import time
from dataclasses import dataclass

import pytest
from support.proxy import FaultProxy
from support.servers import S3Server
from support.stores import use_server

from segnets.errors import Conflict, Corrupt, Denied, NotFound, StoreError, Unavailable
from segnets.store import preflight, retry, s3
from segnets.store.entry import FileRef, Live, digest_of, read_file
from segnets.store.log import claim, read_head, read_history
from segnets.store.open import open_store

pytestmark = pytest.mark.s3

SHA = hashlib.sha256(b"config").hexdigest()
PART = 20_000
BIG = bytes(range(256)) * 190  # three parts
FAULTS = {
    "reset": {},
    "cut a request": {"kind": "cut", "way": "request", "at": 700},
    "cut a request at its end": {"kind": "cut", "way": "request", "at": -1},
    "cut a reply": {"kind": "cut", "at": 0},
    "cut a reply in its body": {"kind": "cut", "at": -3},
    "corrupt a request": {"way": "request", "kind": "corrupt", "at": -20},
    "corrupt a reply": {"kind": "corrupt", "at": 3},
    "corrupt a reply later": {"kind": "corrupt", "at": -30},
    "stall": {"seconds": 1.0},
    "stall in a body": {"kind": "stall", "at": 5, "seconds": 1.0},
    "slow": {"rate": 500_000.0},
    "busy": {},
    "lost": {},
    "late": {"seconds": 0.1},
    "expired": {},
}
QUICK = ("cut a request", "cut a reply", "corrupt a request", "lost", "expired")


@dataclass
class Line:
    """A store through the proxy, and the same one past it."""

    store: s3.S3Store
    direct: s3.S3Store
    proxy: FaultProxy


@pytest.fixture(params=["rclone", "ministack"])
def line(request, monkeypatch):
    name = {"rclone": "s3_server", "ministack": "conditional_s3_server"}[request.param]
    server: S3Server = request.getfixturevalue(name)
    use_server(server, monkeypatch)
    monkeypatch.setattr(s3, "PART_BYTES", PART)
    monkeypatch.setattr(s3, "READ_S", 0.4)
    monkeypatch.setattr(retry, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(retry, "SHORTEST_PAUSE_S", 0.01)
    url = f"s3://{server.bucket}/t{os.urandom(6).hex()}"
    direct = open_store(url, write=True, wait_s=10)
    with FaultProxy(server.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        store = open_store(url, write=True, wait_s=10)
        assert store.conditional == direct.conditional == (request.param == "ministack")
        yield Line(store, direct, proxy)


def fault_of(proxy, name, **more):
    settings = {"kind": name.split()[0], **FAULTS[name], **more}
    return proxy.fault(settings.pop("kind"), **settings)


def one_sentence(error, proxy):
    """What a user reads: one line with the place in it and something to do."""
    said = str(error)
    assert "\n" not in said
    assert "bucket segnets at http://127.0.0.1" in said or isinstance(error, Corrupt), said
    assert error.next_step.endswith((".", ")."))
    assert len(said) < 500
    return said


# -- one fault at one request -----------------------------------------------------------------------


class Put:
    data = b"small" * 300

    def run(self, store, key):
        store.put(key, self.data)

    def check(self, direct, key, *, done):
        there = bytes_at(direct, key)
        assert there == self.data or (there is None and not done), there


class PutParts(Put):
    data = BIG


class Append(Put):
    def run(self, store, key):
        store.put_if_absent(key, self.data)


class Read:
    """Reads change nothing: what is there stays, and what comes back is right or a fault."""

    def prepare(self, direct, key):
        direct.put(key, BIG)

    def run(self, store, key):
        assert read_file(store, FileRef("x", key, digest_of(BIG), len(BIG))) == BIG

    def check(self, direct, key, **_):
        assert bytes_at(direct, key) == BIG


class Range(Read):
    def run(self, store, key):
        for _ in range(2):  # who reads ranges checks the digest of the whole, and reads twice
            if store.get_range(key, 1000, 5000) == BIG[1000:6000]:
                return
        raise Corrupt("a range is wrong", key, "Read it again.")


class List(Read):
    def run(self, store, key):
        folder = key.rpartition("/")[0]
        assert [(one.key, one.size) for one in store.list(f"{folder}/")] == [(key, len(BIG))]


class Delete(Read):
    def run(self, store, key):
        store.delete([key])

    def check(self, direct, key, *, done):
        there = bytes_at(direct, key)
        assert there is None or (there == BIG and not done)


OPERATIONS = [Put(), PutParts(), Append(), Read(), Range(), List(), Delete()]


def bytes_at(store, key):
    try:
        return store.get(key)
    except NotFound:
        return None


@pytest.mark.parametrize(
    "names",
    [pytest.param(QUICK, id="quick"), pytest.param(FAULTS, id="all", marks=pytest.mark.slow)],
)
def test_one_fault_at_any_request_is_got_over_or_explained(line, names):
    for number, operation in enumerate(OPERATIONS):
        meet_each_once(line, operation, names, (f"obj/{number}-{n}/x" for n in itertools.count()))


def meet_each_once(line, operation, names, keys):
    """Every fault at every request of an operation, one at a time."""
    prepare = getattr(operation, "prepare", lambda *_: None)
    before = len(line.proxy.requests)
    key = next(keys)
    prepare(line.direct, key)
    operation.run(line.store, key)
    asked = len(line.proxy.requests) - before
    assert asked >= 1
    for name, nth in itertools.product(names, range(1, asked + 1)):
        if isinstance(operation, List) and name.startswith("corrupt a reply"):
            continue  # a listing has no digest: a name changed on its way is another name
        key = next(keys)
        prepare(line.direct, key)
        with fault_of(line.proxy, name, nth=nth) as fault:
            done = expected = name != "expired"
            try:
                operation.run(line.store, key)
            except Denied as error:
                done = False
                said = one_sentence(error, line.proxy)
                assert "the session token has expired" in said
                assert "Log in again" in said
            assert fault.hits == 1, (name, nth)
            assert done == expected, (name, nth)
        operation.check(line.direct, key, done=done)
        if not done:  # with a new token the same thing works
            operation.run(line.store, key)
            operation.check(line.direct, key, done=True)


@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(one, id=type(one).__name__, marks=() if number in {1, 2} else pytest.mark.slow)
        for number, one in enumerate(OPERATIONS)
    ],
)
def test_a_fault_that_stays_ends_in_one_sentence_and_damages_nothing(line, operation):
    prepare = getattr(operation, "prepare", lambda *_: None)
    line.store.patience.wait_s = 0.3
    kinds = {
        "reset": Unavailable,
        "busy": Unavailable,
        "lost": Unavailable,
        "expired": Denied,
    }
    for number, (name, kind) in enumerate(kinds.items()):
        key = f"obj/{number}/x"
        prepare(line.direct, key)
        with fault_of(line.proxy, name, times=None), pytest.raises(kind) as caught:
            operation.run(line.store, key)
        said = one_sentence(caught.value, line.proxy)
        assert ("tried for" in said) == (kind is Unavailable), said
        operation.check(line.direct, key, done=False)
        operation.run(line.store, key)  # and when it is over, it is over
        operation.check(line.direct, key, done=True)


def test_a_closed_port_is_waited_for_and_named(line):
    line.proxy.refuse()
    line.store.patience.wait_s = 0.3
    with pytest.raises(Unavailable, match=r"Connection refused.*tried for 0 s.*127\.0\.0\.1"):
        line.store.put("obj/x", b"1")
    line.store.patience.wait_s = 10
    thread = threading.Thread(target=line.store.put, args=("obj/x", b"1"))
    thread.start()
    time.sleep(0.3)
    line.proxy.accept()
    thread.join(10)
    assert line.direct.get("obj/x") == b"1"


def test_who_is_alone_waits_for_a_store_that_is_away_at_the_start(line, monkeypatch):
    monkeypatch.setattr(preflight, "WAIT_S", 0.3)
    line.proxy.refuse()
    with pytest.raises(Unavailable, match=r"Connection refused.*tried for 0 s"):
        preflight.probe(line.store)
    monkeypatch.setattr(preflight, "_somebody_there", True)  # put back after the test
    preflight.nobody_there()
    later = threading.Timer(1, line.proxy.accept)
    later.start()
    began = time.monotonic()
    preflight.probe(line.store)
    preflight.check_readable(line.store)
    assert time.monotonic() - began > 0.9
    later.join()


def test_bytes_that_stay_wrong_are_never_handed_out(line):
    line.direct.put("obj/x", BIG)
    with fault_of(line.proxy, "corrupt a reply", times=None), pytest.raises(Corrupt) as caught:
        Read().run(line.store, "obj/x")
    assert "is not what was sealed" in one_sentence(caught.value, line.proxy)


# -- the rules for a lost reply -----------------------------------------------------------------


def test_a_lost_append_that_another_took_is_a_conflict_and_never_a_second_entry(line):
    if not line.store.conditional:
        pytest.skip("its names differ by writer")
    line.direct.put_if_absent("log/x", b"theirs")
    with line.proxy.fault("lost", "PUT") as fault, pytest.raises(Conflict):
        line.store.put_if_absent("log/x", b"mine")
    assert fault.hits == 1
    assert line.direct.get("log/x") == b"theirs"


def test_my_own_entry_behind_a_lost_reply_is_not_taken_for_anothers(line):
    create = "" if line.store.conditional else r"uploadId=[^&]*$"
    for number, damaged in enumerate((False, True)):
        with line.proxy.fault("lost", "PUT" if not create else "POST", create) as lost:
            # the read that settles it is damaged too
            with line.proxy.fault("corrupt", "GET", times=int(damaged)):
                line.store.put_if_absent(f"log/{number}", b"mine" * 9)
            assert lost.hits == 1
        assert line.direct.get(f"log/{number}") == b"mine" * 9


def test_a_completed_upload_behind_a_lost_reply_is_not_sent_again(line):
    with line.proxy.fault("lost", "POST", r"uploadId=[^&]*$") as fault:
        line.store.put("obj/x", BIG)
    assert fault.hits == 1
    assert sum("?uploads" in one for one in line.proxy.requests if "obj/x" in one) == 1
    assert not line.direct.leftovers("")


# -- a trial under a storm ----------------------------------------------------------------------


def storm(line, seed, epochs=4):
    """Commit epochs through faults drawn from a seed; each that was said must be in the history."""
    draw = random.Random(seed)
    names = [name for name in FAULTS if name not in {"slow", "stall", "stall in a body"}]
    trial, said = f"m-{seed}", 0
    for _ in range(40):
        more = {"nth": draw.randint(1, 12), "times": draw.choice([1, 1, 2])}
        name = draw.choice(names)
        if name.startswith("corrupt a reply"):
            more["path"] = "obj/|log%2F|log/"
        with fault_of(line.proxy, name, **more):
            try:
                with claim(line.store, trial, SHA, env={}, take_over=True) as log:
                    epoch = 0 if log.head is None else log.head.epoch
                    assert epoch >= said, (seed, name, more)
                    live = () if log.head is None else log.head.live
                    if live:
                        state = log.get_file(log.head.file("state.pt"))
                        assert state == b"%d" % epoch * 9000, (seed, name)
                    while epoch < epochs:
                        epoch += 1
                        file = log.put_file("state.pt", b"%d" % epoch * 9000)
                        live = (*live, Live(epoch, epoch, ("last",), (file,)))[-2:]
                        log.commit(
                            "checkpoint" if epoch < epochs else "done",
                            epoch=epoch,
                            step=epoch,
                            files=[file],
                            live=live,
                            metrics={},
                            view={},
                        )
                        said = epoch
            except StoreError as error:
                one_sentence(error, line.proxy)
        head = read_head(line.direct, trial, SHA)
        assert (0 if head is None else head.epoch) >= said, (seed, name, more)
        if said == epochs:
            break
    assert said == epochs
    for ref in {file.key: file for one in head.live for file in one.files}.values():
        read_file(line.direct, ref)
    acknowledged = {entry.epoch for entry in read_history(line.direct, trial) if entry.is_commit}
    assert acknowledged == set(range(1, epochs + 1))


def test_no_acknowledged_epoch_is_lost_in_a_storm(line):
    for seed in range(2):
        storm(line, seed)


@pytest.mark.slow
def test_no_acknowledged_epoch_is_lost_in_a_long_storm(line):
    for seed in range(100, 250):
        storm(line, seed)
