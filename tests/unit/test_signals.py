"""What a second signal does, in a process of its own."""

import signal
import subprocess
import sys
import time

import pytest

LOOP = """
import sys, time
from segnets.errors import Stopped
from segnets.signals import catch_stop

with catch_stop() as stop:
    print("ready", flush=True)
    while stop.signum is None:
        time.sleep(0.01)
    print("asked", flush=True)
    time.sleep(1.0)  # the step ends, and what it gave is saved
    print("saved", flush=True)
    try:
        stop.raise_if_requested()
    except Stopped as stopped:
        sys.exit(stopped.exit_code)
"""
EDGE = """
import time
from segnets.errors import Stopped
from tasks.runs import signals_stop

signals_stop()
try:
    print("ready", flush=True)
    time.sleep(60)
except Stopped as stopped:
    print("asked", flush=True)
    time.sleep(1.0)
    print("saved", flush=True)
    raise SystemExit(stopped.exit_code)
"""


def ended(script: str, *signals: int) -> tuple[int, str]:
    """Exit code and output of the script after the first signal, and the others once it was noticed."""
    argv = [sys.executable, "-c", script]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        first, *others = signals
        assert process.stdout.readline() == "ready\n"
        process.send_signal(first)
        assert process.stdout.readline() == "asked\n"
        for signum in others:
            process.send_signal(signum)
            time.sleep(0.05)
        rest = process.stdout.read()
    return process.returncode, rest


@pytest.mark.parametrize("script", [LOOP, EDGE], ids=["loop", "edge"])
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_more_sigterms_do_not_cut_the_saving_short(script, first):
    assert ended(script, first, signal.SIGTERM, signal.SIGTERM) == (128 + first, "saved\n")


@pytest.mark.parametrize("script", [LOOP, EDGE], ids=["loop", "edge"])
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_ctrl_c_after_a_first_signal_kills(script, first):
    assert ended(script, first, signal.SIGINT) == (-signal.SIGINT, "")
