"""One history from one seed: its profile, its processes, and the undisturbed end."""

import hashlib
import random
from dataclasses import dataclass, field, replace
from typing import Any

from segnets.store.gc import COURTESY_S, collect, plan
from segnets.store.verify import Found, verify
from segnets.store.views import list_views, read_view
from sim.check import OBJ, STEPS_PER_EPOCH, TRIAL, TrialModel, live_files
from sim.control import in_world, open_sim
from sim.schedule import DAY_S, Process, Profile, World
from sim.server import Server
from sim.workers import SUBJECT, BagModel, read_bag, work
from sim.writers import Manners, Trainer, collect_garbage, read_trial

HOSTS = ("host-a", "host-b")
BAGS = ("dataset", "eval", "grid", "run")


@dataclass
class Result:
    """What one history came to."""

    seed: int
    faults: list[str]
    steps: int
    counts: dict[str, int]
    trace: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Equal for two runs of one seed."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()


def draw_profile(seed: int, mode: str, **fixed: Any) -> Profile:
    """What the seed's history is made of; `fixed` is taken as given."""
    draw = random.Random(f"{seed}/{mode}/profile")
    profile = Profile(
        mode=mode,
        subject="trial" if draw.random() < 0.8 else draw.choice(BAGS),
        starts=draw.choice((2, 3, 3, 4, 6)),
        readers=draw.choice((0, 1, 1)),
        collectors=draw.choice((0, 1, 2)),
        epochs=draw.choice((1, 2, 3, 3)),
        keep=draw.choice((1, 2, 2, 2)),
        kill=draw.choice((0.0, 0.003, 0.01)),
        lose=draw.choice((0.0, 0.02, 0.1, 0.3)),
        rot=draw.choice(("", "", "", "", "", "", "entry", "blob", "gone")),
        flaky=draw.random() < 0.15,
        days=draw.random() < 0.2,
        page=draw.choice((1000, 1000, 3)),
        urgent=draw.random() < 0.4,
        stubborn=draw.random() < 0.3,
        clash=True,
    )
    profile = replace(profile, **fixed)
    if profile.rot and "keep" not in fixed:  # one rotten entry is borne by those that keep two
        profile = replace(profile, keep=max(2, profile.keep))
    return profile


def run_history(seed: int, mode: str, *, tracing: bool = False, **fixed: Any) -> Result:
    """Run one history; it must be called inside `under_simulation`."""
    profile = draw_profile(seed, mode, **fixed)
    world = World(seed, profile, tracing=tracing)
    world.say(str(profile))
    with in_world(world):
        server = Server(world)
        history = TrialHistory if profile.subject == "trial" else BagHistory
        history(world, server).run()
    return Result(seed, world.faults, world.steps, world.counts, world.trace or [])


class _History:
    def __init__(self, world: World, server: Server) -> None:
        self.world, self.server = world, server
        self.left = world.profile.starts

    def run(self) -> None:
        world, profile = self.world, self.world.profile
        for _ in range(min(self.left, world.draw.choice((1, 2, 2, 3)))):
            self.launch()
        for number in range(profile.readers):
            self._start(f"reader{number}", self.read)
        for number in range(profile.collectors):
            self._start(f"gc{number}", self.collect)
        world.restart = self.restart
        world.run()
        if not world.faults:
            world.quiet = True
            while world.late:
                world.land(0)
        if not world.faults:
            self.end()

    def launch(self) -> None:
        """One more process with the same command."""
        self.left -= 1
        self._start(f"w{self.world.profile.starts - self.left}", self.write)

    def restart(self) -> None:
        """After the end of any process: perhaps somebody starts another one."""
        if self.left and self.world.draw.random() < 0.6:
            self.launch()

    def _start(self, name: str, body: Any) -> None:
        process = self.world.process(name, self.world.draw.choice(HOSTS))
        wait_s = self.world.draw.choice((0.0, 0.0, 2.0, 60.0))
        store = open_sim(self.server, process, wait_s=wait_s)

        def run() -> None:
            ended = body(store)
            if ended is not None:
                self.world.say(f"ends: {ended}")
                self.world.count(ended)

        self.world.start(process, run)

    def collect(self, store: Any) -> None:
        collect_garbage(self.world, store)

    def quiet_store(self) -> Any:
        """The store of somebody whom nothing disturbs."""
        return open_sim(self.server, Process("quiet", "host-q", 998), wait_s=0.0)

    def clean(self, store: Any) -> dict[str, str]:
        """gc a day later; what it keeps, and why."""
        self.world.now += DAY_S
        for _ in range(2):  # the uploads that a first one leaves are as old then
            found = plan(store, courtesy_s=COURTESY_S)
            collect(store, found)
        return found.kept

    # what a subject has of its own
    def write(self, store: Any) -> str: ...
    def read(self, store: Any) -> None: ...
    def end(self) -> None: ...


class TrialHistory(_History):
    """Several starts of one trial, readers and gc."""

    def __init__(self, world: World, server: Server) -> None:
        super().__init__(world, server)
        self.model = TrialModel(world, server)

    def write(self, store: Any) -> str:
        draw = self.world.draw
        manners = Manners(
            take_over=draw.random() < 0.7,
            careless=draw.random() < 0.2,
            stops=draw.choice((0.0, 0.0, 0.1)),
        )
        return Trainer(self.world, self.model, store, manners).run()

    def read(self, store: Any) -> None:
        for _ in range(3):
            read_trial(self.world, self.model, store)

    def end(self) -> None:
        """An undisturbed start finishes, from the newest epoch that was said; nothing is left over."""
        world, model, store = self.world, self.model, self.quiet_store()
        wanted = model.best_position()
        fresh = Trainer(world, model, store, Manners())
        ended = fresh.run()
        world.say(f"undisturbed: {ended} from step {fresh.resumed}, {wanted} was said")
        if ended not in {"done", "reused"}:
            world.fail("STUCK", f"an undisturbed start ends: {ended}")
        elif ended == "done" and fresh.resumed < wanted:
            world.fail("LOST", f"it resumes at step {fresh.resumed}, {wanted} was said to be saved")
        if world.faults:
            return
        model.settled = ended == "done"
        kept = self.clean(store)
        model.check()
        head = model.head()
        if head is None or head[1]["event"] != "done":
            world.fail("STUCK", "the trial is done, and its head says otherwise")
            return
        if head[1]["step"] != world.profile.epochs * STEPS_PER_EPOCH:
            world.fail("WRONG", f"it is done at step {head[1]['step']}")
        named = {file["key"] for file in live_files(head[1])}
        left = [key for key in self.server.objects if key.startswith(OBJ) and key not in named]
        if left and kept:
            world.count("kept by gc")
        elif left:
            world.fail("LEAK", f"gc leaves {left[0]}")
        if self.server.uploads:
            world.fail("LEAK", "gc leaves an upload")
        self._check_view(store, head[1])
        self._check_verify(store)

    def _check_view(self, store: Any, head: Any) -> None:
        views = list_views(store, "trial")
        content = read_view(store, views[TRIAL].key) if TRIAL in views else {}
        if self.world.profile.rot == "entry" and self.model.rotten:
            return  # the summary of the rotten entry may stand, and has a higher number
        if content != {"status": "done", "step": head["step"]}:
            self.world.fail("VIEW", f"the trial is done, and its summary says {content}")

    def _check_verify(self, store: Any) -> None:
        if self.model.rotten:
            return
        found = Found()
        verify(store, "trial", TRIAL, found)
        if found.faults:
            self.world.fail("VERIFY", found.faults[0])


class BagHistory(_History):
    """Several workers on one bag, readers and gc."""

    def __init__(self, world: World, server: Server) -> None:
        super().__init__(world, server)
        self.model = BagModel(world, server)

    def write(self, store: Any) -> str:
        return work(self.world, self.model, store)

    def read(self, store: Any) -> None:
        for _ in range(3):
            read_bag(self.world, self.model, store)

    def end(self) -> None:
        """An undisturbed worker finishes, every file reads back, nothing is left over."""
        world, model, store = self.world, self.model, self.quiet_store()
        ended = work(world, model, store)
        if ended not in {"done", "reused"}:
            world.fail("STUCK", f"an undisturbed worker ends: {ended}")
            return
        kept = self.clean(store)
        model.check()
        read_bag(world, model, store)
        if model.kind != "run" and not model.dones():
            world.fail("STUCK", "it was worked to its end and is not complete")
        left = model.leaked()
        if left and kept:
            world.count("kept by gc")
        elif left:
            world.fail("LEAK", f"gc leaves {left[0]}")
        if not model.rotten:
            found = Found()
            verify(store, model.kind, SUBJECT, found)
            if found.faults:
                world.fail("VERIFY", found.faults[0])
