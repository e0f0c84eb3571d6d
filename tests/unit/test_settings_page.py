import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_settings_page_is_what_the_config_classes_say():
    written = subprocess.run(
        [sys.executable, "-c", "import write_settings; print(write_settings.page(), end='')"],
        cwd=ROOT / "scripts",
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (ROOT / "docs" / "settings.md").read_text() == written, (
        "run python scripts/write_settings.py"
    )
