"""The proof of restart: kill at every durable step, resume, compare bits.

    python -m tests.crash PROOF --part k/n --append FILE
    python -m tests.crash sum FILE...

Each file here that has `run(part, parts, seed, store)` is a proof. Inside they import each other as
`crash.NAME`, as tests import `support.NAME`.
"""

import sys
from pathlib import Path

_TESTS = str(Path(__file__).resolve().parent.parent)
if _TESTS not in sys.path:
    sys.path.insert(0, _TESTS)
