"""The store classes under seeded schedules of several processes, without torch and without waiting.

    python -m tests.sim --seed N [--histories M] [--mode C|N|M] [--mutant NAME]
    python -m tests.sim --mutants

One seed is one history: who moves when, which request fails how, who dies. Under `segnets.store.s3` lies
a server in memory (`server.py`); everything above it is the real code. `schedule.py` draws and switches,
`control.py` takes clocks, sleep and random numbers away from the code, `writers.py` and `workers.py` are
the processes, `check.py` is the model that they are held against, `mutants.py` the rules taken away one
by one. Inside they import each other as `sim.NAME`, as tests import `support.NAME`.
"""

import sys
from pathlib import Path

_TESTS = str(Path(__file__).resolve().parent.parent)
if _TESTS not in sys.path:
    sys.path.insert(0, _TESTS)
