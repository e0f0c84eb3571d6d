"""The texture atlas: square tiles drawn once per process, with their mipmaps.

A texel is four bytes: the square roots of red, green and blue in linear light, and how much of the
face's tint it takes (255: all of it, as a plaster wall; 0: none, as the window in it).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segnets.synthetic import drawn, patterns
from segnets.synthetic.patterns import Floats

MAX_LEVELS = 12


@dataclass(frozen=True)
class Atlas:
    """All textures in one array of 32-bit texels, with the place of each level of each texture."""

    texels: NDArray[np.uint32]  # (N,)
    bases: NDArray[np.intp]  # (textures * MAX_LEVELS,) first texel of a level
    log_sizes: NDArray[np.intp]  # (textures,) log2 of the side at level 0
    ids: dict[str, int]
    cutouts: tuple[Image.Image, ...]  # tree crowns, mode 1

    def __getitem__(self, name: str) -> int:
        return self.ids[name]


def _levels(tile: Floats) -> list[Floats]:
    """The tile (S, S, 4) in 0..1 and its halves down to one texel."""
    levels = [tile]
    while levels[-1].shape[0] > 1:
        side = levels[-1].shape[0] // 2
        levels.append(levels[-1].reshape(side, 2, side, 2, 4).mean(axis=(1, 3)))
    return levels


@cache
def atlas() -> Atlas:
    """The atlas; the same in every process of one machine."""
    tiles: dict[str, Floats] = {}
    for name, draw in PAINTERS.items():
        tiles[name] = draw()
    cutouts: list[Image.Image] = []
    for number in range(patterns.NUM_CROWNS):
        tiles[f"crown{number}"], silhouette = patterns.crown(number)
        # Fine enough for the nearest texel: smooth look-ups cost 26 ms a frame.
        large = Image.fromarray(silhouette).resize((1024, 1024), Image.Resampling.BICUBIC)
        cutouts.append(large.convert("1", dither=Image.Dither.NONE))
    chunks: list[NDArray[np.uint32]] = []
    bases = np.zeros((len(tiles), MAX_LEVELS), np.intp)
    log_sizes = np.zeros(len(tiles), np.intp)
    total = 0
    for row, tile in enumerate(tiles.values()):
        log_sizes[row] = int(np.log2(tile.shape[0]))
        for level, pixels in enumerate(_levels(tile)):
            packed = np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8)
            chunks.append(np.ascontiguousarray(packed).view(np.uint32).ravel())
            bases[row, level] = total
            total += chunks[-1].size
    return Atlas(
        texels=np.concatenate(chunks),
        bases=bases.ravel(),
        log_sizes=log_sizes,
        ids={name: row for row, name in enumerate(tiles)},
        cutouts=tuple(cutouts),
    )


SIGNS = ("limit", "stop", "yield", "warning", "arrow", "priority", "crossing", "direction")
FACADES = ("flats", "moulded", "brick", "shuttered", "office")

PAINTERS: dict[str, Callable[[], Floats]] = {
    "plain": patterns.plain,
    "rod": patterns.cylinder,
    "bark": patterns.bark,
    "metal": patterns.gradient,
    "glass": patterns.glass,
    "asphalt": patterns.asphalt,
    "slabs": patterns.slabs,
    "grass": patterns.grass,
    "bricks": patterns.bricks,
    "stones": patterns.stones,
    "concrete": patterns.concrete,
    "plaster": patterns.plaster,
    "planks": patterns.planks,
    "railing": patterns.railing,
    "roof": patterns.roof,
    "leaves": patterns.leaves,
    "clouds": patterns.clouds,
    "overcast": patterns.haze_bank,
    "flats": drawn.facade("flats", 1, size=(0.42, 0.52)),
    "moulded": drawn.facade("moulded", 2, size=(0.38, 0.60)),
    "brick": drawn.facade("brick", 3, size=(0.40, 0.50)),
    "shuttered": drawn.facade("shuttered", 4, size=(0.36, 0.54)),
    "office": drawn.curtain_wall,
    "shops": drawn.shops,
    "ground_floor": drawn.ground_floor,
    "bus_side": drawn.bus_side,
    "tarpaulin": drawn.tarpaulin,
    "spokes": drawn.spokes,
    "car_wheel": drawn.car_wheel,
    **{f"sign_{kind}": drawn.sign(kind) for kind in SIGNS},
}
