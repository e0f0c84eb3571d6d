"""The services of deployments/compose.yaml, each started by its own words, with real servers."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SUPPORT = Path(__file__).resolve().parent.parent / "support"


def why_not():
    """Why the team cannot be had here, or None."""
    if os.getuid() != 0:
        return "namespaces and an overlay need root"
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return "PostgreSQL is not installed: scripts/install-debian-packages.sh"
    missing = [tool for tool in ("unshare", "setpriv", "ip", "mount") if shutil.which(tool) is None]
    if missing:
        return f"not found: {', '.join(missing)}"
    return None


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.skipif(why_not() is not None, reason=str(why_not()))
def test_a_team_trains_on_while_a_worker_leaves_and_another_joins(tmp_path):
    command = [sys.executable, SUPPORT / "team.py", tmp_path / "machine"]
    scenario = [sys.executable, SUPPORT / "team_scenario.py"]
    done = subprocess.run([*command, *scenario], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert {name: seen[name] for name in ("preprocess", "grid", "again", "predict")} == {
        "preprocess": 0,
        "grid": 0,
        "again": 0,
        "predict": 0,
    }
    assert seen["worker_left_s"] < 45
    assert seen["trial_saved"]
    assert seen["goes_on"], "the second worker goes on from what the first one saved"
    assert seen["trials_done"] == 2
    assert seen["masks"] == 9
    assert seen["without_password"] == 401
    assert seen["app"] == 200
    assert seen["other_worker"] == 0
    for service in ("worker-cpu", "server", "s3", "postgres"):
        assert f"{service} stopped" in done.stderr
