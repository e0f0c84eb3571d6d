"""When a save in mid-epoch is due: so often that saving takes 2 % of the time, and no more.

An epoch's end is always saved; what comes between follows from what a save costs here: the time it
holds up the loop, and the share of its background time by which steps become slower meanwhile (on a CPU
serialising and hashing take part of a core; on a GPU next to nothing).
"""

from dataclasses import dataclass

SHARE = 0.02
"""Part of the time that saving may take."""
AT_LEAST_S = 30.0
"""Between two saves, however cheap they are: each one is an entry in the log."""
FIRST_S = 60.0
"""Before the first save, when nothing is known of its cost yet."""
_NEW = 0.1


@dataclass(slots=True)
class SaveBudget:
    """Moving averages of what steps and saves take, in seconds; all times by one steady clock.

    A save is due when the time since the one before is at least (b + s * u) / 0.02, and u, and
    AT_LEAST_S: b is the time for which a save holds up the loop, u its time in the background, s the
    share of that by which steps slow down while it runs.
    """

    since: float
    """When the last save began, or the training."""
    blocking: float | None = None
    background: float | None = None
    step_alone: float | None = None
    step_beside: float | None = None

    def stepped(self, seconds: float, *, saving: bool) -> None:
        """A step took so long; `saving` says whether a save ran beside it."""
        if saving:
            self.step_beside = _average(self.step_beside, seconds)
        else:
            self.step_alone = _average(self.step_alone, seconds)

    def saved(self, now: float, *, blocking: float) -> None:
        """A save began, after holding up the loop for so long."""
        self.since = now
        self.blocking = _average(self.blocking, blocking)

    def put(self, background: float) -> None:
        """A save ended after so long in the background."""
        self.background = _average(self.background, background)

    @property
    def slow_down(self) -> float:
        """Share of a save's background time that the loop loses, 0 to 1; 1 while it is not known."""
        if self.step_alone is None or self.step_beside is None:
            return 1.0
        return min(1.0, max(0.0, 1 - self.step_alone / max(self.step_beside, 1e-9)))

    @property
    def interval(self) -> float:
        """Seconds from one save to the next."""
        if self.blocking is None or self.background is None:
            return max(FIRST_S, AT_LEAST_S)
        cost = self.blocking + self.slow_down * self.background
        return max(AT_LEAST_S, self.background, cost / SHARE)

    def due(self, now: float) -> bool:
        """Whether a save may begin now."""
        return now - self.since >= self.interval


def _average(before: float | None, new: float) -> float:
    return new if before is None else (1 - _NEW) * before + _NEW * new
