"""Processes around one trial: one that trains it, one that reads it, one that collects garbage.

They use the store as `segnets.training` does, with checkpoints of a few bytes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segnets.errors import Corrupt, NotFound, StoreError, TakenOver, Unavailable
from segnets.store.base import Store
from segnets.store.entry import Entry, FileRef, Live, to_bytes
from segnets.store.gc import COURTESY_S, collect, plan
from segnets.store.log import TrialLog, claim, read_file, read_head, read_history
from segnets.store.views import refresh_view
from sim.check import SHA, STEPS_PER_EPOCH, TRIAL, TrialModel, digest, file_bytes
from sim.schedule import World

BEST = ("weights", "model.json")
LISTS = 6
"""How often a reader lists while the head moves under it."""


@dataclass(frozen=True)
class Manners:
    """How one process behaves."""

    take_over: bool = True
    careless: bool = False
    """Tries to name files that were dropped or found damaged."""
    stops: float = 0.0
    middle: float = 0.3
    """Chance of a checkpoint in mid-epoch."""


class Trainer:
    """One process that trains the trial; `run` returns how it ended."""

    def __init__(self, world: World, model: TrialModel, store: Store, manners: Manners) -> None:
        self.world, self.model, self.store, self.manners = world, model, store, manners
        self.resumed = 0
        self.checkpoints: list[Live] = []
        self.best: Live | None = None
        self.gone: list[Live] = []
        self.step = 0

    def run(self) -> str:
        began = len(self.model.landed)
        if self.world.running is not None:
            self.world.running.process.polite = not self.manners.take_over
        try:
            return self._run()
        except TakenOver:
            if self.manners.take_over:
                self.model.stopped(began)
            return "taken over"
        except StoreError as error:
            return type(error).__name__

    def _run(self) -> str:
        head = read_head(self.store, TRIAL, SHA)
        if head is not None and head.event == "done":
            refresh_view(
                self.store, "trial", TRIAL, head.seq, head.writer, view_of(head.event, head.step)
            )
            return "reused"
        with claim(self.store, TRIAL, SHA, env={}, take_over=self.manners.take_over) as log:
            if log.head is not None and log.head.event == "done":
                return "reused"
            self._resume(log)
            return self._train(log)

    def _train(self, log: TrialLog) -> str:
        last = self.world.profile.epochs * STEPS_PER_EPOCH
        draw = self.world.draw
        while self.step < last:
            self.step += 1
            at_end = self.step % STEPS_PER_EPOCH == 0
            if not at_end and draw.random() > self.manners.middle:
                continue
            self._save_or_go_on(log, last)
            if self.step < last and draw.random() < self.manners.stops:
                self._commit(log, draw.choice(("stopped", "failed")), [], self._kept())
                return "stopped"
        return "done"

    def _save_or_go_on(self, log: TrialLog, last: int) -> None:
        """Save; a stubborn one tries further steps after an error, and at last raises the error."""
        first: Exception | None = None
        for _ in range(4):
            before = self.checkpoints, self.best
            try:
                self._save(log, "done" if self.step == last else "checkpoint")
            except (Unavailable, TakenOver) as error:
                first = first or error
                self.checkpoints, self.best = before
                if not self.world.profile.stubborn or self.step == last:
                    break
                self.step += 1
            else:
                if first is not None:
                    self.world.count("went on")
                return
        assert first is not None
        raise first

    def _save(self, log: TrialLog, event: str) -> None:
        """A checkpoint as the Saver makes it: state, and the best weights, shared until they change."""
        names = ("state.pt", "extra.json") if self.step % 2 else ("state.pt",)
        files = [log.put_file(name, file_bytes(name, self.step)) for name in names]
        best = self.best
        if best is None or self.step % 3 == 1:
            refs = tuple(log.put_file(name, file_bytes(name, self.step)) for name in BEST)
            files += refs
            best = Live(self.step // STEPS_PER_EPOCH, self.step, ("best",), refs)
        elif any(ref.key not in self._named(log) for ref in best.files):
            refs = tuple(  # they come from a checkpoint that the head has dropped
                log.put_file(ref.name, file_bytes(ref.name, best.step)) for ref in best.files
            )
            files += refs
            best = Live(best.epoch, best.step, ("best",), refs)
        newest = Live(
            self.step // STEPS_PER_EPOCH,
            self.step,
            ("last",),
            tuple({ref.key: ref for ref in (*files, *best.files)}.values()),
        )
        self.checkpoints, self.best = [*self.checkpoints, newest], best
        live = self._kept()
        if self.manners.careless and self.gone and self.world.draw.random() < 0.3:
            try:
                self._commit(log, event, files, [*live, self.gone[-1]])
            except AssertionError:
                self.world.count("refused")  # as it must: a dead key is never named again
            else:
                return
        self._commit(log, event, files, live)

    def _commit(
        self, log: TrialLog, event: str, files: Sequence[FileRef], live: Sequence[Live]
    ) -> None:
        step = self.step
        entry = log.commit(
            event,
            epoch=step // STEPS_PER_EPOCH,
            step=step,
            files=files,
            live=live,
            metrics={},
            view=view_of(event, step),
        )
        self.model.say(to_bytes(entry), saves=bool(files))
        self.gone = [one for one in self.checkpoints if one not in live] or self.gone
        self.checkpoints = [one for one in self.checkpoints if one in live]

    def _kept(self) -> list[Live]:
        """The newest few checkpoints, and the best weights."""
        kept = self.checkpoints[-self.world.profile.keep :]
        return kept if self.best is None else [*kept, self.best]

    def _named(self, log: TrialLog) -> set[str]:
        return set() if log.head is None else log.head.live_keys()

    def _resume(self, log: TrialLog) -> None:
        """Load the newest checkpoint that is whole, as segnets.training.checkpoint does."""
        for live in self._candidates(log):
            try:
                found = {ref.name: log.get_file(ref) for ref in live.files}
            except (NotFound, Corrupt):
                self.world.count("fell back")
                self.gone.append(live)
                continue
            best_step = live.step
            for name, data in found.items():
                if name == "weights":
                    best_step = int(data.rpartition(b" ")[2])
                self.model.loaded(name, best_step if name != "state.pt" else live.step, data)
            self.step = self.resumed = live.step
            self.best = Live(
                best_step // STEPS_PER_EPOCH,
                best_step,
                ("best",),
                tuple(ref for ref in live.files if ref.name in BEST),
            )
            head = log.head
            stay = head.live if head is not None and live in head.live else ()
            self.checkpoints = [one for one in stay if is_state(one) and one.step <= live.step]
            return

    def _candidates(self, log: TrialLog) -> Iterator[Live]:
        seen: set[str] = set()
        if log.head is None:
            return
        for entries in ([log.head], reversed(read_history(self.store, TRIAL))):
            for entry in entries:
                for live in sorted(entry.live, key=lambda one: one.step, reverse=True):
                    keys = {ref.key for ref in live.files if ref.name == "state.pt"}
                    if keys and not keys & seen:
                        seen |= keys
                        yield live


def is_state(live: Live) -> bool:
    return any(ref.name == "state.pt" for ref in live.files)


def view_of(event: str, step: int) -> dict[str, object]:
    return {"status": event, "step": step}


def read_trial(world: World, model: TrialModel, store: Store) -> None:
    """Read the newest checkpoint as `load_model` does: list again while the head moves."""
    before = None
    for _ in range(LISTS):
        said = set() if model.rotten else set(model.said)
        try:
            head = read_head(store, TRIAL)
            if not model.rotten:
                _check_head(world, model, head, said)
            if head is None:
                return
            _read_newest(world, model, store, head)
            return
        except NotFound:
            assert head is not None
            if before == head.rank and not model.rotten:
                world.fail("WRONG", "a reader misses a file, and the head has not moved")
            before = head.rank
        except Corrupt:
            if not model.rotten:
                world.fail("WRONG", "a reader found a damaged file")
            return
        except StoreError:
            return
    world.count("starved")


def _read_newest(world: World, model: TrialModel, store: Store, head: Entry) -> None:
    newest = max((one for one in head.live if is_state(one)), key=lambda one: one.step)
    for ref in newest.files:
        data = read_file(store, ref)
        if ref.name == "state.pt":
            model.loaded(ref.name, newest.step, data)
    world.count("read")


def _check_head(world: World, model: TrialModel, head: Entry | None, said: set[str]) -> None:
    """What was said before a reader listed is in the history of what it found."""
    if head is None and said:
        world.fail("STALE", "a reader found no head after an epoch was said to be saved")
    elif head is not None and not said <= model.history(digest(to_bytes(head))):
        world.fail("STALE", "a reader found a head that is older than what was said before")


def collect_garbage(world: World, store: Store) -> None:
    """gc a few times, with the 24 hours of courtesy or without."""
    for _ in range(3):
        world.collecting += 1
        try:
            found = plan(store, courtesy_s=world.draw.choice((0.0, 0.0, COURTESY_S)))
            world.count("collected" if found.blobs else "nothing to collect")
            collect(store, found)
        except StoreError:
            continue
        finally:
            world.collecting -= 1
        world.sleep(world.draw.choice((1.0, 60.0)))
