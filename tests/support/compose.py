"""deployments/compose.yaml as plain values, by Compose's own rules for `${NAME:-default}` and merges."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

VARIABLE = re.compile(r"\$\{(?P<name>[A-Z0-9_]+)(?::(?P<how>[-?])(?P<text>[^}]*))?\}")


@dataclass(frozen=True)
class Service:
    """What Compose would start: the command word by word, the environment, whom it waits for."""

    name: str
    command: list[str]
    environment: dict[str, str]
    health: list[str]
    needs: dict[str, str]
    profiles: list[str]
    grace_s: float
    raw: dict[str, Any]


def load(path: Path, variables: Mapping[str, str]) -> dict[str, Service]:
    """Every service of a compose file with the variables of its .env filled in."""
    raw = yaml.safe_load(path.read_text())
    return {
        name: _service(name, _fill(found, variables)) for name, found in raw["services"].items()
    }


def read_env(path: Path) -> dict[str, str]:
    """NAME=VALUE lines of an env file."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {name: value for name, _, value in pairs}


def _fill(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _fill(below, variables) for name, below in value.items()}
    if isinstance(value, list):
        return [_fill(below, variables) for below in value]
    if not isinstance(value, str):
        return value

    def put(match: re.Match[str]) -> str:
        found = variables.get(match["name"], "")
        if not found and match["how"] == "?":
            raise KeyError(f"{match['name']}: {match['text']}")
        return found or (match["text"] if match["how"] == "-" else "")

    return VARIABLE.sub(put, value)


def _service(name: str, raw: dict[str, Any]) -> Service:
    needs = raw.get("depends_on", {})
    return Service(
        name=name,
        command=[str(word) for word in raw.get("command", [])],
        environment={key: str(value) for key, value in raw.get("environment", {}).items()},
        health=[str(word) for word in raw.get("healthcheck", {}).get("test", [])[1:]],
        needs={other: rule["condition"] for other, rule in needs.items()},
        profiles=raw.get("profiles", []),
        grace_s=float(str(raw.get("stop_grace_period", "10s")).removesuffix("s")),
        raw=raw,
    )
