"""What stands along a street: trees, lamps, posts, signs, traffic lights.

Colours are linear light.
"""

import numpy as np

from segnets.synthetic.faces import Array, Builder, Color
from segnets.synthetic.street import (
    LIGHT,
    POLE,
    SIGN,
    STATIC,
    VEGETATION,
    Crown,
    Street,
    Thing,
    pick,
)
from segnets.synthetic.textures import SIGNS, atlas

_STEEL: Color = (0.20, 0.21, 0.21)
LEAVES: tuple[Color, ...] = ((0.26, 0.34, 0.17), (0.20, 0.32, 0.15), (0.34, 0.36, 0.15),
                              (0.17, 0.26, 0.14), (0.36, 0.30, 0.11))  # fmt: skip


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
    tint = pick(rng, LEAVES)
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
    crown = Crown((x, r * 0.85, z), r * 1.25, r, int(rng.integers(5)), pick(rng, LEAVES), False)
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


def bin_(rng: np.random.Generator, street: Street, s: float, t: float) -> Thing:
    """A litter bin; Cityscapes has no class for it, so it is not scored."""
    builder = Builder()
    tint = pick(rng, ((0.42, 0.20, 0.04), (0.05, 0.14, 0.08), (0.10, 0.10, 0.11)))
    builder.rod(street.point(s, t, 0.18), street.point(s, t, 0.80), 0.20, tint, STATIC)
    return Thing(builder.faces(), (s - 0.2, s + 0.2, t - 0.2, t + 0.2), 1.0)


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
