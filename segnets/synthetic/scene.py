"""What is where, and when: one street from a seed, with everything that stands and moves in it.

Time 0 is the labelled frame; earlier frames have negative times, so a clip of any length ends with
the same picture. Everything moves on straight lines in street coordinates, each at its own speed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from segnets.synthetic import ground, people, things, vehicles
from segnets.synthetic.faces import Array, Builder, Color, Faces
from segnets.synthetic.things import Street, Thing

FRAME_S = (
    0.12  # seconds between two frames; Cityscapes has 1/17, too little to see motion at 112x224
)


@dataclass(frozen=True)
class Camera:
    """Where the camera is and looks. `focal` in picture widths; angles in radians."""

    eye: Array
    yaw: float
    pitch: float
    focal: float
    horizon: float  # height of the principal point as a share of the picture, 0 at the top


@dataclass(frozen=True)
class Light:
    """Sun, sky and air. Colours are linear light."""

    sun: Array  # unit vector towards the sun
    sun_color: Array
    sky_color: Array  # light from the sky on everything
    blue: Color  # the sky's own colour overhead
    haze: Array
    visibility_m: float
    overcast: bool
    exposure: float


@dataclass(frozen=True)
class Mover:
    """A vehicle or person. `faces` is drawn at a step phase that grows with time."""

    faces: Callable[[float], Faces]
    s: float
    t: float
    speed: float  # along the street, m/s
    drift: float  # across it, m/s
    yaw: float  # against the street's heading
    size: tuple[float, float, float]  # width, length, height
    rate: float  # radians of phase per second
    instance: int

    def box(self, time: float) -> tuple[float, float, float, float]:
        """The footprint s0, s1, t0, t1 in street coordinates."""
        s, t = self.s + self.speed * time, self.t + self.drift * time
        width, length = self.size[0] / 2, self.size[1] / 2
        along = abs(np.cos(self.yaw)) * length + abs(np.sin(self.yaw)) * width
        across = abs(np.sin(self.yaw)) * length + abs(np.cos(self.yaw)) * width
        return s - along, s + along, t - across, t + across


@dataclass(frozen=True)
class Layout:
    """The cross-section of the road: metres to the right of its middle."""

    lane: float
    lanes: tuple[int, int]  # left, right
    parking: tuple[float, float]  # widths of the parking strips, 0 for none
    verge: tuple[float, float]  # grass between kerb and pavement, 0 for none
    pavement: tuple[float, float]

    def curb(self, side: int) -> float:
        """Where the road ends on a side (0 left, 1 right); negative on the left."""
        width = self.lane * self.lanes[side] + self.parking[side]
        return width if side else -width

    def border(self, side: int) -> float:
        """Where the pavement ends."""
        more = self.verge[side] + self.pavement[side]
        return self.curb(side) + (more if side else -more)


@dataclass
class Scene:
    """One street. `camera(time)` and the movers are the only things that depend on time."""

    street: Street
    layout: Layout
    light: Light
    seed: tuple[int, ...]
    speed: float
    lateral: float
    eye_height: float
    yaw: float
    pitch: float
    focal: float
    horizon: float
    ground: Faces
    backdrop: Faces
    things: list[Thing] = field(default_factory=list)
    movers: list[Mover] = field(default_factory=list)

    def camera(self, time: float) -> Camera:
        """The camera at `time` seconds."""
        s = self.speed * time
        x, z = self.street.at(s, self.lateral)
        sway = 0.004 * np.sin(5.0 * time + self.yaw * 40)
        return Camera(
            eye=np.array([x, self.eye_height + 0.01 * np.sin(9.0 * time), z]),
            yaw=self.street.yaw(s) + self.yaw,
            pitch=self.pitch + sway,
            focal=self.focal,
            horizon=self.horizon,
        )


def make_scene(seed: tuple[int, ...], number: int, past_s: float) -> Scene:
    """The scene of `seed`; `number` makes rare classes take turns; `past_s` seconds can be shown."""
    rng = np.random.default_rng([*seed, 1])
    behind = 20.0 + 14.0 * past_s
    straight = rng.random() < 0.3
    curvature = 0.0 if straight else float(rng.choice([-1, 1]) * rng.uniform(0.002, 0.013))
    street = things.bend(curvature, float(rng.uniform(0, 35)), 330.0, behind)
    layout = _layout(rng, tram=number % 4 == 0)
    lane_index = int(rng.integers(layout.lanes[1]))
    scene = Scene(
        street=street,
        layout=layout,
        light=_light(rng),
        seed=seed,
        speed=float(rng.uniform(4.0, 11.0)),
        lateral=layout.lane * (lane_index + 0.5) + float(rng.normal(0, 0.15)),
        eye_height=float(rng.uniform(1.25, 2.0)),
        yaw=float(np.clip(rng.normal(0, 0.075), -0.17, 0.17)),
        pitch=float(rng.normal(0.0, 0.012)),
        focal=float(rng.uniform(0.78, 1.08)),
        horizon=float(rng.uniform(0.36, 0.52)),
        ground=Builder().faces(),
        backdrop=Builder().faces(),
    )
    crossing = float(rng.uniform(24, 70))
    plan = Plan(rng, scene, number, crossing, behind)
    plan.sides()
    plan.traffic()
    plan.walkers()
    scene.ground = ground.ground(
        rng, street, layout, plan.crossings, tram=number % 4 == 0, behind=behind
    )
    scene.backdrop = ground.backdrop(rng, scene.light, urban=plan.urban)
    return scene


def _layout(rng: np.random.Generator, *, tram: bool) -> Layout:
    lanes = ((1, 1), (1, 1), (1, 2), (2, 2), (2, 1))[int(rng.integers(5))]
    if tram:
        lanes = (2, max(1, lanes[1]))
    parking = tuple(2.2 if rng.random() < 0.65 else 0.0 for _ in range(2))
    verge = tuple(float(rng.uniform(1.2, 2.6)) if rng.random() < 0.35 else 0.0 for _ in range(2))
    pavement = tuple(float(rng.uniform(2.0, 5.0)) for _ in range(2))
    return Layout(
        lane=float(rng.uniform(3.0, 3.6)),
        lanes=lanes,
        parking=(parking[0], parking[1]),
        verge=(verge[0], verge[1]),
        pavement=(pavement[0], pavement[1]),
    )


def _light(rng: np.random.Generator) -> Light:
    overcast = bool(rng.random() < 0.35)
    azimuth = float(rng.uniform(0, 2 * np.pi))
    height = float(rng.uniform(0.35, 1.05))
    sun = np.array(
        [np.cos(height) * np.sin(azimuth), np.sin(height), np.cos(height) * np.cos(azimuth)]
    )
    warmth = float(np.clip(1.2 - height, 0.1, 0.8))
    strength = 0.0 if overcast else float(rng.uniform(1.3, 2.1))
    sun_color = strength * np.array([1.0, 1.0 - 0.16 * warmth, 1.0 - 0.38 * warmth])
    sky = float(rng.uniform(0.85, 1.1)) if overcast else float(rng.uniform(0.42, 0.62))
    sky_color = sky * (np.array([0.98, 1.0, 1.03]) if overcast else np.array([0.86, 0.97, 1.16]))
    level = float(rng.uniform(0.85, 1.1))
    if overcast:
        blue: Color = (0.62 * level, 0.66 * level, 0.72 * level)
        haze = np.array([0.70, 0.73, 0.77]) * level
    else:
        blue = (0.10 * level, 0.24 * level, 0.56 * level)
        haze = np.array([0.66, 0.75, 0.86 - 0.20 * warmth * 0.5]) * level
    return Light(
        sun=sun,
        sun_color=sun_color,
        sky_color=sky_color,
        blue=blue,
        haze=haze,
        visibility_m=float(np.exp(rng.uniform(np.log(160), np.log(900)))),
        overcast=overcast,
        exposure=float(rng.uniform(0.85, 1.2)),
    )


class Plan:
    """Furnishes a scene: both sides of the street, then the traffic, then the people."""

    def __init__(
        self, rng: np.random.Generator, scene: Scene, number: int, crossing: float, behind: float
    ) -> None:
        self.rng, self.scene, self.number = rng, scene, number
        self.crossing, self.behind = crossing, behind
        self.crossings: list[tuple[float, float]] = []  # (s, width) of side streets
        self.urban = float(rng.uniform(0.0, 1.0))
        self.instances = 0
        if rng.random() < 0.75:
            self.crossings.append((crossing, float(rng.uniform(6.0, 9.0))))
        if rng.random() < 0.5:
            self.crossings.append((crossing + float(rng.uniform(45, 80)), 7.0))

    def sides(self) -> None:
        """Buildings, gardens, walls and parks along both sides; lamps, signs, lights, trees."""
        for side in (0, 1):
            s = -self.behind
            while s < 235.0:
                gap = next((c for c in self.crossings if abs(c[0] - s) < c[1] / 2 + 3), None)
                if gap is not None:
                    s = gap[0] + gap[1] / 2 + 3.2
                    continue
                stop = min(
                    (c[0] - c[1] / 2 - 3.0 for c in self.crossings if c[0] > s), default=250.0
                )
                s = self._parcel(side, s, stop)
            self._kerbside(side)

    def _parcel(self, side: int, s: float, stop: float) -> float:
        """One plot from `s` on; returns where it ends."""
        rng, street = self.rng, self.scene.street
        sign = 1.0 if side else -1.0
        t = self.scene.layout.border(side)
        near = -5.0 < s < 40.0
        forced = near and (side + self.number) % 2 == 0
        roll = float(rng.random())
        if forced and self.number % 3 == 0 and 0.0 < s < 25.0:
            kind = "wall"
        elif forced and self.number % 3 == 1 and 0.0 < s < 25.0:
            kind = "villa"
        elif roll < 0.25 + 0.55 * self.urban:
            kind = "row"
        elif roll < 0.85:
            kind = "villa"
        else:
            kind = "park" if rng.random() < 0.7 else "wall"
        length = {"row": rng.uniform(9, 21), "villa": rng.uniform(16, 26)}.get(
            kind, rng.uniform(16, 34)
        )
        end = min(s + float(length), stop)
        if end - s < 6.0:
            return stop + 0.01 if end >= stop - 0.01 else end
        scene = self.scene
        if kind == "row":
            floors = int(rng.integers(3, 6)) if self.urban > 0.3 else int(rng.integers(2, 5))
            floors += int(rng.random() < 0.15) * 2
            scene.things.append(
                things.building(rng, street, s, end, t + sign * 0.05, floors=floors,
                                pitched=bool(rng.random() < 0.55))
            )  # fmt: skip
            return end
        if kind == "villa":
            back = t + sign * float(rng.uniform(3.5, 8.0))
            scene.things.append(
                things.building(rng, street, s + 3, end - 3, back, floors=int(rng.integers(1, 4)),
                                pitched=True, depth=9.0)
            )  # fmt: skip
            barrier = (
                "fence"
                if forced and self.number % 3 == 1
                else ("fence", "wall", "hedge", "fence")[int(rng.integers(4))]
            )
            self._barriers(s + 0.3, end - 0.3, t + sign * 0.3, barrier)
            for _ in range(int(rng.integers(0, 3))):
                place = float(rng.uniform(s + 1, end - 1))
                scene.things.append(
                    things.tree(rng, street, place, t + sign * float(rng.uniform(1.8, 3.0)),
                                size=float(rng.uniform(0.5, 0.8)))
                )  # fmt: skip
            return end
        if kind == "wall":
            self._barriers(s + 0.2, end - 0.2, t + sign * 0.2, "wall")
        elif rng.random() < 0.6:
            self._barriers(
                s + 0.2, end - 0.2, t + sign * 0.4, ("hedge", "fence")[int(rng.integers(2))]
            )
        for _ in range(int(rng.integers(3, 8))):
            place, off = float(rng.uniform(s + 1, end - 1)), float(rng.uniform(3.0, 22.0))
            scene.things.append(
                things.tree(rng, street, place, t + sign * off, size=float(rng.uniform(0.8, 1.4)))
            )
        return end

    def _barriers(self, s0: float, s1: float, t: float, kind: str) -> None:
        state = self.rng.bit_generator.state
        pieces = max(1, round((s1 - s0) / 6.0))
        for piece in range(pieces):
            self.rng.bit_generator.state = state  # every piece of a fence looks the same
            a = s0 + (s1 - s0) * piece / pieces
            b = s0 + (s1 - s0) * (piece + 1) / pieces
            self.scene.things.append(things.barrier(self.rng, self.scene.street, a, b, t, kind))

    def _kerbside(self, side: int) -> None:
        rng, scene, layout = self.rng, self.scene, self.scene.layout
        street, sign = scene.street, (1.0 if side else -1.0)
        curb, verge = layout.curb(side), layout.verge[side]
        post = curb + sign * 0.45

        def free(s: float) -> bool:
            return all(abs(s - c[0]) > c[1] / 2 + 1.5 for c in self.crossings)

        s = -self.behind + float(rng.uniform(0, 12))
        while s < 160:
            if free(s):
                scene.things.append(things.lamp(street, s, post))
            s += float(rng.uniform(22, 30))
        avenue = verge > 0 or rng.random() < 0.35
        s = -self.behind + float(rng.uniform(0, 8))
        spacing = float(rng.uniform(7, 13))
        while avenue and s < 190:
            if free(s) and rng.random() < 0.85:
                off = verge / 2 if verge else 0.9
                scene.things.append(
                    things.tree(
                        rng, street, s, curb + sign * off, size=float(rng.uniform(0.6, 1.0))
                    )
                )
            s += spacing * float(rng.uniform(0.8, 1.2))
        for _ in range(int(rng.integers(2, 5)) + side):
            place = float(rng.uniform(7, 50))
            if free(place):
                scene.things.append(things.sign(rng, street, place, post + sign * 0.15))
        if side and free(14.0):
            place = float(rng.uniform(9, 20))
            scene.things.append(things.sign(rng, street, place, post + sign * 0.1))
        for s_cross, width in self.crossings:
            at = s_cross - width / 2 - 1.2
            if self.number % 2 == 1 or rng.random() < 0.35:
                mast = abs(curb) * 0.6 if side and rng.random() < 0.6 else 0.0
                scene.things.append(things.traffic_light(rng, street, at, post, mast=mast))
            else:
                scene.things.append(things.sign(rng, street, at, post, "priority"))
        if self.number % 2 == 1 and side:
            place = float(rng.uniform(12, 24))
            scene.things.append(
                things.traffic_light(rng, street, place, post, mast=float(rng.choice([0.0, 2.6])))
            )
        if rng.random() < 0.4:
            start = float(rng.uniform(4, 20))
            for i in range(8):
                scene.things.append(things.bollard(street, start + 1.8 * i, curb + sign * 0.3))
        for _ in range(int(rng.integers(0, 5))):
            place = float(rng.uniform(6, 60))
            if verge:
                scene.things.append(things.bush(rng, street, place, curb + sign * verge * 0.5))

    def _add(
        self, faces: Callable[[float], Faces], s: float, t: float, speed: float,
        size: tuple[float, float, float], *, yaw: float = 0.0, drift: float = 0.0, rate: float = 0.0,
    ) -> None:  # fmt: skip
        self.instances += 1
        self.scene.movers.append(Mover(faces, s, t, speed, drift, yaw, size, rate, self.instances))

    def _vehicle(
        self, make: Callable[[np.random.Generator], tuple[Faces, float, float, float]],
        s: float, t: float, speed: float, *, yaw: float = 0.0,
    ) -> float:  # fmt: skip
        faces, width, length, height = make(self.rng)
        self._add(lambda _phase: faces, s, t, speed, (width, length, height), yaw=yaw)
        return length

    def traffic(self) -> None:
        """Parked and moving vehicles, two-wheelers with riders."""
        rng, scene, layout = self.rng, self.scene, self.scene.layout
        turn = self.number % 4
        for side in (0, 1):
            if not layout.parking[side]:
                continue
            sign = 1.0 if side else -1.0
            t = layout.curb(side) - sign * 1.05
            s = -self.behind + 4.0
            fill = float(rng.uniform(0.45, 0.95))
            while s < 150:
                if any(abs(s - c[0]) < c[1] / 2 + 7 for c in self.crossings):
                    s += 4.0
                    continue
                if rng.random() < fill:
                    yaw = 0.0 if side or rng.random() < 0.2 else np.pi
                    lorry = (turn == 2 and side and 8 < s < 22) or rng.random() < 0.03
                    make = vehicles.truck if lorry else vehicles.car
                    half = 4.6 if lorry else 2.5
                    s += half
                    self._vehicle(make, s, t, 0.0, yaw=yaw + float(rng.normal(0, 0.015)))
                    s += half + float(rng.uniform(0.6, 1.4))
                else:
                    s += 5.5
        own = scene.lateral
        # Ahead in our lane.
        lead = float(rng.uniform(9, 26))
        make_lead = {1: vehicles.bus, 2: vehicles.truck}.get(turn, vehicles.car)
        if turn in (1, 2) or rng.random() < 0.7:
            if turn in (1, 2):
                lead = float(rng.uniform(13, 24))
            length = self._vehicle(make_lead, lead + 3, own + float(rng.normal(0, 0.1)),
                                   scene.speed + float(rng.uniform(-1.0, 1.5)))  # fmt: skip
            lead += length
        s = lead + float(rng.uniform(12, 25))
        while s < 140:
            self._vehicle(vehicles.car, s, own, scene.speed + float(rng.uniform(0, 2)))
            s += float(rng.uniform(12, 40))
        for lane in range(layout.lanes[1]):  # other lanes our way
            t = layout.lane * (lane + 0.5)
            if abs(t - own) < 1.5:
                continue
            s = float(rng.uniform(6, 25))
            while s < 120:
                kind = vehicles.bus if rng.random() < 0.1 else vehicles.car
                s += self._vehicle(kind, s, t, float(rng.uniform(6, 13)))
                s += float(rng.uniform(10, 40))
        for lane in range(layout.lanes[0]):  # towards us
            t = -layout.lane * (lane + 0.5)
            s = float(rng.uniform(8, 30))
            if turn == 0 and lane == 0:
                toward = rng.random() < 0.6
                self._vehicle(vehicles.tram, float(rng.uniform(24, 36)), t,
                              float(rng.uniform(4, 9)) * (-1 if toward else 1),
                              yaw=np.pi if toward else 0.0)  # fmt: skip
                s = 75.0
            while s < 150:
                roll = rng.random()
                kind = (
                    vehicles.bus if roll < 0.08 else vehicles.truck if roll < 0.16 else vehicles.car
                )
                s += self._vehicle(kind, s, t, -float(rng.uniform(7, 13)), yaw=np.pi)
                s += float(rng.uniform(10, 36))
        right = layout.curb(1) - layout.parking[1] - 0.75
        left = layout.curb(0) + layout.parking[0] + 0.75
        first_motor = self.number % 2 == 1
        self._rider(float(rng.uniform(8, 15)), max(right, own + 1.4), first_motor, 1)
        self._rider(float(rng.uniform(10, 22)), left, not first_motor, -1)
        for _ in range(int(rng.integers(0, 3))):
            self._rider(float(rng.uniform(15, 55)), right, bool(rng.random() < 0.35), 1)
        for _ in range(int(rng.integers(1, 4))):  # parked at the kerb
            motor = bool(rng.random() < 0.4)
            faces = self._bike(motor)
            side = int(rng.integers(2))
            t = layout.curb(side) + (0.7 if side else -0.7)
            yaw = float(rng.uniform(0, 6.28))
            self._add(lambda _phase, faces=faces: faces, float(rng.uniform(7, 35)), t, 0.0,
                      (0.6, 1.8, 1.1), yaw=yaw)  # fmt: skip

    def _bike(self, motor: bool) -> Faces:
        builder = Builder()
        paint = vehicles.PAINTS[int(self.rng.integers(len(vehicles.PAINTS)))]
        vehicles.two_wheeler(builder, motor, paint)
        return builder.faces()

    def _rider(self, s: float, t: float, motor: bool, way: int) -> None:
        rng = self.rng
        who = people.looks(rng)
        paint = vehicles.PAINTS[int(rng.integers(len(vehicles.PAINTS)))]
        start = float(rng.uniform(0, 6.28))

        def faces(phase: float) -> Faces:
            builder = Builder()
            vehicles.two_wheeler(builder, motor, paint)
            people.ride(builder, who, start + phase, motor)
            return builder.faces()

        speed = float(rng.uniform(7, 11) if motor else rng.uniform(3.5, 6.5))
        self._add(faces, s, t, way * speed, (0.7, 2.0, 1.75), yaw=0.0 if way > 0 else np.pi,
                  rate=0.0 if motor else 6.0)  # fmt: skip

    def _walker(self, s: float, t: float, speed: float, drift: float) -> None:
        rng = self.rng
        who = people.looks(rng)
        start = float(rng.uniform(0, 6.28))
        pace = float(np.hypot(speed, drift))
        stride = min(1.0, pace / 1.2)

        def faces(phase: float) -> Faces:
            builder = Builder()
            people.walk(builder, who, start + phase, stride)
            return builder.faces()

        yaw = float(np.arctan2(drift, speed)) if pace > 0.1 else float(rng.uniform(0, 6.28))
        self._add(faces, s, t, speed, (0.6, 0.6, who.height), yaw=yaw, drift=drift, rate=5.5)

    def walkers(self) -> None:
        """People on the pavements and on the crossing."""
        rng, layout = self.rng, self.scene.layout
        for side in (0, 1):
            sign = 1.0 if side else -1.0
            low, high = (
                abs(layout.curb(side)) + layout.verge[side] + 0.6,
                abs(layout.border(side)) - 0.5,
            )
            for i in range(int(rng.integers(3, 9))):
                s = float(rng.uniform(7, 18) if i == 0 else rng.uniform(6, 60))
                t = sign * float(rng.uniform(low, max(low + 0.1, high)))
                speed = (
                    0.0
                    if rng.random() < 0.2
                    else float(rng.choice([-1, 1]) * rng.uniform(0.8, 1.6))
                )
                self._walker(s, t, speed, 0.0)
                if rng.random() < 0.35:
                    self._walker(s + 0.3, t + sign * 0.65, speed, 0.0)
        for s_cross, width in self.crossings[:1]:
            for _ in range(int(rng.integers(0, 4))):
                t = float(rng.uniform(layout.curb(0), layout.curb(1)))
                self._walker(s_cross - width / 2 - 2.5 + float(rng.normal(0, 0.8)), t, 0.0,
                             float(rng.choice([-1, 1]) * rng.uniform(1.0, 1.6)))  # fmt: skip
