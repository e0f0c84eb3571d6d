"""A model of a disk that loses power: what was not fsynced may be lost, torn or kept, in any order.

An fsync of a file makes its bytes durable and nothing else; an fsync of a directory makes its names
durable, as they are then, and not the directory's own name in its parent. Everything else that was done
since is forgotten or kept, each thing independently of the others.
"""

import hashlib
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

Tree = dict[str, bytes | None]
"""Relative path -> bytes; None for a directory."""
MODES = ("lost", "kept", "names", "random", "random", "random")
"""What becomes of the rest: all lost, all kept, names without their bytes, each thing by chance."""
BLOCK = 512


class Event(NamedTuple):
    """Something that a run did, in order; `call` is that of taps.Op, or ack (with its text in `path`)."""

    call: str
    path: str
    target: str = ""
    data: bytes = b""


@dataclass
class _File:
    data: bytes = b""
    durable: bytes = b""
    """Only as long as it differs from `data` is anything to be lost."""


@dataclass
class _Folder:
    names: "dict[str, _Node]" = field(default_factory=dict)
    durable: "dict[str, _Node]" = field(default_factory=dict)
    changes: "list[tuple[str, _Node | None]]" = field(default_factory=list)

    def set(self, name: str, node: "_Node | None") -> None:
        self.changes.append((name, node))
        _apply(self.names, name, node)

    def sync(self) -> None:
        self.durable, self.changes = dict(self.names), []


_Node = _File | _Folder


class Disk:
    """Files and names below one directory that was always there."""

    def __init__(self, tree: Tree) -> None:
        """All of `tree` is durable."""
        self.root = _Folder()
        self.acks: list[str] = []
        for path in sorted(tree):
            data = tree[path]
            folder, name = self._parent(path)
            folder.names[name] = _Folder() if data is None else _File(data, data)
            folder.sync()

    def apply(self, event: Event) -> None:
        """Let an event happen."""
        if event.call == "ack":
            self.acks.append(event.path)
            return
        if not event.path:
            assert event.call == "fsync", event
            self.root.sync()
            return
        folder, name = self._parent(event.path)
        match event.call:
            case "mkdir":
                folder.set(name, _Folder())
            case "create":
                assert name not in folder.names, f"{event.path} is opened for writing again"
                folder.set(name, _File())
            case "write":
                file = folder.names[name]
                assert isinstance(file, _File)
                file.data += event.data
            case "fsync" | "fdatasync":
                self._sync(folder.names[name])
            case "unlink" | "rmdir":
                folder.set(name, None)
            case "rename" | "link":
                target, other = self._parent(event.target)
                target.set(other, folder.names[name])
                if event.call == "rename":
                    folder.set(name, None)
            case _:
                raise AssertionError(f"the disk does not know {event.call}: teach it")

    def tree(self) -> Tree:
        """What a running machine sees."""
        return _tree(self.root, lambda folder: folder.names, lambda file: file.data)

    def cut(self, mode: str, chance: random.Random) -> Tree:
        """What is there after a loss of power at this moment."""
        if mode == "kept":
            return self.tree()
        if mode == "lost":
            return _tree(self.root, lambda folder: folder.durable, lambda file: file.durable)
        if mode == "names":
            return _tree(self.root, lambda folder: folder.names, lambda file: file.durable)
        likely = chance.choice((0.2, 0.5, 0.8))

        def names(folder: _Folder) -> dict[str, _Node]:
            kept = dict(folder.durable)
            for name, node in folder.changes:
                if chance.random() < likely:
                    _apply(kept, name, node)
            return kept

        return _tree(self.root, names, lambda file: _torn(file, chance))

    def _sync(self, node: _Node) -> None:
        if isinstance(node, _Folder):
            node.sync()
        else:
            node.durable = node.data

    def _parent(self, path: str) -> tuple[_Folder, str]:
        above, _, name = path.rpartition("/")
        folder = self.root
        for part in above.split("/") if above else ():
            node = folder.names[part]
            assert isinstance(node, _Folder), path
            folder = node
        return folder, name


def read_tree(folder: Path) -> Tree:
    """What a real directory holds."""
    return {
        str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes()
        for path in folder.rglob("*")
    }


def write_tree(tree: Tree, folder: Path) -> None:
    """Make a real directory of it."""
    for path in sorted(tree):
        data = tree[path]
        if data is None:
            (folder / path).mkdir(exist_ok=True)
        else:
            (folder / path).write_bytes(data)


def digest(tree: Tree, acks: list[str]) -> str:
    """One text for one state."""
    found = hashlib.sha256(repr(acks).encode())
    for path in sorted(tree):
        found.update(f"{path}\0".encode() + hashlib.sha256(tree[path] or b"").digest())
    return found.hexdigest()


def _apply(names: dict[str, _Node], name: str, node: _Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _tree(folder: _Folder, names_of: object, data_of: object, prefix: str = "") -> Tree:
    found: Tree = {}
    for name, node in names_of(folder).items():  # type: ignore[operator]
        if isinstance(node, _File):
            found[prefix + name] = data_of(node)  # type: ignore[operator]
        else:
            found[prefix + name] = None
            found |= _tree(node, names_of, data_of, f"{prefix}{name}/")
    return found


def _torn(file: _File, chance: random.Random) -> bytes:
    """Bytes that were not fsynced: none, all, a part of them, or blocks of zeros among them."""
    if file.data == file.durable:
        return file.data
    size = chance.choice((0, len(file.data), chance.randrange(len(file.data) + 1)))
    data = bytearray(file.data[:size])
    if chance.random() < 0.5:
        for at in range(0, size, BLOCK):
            if chance.random() < 0.5:
                data[at : at + BLOCK] = bytes(len(data[at : at + BLOCK]))
    return bytes(data)
