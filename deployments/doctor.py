"""Is this machine fit for work? One line a check: python deployments/doctor.py  (make doctor).

Each line is ok, or one sentence that says what was found and what to do next. Nothing is needed to run
it: without a server, a store or a GPU it says that there is none. It changes nothing but a probe in a
store that is there, which it deletes again, and no check takes longer than two and a half minutes. The last
line on stdout is one JSON object, as of the flows. Exit code 0: all well. 1: something is not. 2: wrong use.
"""

import argparse
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import check_machine
import check_server
from place import Fault, say

LIMIT_S = 150.0
"""Seconds for one check, more than its own waits: a hung network disk knows none."""


@dataclass(frozen=True)
class Finding:
    """What a check came to."""

    check: str
    ok: bool
    text: str


def main() -> int:
    """Every check, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--store", help="folder or s3://bucket/prefix (else $SEGNETS_STORE, ./store)"
    )
    given = parser.parse_args()
    began = time.monotonic()
    socket.setdefaulttimeout(20)
    clocks: dict[str, float] = {}  # whose clock -> seconds it is ahead of ours
    url = given.store or os.environ.get("SEGNETS_STORE") or "./store"
    checks: dict[str, Callable[[], str]] = {
        "python": check_machine.python,
        "packages": check_machine.packages,
        "gpu": check_machine.gpu,
        "disk": partial(check_machine.disk, url),
        "store": partial(check_machine.store, url, clocks),
        "server": partial(check_server.server, clocks),
        "workers": check_server.workers,
        "clock": partial(check_machine.clock, clocks),
    }
    findings: list[Finding] = []
    for name, check in checks.items():
        if name == "workers" and not findings[-1].ok:  # its sentence would be the server's
            continue
        finding = within(name, check)
        findings.append(finding)
        say(f"{'ok   ' if finding.ok else 'error'}  {name:<9} {finding.text}")
    wrong = [finding for finding in findings if not finding.ok]
    result: dict[str, object] = {
        "flow": "doctor",
        "checks": [asdict(finding) for finding in findings],
        "status": "failed" if wrong else "done",
        "seconds": round(time.monotonic() - began, 3),
        "store": url if "://" in url else str(Path(url).expanduser().absolute()),
    }
    if wrong:
        result["error"] = {"sentence": wrong[0].text, "exit_code": 1}
    print(json.dumps(result), flush=True)
    return 1 if wrong else 0


def within(name: str, check: Callable[[], str]) -> Finding:
    """What the check finds, within LIMIT_S; a fault of ours is told as one, and stops no other check."""
    found: list[Finding] = []

    def look() -> None:
        try:
            found.append(Finding(name, ok=True, text=check()))
        except Fault as fault:
            found.append(Finding(name, ok=False, text=str(fault)))
        except ImportError as error:
            text = f"a package cannot be imported: {error}. Run make setup."
            found.append(Finding(name, ok=False, text=text))
        except Exception as error:  # noqa: BLE001  # one check that breaks must not hide the others
            text = f"the check itself failed: {type(error).__name__}: {error}. Please report it."
            found.append(Finding(name, ok=False, text=text))

    thread = threading.Thread(target=look, name=name, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    if found:
        return found[0]
    text = f"no answer within {LIMIT_S:.0f} s. A disk or a server hangs: look at those named here."
    return Finding(name, ok=False, text=text)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a check that still hangs would keep the process
