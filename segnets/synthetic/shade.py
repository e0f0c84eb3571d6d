"""From face numbers to linear light, each pixel once, whatever lies behind it.

A pixel whose samples all show one face is shaded once, with a filtered texture; the others once a
sample, and averaged. The inverse projection of a face's plane turns a screen place into texture
place and depth, so textures, haze and shadows are right in perspective.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segnets.synthetic.paint import SAMPLES
from segnets.synthetic.patterns import Floats
from segnets.synthetic.shadows import PIXELS_PER_M
from segnets.synthetic.textures import MAX_LEVELS, atlas

_CHUNK = 1 << 15  # pixels shaded at once: their arrays stay in the cache
_BRIGHTEST = 1.6  # a sample is clipped before the mean, as on a sensor; else a lamp fills its pixel
Ints32 = NDArray[np.int32]


@dataclass(frozen=True)
class Table:
    """What shading asks of a face: one row each, row 0 for nothing."""

    planes: Floats  # (9, F) screen place to (u, v, 1) / depth
    level: Floats  # (F,) texture level at depth 1
    texture: Ints32  # (F,)
    lit: Floats  # (3, F) light times tint
    bare: Floats  # (F,) light alone
    air: Floats  # (F,) haze per metre
    on_ground: NDArray[np.bool_]  # (F,) takes shadows
    tile_m: Floats  # (F,) metres of a tile
    label: NDArray[np.uint8]  # (F,)
    instance: NDArray[np.uint16]  # (F,)


@dataclass(frozen=True)
class Ground:
    """The light on the ground: a map (rows z, columns x) and the world place of its corner."""

    light: Floats
    x0: float
    z0: float

    def at(self, x: Floats, z: Floats) -> Floats:
        """The map read between its points, at world places (n,)."""
        column = (x - np.float32(self.x0)) * PIXELS_PER_M - np.float32(0.5)
        row = (z - np.float32(self.z0)) * PIXELS_PER_M - np.float32(0.5)
        height, width = self.light.shape
        np.clip(column, 0, width - 1.001, out=column)
        np.clip(row, 0, height - 1.001, out=row)
        c0, r0 = column.astype(np.int32), row.astype(np.int32)
        column -= c0
        row -= r0
        flat = self.light.ravel()
        place = r0 * width + c0
        upper = flat[place] + column * (flat[place + 1] - flat[place])
        place += width
        lower = flat[place] + column * (flat[place + 1] - flat[place])
        result: Floats = upper + row * (lower - upper)
        return result


def shade(ids: Ints32, table: Table, ground: Ground, haze: Floats) -> Floats:
    """Linear light (H, W, 3) of a picture of face numbers (H * SAMPLES, W * SAMPLES)."""
    middle = np.ascontiguousarray(ids[SAMPLES // 2 :: SAMPLES, SAMPLES // 2 :: SAMPLES])
    height, width = middle.shape
    mixed = np.zeros((height, width), np.bool_)
    for dy in range(SAMPLES):
        for dx in range(SAMPLES):
            mixed |= ids[dy::SAMPLES, dx::SAMPLES] != middle
    out = np.empty((height * width, 3), np.float32)
    numbers = middle.ravel()
    plain = np.flatnonzero(~mixed.ravel())
    half = np.float32(0.5)
    for begin in range(0, len(plain), _CHUNK):
        at = plain[begin : begin + _CHUNK]
        y, x = np.divmod(at, width)
        x, y = x.astype(np.float32) + half, y.astype(np.float32) + half
        out[at] = _shade(x, y, numbers[at], table, ground, haze, smooth=True)
    border = np.flatnonzero(mixed.ravel())
    count = SAMPLES * SAMPLES
    fine_y, fine_x = np.divmod(np.arange(count), SAMPLES)
    for begin in range(0, len(border), _CHUNK // count):
        at = border[begin : begin + _CHUNK // count]
        y, x = np.divmod(at, width)
        y = (y[:, None] * SAMPLES + fine_y).ravel()
        x = (x[:, None] * SAMPLES + fine_x).ravel()
        numbers_here = ids[y, x]
        x, y = (place.astype(np.float32) + half for place in (x, y))
        x *= np.float32(1 / SAMPLES)
        y *= np.float32(1 / SAMPLES)
        colors = _shade(x, y, numbers_here, table, ground, haze, smooth=False)
        np.minimum(colors, np.float32(_BRIGHTEST), out=colors)
        out[at] = colors.reshape(-1, count, 3).mean(axis=1)
    return out.reshape(height, width, 3)


def _shade(
    x: Floats,
    y: Floats,
    number: Ints32,
    table: Table,
    ground: Ground,
    haze: Floats,
    *,
    smooth: bool,
) -> Floats:
    """Linear light (n, 3) of the faces `number` at screen places x, y (n,)."""
    planes = table.planes
    w = planes[6][number] * x + planes[7][number] * y + planes[8][number]
    np.maximum(w, 1e-5, out=w)
    u = (planes[0][number] * x + planes[1][number] * y + planes[2][number]) / w
    v = (planes[3][number] * x + planes[4][number] * y + planes[5][number]) / w
    clear = np.exp(-table.air[number] / w)
    grey = 1 - clear
    clear *= np.float32(1 / 255.0**2)
    flat = np.flatnonzero(table.on_ground[number])
    if len(flat):  # here u and v count tiles from the world's origin
        tile_m = table.tile_m[number[flat]]
        clear[flat] *= ground.at(u[flat] * tile_m, -v[flat] * tile_m)
    texel = _texels(u, v, w, number, table, smooth=smooth)
    share = texel[:, 3] * np.float32(1 / 255.0)
    bare = table.bare[number] * (1 - share)
    out = np.empty((len(x), 3), np.float32)
    for channel in range(3):
        color = table.lit[channel][number]
        color *= share
        color += bare
        root = texel[:, channel]
        color *= root
        color *= root
        color *= clear
        color += haze[channel] * grey
        out[:, channel] = color
    return out


def _texels(
    u: Floats, v: Floats, w: Floats, number: Ints32, table: Table, *, smooth: bool
) -> Floats:
    """Texture values (n, 4) in 0..255 at the level that fits the distance."""
    names = atlas()
    texture = table.texture[number]
    log_size = names.log_sizes[texture]
    # A pixel covers depth**3 / (focal**2 * distance of the plane) square metres of its plane.
    level = table.level[number] - np.float32(1.5) * np.log2(w)
    level = np.clip(level + np.float32(0.35), 0, log_size).astype(np.int32)
    base = names.bases[texture * MAX_LEVELS + level]
    shift = log_size - level
    side = np.left_shift(np.int32(1), shift)
    mask = side - 1
    # Whole tiles do not matter; without them the products stay small.
    u = (u - np.floor(u)) * side
    v = (v - np.floor(v)) * side
    if not smooth:
        column, row = u.astype(np.int32) & mask, v.astype(np.int32) & mask
        return _unpack(names.texels[base + np.left_shift(row, shift) + column])
    u += np.float32(-0.5)
    v += np.float32(-0.5)
    u0, v0 = np.floor(u), np.floor(v)
    fu, fv = (u - u0)[:, None], (v - v0)[:, None]
    c0, r0 = u0.astype(np.int32), v0.astype(np.int32)
    c1, r1 = (c0 + 1) & mask, np.left_shift((r0 + 1) & mask, shift) + base
    c0 &= mask
    r0 = np.left_shift(r0 & mask, shift) + base
    upper = _unpack(names.texels[r0 + c0])
    upper += fu * (_unpack(names.texels[r0 + c1]) - upper)
    lower = _unpack(names.texels[r1 + c0])
    lower += fu * (_unpack(names.texels[r1 + c1]) - lower)
    lower -= upper
    lower *= fv
    upper += lower
    return upper


def _unpack(packed: NDArray[np.uint32]) -> Floats:
    result: Floats = packed.view(np.uint8).reshape(-1, 4).astype(np.float32)
    return result
