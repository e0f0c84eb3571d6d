"""People as rods: walking, standing, riding. They stand on y = 0 at x = z = 0 and look along +z."""

from dataclasses import dataclass

import numpy as np

from segnets.synthetic.faces import Builder, Color
from segnets.synthetic.street import PERSON, RIDER

_CLOTHES: tuple[Color, ...] = (
    (0.03, 0.04, 0.07), (0.10, 0.10, 0.11), (0.28, 0.05, 0.05), (0.05, 0.10, 0.24),
    (0.32, 0.30, 0.26), (0.08, 0.14, 0.08), (0.45, 0.38, 0.10), (0.45, 0.45, 0.46),
    (0.22, 0.10, 0.16), (0.02, 0.02, 0.022), (0.10, 0.24, 0.28), (0.50, 0.18, 0.06),
)  # fmt: skip
_TROUSERS: tuple[Color, ...] = (
    (0.03, 0.045, 0.09), (0.02, 0.02, 0.025), (0.10, 0.10, 0.10), (0.20, 0.17, 0.12),
    (0.06, 0.08, 0.14),
)  # fmt: skip
_SKIN: tuple[Color, ...] = ((0.62, 0.38, 0.27), (0.50, 0.29, 0.19), (0.22, 0.11, 0.06))
_HAIR: tuple[Color, ...] = ((0.02, 0.015, 0.012), (0.10, 0.05, 0.02), (0.35, 0.24, 0.10),
                            (0.30, 0.30, 0.30))  # fmt: skip


@dataclass(frozen=True)
class Looks:
    """What one person wears, and how tall they are in metres."""

    height: float
    jacket: Color
    trousers: Color
    skin: Color
    hair: Color
    skirt: bool
    bag: bool


def looks(rng: np.random.Generator) -> Looks:
    """A random person."""
    return Looks(
        height=float(rng.choice([rng.uniform(1.58, 1.92), rng.uniform(1.15, 1.4)], p=[0.9, 0.1])),
        jacket=_CLOTHES[int(rng.integers(len(_CLOTHES)))],
        trousers=_TROUSERS[int(rng.integers(len(_TROUSERS)))],
        skin=_SKIN[int(rng.integers(len(_SKIN)))],
        hair=_HAIR[int(rng.integers(len(_HAIR)))],
        skirt=bool(rng.random() < 0.2),
        bag=bool(rng.random() < 0.35),
    )


def walk(builder: Builder, who: Looks, phase: float, stride: float) -> None:
    """A person in step `phase` (radians) of a walk; `stride` 0 stands, 1 walks briskly."""
    scale = who.height / 1.75
    swing = 0.33 * stride * np.sin(phase)
    lift = 0.10 * stride

    def at(x: float, y: float, z: float) -> tuple[float, float, float]:
        return (x * scale, y * scale, z * scale)

    for sign in (-1.0, 1.0):
        step = sign * swing
        raised = max(0.0, sign * np.cos(phase)) * lift
        hip, knee = (sign * 0.10, 0.90, 0.0), (sign * 0.11, 0.50, 0.6 * step + 0.05 * stride)
        ankle = (sign * 0.11, 0.09 + raised, 1.25 * step - 0.5 * raised)
        leg = who.skin if who.skirt else who.trousers
        builder.rod(at(*hip), at(*knee), (0.098 * scale, 0.075 * scale), who.trousers, PERSON)
        builder.rod(at(*knee), at(*ankle), (0.072 * scale, 0.05 * scale), leg, PERSON)
        toe = (ankle[0], 0.05 + raised, ankle[2] + 0.17)
        builder.rod(at(ankle[0], 0.06 + raised, ankle[2] - 0.03), at(*toe), 0.05 * scale,
                    (0.03, 0.025, 0.02), PERSON)  # fmt: skip
        shoulder, elbow = (sign * 0.20, 1.40, 0.0), (sign * 0.255, 1.12, -0.45 * step - 0.02)
        hand = (sign * 0.25, 0.88, -0.80 * step + 0.06)
        builder.rod(at(*shoulder), at(*elbow), (0.07 * scale, 0.055 * scale), who.jacket, PERSON)
        builder.rod(at(*elbow), at(*hand), (0.052 * scale, 0.04 * scale), who.jacket, PERSON)
        builder.rod(at(*hand), at(hand[0], hand[1] - 0.07, hand[2]), 0.04 * scale, who.skin, PERSON)
    if who.skirt:
        builder.rod(at(0, 0.95, 0), at(0, 0.66, 0), (0.16 * scale, 0.22 * scale), who.trousers,
                    PERSON, rank=1)  # fmt: skip
    _trunk(builder, who, scale, 0.94, 0.0, PERSON)
    if who.bag:
        builder.rod(at(0, 1.36, -0.17), at(0, 1.08, -0.19), 0.14 * scale, who.trousers, PERSON)


def _trunk(
    builder: Builder, who: Looks, scale: float, hip_y: float, lean: float, label: int,
    helmet: Color | None = None, z: float = 0.0,
) -> None:  # fmt: skip
    """Chest, neck, head above a hip at `z`; `lean` is how far (m) the shoulders are before it."""
    top = hip_y + 0.50
    hip = (0.0, (hip_y + 0.06) * scale, z)
    lean += z / scale
    chest = (0.0, (top - 0.10) * scale, lean * scale)
    builder.rod(hip, chest, (0.178 * scale, 0.19 * scale), who.jacket, label, rank=1)
    low = (0.0, hip[1] - 0.10 * scale, hip[2])
    builder.rod(low, hip, (0.165 * scale, 0.175 * scale), who.jacket, label)
    shoulder_y, shoulder_z = (top - 0.045) * scale, lean * scale
    builder.rod((-0.17 * scale, shoulder_y, shoulder_z), (0.17 * scale, shoulder_y, shoulder_z),
                0.078 * scale, who.jacket, label, rank=1)  # fmt: skip
    neck = (0.0, (top + 0.03) * scale, (lean + 0.015) * scale)
    head = (0.0, (top + 0.17) * scale, (lean + 0.05) * scale)
    builder.rod(neck, (0.0, head[1] - 0.06 * scale, head[2] - 0.01), 0.052 * scale, who.skin, label)
    if helmet is not None:
        low, high = (0.0, head[1] - 0.03, head[2]), (0.0, head[1] + 0.03, head[2])
        builder.rod(low, high, 0.135, helmet, label, rank=3)
        visor = (0.0, head[1] - 0.01, head[2] + 0.11)
        builder.rod(visor, (0.0, head[1] + 0.02, head[2] + 0.11), 0.07, (0.02, 0.02, 0.025), label,
                    rank=3)  # fmt: skip
        return
    low = (0.0, head[1] - 0.05 * scale, head[2] + 0.015)
    builder.rod(low, (0.0, head[1] + 0.05 * scale, head[2] + 0.01), 0.090 * scale, who.skin, label,
                rank=3)  # fmt: skip
    back = (0.0, head[1] - 0.005 * scale, head[2] - 0.045)
    builder.rod(back, (0.0, head[1] + 0.07 * scale, head[2] - 0.01), 0.096 * scale, who.hair, label,
                rank=3)  # fmt: skip


def ride(builder: Builder, who: Looks, phase: float, *, motor: bool) -> None:
    """The rider of a two-wheeler, pedals at `phase` (radians); a motorcyclist has a helmet."""
    seat_y, seat_z = (0.90, -0.20) if motor else (0.98, -0.20)
    bar_y, bar_z, bar_x = (1.06, 0.40, 0.36) if motor else (1.04, 0.22, 0.28)
    lean = 0.10 if motor else 0.26
    for sign in (-1.0, 1.0):
        if motor:
            knee, foot = (sign * 0.24, 0.72, 0.24), (sign * 0.20, 0.34, 0.0)
        else:
            turn = phase + (0.0 if sign > 0 else np.pi)
            foot = (sign * 0.11, 0.30 - 0.17 * np.cos(turn), -0.02 + 0.17 * np.sin(turn))
            knee = (sign * 0.13, 0.40 + foot[1] * 0.9, 0.20 + 0.3 * foot[2])
        hip = (sign * 0.09, seat_y, seat_z)
        builder.rod(hip, knee, (0.10, 0.075), who.trousers, RIDER, rank=1)
        builder.rod(knee, foot, (0.07, 0.05), who.trousers, RIDER, rank=1)
        builder.rod(
            foot, (foot[0], foot[1] - 0.02, foot[2] + 0.16), 0.05, (0.03, 0.025, 0.02), RIDER
        )
        shoulder = (sign * 0.20, seat_y + 0.46, seat_z + lean)
        elbow = (sign * 0.30, (shoulder[1] + bar_y) / 2 - 0.03, (shoulder[2] + bar_z) / 2 - 0.05)
        builder.rod(shoulder, elbow, (0.07, 0.055), who.jacket, RIDER, rank=1)
        builder.rod(elbow, (sign * bar_x, bar_y, bar_z), (0.052, 0.04), who.jacket, RIDER, rank=1)
    _trunk(
        builder,
        who,
        1.0,
        seat_y - 0.02,
        lean,
        RIDER,
        helmet=who.jacket if motor else None,
        z=seat_z,
    )
