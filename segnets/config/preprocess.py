"""Settings of a dataset."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from segnets.config.build import STRICT, Outside
from segnets.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class PreprocessConfig:
    """One dataset. Its id is the digest of its sources and of the settings that docs/settings.md marks."""

    __pydantic_config__: ClassVar[dict[str, Any]] = STRICT

    data: str = "synthetic"
    """Folder or s3:// URL in the Cityscapes layout; synthetic draws street scenes."""
    name: str | None = None
    """Name at the head of the dataset id; else the folder's name."""
    split_rule: Literal["folders"] = "folders"
    """folders takes train, val and test from the folder level of that name; without one all is train."""
    height: Annotated[int, Ge(32), Le(4096)] = 224
    """Network height in pixels (32 to 4096)."""
    width: Annotated[int, Ge(32), Le(8192)] = 448
    """Network width in pixels (32 to 8192)."""
    clip_frames: Annotated[int, Ge(1), Le(30)] = 4
    """Frames in a clip, the last one labelled (1 to 30)."""
    stride: Annotated[int, Ge(1), Le(1000)] = 1
    """Step between the frame numbers of a clip (1 to 1000)."""
    on_problem: Literal["fail", "skip"] = "fail"
    """What to do with clips that have a missing label or a bad file."""
    on_missing: Literal["leave_out", "repeat"] = "leave_out"
    """What to do with a labelled frame that lacks earlier frames; repeat shows the oldest again."""
    check_only: Outside[bool] = False
    """Look at every file, report, and write nothing."""
    source_size: str | None = None
    """Synthetic only: HEIGHTxWIDTH of the drawn frames, width twice the height; else twice the network size."""
    scenes: Annotated[int, Ge(9), Le(100_000)] = 72
    """Synthetic only: clips in all, 6 train to 2 val to 1 test (9 to 100000)."""
    past: Literal["moving", "unrelated"] = "moving"
    """Synthetic only: unrelated draws past frames of another scene, a control in which time cannot help."""
    store: Outside[str | None] = None
    """Folder or s3://bucket/prefix; else $SEGNETS_STORE, else ./store."""
    cache: Outside[str | None] = None
    """Folder for the digests of files looked at before; else ~/.cache/segnets."""
    workers: Outside[Annotated[int, Ge(1), Le(64)] | None] = None
    """Threads that decode and resize (1 to 64); the default is one a core."""
    rehash: Outside[bool] = False
    """Read every source file again instead of trusting size and time of change."""
    quiet: Outside[bool] = False
    """Only warnings and errors on stderr."""
    store_wait: Outside[Annotated[float, Ge(0)]] = 30.0
    """Minutes to wait for a store that does not answer, before giving up with exit code 4."""

    def __post_init__(self) -> None:
        """Rules between fields; bears unchecked values."""
        if self.name is not None and not re.fullmatch(r"[a-z0-9_]{1,40}", str(self.name)):
            raise ConfigError(
                "a dataset name has 1 to 40 small letters, digits and underscores",
                f"--name {self.name}",
                "Choose another one.",
            )
        if self.source_size is not None:
            self.source_hw()

    def source_hw(self) -> tuple[int, int]:
        """Height and width of synthetic frames in pixels; ConfigError unless HxW with W = 2H."""
        if self.source_size is None:
            return 2 * self.height, 4 * self.height
        match = re.fullmatch(r"(\d{2,4})x(\d{2,5})", str(self.source_size))
        if match is None or int(match[2]) != 2 * int(match[1]) or int(match[1]) < 64:
            raise ConfigError(
                "a source size is HEIGHTxWIDTH with the width twice the height, 64 rows or more",
                f"--source-size {self.source_size}",
                "Say for example --source-size 448x896.",
            )
        return int(match[1]), int(match[2])
