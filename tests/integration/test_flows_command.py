"""What every command keeps to: stdout, exit codes, signals; with a flow as small as can be."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.commands import ended

PARENT = """
import os, subprocess, sys
env = {**os.environ, "SEGNETS_PARENT": str(os.getpid())}
child = subprocess.Popen([sys.executable, *sys.argv[1:]], env=env)
print(child.pid, flush=True)
child.wait()
"""


def wait_for(process, text, timeout_s=60):
    """Read its stderr until this text comes; what was read."""
    read, until = [], time.monotonic() + timeout_s
    while time.monotonic() < until:
        line = process.stderr.readline()
        assert line, f"ended before {text!r}: {''.join(read)}"
        read.append(line)
        if text in line:
            return "".join(read)
    raise AssertionError(f"no {text!r} in {''.join(read)}")


def test_one_line_of_json_whatever_prints(world):
    done = world.run("standin_flow", "--data", "noise")
    assert done.code == 0
    assert done.json["flow"] == "standin"
    assert done.json["status"] == "done"
    assert done.json["out"] == "noise"
    assert done.json["share"] is None  # not a number, so unknown
    assert done.json["store"] == str(world.store)
    assert isinstance(done.json["seconds"], float)
    assert "error" not in done.json
    assert "a stray print" in done.err
    assert "a child" in done.err


@pytest.mark.parametrize(
    ("how", "code"), [("data", 3), ("store", 4), ("taken", 5), ("diverged", 1), ("trials", 4)]
)
def test_a_fault_we_can_explain_is_one_sentence_and_its_code(world, how, code):
    done = world.run("standin_flow", "--data", how)
    assert done.code == code
    done.one_sentence()


def test_a_command_that_fails_may_say_what_it_came_to(world):
    done = world.run("standin_flow", "--data", "trials")
    assert done.json["share"] == 0.5
    assert done.json["out"] is None


def test_a_bug_keeps_its_traceback_and_still_says_its_line(world):
    done = world.run("standin_flow", "--data", "bug")
    assert done.code == 1
    assert done.err.count("Traceback") == 1
    assert done.json["status"] == "failed"
    assert "nobody expected this" in done.json["error"]["sentence"]


def test_quiet_leaves_warnings_and_errors(world):
    assert "working" in world.run("standin_flow", "--data", "ok").err
    assert world.run("standin_flow", "--data", "ok", "--quiet").err == ""


@pytest.mark.parametrize("how", ["wait", "sleep"])
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_as_stopped(world, how, signum, code):
    process = world.popen("standin_flow", "--data", how)
    wait_for(process, "working")
    process.send_signal(signum)
    done = ended(process)
    assert done.code == code
    done.one_sentence(signum.name)
    assert done.json["status"] == "stopped"


def test_a_command_of_a_dead_grid_does_not_begin(world):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    done = world.run("standin_flow", "--data", "ok", SEGNETS_PARENT=str(gone.pid))
    assert done.code == 143
    assert done.json is None


def test_a_command_of_a_grid_dies_with_it(world):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            PARENT,
            str(Path(__file__).parents[1] / "support/standin_flow.py"),
            "--data",
            "wait",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=world.root,
        env=world.env,
    )
    child = int(parent.stdout.readline())
    wait_for(parent, "working")
    parent.kill()
    parent.wait()
    until = time.monotonic() + 10
    while is_alive(child):
        assert time.monotonic() < until, "the child outlived its grid"
        time.sleep(0.02)
    parent.stdout.close()
    parent.stderr.close()


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def test_the_store_is_the_flag_else_the_variable_else_a_folder_here(world):
    flag = world.run("standin_flow", "--data", "ok", "--store", "a", SEGNETS_STORE="b")
    assert flag.json["store"] == str(world.root / "a")
    variable = world.run("standin_flow", "--data", "ok", SEGNETS_STORE="b")
    assert variable.json["store"] == str(world.root / "b")


def test_a_prefect_toml_here_makes_a_command_a_flow_run_unless_it_is_told_not_to(world):
    (world.root / "prefect.toml").write_text('[api]\nurl = "http://127.0.0.1:9/api"\n')
    del world.env["PREFECT_API_URL"]
    done = world.run("standin_flow", "--data", "ok")
    assert done.code == 4
    done.one_sentence("http://127.0.0.1:9/api")
    assert world.run("standin_flow", "--data", "ok", PREFECT_API_URL="").code == 0


def test_a_project_that_names_a_prefect_server_is_heard(world):
    (world.root / "pyproject.toml").write_text(
        '[tool.prefect.api]\nurl = "http://127.0.0.1:9/api"\n'
    )
    del world.env["PREFECT_API_URL"]
    assert world.run("standin_flow", "--data", "ok").code == 4
