"""Drawn surfaces: windows, shops, doors, the sides of vehicles, traffic signs.

Each tile (S, S, 4) is drawn at twice its size and halved; the fourth channel says how much of the
face's tint a texel takes: 1 for the wall, 0 for the window in it.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from segnets.synthetic.patterns import Floats, bricks, noise

Ink = tuple[int, int, int, int]
WALL: Ink = (236, 236, 236, 255)
_FRAME: Ink = (235, 233, 228, 0)
_SHADE: Ink = (150, 150, 150, 255)


def _halved(image: Image.Image) -> Floats:
    # Not Image.reduce: it takes the fourth channel for opacity and blackens colours without it.
    pixels = np.asarray(image, np.float32) / np.float32(255)
    side = pixels.shape[0] // 2
    result: Floats = pixels.reshape(side, 2, side, 2, 4).mean(axis=(1, 3), dtype=np.float32)
    return result


def _pane(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], rng: np.random.Generator
) -> None:
    """A window pane: sky above, dark room below, sometimes a curtain, a blind or a lamp."""
    x0, y0, x1, y1 = box
    steps = 14
    level = rng.uniform(0.75, 1.2)
    for i in range(steps):
        share = i / (steps - 1)
        glow = level * (1.0 - 0.62 * share)
        ink = (int(92 * glow), int(112 * glow), int(132 * glow), 0)
        draw.rectangle([x0, y0 + (y1 - y0) * i / steps, x1, y0 + (y1 - y0) * (i + 1) / steps], ink)
    kind = rng.random()
    if kind < 0.28:  # curtains at both sides
        wide = (x1 - x0) * rng.uniform(0.15, 0.28)
        ink = (178, 174, 164, 0)
        draw.rectangle([x0, y0, x0 + wide, y1], ink)
        draw.rectangle([x1 - wide, y0, x1, y1], ink)
    elif kind < 0.45:  # a blind
        draw.rectangle([x0, y0, x1, y0 + (y1 - y0) * rng.uniform(0.3, 0.8)], (196, 190, 176, 0))
    elif kind < 0.50:
        draw.rectangle([x0, y0, x1, y1], (214, 184, 120, 0))


def _window(
    draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], rng: np.random.Generator
) -> None:
    """A window of two wings with fanlights, its reveal and its sill."""
    x0, y0, x1, y1 = box
    draw.rectangle([x0 - 5, y0 - 5, x1 + 5, y1 + 5], (120, 118, 116, 160))
    draw.rectangle([x0, y0, x1, y1], _FRAME)
    wing, bar = (x1 - x0 - 6) / 2, y0 + (y1 - y0) * 0.28
    for left in (x0 + 6, x0 + 6 + wing):
        _pane(draw, (left, y0 + 6, left + wing - 6, bar), rng)
        _pane(draw, (left, bar + 6, left + wing - 6, y1 - 6), rng)
    draw.rectangle([x0, y0, x1, y0 + 7], (70, 70, 72, 60))  # shadow of the reveal
    draw.rectangle([x0 - 12, y1 + 2, x1 + 12, y1 + 11], (245, 243, 238, 60))
    draw.rectangle([x0 - 12, y1 + 11, x1 + 12, y1 + 17], _SHADE)


def _shutters(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = box
    wide = (x1 - x0) * 0.36
    for left in (x0 - (x1 - x0) * 0.42, x1 + 6):
        draw.rectangle([left, y0, left + wide, y1], (88, 104, 92, 0))
        for line in range(8):
            at = y0 + (y1 - y0) * (line + 0.5) / 8
            draw.line([left + 4, at, left + wide - 4, at], (60, 74, 66, 0), 3)


def facade(style: str, seed: int, *, size: tuple[float, float]) -> Callable[[], Floats]:
    """A painter of 4 bays x 4 floors with windows of `size` (share of the bay, of the floor)."""

    def paint() -> Floats:
        side, bay = 1024, 256
        rng = np.random.default_rng([201, seed])
        image = Image.new("RGBA", (side, side), WALL)
        draw = ImageDraw.Draw(image)
        for floor in range(4):
            y = floor * bay
            if style == "moulded":
                draw.rectangle([0, y + 236, side, y + 250], (255, 255, 255, 200))
                draw.rectangle([0, y + 250, side, y + 255], _SHADE)
            for column in range(4):
                x = column * bay
                w, h = bay * size[0], bay * size[1]
                x0, y0 = x + (bay - w) / 2, y + (bay - h) * 0.52
                x1, y1 = x0 + w, y0 + h
                if style == "moulded":  # a surround with a cornice above
                    draw.rectangle([x0 - 14, y0 - 14, x1 + 14, y1 + 8], (252, 250, 245, 120))
                    draw.rectangle([x0 - 22, y0 - 28, x1 + 22, y0 - 14], (248, 246, 240, 120))
                    draw.rectangle([x0 - 22, y0 - 14, x1 + 22, y0 - 9], _SHADE)
                if style == "shuttered":
                    _shutters(draw, (x0, y0, x1, y1))
                _window(draw, (x0, y0, x1, y1), rng)
        out = _halved(image)
        if style == "brick":
            fine = bricks().reshape(128, 2, 128, 2, 4).mean(axis=(1, 3))
            pattern = np.tile(fine, (4, 4, 1))  # 64 courses on four floors
            wall = out[..., 3:] > 0.99
            out = np.where(wall, out * pattern / np.array([0.93, 0.93, 0.93, 1]), out)
        else:
            grain = 1 + 0.02 * noise(512, 0.5, 203) + 0.022 * noise(512, 1.4, 204)
            out[..., :3] *= np.where(out[..., 3:] > 0.5, grain[..., None], 1)
        result: Floats = np.clip(out, 0, 1).astype(np.float32)
        return result

    return paint


def curtain_wall() -> Floats:
    """An office front: glass bands, mullions, spandrels."""
    side, bay = 1024, 256
    rng = np.random.default_rng(211)
    image = Image.new("RGBA", (side, side), (225, 225, 225, 255))
    draw = ImageDraw.Draw(image)
    for floor in range(4):
        for half in range(8):
            x0, y0 = half * bay / 2 + 6, floor * bay + 40
            glow = rng.uniform(0.8, 1.25)
            for i in range(10):
                fade = glow * (1 - 0.045 * i)
                ink: Ink = (int(104 * fade), int(134 * fade), int(156 * fade), 0)
                draw.rectangle([x0, y0 + i * 17.5, x0 + bay / 2 - 12, y0 + (i + 1) * 17.5], ink)
            if rng.random() < 0.25:
                draw.rectangle([x0, y0, x0 + bay / 2 - 12, y0 + 70], (190, 188, 178, 0))
        draw.rectangle([0, floor * bay + 215, side, floor * bay + 222], _SHADE)
    return _halved(image)


def shops() -> Floats:
    """A ground floor of four shops: windows, doors, fascias and awnings in their own colours."""
    side, bay = 1024, 256
    rng = np.random.default_rng(221)
    image = Image.new("RGBA", (side, side), WALL)
    draw = ImageDraw.Draw(image)
    fascia = [(126, 36, 40), (30, 70, 92), (38, 84, 58), (196, 158, 60)]
    for column in range(4):
        x = column * bay
        r, g, b = fascia[column]
        draw.rectangle([x + 10, 90, x + 246, 250], (r, g, b, 0))
        for letter in range(9):  # lettering that nobody can read
            left = x + 48 + letter * 18
            draw.rectangle([left, 140, left + int(rng.integers(6, 14)), 196], (240, 236, 222, 0))
        draw.rectangle([x + 16, 270, x + 240, 900], (38, 40, 44, 0))
        for i in range(16):
            share = 1 - 0.5 * i / 15
            ink = (int(118 * share), int(130 * share), int(136 * share), 0)
            draw.rectangle([x + 22, 280 + i * 38, x + 160, 280 + (i + 1) * 38], ink)
            draw.rectangle([x + 172, 280 + i * 38, x + 234, 280 + (i + 1) * 38], ink)
        for _ in range(14):  # wares
            at, top = x + 24 + 120 * rng.random(), 520 + 330 * rng.random()
            ware = [int(value) for value in rng.integers(60, 220, 3)]
            draw.rectangle([at, top, at + 16, top + 40], (ware[0], ware[1], ware[2], 0))
        if column % 2 == 0:  # an awning in stripes
            for stripe in range(12):
                white = stripe % 2 == 0
                ink2: Ink = (236, 232, 224, 0) if white else (r, g, b, 0)
                left = x + 8 + stripe * 20
                draw.polygon(
                    [(left + 8, 250), (left + 22, 250), (left + 20, 380), (left, 380)], ink2
                )
        draw.rectangle([x + 10, 900, x + 246, 1023], (120, 118, 116, 120))
    return _halved(image)


def ground_floor() -> Floats:
    """A ground floor of flats: a door and three windows over a plinth."""
    side, bay = 1024, 256
    rng = np.random.default_rng(231)
    image = Image.new("RGBA", (side, side), WALL)
    draw = ImageDraw.Draw(image)
    for column in range(4):
        x = column * bay
        if column == 1:
            draw.rectangle([x + 66, 210, x + 190, 1023], (244, 242, 236, 60))
            draw.rectangle([x + 80, 230, x + 176, 1023], (74, 50, 36, 0))
            _pane(draw, (x + 92, 250, x + 164, 420), rng)
            for panel in (470, 740):
                draw.rectangle([x + 94, panel, x + 162, panel + 220], (92, 64, 46, 0))
        else:
            draw.rectangle([x + 60, 240, x + 196, 700], (120, 118, 116, 160))
            draw.rectangle([x + 66, 246, x + 190, 694], _FRAME)
            _pane(draw, (x + 74, 260, x + 124, 684), rng)
            _pane(draw, (x + 132, 260, x + 182, 684), rng)
            draw.rectangle([x + 52, 700, x + 204, 728], (245, 243, 238, 60))
            draw.rectangle([x + 52, 728, x + 204, 740], _SHADE)
    draw.rectangle([0, 880, 314, 1023], (150, 146, 140, 140))
    draw.rectangle([450, 880, 1023, 1023], (150, 146, 140, 140))
    return _halved(image)


def bus_side() -> Floats:
    """The side of a bus or tram: a dark window band with pillars, a stripe, a skirt."""
    image = Image.new("RGBA", (1024, 1024), (255, 255, 255, 255))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, 150, 1023, 560], (30, 34, 38, 0))
    rng = np.random.default_rng(241)
    for window in range(5):
        x0 = window * 205 + 10
        for i in range(12):
            glow = rng.uniform(0.96, 1.04) * (1 - 0.05 * i)
            ink = (int(96 * glow), int(112 * glow), int(122 * glow), 0)
            draw.rectangle([x0, 165 + i * 32, x0 + 186, 165 + (i + 1) * 32], ink)
        if rng.random() < 0.8:  # a passenger
            left = x0 + 40 + 80 * rng.random()
            draw.ellipse([left, 360, left + 54, 430], (58, 46, 40, 0))
            draw.rectangle([left - 20, 425, left + 74, 555], (52, 54, 66, 0))
    draw.rectangle([0, 640, 1023, 690], (245, 245, 245, 60))
    draw.rectangle([0, 900, 1023, 1023], (90, 90, 92, 60))
    return _halved(image)


def tarpaulin() -> Floats:
    """The side of a lorry: seams and straps on a cover."""
    image = Image.new("RGBA", (512, 512), (245, 245, 245, 255))
    draw = ImageDraw.Draw(image)
    for x in range(0, 512, 64):
        draw.rectangle([x, 0, x + 5, 511], (205, 205, 205, 255))
        draw.rectangle([x + 28, 440, x + 32, 500], (60, 60, 60, 0))
    draw.rectangle([0, 440, 511, 448], (170, 170, 170, 255))
    draw.rectangle([0, 486, 511, 511], (96, 96, 98, 0))
    draw.rectangle([120, 130, 392, 300], (250, 250, 250, 60))
    draw.rectangle([150, 170, 362, 200], (60, 80, 120, 0))
    draw.rectangle([150, 225, 300, 250], (150, 60, 50, 0))
    return _halved(image)


def spokes() -> Floats:
    """A bicycle's wheel: dark tyre, light rim, spokes before a grey ground."""
    image = Image.new("RGBA", (256, 256), (30, 30, 30, 0))
    draw = ImageDraw.Draw(image)
    draw.ellipse([14, 14, 241, 241], (176, 176, 178, 0))
    draw.ellipse([24, 24, 231, 231], (92, 92, 90, 0))
    for angle in np.linspace(0, np.pi, 12, endpoint=False):
        dx, dy = 106 * np.cos(angle), 106 * np.sin(angle)
        draw.line([128 - dx, 128 - dy, 128 + dx, 128 + dy], (170, 170, 172, 0), 3)
    return _halved(image)


def car_wheel() -> Floats:
    """Tyre and rim."""
    image = Image.new("RGBA", (256, 256), (26, 26, 27, 0))
    draw = ImageDraw.Draw(image)
    draw.ellipse([44, 44, 211, 211], (60, 60, 62, 0))
    for angle in np.linspace(0, 2 * np.pi, 5, endpoint=False):
        dx, dy = 78 * np.cos(angle), 78 * np.sin(angle)
        draw.line([128, 128, 128 + dx, 128 + dy], (178, 180, 184, 0), 26)
    draw.ellipse([44, 44, 211, 211], outline=(168, 170, 174, 0), width=12)
    return _halved(image)


def sign(kind: str) -> Callable[[], Floats]:
    """A painter of one traffic sign, 128 x 128; its outline is the face's polygon."""

    def paint() -> Floats:
        red, blue, white, black = (158, 22, 28, 0), (22, 70, 138, 0), (206, 206, 203, 0), (20,) * 3
        image = Image.new("RGBA", (256, 256), white)
        draw = ImageDraw.Draw(image)
        ink: Ink = (*black, 0)
        if kind == "limit":
            draw.rectangle([0, 0, 255, 255], red)
            draw.ellipse([38, 38, 217, 217], white)
            draw.rectangle([76, 90, 116, 104], ink)
            draw.rectangle([102, 90, 116, 168], ink)
            draw.rectangle([76, 124, 116, 136], ink)
            draw.rectangle([76, 156, 116, 168], ink)
            draw.rectangle([134, 90, 180, 168], outline=ink, width=14)
        elif kind == "stop":
            draw.rectangle([0, 0, 255, 255], red)
            draw.rectangle([40, 108, 216, 150], white)
        elif kind == "yield":
            draw.rectangle([0, 0, 255, 255], red)
            draw.polygon([(58, 40), (198, 40), (128, 176)], white)
        elif kind == "warning":
            draw.rectangle([0, 0, 255, 255], red)
            draw.polygon([(128, 62), (204, 214), (52, 214)], white)
            draw.rectangle([118, 110, 138, 170], ink)
            draw.rectangle([118, 182, 138, 200], ink)
        elif kind == "arrow":
            draw.rectangle([0, 0, 255, 255], blue)
            draw.polygon([(128, 40), (190, 120), (66, 120)], white)
            draw.rectangle([108, 110, 148, 214], white)
        elif kind == "priority":
            draw.rectangle([0, 0, 255, 255], white)
            draw.polygon([(128, 30), (226, 128), (128, 226), (30, 128)], (206, 158, 26, 0))
        elif kind == "crossing":
            draw.rectangle([10, 10, 245, 245], blue)
            draw.polygon([(128, 34), (222, 214), (34, 214)], white)
            draw.ellipse([114, 92, 140, 118], ink)
            draw.line([128, 118, 120, 160, 100, 200], ink, 12)
            draw.line([120, 160, 152, 200], ink, 12)
        else:  # a direction sign
            draw.rectangle([0, 0, 255, 255], (200, 160, 34, 0))
            draw.rectangle([24, 40, 232, 60], ink)
            for row in (90, 150, 200):
                draw.rectangle([40, row, 180, row + 26], ink)
                draw.polygon([(200, row + 26), (228, row + 26), (214, row - 4)], ink)
        return _halved(image)

    return paint
