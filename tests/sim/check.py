"""The model of a trial: what was said, and what must be true of the objects at every moment.

It reads the objects by itself, with none of the code under test. An outcome that a process never
learned is no acknowledgement: its entry may be in the history or not.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sim.manners import check_claim
from sim.schedule import World
from sim.server import Server

TRIAL = "m-1"
SHA = hashlib.sha256(b"config").hexdigest()
STEPS_PER_EPOCH = 2
LOG = f"log/trial/{TRIAL}/"
OBJ = f"obj/trial/{TRIAL}/"

Content = Mapping[str, Any]


def file_bytes(name: str, step: int) -> bytes:
    """What a file of a checkpoint holds: a function of the step, as a training is."""
    if name.endswith(".json"):
        return b"%s, the same bytes at every step\n" % name.encode()
    return b"%s after step %d\n" % (name.encode(), step)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_sealed(data: bytes) -> Content | None:
    """The content of an entry, or None if its seal does not fit."""
    body, _, seal = data[:-1].rpartition(b"\n")
    if data[-1:] != b"\n" or digest(body + b"\n").encode() != seal:
        return None
    content: Content = json.loads(body)
    return content


def rank(content: Content) -> tuple[int, str, int]:
    return content["attempt"], content["writer"], content["seq"]


class TrialModel:
    """Follows every change of the objects of one trial, and everything that was said about it."""

    def __init__(self, world: World, server: Server) -> None:
        self.world, self.server = world, server
        self.entries: dict[str, Content] = {}
        self.landed: list[tuple[str, str]] = []
        """(writer, key) of every entry, in the order in which they came to stand there."""
        self.said: dict[str, tuple[int, int]] = {}
        """Digest of each acknowledged entry -> (epoch, step)."""
        self.positions: dict[int, str] = {}
        self.bytes: dict[str, bytes] = {}
        self.rotten = ""
        self.settled = False
        self._parsed: dict[bytes, Content | None] = {}
        self._chains: dict[str, frozenset[str]] = {}
        server.changed = self.changed
        world.rot = self.rot

    # ---- what the objects say

    def parse(self, data: bytes) -> Content | None:
        if data not in self._parsed:
            self._parsed[data] = read_sealed(data)
        return self._parsed[data]

    def head(self) -> tuple[str, Content] | None:
        """Digest and content of the commit with the highest (attempt, writer, seq)."""
        best: tuple[str, Content] | None = None
        for key, data in self.server.objects.items():
            if not key.startswith(LOG):
                continue
            content = self.parse(data)
            if content is None or content["event"] == "claim":
                continue
            if best is None or rank(content) > rank(best[1]):
                best = digest(data), content
        return best

    def history(self, of: str) -> frozenset[str]:
        """Digests of an entry and of everything that it was built on."""
        if of not in self._chains:
            before = self.entries[of]["prev"] if of in self.entries else ""
            chain = frozenset([of])
            self._chains[of] = chain | self.history(before) if before else chain
        return self._chains[of]

    def is_good(self, file: Content) -> bool:
        """Whether a file that an entry names is there as it was sealed."""
        data = self.server.objects.get(file["key"])
        return data is not None and (len(data), digest(data)) == (file["size"], file["sha256"])

    # ---- laws

    def changed(self, key: str, data: bytes | None) -> None:
        """Called after every change of an object."""
        if key.startswith(LOG) and data is not None:
            content = self.parse(data)
            if content is not None:
                self.entries[digest(data)] = content
                self.landed.append((content["writer"], key))
                if content["event"] == "claim":
                    check_claim(self.world, content["writer"])
            self.check()
        elif key.startswith(OBJ) and data is None:
            head = self.head()
            if head is not None and any(key == file["key"] for file in live_files(head[1])):
                self.check_files(head[1])

    def check(self) -> None:
        """Everything said is in the history of the head, and the head's files are there."""
        head = self.head()
        history = self.history(head[0]) if head is not None else frozenset()
        for one, (epoch, step) in self.said.items():
            if one not in history:
                who = "none" if head is None else rank(head[1])
                self.world.fail("LOST", f"epoch {epoch}, step {step} is not in the head's ({who})")
                return
        if head is not None:
            self.check_files(head[1])

    def check_files(self, head: Content) -> None:
        """No file of the head's inventory is missing or wrong."""
        if self.rotten and not self.settled:
            return  # what fell out of the inventory of the rotten entry is gone, as it may be
        for file in live_files(head):
            if not self.is_good(file) and file["key"] != self.rotten:
                self.world.fail("BLOB", f"{file['name']} of the head is gone: {file['key']}")
                return

    def say(self, data: bytes, *, saves: bool) -> None:
        """A commit came back: from now on its epoch counts as saved (`saves`: it is a new one)."""
        one = digest(data)
        content = self.entries.get(one)
        if content is None:
            if not self.rotten:
                self.world.fail("LOST", "an entry was acknowledged that never stood in the log")
            return
        if self.rotten and not any(one == digest(data) for data in self.server.objects.values()):
            return  # it went bad before it was said
        step = content["step"]
        self.world.count("said")
        self.world.say(f"says epoch {content['epoch']}, step {step} ({content['event']})")
        if saves and not self.rotten and self.positions.setdefault(step, one) != one:
            self.world.fail("TWICE", f"step {step} was said to be saved by two")
        self.said[one] = content["epoch"], step
        self.check()

    def loaded(self, name: str, step: int, data: bytes) -> None:
        """Somebody uses these bytes as the file of this step."""
        if data != file_bytes(name, step):
            self.world.fail("WRONG", f"{name} of step {step} was read with other bytes")

    def stopped(self, began: int) -> None:
        """TakenOver was raised; `began` entries had come to the log when the process was started."""
        if self.rotten or self.world.running is None:
            return
        mine = self.world.running.process.writers
        if all(writer in mine for writer, _ in self.landed[began:]):
            self.world.fail("FALSE-STOP", "taken over, but nobody else wrote to the log")

    def rot(self) -> bool:
        """Let one entry or blob go bad; False if there is none yet."""
        objects, draw = self.server.objects, self.world.draw
        if self.world.profile.rot == "entry":
            keys = sorted(key for key in objects if key.startswith(LOG))
            if not keys:
                return False
            key = keys[0] if draw.random() < 0.7 else draw.choice(keys)
            self.said.pop(digest(objects[key]), None)
        else:
            keys = sorted(key for key in objects if key.startswith(OBJ))
            if not keys:
                return False
            key = draw.choice(keys)
        self.rotten = key
        if self.world.profile.rot == "gone":
            self.server.remove(key)
        else:
            self.server.spoil(key)
        return True

    def best_position(self) -> int:
        """The newest step that was said to be saved and whose files are all good."""
        found = 0
        for one, (_, step) in self.said.items():
            own = [live for live in self.entries[one]["live"] if live["step"] == step]
            if self.world.profile.rot in {"", "entry"} or all(
                self.is_good(file) for live in own for file in live["files"]
            ):
                found = max(found, step)
        return found


def live_files(content: Content) -> list[Content]:
    return [file for live in content["live"] for file in live["files"]]
