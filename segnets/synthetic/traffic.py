"""Vehicles and people in a scene: parked, driving, walking, crossing."""

from collections.abc import Callable

import numpy as np

from segnets.synthetic import people, vehicles
from segnets.synthetic.cars import PAINTS, car
from segnets.synthetic.faces import Builder, Faces
from segnets.synthetic.street import Mover, Scene

Made = tuple[Faces, float, float, float]  # faces, width, length, height
Make = Callable[[np.random.Generator], Made]
_LAST_M = 150.0


def _still(faces: Faces) -> Callable[[float], Faces]:
    """Faces that do not change with the step phase."""

    def at(_phase: float) -> Faces:
        return faces

    return at


def _add(
    scene: Scene, faces: Callable[[float], Faces], s: float, t: float, speed: float,
    size: tuple[float, float, float], *, yaw: float = 0.0, drift: float = 0.0, rate: float = 0.0,
) -> None:  # fmt: skip
    number = len(scene.movers) + 1
    scene.movers.append(Mover(faces, s, t, speed, drift, yaw, size, rate, number))


def _vehicle(
    rng: np.random.Generator, scene: Scene, make: Make, rear: float, t: float, speed: float,
    *, towards: bool = False, skew: float = 0.0,
) -> float:  # fmt: skip
    """Adds a vehicle whose near end is at s = `rear`; returns the s of its far end."""
    faces, width, length, height = make(rng)
    yaw = (np.pi if towards else 0.0) + skew
    _add(scene, _still(faces), rear + length / 2, t, speed, (width, length, height), yaw=yaw)
    return rear + length


def fill(rng: np.random.Generator, scene: Scene) -> None:
    """Adds all vehicles and riders to `scene.movers`."""
    for side in (0, 1):
        if scene.layout.parking[side]:
            _parked(rng, scene, side)
    _our_lane(rng, scene)
    _our_way(rng, scene)
    for lane in range(scene.layout.lanes[0]):
        _towards_us(rng, scene, lane)
    _two_wheelers(rng, scene)


def _parked(rng: np.random.Generator, scene: Scene, side: int) -> None:
    layout = scene.layout
    sign = 1.0 if side else -1.0
    t = layout.curb(side) - sign * 1.05
    s = -scene.behind + 2.0
    share = float(rng.uniform(0.4, 0.9))
    lorry_due = scene.number % 4 == 2 and side == 1
    while s < _LAST_M:
        beside_us = 0.0 < s < 6.5 and rng.random() < 0.6  # keeps the view open now and then
        if not layout.is_free(s + 2.5, 7.0) or beside_us or rng.random() > share:
            s += 4.5
            continue
        lorry = (lorry_due and 9 < s < 24) or rng.random() < 0.025
        lorry_due = lorry_due and not lorry
        towards = side == 0 and rng.random() < 0.8
        make: Make = vehicles.truck if lorry else car
        skew = float(rng.normal(0, 0.015))
        s = _vehicle(rng, scene, make, s, t, 0.0, towards=towards, skew=skew)
        s += float(rng.uniform(0.6, 1.8))


def _our_lane(rng: np.random.Generator, scene: Scene) -> None:
    """Who drives ahead of us: never nearer than 7 m in the whole clip."""
    own = scene.lateral
    turn = scene.number % 4
    due: dict[int, Make] = {1: vehicles.bus, 2: vehicles.truck}
    s = float(rng.uniform(11, 22) if turn in due else rng.uniform(8, 28))
    if turn in due or rng.random() < 0.65:
        speed = scene.speed + float(rng.uniform(-1.5, 1.0))
        t = own + float(rng.normal(0, 0.1))
        s = _vehicle(rng, scene, due.get(turn, car), s, t, speed)
    s += float(rng.uniform(12, 25))
    while s < 140:
        s = _vehicle(rng, scene, car, s, own, scene.speed)
        s += float(rng.uniform(12, 40))


def _our_way(rng: np.random.Generator, scene: Scene) -> None:
    """The other lanes in our direction."""
    for lane in range(scene.layout.lanes[1]):
        t = scene.layout.lane * (lane + 0.5)
        if abs(t - scene.lateral) < 1.5:
            continue
        speed = float(rng.uniform(6, 13))
        s = float(rng.uniform(5, 20))
        while s < 120:
            make: Make = vehicles.bus if rng.random() < 0.1 else car
            s = _vehicle(rng, scene, make, s, t, speed)
            s += float(rng.uniform(9, 36))


def _towards_us(rng: np.random.Generator, scene: Scene, lane: int) -> None:
    t = -scene.layout.lane * (lane + 0.5)
    s = float(rng.uniform(6, 28))
    if scene.layout.tram and lane == 0:
        towards = bool(rng.random() < 0.6)
        speed = float(rng.uniform(4, 9)) * (-1 if towards else 1)
        s = _vehicle(
            rng, scene, vehicles.tram, float(rng.uniform(9, 20)), t, speed, towards=towards
        )
        s += 22.0
    speed = -float(rng.uniform(7, 13))
    while s < _LAST_M:
        roll = rng.random()
        make: Make = car
        if roll < 0.16:
            make = vehicles.bus if roll < 0.08 else vehicles.truck
        s = _vehicle(rng, scene, make, s, t, speed, towards=True)
        s += float(rng.uniform(9, 34))


def _two_wheelers(rng: np.random.Generator, scene: Scene) -> None:
    layout = scene.layout
    right = max(layout.curb(1) - layout.parking[1] - 0.75, scene.lateral + 1.5)
    left = layout.curb(0) + layout.parking[0] + 0.75
    motor = scene.number % 2 == 1
    _rider(rng, scene, float(rng.uniform(7, 14)), right, motor=motor, way=1)
    _rider(rng, scene, float(rng.uniform(9, 20)), left, motor=not motor, way=-1)
    for _ in range(int(rng.integers(0, 3))):
        place = float(rng.uniform(18, 55))
        _rider(rng, scene, place, right, motor=bool(rng.random() < 0.35), way=1)
    for _ in range(int(rng.integers(1, 4))):  # parked on the pavement
        side = int(rng.integers(2))
        t = layout.curb(side) + (0.8 if side else -0.8)
        faces = _bike(rng, motor=bool(rng.random() < 0.4))
        yaw = float(rng.uniform(0, 2 * np.pi))
        _add(scene, _still(faces), float(rng.uniform(7, 35)), t, 0.0, (0.6, 1.8, 1.1), yaw=yaw)


def _bike(rng: np.random.Generator, *, motor: bool) -> Faces:
    builder = Builder()
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    vehicles.two_wheeler(builder, paint, motor=motor)
    return builder.faces()


def _rider(
    rng: np.random.Generator, scene: Scene, s: float, t: float, *, motor: bool, way: int
) -> None:
    who = people.looks(rng)
    paint = PAINTS[int(rng.integers(len(PAINTS)))]
    start = float(rng.uniform(0, 2 * np.pi))

    def faces(phase: float) -> Faces:
        builder = Builder()
        vehicles.two_wheeler(builder, paint, motor=motor)
        people.ride(builder, who, start + phase, motor=motor)
        return builder.faces()

    speed = way * float(rng.uniform(7, 11) if motor else rng.uniform(3.5, 6.5))
    yaw, rate = (0.0 if way > 0 else np.pi), (0.0 if motor else 6.0)
    _add(scene, faces, s, t, speed, (0.7, 2.0, 1.75), yaw=yaw, rate=rate)


def walkers(rng: np.random.Generator, scene: Scene) -> None:
    """People on the pavements, alone and in pairs, and on the first crossing."""
    layout = scene.layout
    for side in (0, 1):
        sign = 1.0 if side else -1.0
        low = abs(layout.curb(side)) + layout.verge[side] + 0.6
        high = max(abs(layout.border(side)) - 0.5, low + 0.1)
        for number in range(int(rng.integers(3, 9))):
            s = float(rng.uniform(7, 18) if number == 0 else rng.uniform(6, 60))
            t = sign * float(rng.uniform(low, high))
            pace = float(rng.choice([-1, 1]) * rng.uniform(0.8, 1.6))
            speed = 0.0 if rng.random() < 0.2 else pace
            _walker(rng, scene, s, t, speed, 0.0)
            if rng.random() < 0.35:
                _walker(rng, scene, s + 0.3, t + sign * 0.65, speed, 0.0)
    for s_cross, width in layout.crossings[:1]:
        for _ in range(int(rng.integers(0, 4))):
            s = s_cross - width / 2 - 2.5 + float(rng.normal(0, 0.8))
            t = float(rng.uniform(layout.curb(0), layout.curb(1)))
            drift = float(rng.choice([-1, 1]) * rng.uniform(1.0, 1.6))
            _walker(rng, scene, s, t, 0.0, drift)


def _walker(
    rng: np.random.Generator, scene: Scene, s: float, t: float, speed: float, drift: float
) -> None:
    who = people.looks(rng)
    start = float(rng.uniform(0, 2 * np.pi))
    pace = float(np.hypot(speed, drift))
    stride = min(1.0, pace / 1.2)

    def faces(phase: float) -> Faces:
        builder = Builder()
        people.walk(builder, who, start + phase, stride)
        return builder.faces()

    yaw = float(np.arctan2(drift, speed)) if pace > 0.1 else float(rng.uniform(0, 2 * np.pi))
    size = (0.6, 0.6, who.height)
    _add(scene, faces, s, t, speed, size, yaw=yaw, drift=drift, rate=5.5)
