"""What closes the street at its sides: houses, walls, fences, hedges. Colours are linear light."""

import numpy as np

from segnets.synthetic.faces import Builder, Color
from segnets.synthetic.street import BUILDING, FENCE, VEGETATION, WALL, Street, Thing, pick
from segnets.synthetic.textures import FACADES, atlas
from segnets.synthetic.things import LEAVES

_PLASTER: tuple[Color, ...] = (
    (0.62, 0.52, 0.36), (0.66, 0.62, 0.54), (0.55, 0.36, 0.22), (0.60, 0.60, 0.60),
    (0.66, 0.56, 0.30), (0.44, 0.50, 0.52), (0.52, 0.30, 0.24), (0.70, 0.66, 0.60),
    (0.36, 0.38, 0.36), (0.46, 0.52, 0.42), (0.58, 0.46, 0.40),
)  # fmt: skip
_BRICK: tuple[Color, ...] = (
    (0.36, 0.12, 0.07), (0.42, 0.20, 0.11), (0.28, 0.12, 0.09), (0.48, 0.36, 0.20),
)  # fmt: skip
_ROOFS: tuple[Color, ...] = (
    (0.30, 0.10, 0.06), (0.22, 0.09, 0.06), (0.10, 0.10, 0.11), (0.26, 0.14, 0.09),
)  # fmt: skip


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
    top: int = 0,
) -> None:  # fmt: skip
    """The walls of a house across the street, with a pointed top (texture `top`) if `rise`."""
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
            pointed = [
                street.point(s, middle, high + rise),
                street.point(s, right, high),
                street.point(s, left, high),
            ]
            across = (np.array(corners[1]) - np.array(corners[0])) * (3.0 / depth)
            frame = np.stack([np.array(corners[0]), across, np.array([0.0, -3.0, 0.0])])
            builder.face(pointed, top, tint, label, frame=frame)


def building(
    rng: np.random.Generator, street: Street, s0: float, s1: float, t: float, *, floors: int,
    pitched: bool, depth: float = 11.0,
) -> Thing:  # fmt: skip
    """A house between s0 and s1 whose front stands at `t`."""
    names = atlas()
    style = FACADES[int(rng.choice(5, p=[0.26, 0.26, 0.22, 0.16, 0.10]))]
    if floors <= 2 and style == "office":
        style = "flats"
    tint = pick(rng, _BRICK if style == "brick" else _PLASTER)
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
    blank = names["bricks" if style == "brick" else "plaster"]
    if floors <= 2:
        _gables(builder, street, s0, s1, t, depth, 0.0, eaves, names[style], tint, BUILDING,
                tiles=(0.75, floors / 4), rise=0.35 * depth if pitched else 0.0, top=blank)  # fmt: skip
    else:
        _gables(builder, street, s0, s1, t, depth, 0.0, eaves, blank, low_tint, BUILDING,
                tiles=(depth / 3, eaves / 3), rise=0.35 * depth if pitched else 0.0, top=blank)  # fmt: skip
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
        builder.face(corners, names["roof"], pick(rng, _ROOFS), BUILDING,
                     tiles=((s1 - s0) / 4, depth * 0.6 / 4))  # fmt: skip
        if rng.random() < 0.6:  # a chimney
            x, y, z = street.point((s0 + s1) / 2, ridge_t, height - 0.6)
            builder.box((x - 0.4, y, z - 0.4), (x + 0.4, y + 1.8, z + 0.4), names["bricks"],
                        pick(rng, _BRICK), BUILDING, rank=1)  # fmt: skip
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
    out, tint = t - np.sign(t) * 1.1, pick(rng, _PLASTER)
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
        height, texture, label, tint = 1.5, "leaves", VEGETATION, pick(rng, LEAVES)
        thick, tile_m = 0.9, 2.0
    elif kind == "wall":
        texture = ("stones", "bricks", "concrete")[int(rng.integers(3))]
        tint = pick(rng, _BRICK) if texture == "bricks" else pick(rng, ((0.40, 0.37, 0.32),) * 2)
        height, label, thick, tile_m = float(rng.uniform(1.7, 2.6)), WALL, 0.3, 2.4
    else:
        texture = ("planks", "railing")[int(rng.integers(2))]
        woods: tuple[Color, ...] = ((0.30, 0.18, 0.09), (0.22, 0.16, 0.11), (0.55, 0.53, 0.48))
        irons: tuple[Color, ...] = ((0.03, 0.06, 0.05), (0.05, 0.05, 0.055), (0.40, 0.40, 0.38))
        tint = pick(rng, woods if texture == "planks" else irons)
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
