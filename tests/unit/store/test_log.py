import hashlib

import pytest
from support.memory_store import MemoryStore

from segnets.errors import ConfigError, Corrupt, NotFound, NotInStore, TakenOver, Unavailable
from segnets.store import log as logs
from segnets.store.entry import Live
from segnets.store.log import claim, read_env, read_head, read_history
from segnets.store.views import list_views, read_view

SHA = hashlib.sha256(b"config").hexdigest()
TRIAL = "m-1"


@pytest.fixture(params=["conditional", "named", "mixed"])
def shared(request):
    """Two faces of one store, as two processes see it; mixed: their probes disagreed."""
    objects = {}
    first = MemoryStore(conditional=request.param != "named", objects=objects)
    second = MemoryStore(conditional=request.param == "conditional", objects=objects)
    second.times = first.times
    return first, second


def take(store, *, sha=SHA, env=None):
    return claim(store, TRIAL, sha, env=env or {"threads": 2}, take_over=True)


def save(log, epoch, *, event="checkpoint", keep=2):
    """One epoch the way a training saves it: the newest `keep` checkpoints stay."""
    file = log.put_file("state.pt", b"state %d" % epoch)
    before = () if log.head is None else log.head.live
    live = (*before, Live(epoch, epoch * 10, ("last",), (file,)))[-keep:]
    return log.commit(
        event,
        epoch=epoch,
        step=epoch * 10,
        files=[file],
        live=live,
        metrics={},
        view={"epoch": epoch},
    )


def test_a_start_finds_the_last_epoch_that_was_saved_and_its_files(shared):
    first, second = shared
    with take(first) as log:
        save(log, 1)
        save(log, 2)
    with take(second) as log:
        assert (log.head.epoch, log.head.step, log.attempt) == (2, 20, 2)
        assert log.get_file(log.head.file("state.pt")) == b"state 2"
        save(log, 3)
    assert [entry.event for entry in read_history(first, TRIAL)] == [
        *("claim", "checkpoint", "checkpoint"),
        *("claim", "checkpoint"),
    ]


def test_a_claim_never_moves_the_head(shared):
    first, second = shared
    with take(first) as log:
        saved = save(log, 1)
    with take(second), take(first):
        assert read_head(first, TRIAL) == saved


def test_only_the_inventory_of_the_head_is_kept(shared):
    store, _ = shared
    with take(store) as log:
        for epoch in (1, 2, 3, 4):
            save(log, epoch, keep=2)
    blobs = {listed.key for listed in store.list("obj/")}
    assert blobs == read_head(store, TRIAL).live_keys()
    assert len(blobs) == 2


def test_a_file_that_two_records_of_the_inventory_name_goes_only_with_the_last(shared):
    store, _ = shared
    with take(store) as log:
        best = log.put_file("best", b"best")
        both = [Live(1, 1, ("best",), (best,)), Live(2, 2, ("last",), (best,))]
        values = {"epoch": 2, "step": 2, "metrics": {}, "view": {}}
        log.commit("checkpoint", files=[best], live=both, **values)
        log.commit("checkpoint", files=[], live=both[:1], **values)
        assert store.get(best.key) == b"best"
        log.commit("done", files=[], live=[], **values)
        with pytest.raises(NotFound):
            store.get(best.key)


def test_who_was_taken_over_says_nothing_deletes_nothing_and_stops(shared):
    first, second = shared
    old = take(first)
    save(old, 1)
    new = take(second)
    before = {key for key in first.objects if key.startswith("obj/")}
    with pytest.raises(TakenOver, match="another process has taken the trial"):
        save(old, 2, keep=1)
    assert before <= set(first.objects)
    save(new, 2)
    with pytest.raises(Unavailable, match="writes nothing more"):
        save(old, 3)
    assert read_head(first, TRIAL).writer == new.writer
    old.close()
    new.close()


def test_a_claim_between_my_entry_and_my_look_stops_me(shared):
    first, second = shared
    old = take(first)
    save(old, 1)
    others = []

    def claim_first(operation, key):
        if operation == "list" and key.startswith("log/") and not others:
            others.append(None)
            others[0] = take(second)

    first.before = claim_first
    with pytest.raises(TakenOver):
        save(old, 2)
    # what was not said may still be there: the new holder has it in its history
    assert others[0].head.epoch == 2
    others[0].close()
    old.close()


def test_what_is_saved_between_a_list_and_the_claim_is_loaded(shared):
    first, second = shared
    old = take(first)
    save(old, 1)
    appended = []

    def save_first(operation, key):
        if operation == "append" and not appended:
            appended.append(key)
            save(old, 2)
            save(old, 3)

    second.before = save_first
    new = take(second)
    assert new.head.epoch == 3
    save(new, 4)
    assert read_head(first, TRIAL).epoch == 4
    with pytest.raises(TakenOver):
        save(old, 4)
    new.close()
    old.close()


def test_of_two_claims_at_once_one_stops_and_the_other_trains(shared):
    first, second = shared
    rivals = []

    def claim_beside(operation, key):
        if operation == "append" and not rivals:
            rivals.append(None)
            rivals[0] = take(second)

    first.before = claim_beside
    try:
        mine = take(first)
    except TakenOver:
        winner = rivals[0]
    else:
        winner = mine
        with pytest.raises(TakenOver):
            save(rivals[0], 1)
    save(winner, 1)
    assert read_head(first, TRIAL).writer == winner.writer


def test_a_done_trial_is_not_claimed_again(shared):
    first, second = shared
    with take(first) as log:
        save(log, 1, event="done")
    keys = set(first.objects)
    with take(second) as log:
        assert log.head.event == "done"
        assert log.get_file(log.head.file("state.pt")) == b"state 1"
        log.refresh_view({"epoch": 99})
        with pytest.raises(AssertionError, match="is done"):
            save(log, 2)
    assert set(first.objects) == keys


def test_a_view_that_a_dead_writer_never_wrote_is_written_by_who_finds_it(shared):
    first, second = shared
    with take(first) as log:
        save(log, 1, event="done")
    (view,) = list_views(first, "trial").values()
    first.delete([view.key])
    with take(second) as log:
        log.refresh_view({"epoch": 1})
    (view,) = list_views(first, "trial").values()
    assert read_view(first, view.key) == {"epoch": 1}


def test_a_torn_newest_entry_keeps_its_slot_and_the_one_before_counts(shared):
    first, second = shared
    with take(first) as log:
        save(log, 1)
        save(log, 2)
    newest = min(key for key in first.objects if key.startswith("log/"))
    first.objects[newest] = first.objects[newest][:-9]
    with take(second) as log:
        assert log.head.epoch == 1
        save(log, 2)
    assert newest in first.objects
    assert read_head(first, TRIAL).epoch == 2
    with take(first) as log:  # and the next start is not stopped by it either
        assert log.head.epoch == 2


def test_one_bad_reading_of_an_entry_hides_no_epoch(shared):
    first, second = shared
    with take(first) as log:
        save(log, 1)
    get, bad = second.get, []

    def damaged_once(key):
        data = get(key)
        if key.startswith("log/") and len(bad) < 2:
            bad.append(key)
            return data[:-1]
        return data

    second.get = damaged_once
    assert read_head(second, TRIAL).epoch == 1


def test_another_config_under_the_same_short_id_is_refused(shared):
    first, second = shared
    with take(first) as log:
        save(log, 1)
    other = hashlib.sha256(b"other").hexdigest()
    for ask in (lambda: read_head(second, TRIAL, other), lambda: take(second, sha=other)):
        with pytest.raises(ConfigError, match="with other settings: m-1"):
            ask()


def test_what_a_claim_sealed_is_found_before_anything_was_saved(shared):
    first, second = shared
    with take(first, env={"threads": 7}):
        assert read_env(second, TRIAL) == {"threads": 7}
        assert read_head(second, TRIAL) is None
    assert read_env(second, "m-2") is None


def test_after_an_append_with_unknown_outcome_no_other_entry_is_formed(shared):
    store, second = shared
    log = take(store)
    save(log, 1)

    def lose_the_reply(operation, key):
        if operation == "append":
            raise Unavailable("no answer", key, "Wait.")

    store.before = lose_the_reply
    with pytest.raises(Unavailable):
        save(log, 2)
    store.before = lambda *_: None
    with pytest.raises(Unavailable, match="the outcome of its last entry is unknown"):
        save(log, 2)
    assert read_head(second, TRIAL).epoch == 1


def test_an_entry_that_could_not_be_looked_after_is_the_last(shared):
    store, _ = shared
    log = take(store)
    save(log, 1)

    def hide_the_log(operation, key):
        if operation == "list" and key.startswith("log/"):
            raise Unavailable("no answer", key, "Wait.")

    store.before = hide_the_log
    with pytest.raises(Unavailable):
        save(log, 2)
    store.before = lambda *_: None
    with pytest.raises(Unavailable, match="could not be looked after"):
        save(log, 3)


def test_a_lost_view_or_a_failed_delete_does_not_undo_a_commit(shared):
    store, _ = shared
    log = take(store)
    save(log, 1, keep=1)

    def only_the_log(operation, key):
        if operation == "delete" or key.startswith("view/"):
            raise Unavailable("no answer", key, "Wait.")

    store.before = only_the_log
    assert save(log, 2, keep=1).epoch == 2
    store.before = lambda *_: None
    assert read_head(store, TRIAL).epoch == 2
    assert save(log, 3, keep=1).epoch == 3


def test_a_file_that_was_found_damaged_or_missing_is_never_named_again(shared):
    store, _ = shared
    with take(store) as log:
        save(log, 1)
        lost = save(log, 2).file("state.pt")
    del store.objects[lost.key]
    with take(store) as log:
        with pytest.raises(NotFound):
            log.get_file(lost)
        damaged = log.head.live[0].files[0]
        store.objects[damaged.key] = b"state X"
        with pytest.raises(Corrupt):
            log.get_file(damaged)
        with pytest.raises(AssertionError, match="dead keys are never named again"):
            save(log, 3)


def test_a_missing_file_after_a_takeover_is_the_other_process_not_damage(shared):
    first, second = shared
    with take(first) as log:
        save(log, 1)
    old = take(first)
    new = take(second)
    save(new, 2, keep=1)
    with pytest.raises(TakenOver):
        old.get_file(old.head.file("state.pt"))
    old.close()
    new.close()


def test_notes_stand_in_the_next_entry_and_only_there(shared):
    store, _ = shared
    with take(store) as log:
        log.note("resumed", "from epoch 0")
        assert [note.text for note in save(log, 1).notes] == ["from epoch 0"]
        assert save(log, 2).notes == ()


def test_an_epoch_in_a_long_log_is_found_with_two_reads():
    store = MemoryStore()
    with take(store) as log:
        for epoch in range(1, 60):
            save(log, epoch)
    operations = []
    store.before = lambda operation, key: operations.append((operation, key))
    assert read_head(store, TRIAL).epoch == 59
    assert [operation for operation, _ in operations] == ["list", "get"]


def test_a_fork_cannot_write_the_log_of_its_parent(monkeypatch):
    log = take(MemoryStore())
    monkeypatch.setattr(logs.os, "getpid", lambda: -1)
    with pytest.raises(AssertionError, match="claim the trial for itself"):
        save(log, 1)


def test_an_id_from_a_command_line_cannot_leave_the_log():
    with pytest.raises(NotInStore):
        read_head(MemoryStore(), "../../etc")
