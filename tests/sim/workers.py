"""Bags in the simulation: workers that make one subject at once, a reader, and what must be true."""

from typing import Any

from segnets.errors import Corrupt, NotFound, StoreError
from segnets.store.bag import Bag, Item, read_done, read_items
from segnets.store.base import Store
from segnets.store.entry import read_file
from sim.check import SHA, digest, read_sealed
from sim.schedule import World
from sim.server import Server

PLANS = {
    "dataset": ("clips", "frames-00000", "labels-00000", "tables"),
    "eval": ("scores",),
    "grid": ("plan",),
    "run": ("part-000000-aaaaaaaa", "part-000001-bbbbbbbb", "part-000002-cccccccc"),
}
SUBJECT = "b-1"


def item_bytes(item: str, name: str) -> bytes:
    """What a file of an item holds: a function of the subject, whoever makes it."""
    return f"{item} {name}\n".encode()


class BagModel:
    """Follows every change of the objects of one bag, and everything that was said about it."""

    def __init__(self, world: World, server: Server) -> None:
        self.world, self.server, self.kind = world, server, world.profile.subject
        self.log, self.obj = f"log/{self.kind}/{SUBJECT}/", f"obj/{self.kind}/{SUBJECT}/"
        self.done_said = False
        self.items_said: set[str] = set()
        self.rotten = ""
        self._doomed = False
        """The one whole done was damaged after gc had planned to delete what others were making."""
        server.changed = self.changed
        world.rot = self.rot

    def lines(self) -> dict[str, Any]:
        """Every sealed line by its key."""
        found = {}
        for key, data in sorted(self.server.objects.items()):
            if key.startswith(self.log) and (content := read_sealed(data)) is not None:
                found[key] = content
        return found

    def is_whole(self, line: Any) -> bool:
        """Whether all files of a line are there as they were sealed."""
        for file in line["files"]:
            data = self.server.objects.get(file["key"])
            if data is None or (digest(data) != file["sha256"] and file["key"] != self.rotten):
                return False
        return True

    def dones(self) -> list[str]:
        """Keys of the done lines that are complete."""
        lines = self.lines()
        return [
            key
            for key, line in lines.items()
            if line["item"] == "done"
            and all(one in lines and self.is_whole(lines[one]) for one in line["items"].values())
        ]

    def changed(self, key: str, _data: bytes | None) -> None:
        if key.startswith((self.log, self.obj)):
            self.check()

    def check(self) -> None:
        """What was said to be complete is, for every reader."""
        if self.done_said and not self.dones():
            self.world.fail("LOST", "it was said to be complete, and no done is whole any more")
        if self.items_said:
            lines = self.lines()
            for key in self.items_said:
                if key not in lines or not self.is_whole(lines[key]):
                    self.world.fail("LOST", f"a part of a run is gone: {key}")
                    return

    def say_done(self) -> None:
        self.world.count("said")
        self.world.say("says that it is complete")
        if not self._doomed:
            self.done_said = self.done_said or not self.rotten or bool(self.dones())
        self.check()

    def say_item(self, key: str) -> None:
        self.world.count("said")
        lines = self.lines() if self.rotten else {}
        if not self.rotten or (key in lines and self.is_whole(lines[key])):
            self.items_said.add(key)
        self.check()

    def rot(self) -> bool:
        """Let one line or blob go bad; False if there is none yet."""
        prefix = self.log if self.world.profile.rot == "entry" else self.obj
        keys = sorted(key for key in self.server.objects if key.startswith(prefix))
        if not keys:
            return False
        self.rotten = self.world.draw.choice(keys)
        late = any(what.startswith("delete") for what, _ in self.world.late)
        self._doomed = bool(self.world.collecting or late)
        said, self.done_said, items, self.items_said = self.done_said, False, self.items_said, set()
        if self.world.profile.rot == "gone":
            self.server.remove(self.rotten)
        else:
            self.server.spoil(self.rotten)
        lines = self.lines()
        self.done_said = said and bool(self.dones()) and not self._doomed
        self.items_said = {key for key in items if key in lines and self.is_whole(lines[key])}
        return True

    def leaked(self) -> list[str]:
        """Blobs that no done names, and that gc should have taken."""
        lines = self.lines()
        dones = [line for line in lines.values() if line["item"] == "done"]
        named = [lines[one] for done in dones for one in done["items"].values() if one in lines]
        keep = {file["key"] for line in named for file in line["files"]}
        return [key for key in self.server.objects if key.startswith(self.obj) and key not in keep]


def work(world: World, model: BagModel, store: Store) -> str:
    """Make what is missing, then say that it is complete; as preprocess, evaluate and predict do."""
    try:
        return _work(world, model, Bag(store, model.kind, SUBJECT, SHA, {"seed": world.now}))
    except StoreError as error:
        return type(error).__name__


def _work(world: World, model: BagModel, bag: Bag) -> str:
    if model.kind != "run" and bag.done() is not None:
        return "reused"
    there = bag.items()
    items: dict[str, Item] = {}
    for name in PLANS[model.kind]:
        if model.kind == "run":
            there = bag.items()  # again before each part: another night may be at work
        if name in there:
            items[name] = there[name][0]
            continue
        files = [
            bag.put_file(file, item_bytes(name, file))
            for file in ("a.bin", "b.bin")[: world.draw.randrange(1, 3)]
        ]
        items[name] = bag.put_item(name, files, {"made": world.now})
        if model.kind == "run":
            model.say_item(items[name].key)
    if model.kind == "run":
        return "done"
    bag.put_done(items)
    model.say_done()
    bag.put_view({"status": "done"})
    if world.draw.random() < 0.2:  # found incomplete, and said once more by the same process
        bag.put_done(items, {"again": world.now})
    return "done"


def read_bag(world: World, model: BagModel, store: Store) -> None:
    """Read every file of the first done that is whole; of a run, of every item."""
    said = model.done_said
    try:
        if model.kind == "run":
            items = [line for lines in read_items(store, "run", SUBJECT).values() for line in lines]
        else:
            done = read_done(store, model.kind, SUBJECT)
            if done is None and said and not model.rotten:
                world.fail("STALE", "a reader found nothing after it was said to be complete")
            items = [] if done is None else list(done.items.values())
        for line in items:
            for ref in line.files:
                if read_file(store, ref) != item_bytes(line.item, ref.name):
                    world.fail("WRONG", f"{ref.name} of {line.item} was read with other bytes")
        world.count("read")
    except (Corrupt, NotFound) as error:
        if not model.rotten:
            world.fail("WRONG", f"a reader misses a file: {error}")
    except StoreError:
        return
