"""Shadows and stains on the ground: a map of how much light arrives, in world coordinates.

What stands still is drawn once a scene, what moves once a frame. Without sun only the soft dark
under things remains.
"""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from segnets.synthetic.patterns import Floats, noise
from segnets.synthetic.street import Mover, Scene

PIXELS_PER_M = 8
_HALF_WIDTH_M = 30.0
_AHEAD_M = 80.0
Corners = list[tuple[float, float]]


class ShadowMap:
    """The light on the ground of one scene; `at(time)` gives the map (rows: z, columns: x)."""

    def __init__(self, scene: Scene, past_s: float) -> None:
        self.scene = scene
        self.x0, self.z0 = -_HALF_WIDTH_M, -8.0 - math.ceil(scene.speed * past_s)
        self.size = (
            int(2 * _HALF_WIDTH_M * PIXELS_PER_M),
            int((_AHEAD_M - self.z0) * PIXELS_PER_M),
        )
        light = scene.light
        slope = np.array([light.sun[0], light.sun[2]]) / max(light.sun[1], 0.2)
        self.reach = -slope  # where the shadow of a point 1 m high falls
        direct = float(light.sun_color.mean()) * float(light.sun[1])
        sky = float(light.sky_color.mean())
        self.dark = sky / (sky + direct)
        self._sun = self._static_sun()
        self._stain = self._stains()

    def at(self, time: float) -> Floats:
        """Share of the full light at each place, float32 0..1."""
        sun = self._sun.copy()
        under = Image.new("L", self.size, 255)
        draw_sun, draw_under = ImageDraw.Draw(sun), ImageDraw.Draw(under)
        for mover in self.scene.movers:
            base = self._base(mover, time, 1.0)
            if not self.scene.light.overcast:
                self._cast(draw_sun, base, mover.size[2] * 0.9)
            draw_under.polygon(self._pixels(self._base(mover, time, 0.96)), fill=70)
        under = under.filter(ImageFilter.BoxBlur(2))
        both = np.asarray(sun, np.float32)
        light = self.dark + (1.0 - self.dark) / 255.0 * both
        light *= np.asarray(under, np.float32) / np.float32(255)
        light *= self._stain
        result: Floats = light.astype(np.float32, copy=False)
        return result

    def _pixels(self, points: Corners) -> list[tuple[float, float]]:
        return [((x - self.x0) * PIXELS_PER_M, (z - self.z0) * PIXELS_PER_M) for x, z in points]

    def _base(self, mover: Mover, time: float, share: float) -> Corners:
        s, t = mover.s + mover.speed * time, mover.t + mover.drift * time
        x, z = self.scene.street.at(s, t)
        yaw = self.scene.street.yaw(s) + mover.yaw
        sin, cos = np.sin(yaw), np.cos(yaw)
        a, b = mover.size[0] / 2 * share, mover.size[1] / 2 * share
        return [
            (x + u * cos + v * sin, z - u * sin + v * cos)
            for u, v in ((-a, -b), (a, -b), (a, b), (-a, b))
        ]

    def _cast(self, draw: ImageDraw.ImageDraw, base: Corners, height: float) -> None:
        dx, dz = self.reach * height
        top = [(x + dx, z + dz) for x, z in base]
        for i in range(4):
            j = (i + 1) % 4
            draw.polygon(self._pixels([base[i], base[j], top[j], top[i]]), fill=0)
        draw.polygon(self._pixels(top), fill=0)

    def _static_sun(self) -> Image.Image:
        scene, street = self.scene, self.scene.street
        image = Image.new("L", self.size, 255)
        if scene.light.overcast:
            return image
        draw = ImageDraw.Draw(image)
        rng = np.random.default_rng([*scene.seed, 4])
        for thing in scene.things:
            s0, s1, t0, t1 = thing.box
            if s0 > _AHEAD_M + 30:
                continue
            base = [street.at(s0, t0), street.at(s0, t1), street.at(s1, t1), street.at(s1, t0)]
            self._cast(draw, base, thing.height)
            for crown in thing.crowns:
                x, y, z = crown.center
                cx, cz = x + self.reach[0] * y, z + self.reach[1] * y
                for _ in range(26):  # a crown's shadow is a crowd of patches
                    ox, oz = rng.normal(0, 0.45 * crown.half_width, 2)
                    r = float(rng.uniform(0.25, 0.6)) * crown.half_width * 0.5
                    a, b = self._pixels([(cx + ox - r, cz + oz - r), (cx + ox + r, cz + oz + r)])
                    draw.ellipse([a, b], fill=0)
        return image.filter(ImageFilter.GaussianBlur(1.1))

    def _stains(self) -> NDArray[np.float32]:
        rng = np.random.default_rng([*self.scene.seed, 5])
        field = noise(512, 1.3, 171)
        shift = int(rng.integers(512)) + int(self.z0) * PIXELS_PER_M  # stays put in the world
        rows = (np.arange(self.size[1]) + shift) % 512
        columns = (np.arange(self.size[0]) + int(rng.integers(512))) % 512
        result: Floats = (1.0 + 0.05 * field[rows[:, None], columns[None, :]]).astype(np.float32)
        return result
