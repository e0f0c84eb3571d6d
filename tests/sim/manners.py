"""What a start without --take-over owes to a process that may live. Safety never asks this."""

from segnets.store.beat import PERIOD_S
from segnets.store.keys import parse_beat
from sim.schedule import Process, Seen, World


def note_beat(process: Process, owner: Process | None, key: str, data: bytes, now: float) -> None:
    """A process has read a beat of another one."""
    gone = owner is not None and owner.dead and owner.host == process.host
    process.beats.setdefault(key, []).append(Seen(data, gone, now))


def owner_of(world: World, writer: str) -> Process | None:
    """The process that drew this name."""
    return next((one for one in world.processes if writer in one.writers), None)


def check_claim(world: World, writer: str) -> None:
    """The first claim of a polite start: nobody was seen to live, and nobody gone was waited for."""
    process = owner_of(world, writer)
    if process is None or not process.polite or world.profile.flaky:
        return
    process.polite = False
    world.count("claimed politely")
    for key, seen in process.beats.items():
        parsed = parse_beat(key)
        owner = None if parsed is None else owner_of(world, parsed[1])
        if owner is None or (owner.dead and owner.host == process.host):
            continue  # it may have ended after its beat was read, and before it was looked for
        if not owner.dead and any(one.data != seen[0].data for one in seen):
            world.fail("IMPOLITE", f"{process.name} saw {owner.name} move, and claims")
        elif world.now - seen[0].now < 2 * PERIOD_S:
            world.fail("IMPOLITE", f"{process.name} gives {owner.name} no two periods")
    if process.beats and all(seen[0].gone for seen in process.beats.values()):
        world.count("found only the dead")
        if any(len(seen) > 1 for seen in process.beats.values()):
            world.fail("IDLE", f"{process.name} waits for processes that it knows to be gone")
