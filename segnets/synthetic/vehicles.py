"""Vehicles as faces: cars, trucks, buses, trams, bicycles, motorcycles.

Each stands on y = 0 with its middle at x = z = 0 and looks along +z. Colours are linear light.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segnets.synthetic.faces import Builder, Color, Faces
from segnets.synthetic.textures import atlas

PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE = 24, 25, 26, 27, 28, 31, 32, 33

PAINTS: tuple[Color, ...] = (
    (0.62, 0.63, 0.65),
    (0.30, 0.31, 0.33),
    (0.035, 0.037, 0.042),
    (0.75, 0.75, 0.74),
    (0.10, 0.11, 0.13),
    (0.42, 0.028, 0.025),
    (0.03, 0.07, 0.22),
    (0.05, 0.14, 0.30),
    (0.30, 0.26, 0.18),
    (0.04, 0.12, 0.07),
    (0.55, 0.30, 0.03),
)
_TYRE: Color = (0.012, 0.012, 0.013)
_DARK: Color = (0.020, 0.020, 0.022)
_RED: Color = (0.50, 0.012, 0.010)
_LAMP: Color = (0.85, 0.85, 0.80)
_PLATE: Color = (0.75, 0.75, 0.70)


@dataclass(frozen=True)
class Shape:
    """A car's profile in metres: z from the rear to the front, heights above the road."""

    length: float
    width: float
    belt: float  # lower edge of the windows
    roof: float
    hood: float  # height of the bonnet's front edge
    rear_glass: tuple[float, float]  # z of the rear window's lower and upper edge, from the rear
    front_glass: tuple[float, float]  # z of the windscreen's lower and upper edge, from the front
    deck: float  # height of the boot's rear edge


SHAPES: tuple[Shape, ...] = (
    Shape(4.0, 1.76, 0.92, 1.48, 0.74, (0.12, 0.55), (1.05, 1.80), 0.92),  # hatchback
    Shape(4.7, 1.84, 0.92, 1.44, 0.72, (0.70, 1.45), (1.30, 2.10), 0.96),  # saloon
    Shape(4.7, 1.84, 0.94, 1.50, 0.74, (0.15, 0.62), (1.25, 2.00), 0.94),  # estate
    Shape(4.5, 1.90, 1.06, 1.70, 0.92, (0.14, 0.50), (1.10, 1.75), 1.06),  # off-road
    Shape(4.9, 1.94, 1.12, 1.98, 0.95, (0.06, 0.16), (0.75, 1.45), 1.12),  # van
)


def car(rng: np.random.Generator) -> tuple[Faces, float, float, float]:
    """A car of random shape and paint: faces, width, length, height."""
    shape = SHAPES[int(rng.choice(5, p=[0.34, 0.22, 0.16, 0.18, 0.10]))]
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    builder = Builder()
    _car_body(builder, shape, paint)
    return builder.faces(), shape.width, shape.length, shape.roof


def _car_body(builder: Builder, shape: Shape, paint: Color) -> None:
    names = atlas()
    metal, glass = names["metal"], names["glass"]
    half, rear, front = shape.width / 2, -shape.length / 2, shape.length / 2
    sill = 0.24
    z0, z1 = rear + shape.rear_glass[0], rear + shape.rear_glass[1]
    z3, z2 = front - shape.front_glass[0], front - shape.front_glass[1]
    base, top = half * 0.95, half * 0.74
    darker: Color = (paint[0] * 0.72, paint[1] * 0.72, paint[2] * 0.72)
    # Sides: one polygon from the rear bumper over the belt line to the bonnet.
    outline = [
        (sill, rear + 0.10), (0.50, rear), (shape.deck - 0.06, rear + 0.03),
        (shape.deck, z0), (shape.belt, z3), (shape.hood, front - 0.16),
        (0.52, front), (sill, front - 0.08),
    ]  # fmt: skip
    for sign in (-1.0, 1.0):
        x = sign * half
        points = [(x, y, z) for y, z in outline]
        if sign < 0:  # seen from the left, the front is at the left
            points.reverse()
        frame = ((x, shape.belt, 0.0), (0.0, 0.0, sign * shape.length), (0.0, -shape.belt, 0.0))
        builder.face(points, metal, paint, CAR, frame=frame)
        for z in (rear + 0.78, front - 0.86):
            _wheel(builder, sign, half, z, 0.33, CAR)
        # Side windows lean inwards.
        low, high = shape.belt, shape.roof - 0.05
        window = [(sign * top, high, z1), (sign * top, high, z2), (sign * base, low, z3 - 0.12)]
        window.append((sign * base, low, z0 + 0.12))
        if sign < 0:
            window = [window[1], window[0], window[3], window[2]]
        builder.face(window, glass, paint, CAR, rank=1)
        for z in (z1 + 0.46 * (z2 - z1), z1 + 0.04 * (z2 - z1)):  # pillars
            low_z = z0 + 0.16 + (z - z1) / (z2 - z1) * (z3 - z0 - 0.3)
            pillar = [
                (sign * top, high, z), (sign * top, high, z + 0.09),
                (sign * base, low, low_z + 0.09), (sign * base, low, low_z),
            ]  # fmt: skip
            builder.face(pillar if sign > 0 else pillar[::-1], metal, darker, CAR, rank=2)
        mirror = [(x, low + 0.16, z3 - 0.25), (x + sign * 0.18, low + 0.16, z3 - 0.25)]
        mirror += [(x + sign * 0.18, low, z3 - 0.25), (x, low, z3 - 0.25)]
        builder.face(mirror, metal, darker, CAR, rank=2, two_sided=True)

    def across(
        near: tuple[float, float, float], far: tuple[float, float, float], texture: int,
        tint: Color, rank: int = 0,
    ) -> None:  # fmt: skip
        """A face over the car's width from one (half width, y, z) to another, seen from `near`."""
        (w0, y0, a), (w1, y1, b) = near, far
        corners = [(-w1, y1, b), (w1, y1, b), (w0, y0, a), (-w0, y0, a)]
        builder.face(corners, texture, tint, CAR, rank=rank)

    def backwards(
        near: tuple[float, float, float], far: tuple[float, float, float], texture: int,
        tint: Color, rank: int = 0,
    ) -> None:  # fmt: skip
        (w0, y0, a), (w1, y1, b) = near, far
        corners = [(w1, y1, b), (-w1, y1, b), (-w0, y0, a), (w0, y0, a)]
        builder.face(corners, texture, tint, CAR, rank=rank)

    # From behind: bumper, boot, rear window, roof; from the front the same way round.
    across((half, sill, rear + 0.10), (half, 0.50, rear), metal, _DARK)
    across((half, 0.50, rear), (half, shape.deck - 0.06, rear + 0.03), metal, paint)
    across((half, shape.deck - 0.06, rear + 0.03), (base, shape.belt, z0), metal, paint)
    across((base, shape.belt, z0), (top, shape.roof - 0.04, z1), metal, darker)
    inset = 0.06
    across(
        (base - inset, shape.belt + 0.03, z0 + 0.03), (top - inset, shape.roof - 0.10, z1 - 0.03),
        glass, paint, rank=1,
    )  # fmt: skip
    across((top, shape.roof - 0.04, z1), (top, shape.roof, (z1 + z2) / 2), names["plain"], paint)
    across((top, shape.roof, (z1 + z2) / 2), (top, shape.roof - 0.03, z2), names["plain"], paint)
    backwards((half, sill, front - 0.08), (half, 0.52, front), metal, _DARK)
    backwards((half, 0.52, front), (half, shape.hood, front - 0.16), metal, paint)
    backwards((half, shape.hood, front - 0.16), (base, shape.belt, z3), names["plain"], paint)
    backwards((base, shape.belt, z3), (top, shape.roof - 0.04, z2), metal, darker)
    backwards(
        (base - inset, shape.belt + 0.03, z3 - 0.02), (top - inset, shape.roof - 0.09, z2 + 0.03),
        glass, paint, rank=1,
    )  # fmt: skip
    # Pieces set on front and rear.
    r, f = rear - 0.012, front + 0.012
    lamp_y = min(shape.deck - 0.12, 0.86)
    for sign in (-1.0, 1.0):
        inner, outer = sign * (half - 0.36), sign * (half - 0.03)
        left, right = min(inner, outer), max(inner, outer)
        tail = [(left, lamp_y, r + 0.02), (right, lamp_y, r + 0.02)]
        tail += [(right, lamp_y - 0.17, r + 0.01), (left, lamp_y - 0.17, r + 0.01)]
        builder.face(tail, names["plain"], _RED, CAR, rank=2, glow=0.25)
        head = [(right, 0.70, f - 0.06), (left, 0.70, f - 0.06), (left, 0.56, f), (right, 0.56, f)]
        builder.face(head, names["plain"], _LAMP, CAR, rank=2, glow=0.3)
        for z, facing in ((rear + 0.50, 1), (front - 0.55, -1)):  # tyres seen from the end
            tyre = [(right - 0.02, 0.26, z), (left + 0.12, 0.26, z)]
            tyre += [(left + 0.12, 0.0, z), (right - 0.02, 0.0, z)]
            builder.face(tyre[::facing], names["plain"], _TYRE, CAR, rank=-1, two_sided=True)
    plate = [(-0.26, 0.62, r), (0.26, 0.62, r), (0.26, 0.50, r), (-0.26, 0.50, r)]
    builder.face(plate, names["plain"], _PLATE, CAR, rank=2)
    plate = [(0.26, 0.46, f), (-0.26, 0.46, f), (-0.26, 0.34, f), (0.26, 0.34, f)]
    builder.face(plate, names["plain"], _PLATE, CAR, rank=2)
    grille = [(0.42, 0.66, f), (-0.42, 0.66, f), (-0.38, 0.52, f + 0.01), (0.38, 0.52, f + 0.01)]
    builder.face(grille, names["plain"], _DARK, CAR, rank=2)
    floor = [(-half + 0.1, 0.26, rear + 0.4), (half - 0.1, 0.26, rear + 0.4)]
    floor += [(half - 0.1, 0.10, rear + 0.4), (-half + 0.1, 0.10, rear + 0.4)]
    builder.face(floor, names["plain"], _DARK, CAR, rank=-2, two_sided=True)


def _disc(x: float, y: float, z: float, radius: float, sign: float, corners: int = 16) -> NDArray:  # type: ignore[type-arg]
    """The corners of a wheel in the plane of constant x, seen from the side `sign`."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.stack(
        [np.full(corners, x), y + radius * np.cos(angle), z + sign * radius * np.sin(angle)], axis=1
    )


def _wheel(
    builder: Builder, sign: float, half: float, z: float, radius: float, label: int,
    texture: str = "car_wheel",
) -> None:  # fmt: skip
    names = atlas()
    x = sign * (half + 0.012)
    arch = _disc(x - sign * 0.004, radius, z, radius * 1.14, sign)
    builder.face(arch[[14, 15, 0, 1, 2, 3, 4, 12, 13]][[0, 1, 2, 3, 4, 5, 6, 7, 8]],
                 names["plain"], _DARK, label, rank=3,
                 frame=((x, radius, z), (0, 0, sign), (0, -1, 0)))  # fmt: skip
    frame = ((x, 2 * radius, z - sign * radius), (0, 0, sign * 2 * radius), (0, -2 * radius, 0))
    builder.face(
        _disc(x, radius, z, radius, sign), names[texture], _TYRE, label, rank=4, frame=frame
    )


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
                _DARK, TRUCK, rank=-1)  # fmt: skip
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
                     names["plain"], _RED, TRUCK, rank=3, glow=0.25)  # fmt: skip
        builder.box((x - 0.22, 0.0, rear + 0.9), (x + 0.22, 0.9, rear + 1.7), names["plain"], _TYRE,
                    TRUCK, rank=-2)  # fmt: skip
        for z in (rear + 1.3, rear + 2.3, front - 1.1):
            _wheel(builder, sign, half, z, 0.48, TRUCK)
    cab_top = min(height - 0.35, 2.95)
    builder.box((-half, 0.5, body_front + 0.12), (half, cab_top, front), metal, cab_paint, TRUCK,
                tile_m=cab_top)  # fmt: skip
    f = front + 0.012
    builder.face([(half - 0.12, cab_top - 0.25, f), (-half + 0.12, cab_top - 0.25, f),
                  (-half + 0.12, 1.62, f), (half - 0.12, 1.62, f)],
                 names["glass"], cab_paint, TRUCK, rank=2)  # fmt: skip
    builder.face([(half - 0.4, 1.3, f), (-half + 0.4, 1.3, f), (-half + 0.4, 0.8, f),
                  (half - 0.4, 0.8, f)], names["plain"], _DARK, TRUCK, rank=2)  # fmt: skip
    for sign in (-1.0, 1.0):
        x, z0, z1 = sign * (half + 0.012), front - 1.25, front - 0.15
        window = [(x, cab_top - 0.25, z0), (x, cab_top - 0.25, z1), (x, 1.62, z1), (x, 1.62, z0)]
        if sign < 0:
            window = [window[1], window[0], window[3], window[2]]
        builder.face(window, names["glass"], cab_paint, TRUCK, rank=2)
        builder.face([(sign * (half - 0.1) + 0.2, 0.78, f), (sign * (half - 0.1) - 0.2, 0.78, f),
                      (sign * (half - 0.1) - 0.2, 0.62, f), (sign * (half - 0.1) + 0.2, 0.62, f)],
                     names["plain"], _LAMP, TRUCK, rank=3, glow=0.3)  # fmt: skip
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

        panel(half - 0.12, height - 0.42, 1.30, names["glass"], paint, 2, 0.0)
        panel(half - 0.5, height - 0.08, height - 0.36, names["plain"], _DARK, 2, 0.0)
        panel(half - 0.7, height - 0.14, height - 0.30, names["plain"], (0.75, 0.42, 0.05), 3, 0.8)
        panel(half, 0.62, low, names["plain"], stripe, 2, 0.0)
        lamp = _RED if facing > 0 else _LAMP
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
            _wheel(builder, sign, width / 2, z, 0.48, BUS)
        x = sign * (width / 2 - 0.3)
        for z in (-length / 2 + 0.3, length / 2 - 0.3):
            builder.box((x - 0.2, 0.0, z - 0.1), (x + 0.2, 0.4, z + 0.1), atlas()["plain"], _TYRE,
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
                    atlas()["plain"], _DARK, TRAIN, rank=-1)  # fmt: skip
        if number < 2:
            gap = z0 + section
            builder.box((-width / 2 + 0.12, 0.4, gap), (width / 2 - 0.12, height - 0.15, gap + 0.6),
                        atlas()["plain"], (0.05, 0.05, 0.05), TRAIN, rank=-1)  # fmt: skip
    for sign in (-1.0, 1.0):
        builder.rod(
            (sign * 0.5, height, -0.5), (sign * 0.4, height + 0.75, 0.6), 0.05, _DARK, TRAIN
        )
        builder.rod((sign * 0.4, height + 0.75, 0.6), (sign * 0.6, height + 1.4, -0.3), 0.05, _DARK,
                    TRAIN)  # fmt: skip
    builder.rod((-0.8, height + 1.42, -0.3), (0.8, height + 1.42, -0.3), 0.05, _DARK, TRAIN)
    return builder.faces(), width, length, height


def two_wheeler(builder: Builder, motor: bool, paint: Color) -> None:
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
            builder.face(_disc(sign * half, radius, z, radius, sign), names[texture], _TYRE, label,
                         frame=frame)  # fmt: skip
        builder.rod((0, 0.06, z), (0, 2 * radius - 0.06, z), half * 1.3, _TYRE, label)
    bar_z = wheelbase / 2 - 0.28
    if motor:
        builder.box((-0.17, 0.30, -0.42), (0.17, 0.70, 0.36), names["metal"], (0.06, 0.06, 0.065),
                    label, tile_m=0.5)  # fmt: skip
        builder.rod((0, 0.86, 0.38), (0, 0.80, -0.12), (0.19, 0.15), paint, label, rank=1)
        builder.rod((0, 0.84, -0.15), (0, 0.88, -0.78), (0.15, 0.10), _DARK, label, rank=1)
        builder.rod((0, 0.86, -0.80), (0, 0.70, -0.86), 0.10, _RED, label, rank=1, glow=0.2)
        builder.rod((0, 1.02, bar_z - 0.02), (0, 0.40, wheelbase / 2), 0.07, (0.3, 0.3, 0.3), label)
        builder.rod((0, 0.96, bar_z + 0.16), (0, 0.96, bar_z + 0.20), 0.12, _LAMP, label, glow=0.4)
        builder.rod((-0.38, 1.06, bar_z), (0.38, 1.06, bar_z), 0.04, _DARK, label)
        builder.rod((0.18, 0.34, 0.1), (0.20, 0.36, -0.8), 0.07, (0.4, 0.4, 0.4), label, rank=1)
    else:
        hub, seat, head = (0, 0.30, -0.04), (0, 0.86, -0.20), (0, 0.84, bar_z)
        for start, end in ((hub, seat), (seat, head), (hub, head), (seat, (0, 0.35, -0.53)),
                           (hub, (0, 0.35, -0.53)), ((0, 1.02, bar_z - 0.03), (0, 0.35, 0.53))):  # fmt: skip
            builder.rod(start, end, 0.028, paint, label)
        builder.rod((0, 0.92, -0.30), (0, 0.94, -0.06), 0.06, _DARK, label)
        builder.rod((-0.30, 1.04, bar_z - 0.04), (0.30, 1.04, bar_z - 0.04), 0.025, _DARK, label)
        builder.rod((0, 0.62, -0.86), (0, 0.56, -0.86), 0.04, _RED, label, glow=0.3)
