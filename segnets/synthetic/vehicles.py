"""Lorries, buses, trams, bicycles and motorcycles as faces.

Each stands on y = 0 with its middle at x = z = 0 and looks along +z. Colours are linear light.
"""

import numpy as np

from segnets.synthetic.cars import DARK, LAMP, PAINTS, RED, TYRE, disc, wheel
from segnets.synthetic.faces import Builder, Color, Faces
from segnets.synthetic.street import BICYCLE, BUS, MOTORCYCLE, TRAIN, TRUCK
from segnets.synthetic.textures import atlas


def truck(rng: np.random.Generator) -> tuple[Faces, float, float, float]:
    """A lorry with a covered or a box body: faces, width, length, height."""
    names = atlas()
    width, length, height = 2.45, float(rng.uniform(6.8, 9.0)), float(rng.uniform(3.2, 3.7))
    cab_paint = PAINTS[int(rng.integers(len(PAINTS)))]
    covers: tuple[Color, ...] = (
        (0.62, 0.62, 0.60), (0.10, 0.22, 0.42), (0.46, 0.10, 0.06), (0.55, 0.44, 0.10),
        (0.12, 0.28, 0.16), (0.70, 0.70, 0.68),
    )  # fmt: skip
    cover = covers[int(rng.integers(len(covers)))]
    builder = Builder()
    rear, front, half = -length / 2, length / 2, width / 2
    body_front = front - 2.1
    tarp, metal = names["tarpaulin"], names["metal"]
    builder.box((-half + 0.15, 0.55, rear + 0.2), (half - 0.15, 1.0, front - 0.2), names["plain"],
                DARK, TRUCK, rank=-1)  # fmt: skip
    builder.box((-half, 1.0, rear), (half, height, body_front), tarp, cover, TRUCK, tile_m=2.7)
    doors = [(-half, height, rear - 0.01), (half, height, rear - 0.01)]
    doors += [(half, 1.0, rear - 0.01), (-half, 1.0, rear - 0.01)]
    builder.face(doors, metal, cover, TRUCK, rank=1)
    for x in (-half + 0.06, -0.05, 0.05, half - 0.1):
        builder.face([(x, height - 0.1, rear - 0.02), (x + 0.05, height - 0.1, rear - 0.02),
                      (x + 0.05, 1.1, rear - 0.02), (x, 1.1, rear - 0.02)],
                     names["plain"], (0.25, 0.25, 0.25), TRUCK, rank=2)  # fmt: skip
    builder.face([(-half, 0.98, rear - 0.02), (half, 0.98, rear - 0.02), (half, 0.84, rear - 0.02),
                  (-half, 0.84, rear - 0.02)], names["plain"], (0.30, 0.30, 0.30), TRUCK, rank=2)  # fmt: skip
    for sign in (-1.0, 1.0):
        x = sign * (half - 0.25)
        builder.face([(x - 0.18, 0.82, rear - 0.03), (x + 0.18, 0.82, rear - 0.03),
                      (x + 0.18, 0.68, rear - 0.03), (x - 0.18, 0.68, rear - 0.03)],
                     names["plain"], RED, TRUCK, rank=3, glow=0.25)  # fmt: skip
        builder.box((x - 0.22, 0.0, rear + 0.9), (x + 0.22, 0.9, rear + 1.7), names["plain"], TYRE,
                    TRUCK, rank=-2)  # fmt: skip
        for z in (rear + 1.3, rear + 2.3, front - 1.1):
            wheel(builder, sign, half, z, 0.48, TRUCK)
    cab_top = min(height - 0.35, 2.95)
    builder.box((-half, 0.5, body_front + 0.12), (half, cab_top, front), metal, cab_paint, TRUCK,
                tile_m=cab_top)  # fmt: skip
    f = front + 0.012
    builder.face([(half - 0.12, cab_top - 0.25, f), (-half + 0.12, cab_top - 0.25, f),
                  (-half + 0.12, 1.62, f), (half - 0.12, 1.62, f)],
                 names["glass"], cab_paint, TRUCK, rank=2)  # fmt: skip
    builder.face([(half - 0.4, 1.3, f), (-half + 0.4, 1.3, f), (-half + 0.4, 0.8, f),
                  (half - 0.4, 0.8, f)], names["plain"], DARK, TRUCK, rank=2)  # fmt: skip
    for sign in (-1.0, 1.0):
        x, z0, z1 = sign * (half + 0.012), front - 1.25, front - 0.15
        window = [(x, cab_top - 0.25, z0), (x, cab_top - 0.25, z1), (x, 1.62, z1), (x, 1.62, z0)]
        if sign < 0:
            window = [window[1], window[0], window[3], window[2]]
        builder.face(window, names["glass"], cab_paint, TRUCK, rank=2)
        builder.face([(sign * (half - 0.1) + 0.2, 0.78, f), (sign * (half - 0.1) - 0.2, 0.78, f),
                      (sign * (half - 0.1) - 0.2, 0.62, f), (sign * (half - 0.1) + 0.2, 0.62, f)],
                     names["plain"], LAMP, TRUCK, rank=3, glow=0.3)  # fmt: skip
    return builder.faces(), width, length, height


def _coach(
    builder: Builder, z0: float, z1: float, width: float, height: float, paint: Color, label: int,
    *, front: bool, rear: bool, stripe: Color,
) -> None:  # fmt: skip
    """One section of a bus or tram from z0 to z1; windows all round."""
    names = atlas()
    half, low = width / 2, 0.28
    side, length = names["bus_side"], z1 - z0
    tiles = max(1.0, round(length / 6.5))
    for sign in (-1.0, 1.0):
        x = sign * half
        wall = [(x, height, z0), (x, height, z1), (x, low, z1), (x, low, z0)]
        if sign < 0:
            wall = [wall[1], wall[0], wall[3], wall[2]]
        builder.face(wall, side, paint, label, tiles=(tiles, 1))
    builder.face([(-half, height, z1), (half, height, z1), (half, height, z0), (-half, height, z0)],
                 names["plain"], (0.45, 0.45, 0.46), label)  # fmt: skip
    for z, facing in ((z0, 1.0), (z1, -1.0)):
        end = [(-facing * half, height, z), (facing * half, height, z)]
        end += [(facing * half, low, z), (-facing * half, low, z)]
        builder.face(end, names["metal"], paint, label)
        if not (rear if facing > 0 else front):
            continue
        out = z - facing * 0.015

        def panel(
            x: float, top: float, bottom: float, texture: int, tint: Color, rank: int, glow: float,
            facing: float = facing, out: float = out, middle: float = 0.0,
        ) -> None:  # fmt: skip
            corners = [(middle - facing * x, top, out), (middle + facing * x, top, out)]
            corners += [(middle + facing * x, bottom, out), (middle - facing * x, bottom, out)]
            builder.face(corners, texture, tint, label, rank=rank, glow=glow)

        behind = facing > 0
        sill = 1.75 if behind and label == BUS else 1.30
        panel(half - 0.12, height - 0.42, sill, names["glass"], paint, 2, 0.0)
        if sill > 1.5:  # the engine's lid
            panel(0.8, 1.45, 0.80, names["plain"], DARK, 2, 0.0)
        panel(half - 0.5, height - 0.08, height - 0.36, names["plain"], DARK, 2, 0.0)
        panel(half - 0.7, height - 0.14, height - 0.30, names["plain"], (0.75, 0.42, 0.05), 3, 0.8)
        panel(half, 0.62, low, names["plain"], stripe, 2, 0.0)
        lamp = RED if facing > 0 else LAMP
        for side_x in (-half + 0.28, half - 0.28):
            panel(0.17, 0.92, 0.74, names["plain"], lamp, 3, 0.35, middle=side_x)


def bus(rng: np.random.Generator) -> tuple[Faces, float, float, float]:
    """A city bus: faces, width, length, height."""
    paints: tuple[Color, ...] = ((0.60, 0.06, 0.04), (0.72, 0.52, 0.05), (0.66, 0.66, 0.62),
                                 (0.06, 0.20, 0.46), (0.10, 0.36, 0.20))  # fmt: skip
    paint = paints[int(rng.integers(len(paints)))]
    width, length, height = 2.5, 11.6, 3.0
    builder = Builder()
    _coach(builder, -length / 2, length / 2, width, height, paint, BUS, front=True, rear=True,
           stripe=(0.05, 0.05, 0.055))  # fmt: skip
    for sign in (-1.0, 1.0):
        for z in (-length / 2 + 2.9, length / 2 - 2.7):
            wheel(builder, sign, width / 2, z, 0.48, BUS)
        x = sign * (width / 2 - 0.3)
        for z in (-length / 2 + 0.3, length / 2 - 0.3):
            builder.box((x - 0.2, 0.0, z - 0.1), (x + 0.2, 0.4, z + 0.1), atlas()["plain"], TYRE,
                        BUS, rank=-1)  # fmt: skip
    return builder.faces(), width, length, height


def tram(rng: np.random.Generator) -> tuple[Faces, float, float, float]:
    """A tram of three sections with a pantograph: faces, width, length, height."""
    paints: tuple[Color, ...] = ((0.62, 0.60, 0.52), (0.55, 0.07, 0.05), (0.10, 0.30, 0.42),
                                 (0.62, 0.50, 0.08))  # fmt: skip
    paint = paints[int(rng.integers(len(paints)))]
    width, height, section = 2.4, 3.35, 8.0
    builder = Builder()
    length = 3 * section + 1.2
    for number in range(3):
        z0 = -length / 2 + number * (section + 0.6)
        _coach(builder, z0, z0 + section, width, height, paint, TRAIN, front=number == 2,
               rear=number == 0, stripe=(0.10, 0.10, 0.11))  # fmt: skip
        builder.box((-width / 2 + 0.2, 0.05, z0 + 1), (width / 2 - 0.2, 0.30, z0 + section - 1),
                    atlas()["plain"], DARK, TRAIN, rank=-1)  # fmt: skip
        if number < 2:
            gap = z0 + section
            builder.box((-width / 2 + 0.12, 0.4, gap), (width / 2 - 0.12, height - 0.15, gap + 0.6),
                        atlas()["plain"], (0.05, 0.05, 0.05), TRAIN, rank=-1)  # fmt: skip
    for sign in (-1.0, 1.0):
        builder.rod((sign * 0.5, height, -0.5), (sign * 0.4, height + 0.75, 0.6), 0.05, DARK, TRAIN)
        builder.rod((sign * 0.4, height + 0.75, 0.6), (sign * 0.6, height + 1.4, -0.3), 0.05, DARK,
                    TRAIN)  # fmt: skip
    builder.rod((-0.8, height + 1.42, -0.3), (0.8, height + 1.42, -0.3), 0.05, DARK, TRAIN)
    return builder.faces(), width, length, height


def two_wheeler(builder: Builder, paint: Color, *, motor: bool) -> None:
    """A bicycle or, with `motor`, a motorcycle; the rider is added by `people.ride`."""
    names = atlas()
    label = MOTORCYCLE if motor else BICYCLE
    radius, wheelbase = (0.32, 1.38) if motor else (0.35, 1.06)
    half = 0.07 if motor else 0.025
    for z in (-wheelbase / 2, wheelbase / 2):
        for sign in (-1.0, 1.0):
            frame = (
                (sign * half, 2 * radius, z - sign * radius), (0, 0, sign * 2 * radius),
                (0, -2 * radius, 0),
            )  # fmt: skip
            texture = "car_wheel" if motor else "spokes"
            builder.face(disc(sign * half, radius, z, radius, sign), names[texture], TYRE, label,
                         frame=frame)  # fmt: skip
        builder.rod((0, 0.06, z), (0, 2 * radius - 0.06, z), half * 1.3, TYRE, label)
    bar_z = wheelbase / 2 - 0.28
    if motor:
        builder.box((-0.17, 0.30, -0.42), (0.17, 0.70, 0.36), names["metal"], (0.06, 0.06, 0.065),
                    label, tile_m=0.5)  # fmt: skip
        builder.rod((0, 0.86, 0.38), (0, 0.80, -0.12), (0.19, 0.15), paint, label, rank=1)
        builder.rod((0, 0.84, -0.15), (0, 0.88, -0.78), (0.15, 0.10), DARK, label, rank=1)
        builder.rod((-0.05, 0.80, -0.84), (0.05, 0.80, -0.84), 0.055, RED, label, rank=1, glow=0.2)
        builder.rod((0, 0.84, -0.74), (0, 0.62, -0.92), (0.10, 0.05), DARK, label)
        builder.rod((0, 1.02, bar_z - 0.02), (0, 0.40, wheelbase / 2), 0.07, (0.3, 0.3, 0.3), label)
        builder.rod((0, 0.96, bar_z + 0.16), (0, 0.96, bar_z + 0.20), 0.12, LAMP, label, glow=0.4)
        builder.rod((-0.38, 1.06, bar_z), (0.38, 1.06, bar_z), 0.04, DARK, label)
        builder.rod((0.16, 0.32, 0.1), (0.17, 0.36, -0.7), 0.05, (0.22, 0.22, 0.22), label)
    else:
        hub, seat, head = (0, 0.30, -0.04), (0, 0.86, -0.20), (0, 0.84, bar_z)
        for start, end in ((hub, seat), (seat, head), (hub, head), (seat, (0, 0.35, -0.53)),
                           (hub, (0, 0.35, -0.53)), ((0, 1.02, bar_z - 0.03), (0, 0.35, 0.53))):  # fmt: skip
            builder.rod(start, end, 0.028, paint, label)
        builder.rod((0, 0.92, -0.30), (0, 0.94, -0.06), 0.06, DARK, label)
        builder.rod((-0.30, 1.04, bar_z - 0.04), (0.30, 1.04, bar_z - 0.04), 0.025, DARK, label)
        builder.rod((0, 0.78, -0.36), (0, 0.74, -0.36), 0.035, RED, label, glow=0.3)
