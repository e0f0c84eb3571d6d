import subprocess
import sys
import time

import pytest

from tasks.display import TrialLines
from tasks.processes import Processes, Running

TALKS = (
    "import time; [print(f'epoch {i}', flush=True) or time.sleep(0.1) for i in range(4)]; exit(3)"
)


@pytest.fixture
def running(tmp_path):
    """A process that writes four lines into its log and ends with exit code 3."""
    path = tmp_path / "trial.log"
    with path.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", TALKS],
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    yield Running("resnet_convlstm-0a0b0c0d", process, path, 0, None)
    process.kill()
    process.wait()


@pytest.mark.parametrize("fault", ["removed", "emptied"])
def test_a_log_that_somebody_takes_away_or_empties_ends_no_trial(running, fault):
    processes = Processes(TrialLines(quiet=True), jobs=1, device="cpu")
    running.log.write_text("a line of before\n" * 100)
    assert processes.poll(running) is None
    assert running.read == len("a line of before\n") * 100
    if fault == "removed":
        running.log.unlink()
    else:
        running.log.write_text("new\n")
    until = time.monotonic() + 20
    while (end := processes.poll(running)) is None and time.monotonic() < until:
        time.sleep(0.02)
    assert end is not None
    assert end.code == 3
    if fault == "emptied":
        assert (end.sentence, running.read) == ("new", len("new\n"))
