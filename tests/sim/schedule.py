"""Who moves when: processes that move one at a time, in an order drawn from one seed.

A process is one or more tasks (threads that hand a baton on); every request and every sleep is a point
at which another task may go on, for any length of time. Time is a number: it goes on with each request,
and jumps when a sleeper is chosen.
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

REQUEST_S = 0.02
DAY_S = 25 * 3600.0
MOST_STEPS = 6000


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


@dataclass(frozen=True)
class Profile:
    """What one history is made of; `draw_profile` draws it from the seed."""

    mode: str = "C"
    """C: exclusive writes; N: none, as rclone; M: some processes do without."""
    subject: str = "trial"
    starts: int = 3
    """Processes that may be started, restarts among them."""
    readers: int = 1
    collectors: int = 1
    epochs: int = 3
    keep: int = 2
    kill: float = 0.0
    """Chance that a process dies at a request."""
    lose: float = 0.0
    """Chance that a request or its reply goes wrong."""
    rot: str = ""
    """One 'entry' or 'blob' goes bad, or a blob is 'gone': somebody deleted it by hand."""
    flaky: bool = False
    """Two reads of each process are damaged on their way."""
    days: bool = False
    """The clocks jump by a day now and then."""
    stubborn: bool = False
    """Processes go on after errors that should end them."""
    page: int = 1000
    """Keys in one page of a listing."""
    urgent: bool = False
    """Few switches, at unlikely places, instead of many."""
    clash: bool = False
    """Two plain writes of one key at once lose it, as on rclone."""


@dataclass(frozen=True)
class Seen:
    """A beat as a process has read it, and whether it could know that its owner is gone."""

    data: bytes
    gone: bool
    now: float


@dataclass
class Process:
    """One process of a machine: its tasks, and what it still may suffer."""

    name: str
    host: str
    number: int
    dead: bool = False
    damages: int = 0
    polite: bool = False
    """Has still to claim, without --take-over."""
    writers: set[str] = field(default_factory=set)
    beats: dict[str, list[Seen]] = field(default_factory=dict)
    tasks: list["Task"] = field(default_factory=list)


class Task:
    """One thread of a process; it moves only while it holds the baton."""

    def __init__(self, world: "World", process: Process, body: Callable[[], None]) -> None:
        self.world, self.process, self.body = world, process, body
        self.gate = threading.Lock()
        self.gate.acquire()
        self.done = False
        self.wake: float | None = None
        self.ready: Callable[[], bool] | None = None
        self.rank = world.draw.random()
        self.main = not process.tasks
        self.thread = threading.Thread(target=self._run, daemon=True)
        process.tasks.append(self)

    def _run(self) -> None:
        self.gate.acquire()
        try:
            self.world.arrive(self)
            self.body()
        except Killed:
            pass
        except Exception as error:  # noqa: BLE001  # a fault of the code under test
            self.world.fail("CRASH", f"{self.process.name}: {type(error).__name__}: {error}")
        finally:
            self.world.leave(self)


class World:
    """One history: clock, processes, late requests, and the choice of what comes next."""

    def __init__(self, seed: object, profile: Profile, *, tracing: bool = False) -> None:
        self.seed, self.profile = seed, profile
        self.draw = random.Random(f"{seed}/{profile}")
        self.now = 1_700_000_000.0
        self.steps = 0
        self.quiet = False
        self.faults: list[str] = []
        self.counts: dict[str, int] = {}
        self.trace: list[str] | None = [] if tracing else None
        self.processes: list[Process] = []
        self.tasks: list[Task] = []
        self.running: Task | None = None
        self.late: list[tuple[str, Callable[[], Any]]] = []
        self.collecting = 0
        """Collectors between their plan and its end."""
        self.rot: Callable[[], bool] = lambda: False
        self.restart: Callable[[], None] = lambda: None
        self._home = threading.Lock()
        self._home.acquire()
        # Held-up by a few sharp preemptions (as in probabilistic concurrency testing) or by many.
        self._stay = self.draw.choice((0.5, 0.75, 0.9, 0.97))
        self._lowered = {self.draw.randrange(4, 400) for _ in range(self.draw.randrange(2, 7))}
        self._lowest = 0.0
        self._rots_at = self.draw.randrange(20, 250) if profile.rot else -1
        self._ended = False

    # ---- what happened

    def say(self, text: str) -> None:
        """A line of the trace."""
        if self.trace is not None:
            who = "quiet" if self.running is None or self.quiet else self.running.process.name
            self.trace.append(f"{self.steps:5d} {who:8s} {text}")

    def count(self, what: str) -> None:
        """One more of these."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def fail(self, kind: str, text: str) -> None:
        """Something that must not be was seen: remember it, and end the history."""
        self.say(f"*** {kind} {text}")
        self.faults.append(f"{kind} {text}")
        self.end()

    # ---- processes

    def process(self, name: str, host: str) -> Process:
        """A new process, still without a task."""
        process = Process(name, host, len(self.processes))
        process.damages = 2 if self.profile.flaky else 0
        self.processes.append(process)
        return process

    def start(self, process: Process, body: Callable[[], None]) -> Task:
        """Give a process a task; the first one's end is the process's end."""
        task = Task(self, process, body)
        self.tasks.append(task)
        task.thread.start()
        return task

    def kill(self, process: Process) -> None:
        """Nothing of this process runs from now on."""
        process.dead = True

    def end(self) -> None:
        """Kill everything: the history is over."""
        self._ended = True
        for process in self.processes:
            process.dead = True

    def run(self) -> None:
        """Let everything move until no process is left."""
        first = self._choose(None)
        if first is not None:
            self.running = first
            first.gate.release()
            self._home.acquire()
        self.running = None
        for task in self.tasks:
            task.thread.join()

    # ---- called by tasks

    def point(self, what: str) -> None:
        """Here anybody else may go on first. Called before every request."""
        self.now += REQUEST_S
        task = self.running
        if self.quiet or task is None:
            return
        if task.process.dead:
            raise Killed
        if self.draw.random() < self.profile.kill:
            self.say(f"dies before {what}")
            self.kill(task.process)
            raise Killed
        self._switch(task)

    def sleep(self, seconds: float, ready: Callable[[], bool] | None = None) -> None:
        """Sleep, or until `ready` says so; others may take any time meanwhile."""
        task = self.running
        if self.quiet or task is None:
            self.now += seconds
            return
        if task.process.dead:
            raise Killed
        task.wake, task.ready = self.now + seconds, ready
        self._lower(task)  # else one that polls would keep all others waiting
        self._switch(task)

    def arrive(self, task: Task) -> None:
        """What a task does first when it holds the baton again."""
        if task.wake is not None:
            if task.ready is None or not task.ready():
                self.now = max(self.now, task.wake)
            task.wake = task.ready = None
        if task.process.dead:
            raise Killed

    def leave(self, task: Task) -> None:
        """The end of a task: the baton goes on, at last back to `run`."""
        task.done = True
        if task.main:
            task.process.dead = True
            if not self._ended:
                self.restart()
        chosen = self._choose(None)
        self.running = chosen
        (self._home if chosen is None else chosen.gate).release()

    def _switch(self, task: Task) -> None:
        chosen = self._choose(task)
        assert chosen is not None
        if chosen is not task:
            self.running = chosen
            chosen.gate.release()
            task.gate.acquire()
        self.arrive(task)

    # ---- the choice

    def _choose(self, current: Task | None) -> Task | None:
        """Who goes on; on the way, what happens by itself."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            self.count("cut")
            self.end()
        if not self._ended:
            self._happen()
        here = [task for task in self.tasks if not task.done]
        dying = [task for task in here if task.process.dead]
        if dying or not here:
            return current if current in dying else dying[0] if dying else None
        if self.profile.urgent:
            if self.steps in self._lowered and current is not None:
                self._lower(current)
            return max(here, key=lambda task: task.rank)
        if current is not None and current.wake is None and self.draw.random() < self._stay:
            return current
        weights = [1.0 if task.wake is None else 0.3 for task in here]
        return self.draw.choices(here, weights)[0]

    def _lower(self, task: Task) -> None:
        self._lowest -= 1.0
        task.rank = self._lowest

    def _happen(self) -> None:
        if self.late and self.draw.random() < 0.04:
            self.land(self.draw.randrange(len(self.late)))
        if self.profile.days and self.draw.random() < 0.02:
            self.now += DAY_S
            self.say("a day passes")
        if 0 <= self._rots_at <= self.steps and self.rot():
            self._rots_at = -1

    def land(self, index: int) -> None:
        """Let a late request reach the server."""
        what, action = self.late.pop(index)
        self.say(f"late: {what}")
        self.count("late")
        action()
