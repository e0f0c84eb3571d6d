"""The ground, painted from below upwards, and what closes the view far away.

A face's rank is its place in the painting order.
"""

import numpy as np

from segnets.synthetic.faces import Builder, Color, Faces
from segnets.synthetic.street import (
    BUILDING,
    ROAD,
    SIDEWALK,
    SKY,
    TERRAIN,
    VEGETATION,
    Layout,
    Light,
    Street,
)
from segnets.synthetic.textures import atlas

KERB_M = 0.12
_WHITE: Color = (0.62, 0.62, 0.60)


class _Layers:
    """Adds flat strips and patches, each above those before."""

    def __init__(self, builder: Builder, street: Street) -> None:
        self.builder, self.street, self.rank = builder, street, 0

    def strip(
        self, s0: float, s1: float, t0: float, t1: float, y: float, texture: int, tile_m: float,
        tint: Color, label: int,
    ) -> None:  # fmt: skip
        """A band from s0 to s1 between t0 and t1, following the street."""
        near, far = min(max(s0, 60.0), s1), max(s0, min(s1, 60.0))
        places = np.unique(
            [s0, s1, *np.arange(s0, near, 1.5), *np.arange(far, s1, 5.0)]
            if s1 - s0 > 1
            else [s0, s1]
        )
        left = [self.street.point(float(s), t0, y) for s in places]
        right = [self.street.point(float(s), t1, y) for s in places]
        self.polygon(left + right[::-1], y, texture, tile_m, tint, label)

    def polygon(
        self, corners: list[tuple[float, float, float]], y: float, texture: int, tile_m: float,
        tint: Color, label: int,
    ) -> None:  # fmt: skip
        """Any flat polygon at height y with a texture that lies in world coordinates."""
        frame = ((0.0, y, 0.0), (tile_m, 0.0, 0.0), (0.0, 0.0, -tile_m))
        self.builder.face(corners, texture, tint, label, frame=frame, rank=self.rank)
        self.rank += 1

    def kerb(self, s0: float, s1: float, t: float, tint: Color) -> None:
        """The upright side of a raised pavement at t, facing the road."""
        for a in np.arange(s0, s1, 8.0):
            b = min(a + 8.0, s1)
            left, right = (b, a) if t > 0 else (a, b)
            corners = [
                self.street.point(left, t, KERB_M),
                self.street.point(right, t, KERB_M),
                self.street.point(right, t, 0),
                self.street.point(left, t, 0),
            ]
            self.builder.face(corners, atlas()["plain"], tint, SIDEWALK, rank=self.rank)
        self.rank += 1


def ground(rng: np.random.Generator, street: Street, layout: Layout, *, behind: float) -> Faces:
    """Meadow, road, side streets, pavements, rails, markings, manholes."""
    names = atlas()
    builder = Builder()
    layers = _Layers(builder, street)
    grey = float(rng.uniform(0.085, 0.16))
    warm = float(rng.uniform(0.94, 1.04))
    road: Color = (grey * warm, grey, grey * (2 - warm) * 1.03)
    pave_grey = float(rng.uniform(0.22, 0.36))
    pave: Color = (pave_grey * float(rng.uniform(1.0, 1.12)), pave_grey, pave_grey * 0.95)
    meadow: Color = (0.30, float(rng.uniform(0.33, 0.40)), 0.20)
    start, stop = -behind + 1, 300.0
    far = 900.0
    layers.polygon([(-far, 0, -80), (-far, 0, far), (far, 0, far), (far, 0, -80)], 0.0,
                   names["grass"], 6.0, meadow, TERRAIN)  # fmt: skip
    left, right = layout.curb(0), layout.curb(1)
    asphalt = names["asphalt"]
    layers.strip(start, stop, left, right, 0.0, asphalt, 5.0, road, ROAD)
    for s, width in layout.crossings:
        layers.strip(s - width / 2, s + width / 2, -140, 140, 0.0, asphalt, 5.0, road, ROAD)
    for _ in range(int(rng.integers(2, 7))):  # mended places
        s, t = float(rng.uniform(2, 60)), float(rng.uniform(left, right - 1.5))
        darker = float(rng.uniform(0.62, 0.85))
        tint: Color = (road[0] * darker, road[1] * darker, road[2] * darker)
        layers.strip(s, s + float(rng.uniform(2, 9)), t, t + float(rng.uniform(0.8, 2.4)), 0.0,
                     asphalt, 5.0, tint, ROAD)  # fmt: skip
    spans = _between(start, stop, layout.crossings)
    for side in (0, 1):
        sign = 1.0 if side else -1.0
        curb, border = layout.curb(side), layout.border(side)
        verge, parking = layout.verge[side], layout.parking[side]
        edge: Color = (pave_grey * 1.25, pave_grey * 1.24, pave_grey * 1.2)
        for a, b in spans:
            layers.strip(a, b, curb - sign * 0.35, curb, 0.0, names["plain"], 1.0,
                         (road[0] * 1.5, road[1] * 1.5, road[2] * 1.5), ROAD)  # gutter  # fmt: skip
            layers.kerb(a, b, curb, edge)
            layers.strip(a, b, curb, border, KERB_M, names["slabs"], 3.2, pave, SIDEWALK)
            layers.strip(
                a, b, curb, curb + sign * 0.18, KERB_M, names["plain"], 1.0, edge, SIDEWALK
            )
            if verge:
                layers.strip(a, b, curb + sign * 0.18, curb + sign * verge, KERB_M, names["grass"],
                             6.0, meadow, TERRAIN)  # fmt: skip
            if parking:
                inner = curb - sign * parking
                layers.strip(
                    a, b, inner, inner + sign * 0.11, 0.0, names["plain"], 1.0, _WHITE, ROAD
                )
    if layout.tram:
        for rail in (-0.72, 0.72):
            t = -layout.lane * 0.5 + rail
            layers.strip(start, stop, t - 0.16, t + 0.16, 0.0, names["plain"], 1.0,
                         (road[0] * 0.8, road[1] * 0.8, road[2] * 0.8), ROAD)  # fmt: skip
            layers.strip(start, stop, t - 0.045, t + 0.045, 0.0, names["plain"], 1.0,
                         (0.34, 0.34, 0.35), ROAD)  # fmt: skip
    _markings(rng, layers, layout, spans)
    for _ in range(int(rng.integers(2, 6))):  # manholes
        s, t = float(rng.uniform(5, 45)), float(rng.uniform(left + 1, right - 1))
        x, z = street.at(s, t)
        angle = np.linspace(0, 2 * np.pi, 18, endpoint=False)
        disc = [(x + 0.34 * float(np.cos(a)), 0.0, z + 0.34 * float(np.sin(a))) for a in angle]
        layers.polygon(disc, 0.0, names["concrete"], 0.6, (0.06, 0.06, 0.06), ROAD)
    return builder.faces()


def _between(
    start: float, stop: float, crossings: tuple[tuple[float, float], ...]
) -> list[tuple[float, float]]:
    """The stretches of the street between its side streets."""
    edges = [start]
    for s, width in sorted(crossings):
        edges += [s - width / 2, s + width / 2]
    edges.append(stop)
    return [(edges[i], edges[i + 1]) for i in range(0, len(edges), 2)]


def _markings(
    rng: np.random.Generator, layers: _Layers, layout: Layout,
    spans: list[tuple[float, float]],
) -> None:  # fmt: skip
    names = atlas()
    lane = layout.lane
    lanes_left, lanes_right = layout.lanes
    plain = names["plain"]
    wear = float(rng.uniform(0.6, 1.0))
    white: Color = (_WHITE[0] * wear, _WHITE[1] * wear, _WHITE[2] * wear)
    solid = rng.random() < 0.3
    for a, b in spans:
        for number in range(-lanes_left + 1, lanes_right):
            t = number * lane
            if number == 0 and solid:
                layers.strip(a, min(b, 160), t - 0.07, t + 0.07, 0.0, plain, 1.0, white, ROAD)
                continue
            s = a + 2.0
            while s + 3.2 < min(b, 130.0):
                layers.strip(s, s + 3.2, t - 0.07, t + 0.07, 0.0, plain, 1.0, white, ROAD)
                s += 8.0
    left, right = layout.curb(0), layout.curb(1)
    for s, width in layout.crossings[:1]:
        at = s - width / 2 - 4.5
        t = left + 0.5
        while t < right - 0.5:
            layers.strip(at, at + 4.0, t, t + 0.5, 0.0, plain, 1.0, white, ROAD)
            t += 1.0
        layers.strip(at - 1.6, at - 1.2, 0.1, right - 0.2, 0.0, plain, 1.0, white, ROAD)
    if rng.random() < 0.6:  # an arrow in our lane
        s, t = float(rng.uniform(9, 16)), lane * 0.5
        layers.strip(s, s + 3.0, t - 0.1, t + 0.1, 0.0, plain, 1.0, white, ROAD)
        head = [layers.street.point(s + 2.6, t - 0.45, 0.0), layers.street.point(s + 4.6, t, 0.0),
                layers.street.point(s + 2.6, t + 0.45, 0.0)]  # fmt: skip
        layers.polygon(head, 0.0, plain, 1.0, white, ROAD)


def backdrop(rng: np.random.Generator, light: Light, *, urban: float) -> Faces:
    """The sky, a far line of trees and, in town, far houses. Painted before everything else."""
    names = atlas()
    builder = Builder()
    overcast = light.overcast
    texture = names["overcast" if overcast else "clouds"]
    height, far, tile_m = 900.0, 60_000.0, 5200.0
    shift = rng.uniform(0, tile_m, 2)
    sky = [(-far, height, far), (far, height, far), (far, height, -50.0), (-far, height, -50.0)]
    frame = ((shift[0], height, shift[1]), (tile_m, 0, 0), (0, 0, tile_m))
    builder.face(sky, texture, light.blue, SKY, frame=frame, two_sided=True, glow=1.0)
    rank = 1
    for distance, low, high in ((420.0, 16.0, 40.0), (330.0, 9.0, 22.0)):
        angle = np.linspace(-1.35, 1.35, 90)
        tops = rng.uniform(low, high, 4)
        ridge = sum(
            tops[i] * 0.3 * np.sin(angle * (2.3 + 3.1 * i) + rng.uniform(0, 6.28)) for i in range(4)
        )
        tall = np.clip((low + high) / 2 + ridge + rng.normal(0, 0.6, 90), 4.0, None)
        tint: Color = (0.16, float(rng.uniform(0.20, 0.26)), 0.12)
        for i in range(89):
            a, b = angle[i], angle[i + 1]
            corners = [
                (distance * np.sin(a), tall[i], distance * np.cos(a)),
                (distance * np.sin(b), tall[i + 1], distance * np.cos(b)),
                (distance * np.sin(b), 0, distance * np.cos(b)),
                (distance * np.sin(a), 0, distance * np.cos(a)),
            ]
            builder.face(corners, names["leaves"], tint, VEGETATION, rank=rank, two_sided=True,
                         tiles=(1.0, float(tall[i]) / 11.0), at=(0.37 * i, 0.0))  # fmt: skip
        rank += 1
    for _ in range(int(26 * urban)):
        angle_at, distance = float(rng.uniform(-0.7, 0.7)), float(rng.uniform(240, 320))
        half, tall_m = float(rng.uniform(7, 16)), float(rng.uniform(9, 30))
        x, z = distance * np.sin(angle_at), distance * np.cos(angle_at)
        across = np.array([np.cos(angle_at), 0, -np.sin(angle_at)]) * half
        base = np.array([x, 0.0, z])
        up = np.array([0.0, tall_m, 0.0])
        grey = float(rng.uniform(0.25, 0.55))
        builder.face([base - across + up, base + across + up, base + across, base - across],
                     names["flats"], (grey, grey * 0.95, grey * 0.85), BUILDING,
                     tiles=(half / 6, tall_m / 12), rank=rank, two_sided=True)  # fmt: skip
    return builder.faces()
