"""What a camera behind a windscreen makes of linear light: drops, blur, vignette, tone, noise."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from segnets.synthetic.patterns import Floats

NOISE_LEVELS = 0.5  # deviation of the sensor noise, in grey levels
_BLUR = 0.12  # share of a pixel's light that each neighbour in a row or column gets
_STOCK = 1_000_003  # values of noise; a prime, so that rows of equal length do not line up


def develop(
    light: Floats, exposure: float, rng: np.random.Generator, *, drops: int = 0
) -> NDArray[np.uint8]:
    """The picture uint8 (H, W, 3) of linear light (H, W, 3), seen through `drops` rain drops."""
    height, width = light.shape[:2]
    light *= np.float32(exposure)
    # A soft shoulder, then the square root that screens undo.
    tone = np.sqrt(light * np.float32(1.5) / (1 + np.float32(0.75) * light))
    y = (np.arange(height, dtype=np.float32) / height - 0.5)[:, None, None]
    x = (np.arange(width, dtype=np.float32) / width - 0.5)[None, :, None]
    tone *= 255 * (1 - 0.2 * (x * x + y * y))
    if drops:
        _rain(tone, drops, rng)
    keep, side = np.float32(1 - 2 * _BLUR), np.float32(_BLUR)
    tone[:, 1:-1] = keep * tone[:, 1:-1] + side * (tone[:, :-2] + tone[:, 2:])
    tone[1:-1] = keep * tone[1:-1] + side * (tone[:-2] + tone[2:])
    flat, begin = tone.reshape(-1), int(rng.integers(_STOCK))
    for start in range(-begin, flat.size, _STOCK):
        part = flat[max(start, 0) : start + _STOCK]
        part += _sensor_noise()[max(-start, 0) :][: part.size]
    np.clip(tone, 0, 255, out=tone)
    np.rint(tone, out=tone)
    return tone.astype(np.uint8)


@cache
def _sensor_noise() -> Floats:
    """A stock of noise that every frame enters at another place: drawing it anew took 12 ms."""
    rng = np.random.default_rng(307)
    return rng.standard_normal(_STOCK, np.float32) * np.float32(NOISE_LEVELS)


def _rain(tone: Floats, drops: int, rng: np.random.Generator) -> None:
    """Blurs round places of a picture (H, W, 3), 0 to 255, in place: drops on the windscreen.

    Each frame has its own, as after a stroke of the wiper, so what a drop hides in one frame the
    frames before show: here time tells what one frame cannot.
    """
    height, width = tone.shape[:2]
    mask = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    for _ in range(drops):
        x, y = float(rng.uniform(0, width)), float(rng.uniform(0, height))
        across = height * float(rng.uniform(0.012, 0.055))
        up = across * float(rng.uniform(1.0, 1.35))
        draw.ellipse([x - across, y - up, x + across, y + up], fill=225)
    soft = mask.filter(ImageFilter.BoxBlur(height / 220))
    share = np.asarray(soft, np.float32)[..., None] * np.float32(1 / 255)
    sharp = Image.fromarray(np.clip(tone, 0, 255).astype(np.uint8))
    small = sharp.resize((max(2, width // 18), max(2, height // 18)), Image.Resampling.BOX)
    blurred = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR), np.float32)
    # A drop shows the scene upside down: brighter below, darker above.
    lift = np.asarray(soft.filter(ImageFilter.BoxBlur(height / 60)), np.float32)
    lift = np.roll(lift, -height // 60, axis=0) - np.roll(lift, height // 60, axis=0)
    tone += share * (blurred + np.float32(0.06) * lift[..., None] - tone)
