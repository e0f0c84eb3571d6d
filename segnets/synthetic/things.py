"""What stands in a street: buildings, walls, fences, trees, lamps, lights, signs.

Places are street coordinates: `s` metres along the middle of the road, `t` metres to its right.
`Street` turns them into the world. Colours are linear light.
"""

from dataclasses import dataclass, field

import numpy as np

from segnets.synthetic.faces import Array, Builder, Color, Faces
from segnets.synthetic.textures import FACADES, SIGNS, atlas

BUILDING, WALL, FENCE, POLE, LIGHT, SIGN, VEGETATION = 11, 12, 13, 17, 19, 20, 21

_PLASTER: tuple[Color, ...] = (
    (0.62, 0.52, 0.36), (0.66, 0.62, 0.54), (0.55, 0.36, 0.22), (0.60, 0.60, 0.60),
    (0.66, 0.56, 0.30), (0.44, 0.50, 0.52), (0.52, 0.30, 0.24), (0.70, 0.66, 0.60),
    (0.36, 0.38, 0.36), (0.46, 0.52, 0.42), (0.58, 0.46, 0.40),
)  # fmt: skip
_BRICK: tuple[Color, ...] = ((0.36, 0.12, 0.07), (0.42, 0.20, 0.11), (0.28, 0.12, 0.09),
                             (0.48, 0.36, 0.20))  # fmt: skip
_ROOFS: tuple[Color, ...] = ((0.30, 0.10, 0.06), (0.22, 0.09, 0.06), (0.10, 0.10, 0.11),
                             (0.26, 0.14, 0.09))  # fmt: skip
_STEEL: Color = (0.20, 0.21, 0.21)
_LEAVES: tuple[Color, ...] = ((0.26, 0.34, 0.17), (0.20, 0.32, 0.15), (0.34, 0.36, 0.15),
                              (0.17, 0.26, 0.14), (0.40, 0.30, 0.10))  # fmt: skip


@dataclass(frozen=True)
class Street:
    """The middle line of the road: world x, z and heading (radians) at each `s`."""

    s: Array
    x: Array
    z: Array
    heading: Array

    def at(self, s: float, t: float) -> tuple[float, float]:
        """World x and z of a street place."""
        heading = float(np.interp(s, self.s, self.heading))
        x = float(np.interp(s, self.s, self.x)) + t * np.cos(heading)
        z = float(np.interp(s, self.s, self.z)) - t * np.sin(heading)
        return x, z

    def yaw(self, s: float) -> float:
        """Heading at `s` in radians."""
        return float(np.interp(s, self.s, self.heading))

    def point(self, s: float, t: float, y: float) -> tuple[float, float, float]:
        """World point at height `y`."""
        x, z = self.at(s, t)
        return x, y, z


def bend(curvature: float, start: float, ahead: float, behind: float) -> Street:
    """A road that is straight at s = 0 and bends by `curvature` (1/m) from `start` on."""
    s = np.arange(-behind, ahead + 1.0)
    inside = np.clip(s - start, 0.0, 90.0)  # straight again after 90 m
    heading = curvature * inside
    x, z = np.cumsum(np.sin(heading)), np.cumsum(np.cos(heading))
    zero = int(behind)
    return Street(s=s, x=x - x[zero], z=z - z[zero], heading=heading)


@dataclass(frozen=True)
class Crown:
    """A tree's crown: a picture that faces the camera, cut out along its silhouette."""

    center: tuple[float, float, float]
    half_width: float
    half_height: float
    number: int
    tint: Color
    mirrored: bool


@dataclass(frozen=True)
class Thing:
    """Something that stands there: faces in the world, its box (s0, s1, t0, t1) and height."""

    faces: Faces
    box: tuple[float, float, float, float]
    height: float
    crowns: tuple[Crown, ...] = field(default=())
    shadow: bool = True


def _pick(rng: np.random.Generator, colors: tuple[Color, ...]) -> Color:
    base = colors[int(rng.integers(len(colors)))]
    level = float(rng.uniform(0.85, 1.12))
    red, green, blue = (min(0.8, c * level) for c in base)
    return red, green, blue


def _front(
    builder: Builder, street: Street, s0: float, s1: float, t: float, low: float, high: float,
    texture: int, tint: Color, label: int, *, tiles: tuple[float, float], at: tuple[float, float] = (0, 0),
    rank: int = 0,
) -> None:  # fmt: skip
    """An upright wall along the street that faces the road."""
    left, right = (s1, s0) if t > 0 else (s0, s1)
    corners = [
        street.point(left, t, high),
        street.point(right, t, high),
        street.point(right, t, low),
        street.point(left, t, low),
    ]
    builder.face(corners, texture, tint, label, tiles=tiles, at=at, rank=rank)


def _gables(
    builder: Builder, street: Street, s0: float, s1: float, t: float, depth: float, low: float,
    high: float, texture: int, tint: Color, label: int, *, tiles: tuple[float, float], rise: float = 0.0,
) -> None:  # fmt: skip
    """The walls of a house across the street, with a pointed top if `rise`."""
    back = t + np.sign(t) * depth
    middle = (t + back) / 2
    for s, towards_us in ((s0, True), (s1, False)):
        left, right = (min(t, back), max(t, back)) if towards_us else (max(t, back), min(t, back))
        corners = [
            street.point(s, left, high),
            street.point(s, right, high),
            street.point(s, right, low),
            street.point(s, left, low),
        ]
        builder.face(corners, texture, tint, label, tiles=tiles)
        if rise:
            top = [
                street.point(s, middle, high + rise),
                street.point(s, right, high),
                street.point(s, left, high),
            ]
            frame = (corners[0], np.subtract(corners[1], corners[0]), (0.0, -depth, 0.0))
            builder.face(top, atlas()["plain"], tint, label, frame=frame)


def building(
    rng: np.random.Generator, street: Street, s0: float, s1: float, t: float, *, floors: int,
    pitched: bool, depth: float = 11.0,
) -> Thing:  # fmt: skip
    """A house between s0 and s1 whose front stands at `t`."""
    names = atlas()
    style = FACADES[int(rng.choice(5, p=[0.26, 0.26, 0.22, 0.16, 0.10]))]
    if floors <= 2 and style == "office":
        style = "flats"
    tint = _pick(rng, _BRICK if style == "brick" else _PLASTER)
    builder = Builder()
    bays = max(1, round((s1 - s0) / rng.uniform(2.7, 3.4)))
    storey, ground = float(rng.uniform(2.9, 3.3)), float(rng.uniform(3.2, 4.2))
    if floors <= 2:
        ground = storey
    eaves = ground + storey * (floors - 1)
    at = (float(rng.integers(4)) / 4, float(rng.integers(4)) / 4)
    _front(builder, street, s0, s1, t, ground, eaves, names[style], tint, BUILDING,
           tiles=(bays / 4, max(1, floors - 1) / 4), at=at)  # fmt: skip
    shop = floors >= 3 and rng.random() < 0.6
    low_tint: Color = (tint[0] * 0.9, tint[1] * 0.9, tint[2] * 0.9)
    _front(builder, street, s0, s1, t, 0.0, ground, names["shops" if shop else "ground_floor"],
           low_tint, BUILDING, tiles=(max(1, round(bays * 0.8)) / 4, 1), at=(at[1], 0))  # fmt: skip
    if floors <= 2:
        _gables(builder, street, s0, s1, t, depth, 0.0, eaves, names[style], tint, BUILDING,
                tiles=(0.75, floors / 4), rise=0.35 * depth if pitched else 0.0)  # fmt: skip
    else:
        blank = names["bricks"] if style == "brick" else names["concrete"]
        _gables(builder, street, s0, s1, t, depth, 0.0, eaves, blank, low_tint, BUILDING,
                tiles=(depth / 3, eaves / 3), rise=0.3 * depth if pitched else 0.0)  # fmt: skip
    light: Color = (min(0.8, tint[0] * 1.15), min(0.8, tint[1] * 1.15), min(0.8, tint[2] * 1.15))
    out = t - np.sign(t) * 0.3
    _front(builder, street, s0, s1, out, eaves - 0.35, eaves + 0.15, names["plain"], light,
           BUILDING, tiles=(1, 1), rank=1)  # fmt: skip
    if floors >= 3:
        near = t - np.sign(t) * 0.12
        _front(builder, street, s0, s1, near, ground - 0.3, ground, names["plain"], light, BUILDING,
               tiles=(1, 1), rank=1)  # fmt: skip
    height = eaves
    if pitched:
        ridge_t, height = t + np.sign(t) * depth / 2, eaves + 0.35 * depth
        left, right = (s1, s0) if t > 0 else (s0, s1)
        corners = [street.point(left, ridge_t, height), street.point(right, ridge_t, height),
                   street.point(right, out, eaves), street.point(left, out, eaves)]  # fmt: skip
        builder.face(corners, names["roof"], _pick(rng, _ROOFS), BUILDING,
                     tiles=((s1 - s0) / 4, depth * 0.6 / 4))  # fmt: skip
        if rng.random() < 0.6:  # a chimney
            x, y, z = street.point((s0 + s1) / 2, ridge_t, height - 0.6)
            builder.box((x - 0.4, y, z - 0.4), (x + 0.4, y + 1.8, z + 0.4), names["bricks"],
                        _pick(rng, _BRICK), BUILDING, rank=1)  # fmt: skip
    if floors >= 3 and rng.random() < 0.4:
        _balconies(builder, rng, street, s0, s1, t, ground, storey, floors)
    far = t + np.sign(t) * depth
    return Thing(builder.faces(), (s0, s1, min(t, far), max(t, far)), height)


def _balconies(
    builder: Builder, rng: np.random.Generator, street: Street, s0: float, s1: float, t: float,
    ground: float, storey: float, floors: int,
) -> None:  # fmt: skip
    names = atlas()
    middle = float(rng.uniform(s0 + 2.5, max(s0 + 2.6, s1 - 2.5)))
    out, tint = t - np.sign(t) * 1.1, _pick(rng, _PLASTER)
    for floor in range(floors - 1):
        y = ground + storey * floor
        a, b = middle - 1.5, middle + 1.5
        _front(builder, street, a, b, out, y, y + 1.0, names["plain"], tint, BUILDING,
               tiles=(1, 1), rank=3)  # fmt: skip
        for s in (a, b):
            corners = [street.point(s, t, y + 1), street.point(s, out, y + 1),
                       street.point(s, out, y), street.point(s, t, y)]  # fmt: skip
            builder.face(corners, names["plain"], tint, BUILDING, rank=2, two_sided=True)
        under = [street.point(a, t, y), street.point(b, t, y), street.point(b, out, y),
                 street.point(a, out, y)]  # fmt: skip
        builder.face(under, names["plain"], (0.12, 0.12, 0.12), BUILDING, rank=2, two_sided=True)


def barrier(
    rng: np.random.Generator, street: Street, s0: float, s1: float, t: float, kind: str
) -> Thing:
    """A piece of wall, fence or hedge along the street."""
    names = atlas()
    builder = Builder()
    length = s1 - s0
    if kind == "hedge":
        height, texture, label, tint = 1.5, "leaves", VEGETATION, _pick(rng, _LEAVES)
        thick, tile_m = 0.9, 2.0
    elif kind == "wall":
        texture = ("stones", "bricks", "concrete")[int(rng.integers(3))]
        tint = _pick(rng, _BRICK) if texture == "bricks" else _pick(rng, ((0.40, 0.37, 0.32),) * 2)
        height, label, thick, tile_m = float(rng.uniform(1.7, 2.6)), WALL, 0.3, 2.4
    else:
        texture = ("planks", "railing")[int(rng.integers(2))]
        woods: tuple[Color, ...] = ((0.30, 0.18, 0.09), (0.22, 0.16, 0.11), (0.55, 0.53, 0.48))
        irons: tuple[Color, ...] = ((0.03, 0.06, 0.05), (0.05, 0.05, 0.055), (0.40, 0.40, 0.38))
        tint = _pick(rng, woods if texture == "planks" else irons)
        height, label, thick = float(rng.uniform(1.2, 1.8)), FENCE, 0.08
        tile_m = height
    rows = height / tile_m if label != FENCE else 1.0
    top: Color = (min(0.8, tint[0] * 1.15), min(0.8, tint[1] * 1.15), min(0.8, tint[2] * 1.15))
    _front(builder, street, s0, s1, t, 0.0, height, names[texture], tint, label,
           tiles=(max(1, round(length / tile_m)), rows))  # fmt: skip
    back = t + np.sign(t) * thick
    for s, flip in ((s0, False), (s1, True)):
        left, right = (min(t, back), max(t, back))
        if flip:
            left, right = right, left
        corners = [street.point(s, left, height), street.point(s, right, height),
                   street.point(s, right, 0), street.point(s, left, 0)]  # fmt: skip
        builder.face(corners, names[texture], tint, label, tiles=(thick / tile_m, rows))
    if label == WALL:
        out = t - np.sign(t) * 0.06
        _front(builder, street, s0, s1, out, height - 0.12, height + 0.06, names["plain"], top,
               label, tiles=(1, 1), rank=1)  # fmt: skip
    return Thing(builder.faces(), (s0, s1, min(t, back), max(t, back)), height)


def tree(
    rng: np.random.Generator, street: Street, s: float, t: float, *, size: float = 1.0
) -> Thing:
    """A tree; `size` 1 is 7 to 9 metres high. Trunk and crown are vegetation."""
    names = atlas()
    builder = Builder()
    trunk = float(rng.uniform(2.3, 3.2)) * size
    half_height = float(rng.uniform(2.3, 3.2)) * size
    number = int(rng.integers(5))
    x, z = street.at(s, t)
    tint = _pick(rng, _LEAVES)
    dark: Color = (0.085, 0.065, 0.05)
    top = trunk + 0.8 * half_height
    builder.rod((x, 0, z), (x, top, z), (0.17 * size, 0.09 * size), dark, VEGETATION)
    for angle in rng.uniform(0, 6.28, 2):
        end = (x + 1.2 * size * np.cos(angle), trunk + half_height, z + 0.6 * size * np.sin(angle))
        builder.rod((x, trunk * 0.92, z), end, (0.09 * size, 0.04 * size), dark, VEGETATION)
    middle = trunk + half_height * 0.86
    wide = half_height * float(rng.uniform(0.92, 1.12))
    back: Color = (tint[0] * 0.72, tint[1] * 0.75, tint[2] * 0.75)
    crowns = [
        Crown((x + 0.2, middle, z + 0.7), wide, half_height, (number + 1) % 5, back, True),
        Crown((x, middle, z), wide, half_height, number, tint, bool(rng.random() < 0.5)),
    ]
    if rng.random() < 0.5:  # a lower side branch
        side = float(rng.choice([-1.0, 1.0])) * 0.55 * wide
        crowns.append(Crown((x + side, middle - 0.35 * half_height, z - 0.4), 0.5 * wide,
                            0.45 * half_height, (number + 2) % 5, tint, False))  # fmt: skip
    del names
    return Thing(builder.faces(), (s - 0.3, s + 0.3, t - 0.3, t + 0.3), top, tuple(crowns))


def bush(rng: np.random.Generator, street: Street, s: float, t: float) -> Thing:
    """A round shrub."""
    x, z = street.at(s, t)
    r = float(rng.uniform(0.6, 1.3))
    crown = Crown((x, r * 0.85, z), r * 1.25, r, int(rng.integers(5)), _pick(rng, _LEAVES), False)
    return Thing(Builder().faces(), (s - r, s + r, t - r, t + r), 2 * r, (crown,))


def lamp(street: Street, s: float, t: float) -> Thing:
    """A street lamp that reaches over the road."""
    builder = Builder()
    reach = -np.sign(t) * 1.6
    foot, head = street.point(s, t, 0.0), street.point(s, t, 6.6)
    arm = street.point(s, t + reach, 7.1)
    builder.rod(foot, street.point(s, t, 1.0), 0.11, _STEEL, POLE)
    builder.rod(foot, head, (0.085, 0.06), _STEEL, POLE)
    builder.rod(head, arm, (0.05, 0.045), _STEEL, POLE)
    builder.rod(arm, street.point(s, t + 1.5 * reach, 7.12), 0.12, (0.30, 0.30, 0.30), POLE)
    return Thing(builder.faces(), (s - 0.1, s + 0.1, t - 0.1, t + 0.1), 7.2)


def bollard(street: Street, s: float, t: float) -> Thing:
    """A low post at the kerb."""
    builder = Builder()
    builder.rod(street.point(s, t, 0), street.point(s, t, 0.95), 0.07, (0.05, 0.05, 0.055), POLE)
    builder.rod(street.point(s, t, 0.78), street.point(s, t, 0.86), 0.075, (0.7, 0.7, 0.7), POLE,
                rank=1)  # fmt: skip
    return Thing(builder.faces(), (s - 0.1, s + 0.1, t - 0.1, t + 0.1), 1.0)


def _facing(
    street: Street, s: float, t: float, y: float, outline: Array, *, backwards: bool = False,
    out: float = 0.0,
) -> Array:  # fmt: skip
    """An outline (n, 2) in metres, right and up, upright across the street, seen from s = 0."""
    heading = street.yaw(s)
    x, z = street.at(s, t)
    right = np.array([np.cos(heading), 0.0, -np.sin(heading)]) * (-1.0 if backwards else 1.0)
    ahead = np.array([np.sin(heading), 0.0, np.cos(heading)]) * (-1.0 if backwards else 1.0)
    base = np.array([x, y, z]) - ahead * out
    points: Array = base + outline[:, :1] * right + outline[:, 1:] * np.array([0.0, 1.0, 0.0])
    return points


def _ring(radius: float, corners: int, turn: float = 0.0) -> Array:
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + turn
    points: Array = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    return points


_OUTLINES = {
    "limit": _ring(0.36, 16), "arrow": _ring(0.36, 16), "stop": _ring(0.40, 8, np.pi / 8),
    "yield": _ring(0.44, 3, np.pi), "warning": _ring(0.44, 3),
    "priority": _ring(0.46, 4), "crossing": _ring(0.48, 4, np.pi / 4),
    "direction": np.array([[-0.9, 0.35], [0.9, 0.35], [0.9, -0.35], [-0.9, -0.35]]),
}  # fmt: skip


def sign(
    rng: np.random.Generator, street: Street, s: float, t: float, kind: str | None = None
) -> Thing:
    """One or two traffic signs on a pole, turned to who drives along +s."""
    names = atlas()
    builder = Builder()
    y = float(rng.uniform(2.1, 2.5))
    builder.rod(street.point(s, t, 0), street.point(s, t, y + 0.5), 0.05, _STEEL, POLE)
    kinds = [kind or SIGNS[int(rng.integers(len(SIGNS)))]]
    if rng.random() < 0.35:
        kinds.append(SIGNS[int(rng.integers(5))])
    backwards = t < 0 and rng.random() < 0.5
    for name in kinds:
        outline = _OUTLINES[name]
        size = 1.1
        points = _facing(street, s, t, y, outline * size, out=0.07)
        half_w, half_h = np.abs(outline).max(axis=0) * size
        if name in ("warning", "yield"):
            half_w = half_h = 0.44 * size
        box = np.array([[-half_w, half_h], [half_w, half_h], [-half_w, -half_h]])
        a, b, c = _facing(street, s, t, y, box, out=0.07)
        if backwards:
            builder.face(points, names["plain"], (0.30, 0.31, 0.32), SIGN, two_sided=True, rank=1)
        else:
            builder.face(points, names[f"sign_{name}"], (1, 1, 1), SIGN, frame=(a, b - a, c - a),
                         rank=1, two_sided=True)  # fmt: skip
        y -= 0.85
    return Thing(builder.faces(), (s - 0.1, s + 0.1, t - 0.1, t + 0.1), 3.0)


def traffic_light(
    rng: np.random.Generator, street: Street, s: float, t: float, *, mast: float = 0.0
) -> Thing:
    """A traffic light on a pole; with `mast` a second one hangs that far (m) over the road."""
    builder = Builder()
    names = atlas()
    state = int(rng.integers(3))
    heads = [(t, 2.75)]
    builder.rod(
        street.point(s, t, 0), street.point(s, t, 6.0 if mast else 3.4), 0.085, _STEEL, POLE
    )
    if mast:
        over = t - np.sign(t) * mast
        builder.rod(street.point(s, t, 5.8), street.point(s, over, 6.0), 0.06, _STEEL, POLE)
        heads.append((over, 5.35))
    lamps: tuple[Color, ...] = ((0.95, 0.04, 0.03), (0.95, 0.55, 0.04), (0.05, 0.85, 0.40))
    for head_t, y in heads:
        case = np.array([[-0.20, 0.58], [0.20, 0.58], [0.20, -0.58], [-0.20, -0.58]])
        board = case * np.array([1.55, 1.18])
        builder.face(_facing(street, s, head_t, y, board, out=0.10), names["plain"],
                     (0.45, 0.45, 0.43), LIGHT, rank=1, two_sided=True)  # fmt: skip
        builder.face(_facing(street, s, head_t, y, board * 0.93, out=0.11), names["plain"],
                     (0.012, 0.012, 0.012), LIGHT, rank=2)  # fmt: skip
        for number, color in enumerate(lamps):
            on = number == state
            tint: Color = color if on else (color[0] * 0.05, color[1] * 0.05, color[2] * 0.05)
            points = _facing(street, s, head_t, y + 0.36 * (1 - number), _ring(0.145, 10), out=0.13)
            builder.face(points, names["plain"], tint, LIGHT, rank=3, glow=1.0 if on else 0.0)
    low, high = min(t, heads[-1][0]), max(t, heads[-1][0])
    return Thing(builder.faces(), (s - 0.1, s + 0.1, low - 0.1, high + 0.1), 6.0)
