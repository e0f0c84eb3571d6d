"""The words of a scene: street, layout, light, camera, things and movers.

Places are street coordinates: `s` metres along the middle of the road, `t` metres to its right.
`Street` turns them into the world (x right, y up, z forward at s = 0).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from segnets.synthetic.faces import Array, Builder, Color, Faces

# labelIds of segnets.labels; static is not scored.
STATIC, ROAD, SIDEWALK, BUILDING, WALL, FENCE = 4, 7, 8, 11, 12, 13
POLE, LIGHT, SIGN, VEGETATION, TERRAIN, SKY = 17, 19, 20, 21, 22, 23
PERSON, RIDER, CAR, TRUCK, BUS, TRAIN, MOTORCYCLE, BICYCLE = 24, 25, 26, 27, 28, 31, 32, 33

Box = tuple[float, float, float, float]  # s0, s1, t0, t1
Point = tuple[float, float, float]


def pick(rng: np.random.Generator, colors: tuple[Color, ...]) -> Color:
    """One of `colors`, a little lighter or darker."""
    base = colors[int(rng.integers(len(colors)))]
    level = float(rng.uniform(0.85, 1.12))
    red, green, blue = (min(0.8, value * level) for value in base)
    return red, green, blue


@dataclass(frozen=True)
class Street:
    """The middle line of the road: world x, z and heading (radians) each metre from `first` on."""

    first: float
    x: list[float]
    z: list[float]
    heading: list[float]

    def _between(self, s: float) -> tuple[int, float]:
        place = min(max(s - self.first, 0.0), len(self.x) - 1.001)
        row = int(place)
        return row, place - row

    def yaw(self, s: float) -> float:
        """Heading at `s` in radians."""
        row, share = self._between(s)
        return self.heading[row] + share * (self.heading[row + 1] - self.heading[row])

    def at(self, s: float, t: float) -> tuple[float, float]:
        """World x and z of a street place."""
        row, share = self._between(s)
        heading = self.heading[row] + share * (self.heading[row + 1] - self.heading[row])
        x = self.x[row] + share * (self.x[row + 1] - self.x[row])
        z = self.z[row] + share * (self.z[row + 1] - self.z[row])
        return x + t * math.cos(heading), z - t * math.sin(heading)

    def point(self, s: float, t: float, y: float) -> Point:
        """World point at height `y`."""
        x, z = self.at(s, t)
        return x, y, z


def bend(curvature: float, start: float, ahead: float, behind: float) -> Street:
    """A road that is straight at s = 0, bends by `curvature` (1/m) from `start` on for 90 m."""
    s = np.arange(-np.ceil(behind), ahead + 1.0)
    inside = np.clip(s - start, 0.0, 90.0)
    ease = 14.0  # the bend begins gently, else lane markings show a kink
    heading = curvature * np.where(inside < ease, inside**2 / (2 * ease), inside - ease / 2)
    x, z = np.cumsum(np.sin(heading)), np.cumsum(np.cos(heading))
    zero = int(np.ceil(behind))
    return Street(
        first=float(s[0]),
        x=(x - x[zero]).tolist(),
        z=(z - z[zero]).tolist(),
        heading=heading.tolist(),
    )


@dataclass(frozen=True)
class Layout:
    """The cross-section of the road. Pairs are (left, right), in metres but for `lanes`."""

    lane: float
    lanes: tuple[int, int]
    parking: tuple[float, float]  # widths of the parking strips, 0 for none
    verge: tuple[float, float]  # grass between kerb and pavement, 0 for none
    pavement: tuple[float, float]
    tram: bool
    crossings: tuple[tuple[float, float], ...]  # (s, width) of side streets

    def curb(self, side: int) -> float:
        """Where the road ends on a side (0 left, 1 right); negative on the left."""
        width = self.lane * self.lanes[side] + self.parking[side]
        return width if side else -width

    def border(self, side: int) -> float:
        """Where the pavement ends."""
        more = self.verge[side] + self.pavement[side]
        return self.curb(side) + (more if side else -more)

    def is_free(self, s: float, room: float) -> bool:
        """Whether `s` is `room` metres away from every side street."""
        return all(abs(s - place) > width / 2 + room for place, width in self.crossings)


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
    drops: int  # rain drops on the windscreen, other ones in each frame


@dataclass(frozen=True)
class Camera:
    """Where the camera is and looks. `focal` in picture widths; angles in radians."""

    eye: Array
    yaw: float
    pitch: float
    focal: float
    horizon: float  # height of the principal point as a share of the picture, 0 at the top

    def basis(self) -> Array:
        """Rows: right, up and forward in the world."""
        sin, cos = np.sin(self.yaw), np.cos(self.yaw)
        right, level = np.array([cos, 0.0, -sin]), np.array([sin, 0.0, cos])
        up = np.array([0.0, 1.0, 0.0])
        low, high = np.sin(self.pitch), np.cos(self.pitch)
        return np.stack([right, high * up - low * level, high * level + low * up])


@dataclass(frozen=True)
class Crown:
    """A tree's crown: a picture that faces the camera, cut out along its silhouette."""

    center: Point
    half_width: float
    half_height: float
    number: int
    tint: Color
    mirrored: bool


@dataclass(frozen=True)
class Thing:
    """Something that stands there: faces in the world, its box on the ground, its height."""

    faces: Faces
    box: Box
    height: float
    crowns: tuple[Crown, ...] = ()


@dataclass(frozen=True)
class Mover:
    """A vehicle or person, parked ones too. `faces` draws it at a step phase (radians)."""

    faces: Callable[[float], Faces]
    s: float
    t: float
    speed: float  # along the street, m/s
    drift: float  # across it, m/s
    yaw: float  # against the street's heading
    size: tuple[float, float, float]  # width, length, height
    rate: float  # radians of phase a second
    instance: int

    def place(self, time: float) -> tuple[float, float]:
        """Where it is, in street coordinates."""
        return self.s + self.speed * time, self.t + self.drift * time

    def box(self, time: float) -> Box:
        """Its footprint in street coordinates."""
        s, t = self.place(time)
        width, length = self.size[0] / 2, self.size[1] / 2
        sin, cos = abs(math.sin(self.yaw)), abs(math.cos(self.yaw))
        along, across = cos * length + sin * width, sin * length + cos * width
        return s - along, s + along, t - across, t + across


@dataclass
class Scene:
    """One street. Only the camera and the movers depend on time (s; 0 is the labelled frame)."""

    street: Street
    layout: Layout
    light: Light
    seed: tuple[int, ...]
    number: int  # rare classes take turns by it
    urban: float  # 0 gardens, 1 closed rows of houses
    behind: float  # metres of street before s = 0
    speed: float  # of the camera, m/s
    lateral: float  # of the camera
    eye_height: float
    yaw: float
    pitch: float
    focal: float
    horizon: float
    ground: Faces = field(default_factory=lambda: Builder().faces())
    backdrop: Faces = field(default_factory=lambda: Builder().faces())
    things: list[Thing] = field(default_factory=list)
    movers: list[Mover] = field(default_factory=list)

    def camera(self, time: float) -> Camera:
        """The camera at `time`; it nods and sways a little as it drives."""
        s = self.speed * time
        x, z = self.street.at(s, self.lateral)
        return Camera(
            eye=np.array([x, self.eye_height + 0.01 * math.sin(9.0 * time), z]),
            yaw=self.street.yaw(s) + self.yaw,
            pitch=self.pitch + 0.003 * math.sin(5.0 * time + 40 * self.yaw),
            focal=self.focal,
            horizon=self.horizon,
        )
