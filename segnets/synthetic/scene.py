"""What is where, and when: one street from a seed, with all that stands and moves in it.

Time 0 is the labelled frame and earlier frames have negative times, so a clip of any length ends
with the same picture. Everything moves on straight lines in street coordinates, each thing at its
own speed; the camera drives along its lane.
"""

import numpy as np

from segnets.synthetic import ground, roadside, traffic
from segnets.synthetic.faces import Color
from segnets.synthetic.street import Layout, Light, Scene, bend

_TOP_SPEED = 11.0  # m/s, of the camera
FRAME_S = 0.12  # between frames; Cityscapes' 1/17 s moves things too little to be seen at 112x224


def make_scene(seed: tuple[int, ...], number: int, past_s: float) -> Scene:
    """The scene of `seed`, for times from -`past_s` to 0.

    `number` is the scene's place in its split: trams, buses, lorries, walls, fences, traffic lights
    and kinds of two-wheelers take turns by it, so that a set of a dozen holds all 19 classes.
    """
    rng = np.random.default_rng([*seed, 1])
    layout = draw_layout(rng, tram=number % 4 == 0)
    # The same for clips of up to 30 frames, so that they all end with the same picture.
    behind = max(62.0, 24.0 + _TOP_SPEED * past_s)
    straight = rng.random() < 0.3
    curvature = 0.0 if straight else float(rng.choice([-1, 1]) * rng.uniform(0.002, 0.013))
    lane = int(rng.integers(layout.lanes[1]))
    scene = Scene(
        street=bend(curvature, float(rng.uniform(0, 35)), 330.0, behind + 2),
        layout=layout,
        light=draw_light(rng),
        seed=seed,
        number=number,
        urban=float(rng.uniform(0.0, 1.0)),
        behind=behind,
        speed=float(rng.uniform(4.0, _TOP_SPEED)),
        lateral=layout.lane * (lane + 0.5) + float(rng.normal(0, 0.15)),
        eye_height=float(rng.uniform(1.25, 2.1)),
        yaw=float(np.clip(rng.normal(0, 0.075), -0.17, 0.17)),
        pitch=float(rng.normal(0.0, 0.012)),
        focal=float(rng.uniform(0.78, 1.08)),
        horizon=float(rng.uniform(0.36, 0.52)),
    )
    roadside.furnish(rng, scene)
    traffic.fill(rng, scene)
    traffic.walkers(rng, scene)
    scene.ground = ground.ground(rng, scene.street, layout, behind=behind)
    scene.backdrop = ground.backdrop(rng, scene.light, urban=scene.urban)
    return scene


def draw_layout(rng: np.random.Generator, *, tram: bool) -> Layout:
    """A random cross-section and side streets; a tram needs two lanes towards us."""
    lanes = ((1, 1), (1, 1), (1, 2), (2, 2), (2, 1))[int(rng.integers(5))]
    if tram:
        lanes = (2, max(1, lanes[1]))
    parking = [2.2 if rng.random() < 0.55 else 0.0 for _ in range(2)]
    verge = [float(rng.uniform(1.2, 2.8)) if rng.random() < 0.4 else 0.0 for _ in range(2)]
    pavement = [float(rng.uniform(2.4, 5.5)) for _ in range(2)]
    first = float(rng.uniform(24, 70))
    crossings: list[tuple[float, float]] = []
    if rng.random() < 0.75:
        crossings.append((first, float(rng.uniform(6.0, 9.0))))
    if rng.random() < 0.5:
        crossings.append((first + float(rng.uniform(45, 80)), 7.0))
    return Layout(
        lane=float(rng.uniform(3.0, 3.6)),
        lanes=lanes,
        parking=(parking[0], parking[1]),
        verge=(verge[0], verge[1]),
        pavement=(pavement[0], pavement[1]),
        tram=tram,
        crossings=tuple(crossings),
    )


def draw_light(rng: np.random.Generator) -> Light:
    """Random weather: sun from any side, low or high, or clouds; haze from thick to none."""
    overcast = bool(rng.random() < 0.28)
    azimuth = float(rng.uniform(0, 2 * np.pi))
    height = float(rng.uniform(0.40, 1.05))
    flat = np.cos(height)
    warmth = float(np.clip(1.15 - height, 0.1, 0.75))
    strength = 0.0 if overcast else float(rng.uniform(1.5, 2.3))
    sun_color = strength * np.array([1.0, 1.0 - 0.14 * warmth, 1.0 - 0.36 * warmth])
    drops = int(rng.integers(12, 40)) if overcast and rng.random() < 0.6 else 0
    level = float(rng.uniform(0.88, 1.1))
    blue: Color
    if overcast:
        sky_color = float(rng.uniform(0.95, 1.25)) * np.array([0.98, 1.0, 1.03])
        blue = (0.66 * level, 0.70 * level, 0.76 * level)
        haze = np.array([0.76, 0.79, 0.83]) * level
    else:
        sky_color = float(rng.uniform(0.48, 0.68)) * np.array([0.88, 0.97, 1.13])
        blue = (0.10 * level, 0.25 * level, 0.60 * level)
        haze = np.array([0.70, 0.80, 0.92 - 0.15 * warmth]) * level
    return Light(
        sun=np.array([flat * np.sin(azimuth), np.sin(height), flat * np.cos(azimuth)]),
        sun_color=sun_color,
        sky_color=sky_color,
        blue=blue,
        haze=haze,
        visibility_m=float(np.exp(rng.uniform(np.log(190), np.log(1100)))),
        overcast=overcast,
        exposure=float(rng.uniform(0.92, 1.25)),
        drops=drops,
    )
