"""Passenger cars: a profile, drawn as sides, a skin over the width, and what is set on it.

A car stands on y = 0 with its middle at x = z = 0 and looks along +z. Colours are linear light.
"""

from dataclasses import dataclass

import numpy as np

from segnets.synthetic.faces import Array, Builder, Color, Faces
from segnets.synthetic.street import CAR
from segnets.synthetic.textures import atlas

PAINTS: tuple[Color, ...] = (
    (0.62, 0.63, 0.65), (0.30, 0.31, 0.33), (0.035, 0.037, 0.042), (0.70, 0.70, 0.69),
    (0.10, 0.11, 0.13), (0.42, 0.028, 0.025), (0.03, 0.07, 0.22), (0.05, 0.14, 0.30),
    (0.30, 0.26, 0.18), (0.04, 0.12, 0.07), (0.20, 0.21, 0.23), (0.50, 0.28, 0.03),
)  # fmt: skip
TYRE: Color = (0.012, 0.012, 0.013)
DARK: Color = (0.020, 0.020, 0.022)
RED: Color = (0.50, 0.012, 0.010)
LAMP: Color = (0.75, 0.75, 0.71)
_PLATE: Color = (0.52, 0.52, 0.48)
_SILL = 0.24  # lower edge of the body
_SEAM_M = 0.006  # how far pieces stand out from the sides

Rim = tuple[float, float, float]  # half width, y, z: an edge across the car


@dataclass(frozen=True)
class Shape:
    """A car's profile in metres."""

    length: float
    width: float
    belt: float  # lower edge of the windows
    roof: float
    hood: float  # height of the bonnet's front edge
    deck: float  # height of the boot's rear edge
    rear_glass: tuple[float, float]  # lower and upper edge of the rear window, from the rear
    front_glass: tuple[float, float]  # the same of the windscreen, from the front


_SHAPES: tuple[Shape, ...] = (
    Shape(4.0, 1.76, 0.92, 1.48, 0.74, 0.92, (0.12, 0.55), (1.05, 1.80)),  # hatchback
    Shape(4.7, 1.84, 0.92, 1.44, 0.72, 0.96, (0.70, 1.45), (1.30, 2.10)),  # saloon
    Shape(4.7, 1.84, 0.94, 1.50, 0.74, 0.94, (0.15, 0.62), (1.25, 2.00)),  # estate
    Shape(4.5, 1.90, 1.06, 1.70, 0.92, 1.06, (0.14, 0.50), (1.10, 1.75)),  # off-road
    Shape(4.9, 1.94, 1.12, 1.98, 0.95, 1.12, (0.06, 0.16), (0.75, 1.45)),  # van
)


def car(rng: np.random.Generator) -> tuple[Faces, float, float, float]:
    """A car of random shape and paint: faces, width, length, height."""
    shape = _SHAPES[int(rng.choice(len(_SHAPES), p=[0.34, 0.22, 0.16, 0.18, 0.10]))]
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    builder = Builder()
    for sign in (-1, 1):
        _side(builder, shape, paint, sign)
    _skin(builder, shape, paint)
    _set_on(builder, shape)
    return builder.faces(), shape.width, shape.length, shape.roof


def dimmed(color: Color, share: float) -> Color:
    """A darker (or, above 1, lighter) colour."""
    return color[0] * share, color[1] * share, color[2] * share


def disc(x: float, y: float, z: float, radius: float, sign: float, corners: int = 16) -> Array:
    """The corners (n, 3) of a disc in the plane of constant x, seen from the side `sign`."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    up, along = y + radius * np.cos(angle), z + sign * radius * np.sin(angle)
    return np.stack([np.full(corners, x), up, along], axis=1)


def wheel(builder: Builder, sign: float, half: float, z: float, radius: float, label: int) -> None:
    """A wheel on the side `sign` of a body of half width `half`, under a dark arch."""
    names = atlas()
    x = sign * (half + 2 * _SEAM_M)
    arch = disc(x - sign * _SEAM_M, radius, z, radius * 1.14, sign)[np.arange(-4, 5)]
    flat = ((x, radius, z), (0, 0, sign), (0, -1, 0))
    builder.face(arch, names["plain"], DARK, label, rank=3, frame=flat)
    frame = ((x, 2 * radius, z - sign * radius), (0, 0, sign * 2 * radius), (0, -2 * radius, 0))
    rim = disc(x, radius, z, radius, sign)
    builder.face(rim, names["car_wheel"], TYRE, label, rank=4, frame=frame)


def _stations(shape: Shape) -> tuple[float, float, float, float, float, float]:
    """Z of the rear, of the windows' edges from the rear to the front, and of the front."""
    rear, front = -shape.length / 2, shape.length / 2
    low, high = shape.rear_glass
    front_low, front_high = shape.front_glass
    return rear, rear + low, rear + high, front - front_high, front - front_low, front


def _side(builder: Builder, shape: Shape, paint: Color, sign: int) -> None:
    names = atlas()
    rear, z0, z1, z2, z3, front = _stations(shape)
    half = shape.width / 2
    base, top = half * 0.95, half * 0.74
    x, out = sign * half, sign * (half + _SEAM_M)

    def panel(
        corners: list[tuple[float, float, float]], texture: str, tint: Color, rank: int
    ) -> None:
        # Given as seen from the right; from the left the same corners run the other way.
        turned = corners if sign > 0 else [corners[1], corners[0], corners[3], corners[2]]
        builder.face(turned, names[texture], tint, CAR, rank=rank)

    # The body: from the rear bumper over the belt line to the bonnet and back below.
    outline = [
        (_SILL, rear + 0.10), (0.50, rear), (shape.deck - 0.06, rear + 0.03), (shape.deck, z0),
        (shape.belt, z3), (shape.hood, front - 0.16), (0.52, front), (_SILL, front - 0.08),
    ]  # fmt: skip
    frame = ((x, shape.belt, 0.0), (0.0, 0.0, sign * shape.length), (0.0, -shape.belt, 0.0))
    points = [(x, y, z) for y, z in outline][::sign]
    builder.face(points, names["metal"], paint, CAR, frame=frame)
    for z in (rear + 0.78, front - 0.86):
        wheel(builder, sign, half, z, 0.33, CAR)
    low, high = shape.belt, shape.roof - 0.05
    for z in (z2 + 0.30, (z1 + z2) / 2 - 0.1):  # the door's edges
        panel([(out, low - 0.02, z), (out, low - 0.02, z + 0.02), (out, 0.32, z + 0.02),
               (out, 0.32, z)], "plain", dimmed(paint, 0.6), 1)  # fmt: skip
    panel([(out, 0.33, rear + 0.3), (out, 0.33, front - 0.3), (out, _SILL, front - 0.3),
           (out, _SILL, rear + 0.3)], "plain", DARK, 1)  # fmt: skip
    # The windows lean inwards; pillars divide them.
    t, b = sign * top, sign * base
    panel(
        [(t, high, z1), (t, high, z2), (b, low, z3 - 0.12), (b, low, z0 + 0.12)], "glass", paint, 1
    )
    for share in (0.04, 0.46):
        z = z1 + share * (z2 - z1)
        foot = z0 + 0.16 + share * (z3 - z0 - 0.3)
        panel([(t, high, z), (t, high, z + 0.09), (b, low, foot + 0.09), (b, low, foot)],
              "metal", dimmed(paint, 0.72), 2)  # fmt: skip
    at = z3 - 0.25
    mirror = [(x, low + 0.16, at), (x + sign * 0.18, low + 0.16, at), (x + sign * 0.18, low, at)]
    builder.face([*mirror, (x, low, at)], names["metal"], dimmed(paint, 0.72), CAR, two_sided=True)


def _skin(builder: Builder, shape: Shape, paint: Color) -> None:
    """The faces over the car's width, from the rear bumper over the roof to the front bumper."""
    names = atlas()
    rear, z0, z1, z2, z3, front = _stations(shape)
    half = shape.width / 2
    base, top, middle = half * 0.95, half * 0.74, (z1 + z2) / 2
    shaded = dimmed(paint, 0.72)

    def over(low: Rim, high: Rim, texture: str, tint: Color, facing: int, rank: int = 0) -> None:
        """From the lower edge to the upper one; `facing` 1 is seen from behind, -1 from ahead."""
        (w0, y0, a), (w1, y1, b) = (low[0] * facing, *low[1:]), (high[0] * facing, *high[1:])
        corners = [(-w1, y1, b), (w1, y1, b), (w0, y0, a), (-w0, y0, a)]
        builder.face(corners, names[texture], tint, CAR, rank=rank)

    over((half, _SILL, rear + 0.10), (half, 0.36, rear + 0.05), "metal", DARK, 1)
    over((half, 0.36, rear + 0.05), (half, 0.50, rear), "metal", paint, 1)
    over((half, 0.50, rear), (half, shape.deck - 0.06, rear + 0.03), "metal", paint, 1)
    over((half, shape.deck - 0.06, rear + 0.03), (base, shape.belt, z0), "metal", paint, 1)
    over((base, shape.belt, z0), (top, shape.roof - 0.04, z1), "metal", shaded, 1)
    over((base - 0.06, shape.belt + 0.03, z0 + 0.03), (top - 0.06, shape.roof - 0.10, z1 - 0.03),
         "glass", paint, 1, 1)  # fmt: skip
    over((top, shape.roof - 0.04, z1), (top, shape.roof, middle), "plain", paint, 1)
    over((top, shape.roof - 0.03, z2), (top, shape.roof, middle), "plain", paint, -1)
    over((half, _SILL, front - 0.08), (half, 0.34, front - 0.05), "metal", DARK, -1)
    over((half, 0.34, front - 0.05), (half, 0.52, front), "metal", paint, -1)
    over((half, 0.52, front), (half, shape.hood, front - 0.16), "metal", paint, -1)
    over((half, shape.hood, front - 0.16), (base, shape.belt, z3), "plain", paint, -1)
    over((base, shape.belt, z3), (top, shape.roof - 0.04, z2), "metal", shaded, -1)
    over((base - 0.06, shape.belt + 0.03, z3 - 0.02), (top - 0.06, shape.roof - 0.09, z2 + 0.03),
         "glass", paint, -1, 1)  # fmt: skip


def _set_on(builder: Builder, shape: Shape) -> None:
    """Lamps, plates, grille, and the tyres seen from the ends."""
    plain = atlas()["plain"]
    half, rear, front = shape.width / 2, -shape.length / 2, shape.length / 2
    r, f = rear - 2 * _SEAM_M, front + 2 * _SEAM_M
    lamp_y = min(shape.deck - 0.12, 0.86)
    for sign in (-1.0, 1.0):
        left, right = sorted((sign * (half - 0.36), sign * (half - 0.03)))
        tail = [(left, lamp_y, r + 0.02), (right, lamp_y, r + 0.02)]
        tail += [(right, lamp_y - 0.17, r + 0.01), (left, lamp_y - 0.17, r + 0.01)]
        builder.face(tail, plain, RED, CAR, rank=2, glow=0.25)
        head = [(right, 0.70, f - 0.06), (left, 0.70, f - 0.06), (left, 0.56, f), (right, 0.56, f)]
        builder.face(head, plain, LAMP, CAR, rank=2, glow=0.3)
        for z in (rear + 0.50, front - 0.55):
            tyre = [(right - 0.02, 0.26, z), (left + 0.12, 0.26, z)]
            tyre += [(left + 0.12, 0.0, z), (right - 0.02, 0.0, z)]
            builder.face(tyre, plain, TYRE, CAR, rank=-1, two_sided=True)
    plate = [(-0.26, 0.62, r), (0.26, 0.62, r), (0.26, 0.50, r), (-0.26, 0.50, r)]
    builder.face(plate, plain, _PLATE, CAR, rank=2)
    plate = [(0.26, 0.46, f), (-0.26, 0.46, f), (-0.26, 0.34, f), (0.26, 0.34, f)]
    builder.face(plate, plain, _PLATE, CAR, rank=2)
    grille = [(0.42, 0.66, f), (-0.42, 0.66, f), (-0.38, 0.52, f + 0.01), (0.38, 0.52, f + 0.01)]
    builder.face(grille, plain, DARK, CAR, rank=2)
    under = [(-half + 0.1, 0.26, rear + 0.4), (half - 0.1, 0.26, rear + 0.4)]
    under += [(half - 0.1, 0.10, rear + 0.4), (-half + 0.1, 0.10, rear + 0.4)]
    builder.face(under, plain, DARK, CAR, rank=-2, two_sided=True)
