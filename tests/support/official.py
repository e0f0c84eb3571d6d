"""The evaluator of the Cityscapes benchmark, run as its users run it: a process that writes JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_RUN = """
import sys
import numpy as np
# numpy 2.4 has no in1d any more; the tool (2.3.0) calls it for its instance scores
np.in1d = lambda values, wanted, **options: np.isin(np.ravel(values), wanted, **options)
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as tool
tool.args.evalInstLevelScore = sys.argv[1] == "instances"
tool.args.quiet = True
sys.argv = sys.argv[:1]
tool.main()
"""


def official_scores(
    data: Path, predictions: Path, work: Path, *, instances: bool = False
) -> dict[str, Any]:
    """What the tool writes over gtFine/val of `data` and the labelIds anywhere under `predictions`.

    classScores {class: IoU, NaN where in neither}, averageScoreClasses, categoryScores and more.
    `instances` also asks for the instance scores, which need instanceIds beside the labels.
    """
    work.mkdir(parents=True, exist_ok=True)
    env = os.environ | {
        "CITYSCAPES_DATASET": str(data),
        "CITYSCAPES_RESULTS": str(predictions),
        "CITYSCAPES_EXPORT_DIR": str(work),
    }
    command = [sys.executable, "-c", _RUN, "instances" if instances else "pixels"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    scores: dict[str, Any] = json.loads(
        (work / "resultPixelLevelSemanticLabeling.json").read_text()
    )
    return scores
