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
Places = NDArray[np.intp]  # indices: other integers would be converted at each look-up


@dataclass(frozen=True)
class Table:
    """What shading asks of a face: one row each, row 0 for nothing."""

    planes: Floats  # (9, F) screen place to (u, v, 1) / depth
    level: Floats  # (F,) texture level at depth 1
    texture: Places  # (F,)
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
    columns = np.ones((height, ids.shape[1]), np.bool_)  # one face from top to bottom of a pixel
    for dy in range(1, SAMPLES):
        columns &= ids[dy::SAMPLES] == ids[::SAMPLES]
    mixed = np.zeros((height, width), np.bool_)
    for dx in range(SAMPLES):
        mixed |= ~columns[:, dx::SAMPLES] | (ids[::SAMPLES, dx::SAMPLES] != middle)
    out = np.empty((height * width, 3), np.float32)
    numbers = middle.ravel().astype(np.intp)
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
        numbers_here = ids[y, x].astype(np.intp)
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
    number: Places,
    table: Table,
    ground: Ground,
    haze: Floats,
    *,
    smooth: bool,
) -> Floats:
    """Linear light (n, 3) of the faces `number` at screen places x, y (n,)."""

    def plane(first: int) -> Floats:
        result: Floats = table.planes[first].take(number, mode="clip")
        result *= x
        across = table.planes[first + 1].take(number, mode="clip")
        across *= y
        result += across
        result += table.planes[first + 2].take(number, mode="clip")
        return result

    w, u, v = plane(6), plane(0), plane(3)
    np.maximum(w, 1e-5, out=w)
    u /= w
    v /= w
    clear = np.exp(-table.air.take(number, mode="clip") / w)
    grey = 1 - clear
    clear *= np.float32(1 / 255.0**2)
    flat = np.flatnonzero(table.on_ground.take(number, mode="clip"))
    if len(flat):  # here u and v count tiles from the world's origin
        tile_m = table.tile_m[number[flat]]
        clear[flat] *= ground.at(u[flat] * tile_m, -v[flat] * tile_m)
    *colors, share = _texels(u, v, w, number, table, smooth=smooth)
    share *= np.float32(1 / 255.0)
    bare = table.bare.take(number, mode="clip")
    bare *= 1 - share
    out = np.empty((len(x), 3), np.float32)
    for channel, root in enumerate(colors):
        color = table.lit[channel].take(number, mode="clip")
        color *= share
        color += bare
        color *= root
        color *= root
        color *= clear
        color += haze[channel] * grey
        out[:, channel] = color
    return out


def _texels(
    u: Floats, v: Floats, w: Floats, number: Places, table: Table, *, smooth: bool
) -> list[Floats]:
    """Texture values, four arrays (n,) in 0..255, at the level that fits the distance."""
    names = atlas()
    texture = table.texture.take(number, mode="clip")
    log_size = names.log_sizes.take(texture, mode="clip")
    # A pixel covers depth**3 / (focal**2 * distance of the plane) square metres of its plane.
    fit = table.level.take(number, mode="clip")
    fit -= np.float32(1.5) * np.log2(w)
    fit += np.float32(0.35)
    level = np.clip(fit, 0, log_size).astype(np.intp)
    texture *= MAX_LEVELS
    texture += level
    base = names.bases.take(texture, mode="clip")
    shift = log_size - level
    side = np.left_shift(1, shift)
    mask = side - 1
    scale = side.astype(np.float32)
    # Whole tiles do not matter; without them the products stay small.
    u = (u - np.floor(u)) * scale
    v = (v - np.floor(v)) * scale
    if not smooth:
        at = (v.astype(np.intp) & mask) << shift
        at += u.astype(np.intp) & mask
        at += base
        return _channels(names.texels, at)
    u += np.float32(-0.5)
    v += np.float32(-0.5)
    u0, v0 = np.floor(u), np.floor(v)
    fu, fv = u - u0, v - v0
    c0, r0 = u0.astype(np.intp), v0.astype(np.intp)
    c1, r1 = (c0 + 1) & mask, (((r0 + 1) & mask) << shift) + base
    c0 &= mask
    r0 = ((r0 & mask) << shift) + base
    upper = _channels(names.texels, r0 + c0)
    _blend(upper, _channels(names.texels, r0 + c1), fu)
    lower = _channels(names.texels, r1 + c0)
    _blend(lower, _channels(names.texels, r1 + c1), fu)
    _blend(upper, lower, fv)
    return upper


def _channels(texels: NDArray[np.uint32], at: Places) -> list[Floats]:
    # One array a channel: broadcasting a weight over rows of four cost 20 ns a pixel, this 1 ns.
    packed = texels.take(at, mode="clip").view(np.uint8).reshape(-1, 4)
    return [packed[:, channel].astype(np.float32) for channel in range(4)]


def _blend(channels: list[Floats], others: list[Floats], share: Floats) -> None:
    """Moves `channels` towards `others` by `share` (n,), in place."""
    for channel, other in enumerate(others):
        np.subtract(other, channels[channel], out=other)
        np.multiply(other, share, out=other)
        channels[channel] += other
