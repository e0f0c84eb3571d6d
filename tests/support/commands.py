"""Commands run as people run them, in a world of their own."""

import json
import os
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SIZE = ["--height", "32", "--width", "64"]
SMALL = ["--scenes", "9", *SIZE]
QUICK = ["--epochs", "2", "--threads", "1", "--precision", "fp32"]


@dataclass(frozen=True)
class Ended:
    """A command that has ended: exit code, its JSON (None if it wrote none), what it told people."""

    code: int
    json: dict[str, Any] | None
    err: str

    def one_sentence(self, *parts: str) -> str:
        """The sentence of a fault, which people and machines were told alike, without traceback."""
        assert "Traceback" not in self.err, self.err
        said = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(said) == 1, self.err
        sentence = said[0].removeprefix("error: ")
        if self.code == 2:
            assert self.json is None
        else:
            assert self.json is not None
            assert self.json["status"] in {"failed", "stopped"}
            assert self.json["error"] == {"sentence": sentence, "exit_code": self.code}
        for part in parts:
            assert part in sentence
        return sentence


@dataclass(frozen=True)
class World:
    """A folder to work in, and the environment of its commands."""

    root: Path
    env: dict[str, str]

    @property
    def store(self) -> Path:
        """The default store of its commands."""
        return self.root / "store"

    def popen(self, name: str, *flags: str, **env: str) -> "subprocess.Popen[str]":
        """Start flows/NAME.py, or a file of tests/support."""
        path = ROOT / "flows" / f"{name}.py"
        path = path if path.is_file() else ROOT / "tests/support" / f"{name}.py"
        return subprocess.Popen(
            [sys.executable, str(path), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env={**self.env, **env},
        )

    def run(self, name: str, *flags: str, **env: str) -> Ended:
        """Run it to its end."""
        return ended(self.popen(name, *flags, **env))


def ended(process: "subprocess.Popen[str]", timeout_s: float = 120) -> Ended:
    """Wait for a command; its stdout must be one line of JSON or nothing."""
    out, err = process.communicate(timeout=timeout_s)
    assert out.count("\n") == (1 if out else 0), out
    return Ended(process.returncode, json.loads(out) if out else None, err)


def clean_env() -> dict[str, str]:
    """This environment without what would send a command somewhere: no Prefect, no S3, no store."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("PREFECT", "AWS_", "SEGNETS_"))
    }
    return {
        **kept,
        "PREFECT_API_URL": "",
        "DO_NOT_TRACK": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def new_world(root: Path) -> World:
    """A world of its own under `root`."""
    root.mkdir(parents=True, exist_ok=True)
    env = {**clean_env(), "HOME": str(root), "XDG_CACHE_HOME": str(root / "cache")}
    return World(root, env)


@dataclass(frozen=True)
class PrefectServer:
    """A Prefect server of this session and the environment of its clients."""

    url: str
    env: dict[str, str]


def answers(url: str) -> bool:
    """Whether a web server says 200 there."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
