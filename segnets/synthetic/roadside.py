"""Both sides of a street: plots with houses, gardens and parks; lamps, trees and signs at the kerb."""

import numpy as np

from segnets.synthetic import houses, things
from segnets.synthetic.street import Scene

_LAST_M = 235.0  # where the plots end


def furnish(rng: np.random.Generator, scene: Scene) -> None:
    """Adds everything that stands at the two sides to `scene.things`."""
    for side in (0, 1):
        s = -scene.behind
        while s < _LAST_M:
            here = [c for c in scene.layout.crossings if abs(c[0] - s) < c[1] / 2 + 3]
            if here:
                s = here[0][0] + here[0][1] / 2 + 3.2
                continue
            ahead = [c[0] - c[1] / 2 - 3.0 for c in scene.layout.crossings if c[0] > s]
            s = _plot(rng, scene, side, s, min(ahead, default=_LAST_M + 15))
        _posts(rng, scene, side)
        _greenery(rng, scene, side)
        _signs(rng, scene, side)


def _plot(rng: np.random.Generator, scene: Scene, side: int, s: float, stop: float) -> float:
    """One plot from `s` to `stop` at most; returns where it ends."""
    kind = _kind(rng, scene, side, s)
    spans = {"row": (9, 21), "villa": (16, 26)}
    end = min(s + float(rng.uniform(*spans.get(kind, (16, 34)))), stop)
    if end - s < 6.0:
        return max(end, s + 1.0)
    sign = 1.0 if side else -1.0
    t = scene.layout.border(side)
    if kind == "row":
        _row_house(rng, scene, s, end, t + sign * 0.05)
    elif kind == "villa":
        _villa(rng, scene, side, s, end)
    else:
        if kind == "wall":
            _barriers(rng, scene, s + 0.2, end - 0.2, t + sign * 0.2, "wall")
        elif rng.random() < 0.6:
            barrier = ("hedge", "fence")[int(rng.integers(2))]
            _barriers(rng, scene, s + 0.2, end - 0.2, t + sign * 0.4, barrier)
        for _ in range(int(rng.integers(3, 8))):
            place, off = float(rng.uniform(s + 1, end - 1)), float(rng.uniform(3.0, 22.0))
            size = float(rng.uniform(0.8, 1.4))
            scene.things.append(things.tree(rng, scene.street, place, t + sign * off, size=size))
    return end


def _kind(rng: np.random.Generator, scene: Scene, side: int, s: float) -> str:
    roll = float(rng.random())
    if 0.0 < s < 25.0 and (side + scene.number) % 2 == 0 and scene.number % 3 < 2:
        return ("wall", "villa")[scene.number % 3]  # walls and fences take turns
    if roll < 0.25 + 0.55 * scene.urban:
        return "row"
    if roll < 0.85:
        return "villa"
    return "park" if rng.random() < 0.7 else "wall"


def _row_house(rng: np.random.Generator, scene: Scene, s: float, end: float, t: float) -> None:
    floors = int(rng.integers(3, 6)) if scene.urban > 0.3 else int(rng.integers(2, 5))
    floors += 2 * int(rng.random() < 0.15)
    pitched = bool(rng.random() < 0.55)
    house = houses.building(rng, scene.street, s, end, t, floors=floors, pitched=pitched)
    scene.things.append(house)


def _villa(rng: np.random.Generator, scene: Scene, side: int, s: float, end: float) -> None:
    sign = 1.0 if side else -1.0
    t = scene.layout.border(side)
    back = t + sign * float(rng.uniform(3.5, 8.0))
    floors = int(rng.integers(1, 4))
    house = houses.building(
        rng, scene.street, s + 3, end - 3, back, floors=floors, pitched=True, depth=9.0
    )
    scene.things.append(house)
    barrier = ("fence", "wall", "hedge", "fence")[int(rng.integers(4))]
    if scene.number % 3 == 1 and 0.0 < s < 25.0:
        barrier = "fence"
    _barriers(rng, scene, s + 0.3, end - 0.3, t + sign * 0.3, barrier)
    for _ in range(int(rng.integers(0, 3))):
        place, off = float(rng.uniform(s + 1, end - 1)), float(rng.uniform(1.8, 3.0))
        size = float(rng.uniform(0.5, 0.8))
        scene.things.append(things.tree(rng, scene.street, place, t + sign * off, size=size))


def _barriers(
    rng: np.random.Generator, scene: Scene, s0: float, s1: float, t: float, kind: str
) -> None:
    """A wall, fence or hedge in pieces of 6 m, so that it bends with the street."""
    state = rng.bit_generator.state
    pieces = max(1, round((s1 - s0) / 6.0))
    for piece in range(pieces):
        rng.bit_generator.state = state  # all pieces look the same
        a, b = (s0 + (s1 - s0) * (piece + i) / pieces for i in (0, 1))
        scene.things.append(houses.barrier(rng, scene.street, a, b, t, kind))


def _posts(rng: np.random.Generator, scene: Scene, side: int) -> None:
    """Lamps, bollards, litter bins."""
    layout, street = scene.layout, scene.street
    sign = 1.0 if side else -1.0
    curb = layout.curb(side)
    s = -scene.behind + float(rng.uniform(0, 12))
    while s < 160:
        if layout.is_free(s, 1.5):
            scene.things.append(things.lamp(street, s, curb + sign * 0.45))
            if rng.random() < 0.3:
                scene.things.append(things.bin_(rng, street, s + 0.8, curb + sign * 0.5))
        s += float(rng.uniform(22, 30))
    if rng.random() < 0.4:
        start = float(rng.uniform(4, 20))
        for number in range(8):
            place = start + 1.8 * number
            if layout.is_free(place, 0.5):
                scene.things.append(things.bollard(street, place, curb + sign * 0.3))


def _greenery(rng: np.random.Generator, scene: Scene, side: int) -> None:
    """Trees in a row, in the verge if there is one; shrubs."""
    layout = scene.layout
    sign = 1.0 if side else -1.0
    curb, verge = layout.curb(side), layout.verge[side]
    avenue = verge > 0 or rng.random() < 0.35
    s = -scene.behind + float(rng.uniform(0, 8))
    spacing = float(rng.uniform(7, 13))
    while avenue and s < 190:
        if layout.is_free(s, 1.5) and rng.random() < 0.85:
            off = verge / 2 if verge else 0.9
            size = float(rng.uniform(0.6, 1.0))
            scene.things.append(things.tree(rng, scene.street, s, curb + sign * off, size=size))
        s += spacing * float(rng.uniform(0.8, 1.2))
    for _ in range(int(rng.integers(0, 5))):
        place = float(rng.uniform(6, 60))
        if verge and layout.is_free(place, 2.0):
            scene.things.append(things.bush(rng, scene.street, place, curb + sign * verge * 0.5))


def _signs(rng: np.random.Generator, scene: Scene, side: int) -> None:
    """Traffic signs and lights, at side streets and between."""
    layout, street = scene.layout, scene.street
    sign = 1.0 if side else -1.0
    curb = layout.curb(side)
    post = curb + sign * 0.55
    places = [float(rng.uniform(9, 19))] if side else []
    places += [float(place) for place in rng.uniform(10, 60, int(rng.integers(0, 3)))]
    for place in places:
        if layout.is_free(place, 1.5):
            scene.things.append(things.sign(rng, street, place, post))
    lights = scene.number % 2 == 1
    for s, width in layout.crossings:
        at = s - width / 2 - 1.2
        if lights or rng.random() < 0.35:
            mast = abs(curb) * 0.6 if side and rng.random() < 0.6 else 0.0
            scene.things.append(things.traffic_light(rng, street, at, post, mast=mast))
        else:
            scene.things.append(things.sign(rng, street, at, post, "priority"))
    if lights and side:
        place, mast = float(rng.uniform(12, 24)), float(rng.choice([0.0, 2.6]))
        if layout.is_free(place, 1.0):
            scene.things.append(things.traffic_light(rng, street, place, post, mast=mast))
