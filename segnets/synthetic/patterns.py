"""Surfaces made of noise: asphalt, slabs, grass, bricks, leaves, clouds.

Every function returns a tile (S, S, 4) that repeats without a seam, float32 in 0..1: red, green,
blue as they look on a screen, and the share of the face's tint that is taken.
"""

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFilter

Floats = NDArray[np.float32]
NUM_CROWNS = 5


@cache
def noise(side: int, slope: float, seed: int) -> Floats:
    """Noise (side, side) that repeats, mean 0, deviation 1; amplitude falls as frequency**-slope."""
    rng = np.random.default_rng([7, seed])
    waves = np.fft.rfft2(rng.standard_normal((side, side)))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]) * side
    frequency[0, 0] = 1.0
    waves *= frequency**-slope
    waves[0, 0] = 0.0
    field = np.fft.irfft2(waves, s=(side, side))
    result: Floats = (field / field.std()).astype(np.float32)
    return result


def tile(rgb: ArrayLike, value: ArrayLike, tint: ArrayLike) -> Floats:
    """A tile whose colour is `rgb` times `value` (S, S), with the share `tint`."""
    shade = np.asarray(value, np.float32)
    out = np.empty((*shade.shape, 4), np.float32)
    out[..., :3] = np.asarray(rgb, np.float32) * shade[..., None]
    out[..., 3] = tint
    result: Floats = np.clip(out, 0.0, 1.0)
    return result


def plain() -> Floats:
    """White, all tint."""
    return np.ones((2, 2, 4), np.float32)


def cylinder() -> Floats:
    """Dark at the left, light towards the right: makes a flat rod look round."""
    u = (np.arange(64, dtype=np.float32) + 0.5) / 64
    light = 0.50 + 0.50 * np.sin(np.pi * np.clip(0.12 + 0.70 * u, 0, 1)) ** 1.2
    return tile((1, 1, 1), np.repeat(light[None], 64, 0) + 0.02 * noise(64, 0.5, 3), 1.0)


def gradient() -> Floats:
    """Lighter above, darker below, full tint: painted sheet metal."""
    v = (np.arange(128, dtype=np.float32) + 0.5) / 128
    light = 1.0 - 0.30 * v**1.5
    return tile((1, 1, 1), np.repeat(light[:, None], 128, 1), 1.0)


def glass() -> Floats:
    """A car's window: the sky in its upper part, dark inside below."""
    side = 128
    v = ((np.arange(side, dtype=np.float32) + 0.5) / side)[:, None]
    u = ((np.arange(side, dtype=np.float32) + 0.5) / side)[None, :]
    shine = 0.16 + 0.30 * np.exp(-(((v - 0.15 - 0.25 * u) / 0.22) ** 2)) + 0.0 * u
    return tile((0.80, 0.93, 1.0), shine.astype(np.float32), 0.0)


def asphalt() -> Floats:
    """Grey grain with darker patches and a few cracks."""
    side = 512
    value = 0.86 + 0.045 * noise(side, 0.1, 11) + 0.03 * noise(side, 1.2, 12)
    ridge = np.abs(noise(side, 1.7, 13))
    crack = np.clip(1 - ridge / 0.012, 0, 1) * (noise(side, 1.5, 14) > 0.6)
    return tile((1, 1, 1), value - 0.22 * crack, 1.0)


def slabs() -> Floats:
    """Paving slabs, 8 x 8 a tile, each of its own grey, with joints."""
    side, count = 512, 8
    rng = np.random.default_rng(21)
    step = side // count
    value = np.repeat(np.repeat(rng.normal(0.88, 0.035, (count, count)), step, 0), step, 1)
    rows = np.arange(side) % step
    joint = (rows < 3)[:, None] | (rows < 3)[None, :]
    grain = 0.03 * noise(side, 0.3, 22) + 0.03 * noise(side, 1.4, 23)
    return tile((1, 1, 1), (value + grain - 0.26 * joint).astype(np.float32), 1.0)


def grass() -> Floats:
    """Meadow: green blades, yellow and dark patches."""
    side = 512
    value = 0.72 + 0.13 * noise(side, 0.35, 31) + 0.07 * noise(side, 1.3, 32)
    dry = np.clip(0.5 + 0.35 * noise(side, 1.2, 33), 0, 1)[..., None]
    rgb = (1 - dry) * np.array([0.62, 0.84, 0.36]) + dry * np.array([0.86, 0.86, 0.50])
    return tile(rgb.astype(np.float32), value, 1.0)


def bricks() -> Floats:
    """Running bond, 16 courses a tile, mortar lighter."""
    side, courses = 256, 16
    rng = np.random.default_rng(41)
    height, width = side // courses, side // 8
    row = np.arange(side) // height
    shift = (row % 2) * (width // 2)
    column = ((np.arange(side)[None, :] + shift[:, None]) % side) // width
    value = rng.normal(0.80, 0.08, (courses, 8))[row[:, None], column]
    joint = ((np.arange(side) % height) < 2)[:, None] | (
        ((np.arange(side)[None, :] + shift[:, None]) % width) < 2
    )
    value = np.where(joint, 0.94, value) + 0.04 * noise(side, 0.4, 42)
    out = tile((1, 1, 1), value.astype(np.float32), 1.0)
    out[joint, 3] = 0.72
    return out


def stones() -> Floats:
    """A wall of rough stones: cells around scattered points, dark joints."""
    side, count = 256, 46
    rng = np.random.default_rng(51)
    points = rng.random((count, 2)) * side
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1)
    apart = np.abs(grid[:, :, None, :] - points)
    apart = np.minimum(apart, side - apart) * np.array([1.5, 1.0])  # flat stones
    distance = np.sort(np.hypot(apart[..., 0], apart[..., 1]), axis=2)
    owner = np.argmin(np.hypot(apart[..., 0], apart[..., 1]), axis=2)
    value = rng.normal(0.80, 0.09, count)[owner]
    value = value - 0.35 * np.clip(1 - (distance[..., 1] - distance[..., 0]) / 4, 0, 1)
    return tile((1, 1, 1), (value + 0.05 * noise(side, 0.8, 52)).astype(np.float32), 1.0)


def concrete() -> Floats:
    """Panels with joints, stains running down."""
    side = 256
    streaks = np.repeat(noise(side, 0.6, 61)[:1], side, 0)
    value = 0.84 + 0.03 * noise(side, 0.5, 62) + 0.035 * noise(side, 1.5, 63) + 0.02 * streaks
    value[:, :3] -= 0.25
    value[:8] += 0.08
    return tile((1, 1, 1), value, 1.0)


def plaster() -> Floats:
    """A rendered wall: fine grain, large faint stains."""
    value = 0.90 + 0.018 * noise(256, 0.4, 65) + 0.022 * noise(256, 1.5, 66)
    return tile((1, 1, 1), value, 1.0)


def planks() -> Floats:
    """A wooden fence: upright boards with dark gaps, two rails."""
    side, boards = 256, 10
    rng = np.random.default_rng(71)
    x = np.arange(side)
    board = x * boards // side
    inside = (x * boards) % side
    gap = (inside < 0.13 * side)[None, :] & np.ones((side, 1), bool)
    tone = rng.normal(0.86, 0.07, boards)[board][None, :]
    grain = np.repeat(noise(side, 0.4, 72)[:1] * 0.05, side, 0) + 0.03 * noise(side, 0.9, 73)
    value = np.broadcast_to(tone, (side, side)) + grain
    out = tile((1, 1, 1), value.astype(np.float32), 1.0)
    rail = np.zeros((side, side), bool)
    rail[40:58] = rail[180:198] = True
    out[gap] = (0.16, 0.19, 0.11, 0.0)
    out[gap & rail, :3] = np.array([0.40, 0.33, 0.26])
    return out


def railing() -> Floats:
    """A metal fence: thin bars and rails before a dark hedge."""
    side = 256
    dark = 0.5 + 0.12 * noise(side, 0.6, 76)
    out = tile((0.42, 0.52, 0.30), dark, 0.0)
    bars = (np.arange(side) % 26) < 7
    out[:, bars] = (1, 1, 1, 1)
    out[:20] = out[214:232] = (0.95, 0.95, 0.95, 1)
    return out


def roof() -> Floats:
    """Roof tiles in courses, each with a shaded lower edge."""
    side, courses = 256, 16
    step = side // courses
    rng = np.random.default_rng(81)
    row, column = np.arange(side) // step, np.arange(side) // (step // 2)
    value = rng.normal(0.86, 0.05, (courses, 2 * courses))[row[:, None], column[None, :]]
    value = value - 0.16 * ((np.arange(side) % step) > step - 4)[:, None]
    wave = 0.05 * np.cos(2 * np.pi * np.arange(side) / (step // 2))[None, :]
    weather = 0.05 * noise(side, 1.3, 82)
    return tile((1, 1, 1), (value + wave + weather).astype(np.float32), 1.0)


def leaves() -> Floats:
    """A hedge or distant foliage."""
    side = 256
    clumps = noise(side, 1.0, 91)
    value = 0.66 + 0.13 * clumps + 0.11 * noise(side, 0.35, 92)
    warm = np.clip(0.5 + 0.3 * clumps, 0, 1)[..., None]
    rgb = (1 - warm) * np.array([0.42, 0.66, 0.34]) + warm * np.array([0.80, 0.95, 0.44])
    return tile(rgb.astype(np.float32), value, 1.0)


def bark() -> Floats:
    """A trunk: the rod's shading with furrows."""
    furrows = noise(64, 0.8, 95)
    return cylinder() * np.array([1, 1, 1, 1], np.float32) - np.stack(
        [0.06 * np.abs(furrows)] * 3 + [np.zeros_like(furrows)], axis=-1
    )


def clouds() -> Floats:
    """Cumulus seen from below: the tint (the sky's blue) is kept where no cloud is."""
    side = 512
    field = noise(side, 1.75, 101) + 0.10 * noise(side, 1.0, 102)
    cover = np.clip((field - 0.15) / 0.9, 0, 1)
    cover = cover * cover * (3 - 2 * cover)
    shade = 1.0 - 0.20 * np.clip(field - 0.9, 0, 1.2) / 1.2
    return tile((0.98, 0.985, 1.0), shade.astype(np.float32), 1.0 - 0.92 * cover)


def haze_bank() -> Floats:
    """An overcast sky: soft rolls of grey."""
    side = 256
    field = noise(side, 1.9, 105)
    return tile((0.95, 0.97, 1.0), 0.93 + 0.05 * field, 0.35)


def crown(number: int) -> tuple[Floats, NDArray[np.uint8]]:
    """A tree's crown: its tile (S, S, 4) and its silhouette (S, S): inside where it is above 127.

    Leaf clumps are discs painted from the dark inside to the light top; noise frays the outline
    and opens holes through which the sky shows.
    """
    side = 256
    rng = np.random.default_rng([111, number])
    narrow = (0.78, 0.62, 0.85, 0.50, 0.72)[number]
    count = 150
    angle, reach = rng.random(count) * 2 * np.pi, np.sqrt(rng.random(count))
    x = side * (0.5 + 0.38 * narrow / 0.8 * reach * np.cos(angle))
    y = side * (0.5 + 0.40 * reach * np.sin(angle))
    size = side * rng.uniform(0.05, 0.105, count)
    height = 1 - y / side
    light = 0.30 + 0.50 * height + rng.normal(0, 0.07, count)
    order = np.argsort(light + 0.4 * rng.random(count))
    shade_image = Image.new("L", (side, side), 60)
    shape_image = Image.new("L", (side, side), 0)
    shade, shape = ImageDraw.Draw(shade_image), ImageDraw.Draw(shape_image)
    for i in order:
        for part in range(5):  # each clump lighter towards its upper left
            r = size[i] * (1 - 0.18 * part)
            cx, cy = x[i] - 0.22 * size[i] * part / 4, y[i] - 0.30 * size[i] * part / 4
            tone = int(np.clip(255 * (light[i] - 0.10 + 0.075 * part), 20, 250))
            shade.ellipse([cx - r, cy - r, cx + r, cy + r], fill=tone)
        r = size[i]
        shape.ellipse([x[i] - r, y[i] - r, x[i] + r, y[i] + r], fill=255)
    # Fray: look up both pictures at places moved by noise.
    dx = 5.0 * noise(side, 0.7, 112 + number)
    dy = 5.0 * noise(side, 0.7, 122 + number)
    rows = np.clip(np.arange(side)[:, None] + dy, 0, side - 1).astype(np.intp)
    columns = np.clip(np.arange(side)[None, :] + dx, 0, side - 1).astype(np.intp)
    soft = np.asarray(shape_image.filter(ImageFilter.GaussianBlur(4)), np.float32) / 255
    field = soft[rows, columns] + 0.10 * noise(side, 0.45, 132 + number)
    field += 0.12 * noise(side, 1.2, 152 + number)
    field = np.minimum(field, 2.0 * soft[rows, columns] + 0.06)  # no leaves in the free air
    # A slope across the outline instead of a step: it stays smooth when magnified.
    silhouette = np.clip(127.5 + 420.0 * (field - 0.50), 0, 255).astype(np.uint8)
    value = np.asarray(shade_image, np.float32)[rows, columns] / 255
    value = value * (1.0 + 0.15 * noise(side, 0.45, 142 + number))
    warm = np.clip(value * 1.2, 0, 1)[..., None]
    rgb = (1 - warm) * np.array([0.40, 0.62, 0.36]) + warm * np.array([0.92, 1.0, 0.52])
    return tile(rgb.astype(np.float32), 0.28 + 0.92 * value, 1.0), silhouette
