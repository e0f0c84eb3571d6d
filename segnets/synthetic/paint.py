"""Which face is seen at which sample: projection, painting order, polygons.

All faces are painted from far to near into one picture of face numbers that is SAMPLES times as
fine as the frame in each direction (PIL's integer polygons, nothing blended). Things are ordered by
their boxes on the ground, faces inside a thing by rank and depth.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segnets.synthetic.faces import Array, Faces, Ints
from segnets.synthetic.street import Camera, Crown
from segnets.synthetic.textures import atlas

SAMPLES = 3  # a pixel has 3 x 3; odd, so that one lies in its middle
NEAR_M = 0.35
_CROWN_NEAR_M = 1.2
_FAR_OUT = 60_000.0  # samples; keeps PIL's integers in range
Flags = NDArray[np.bool_]


class View:
    """A camera for pictures of one size. `focal` and `center` (x, y) are in pixels."""

    def __init__(self, camera: Camera, height: int, width: int) -> None:
        self.camera, self.height, self.width = camera, height, width
        self.basis = camera.basis()
        self.focal = camera.focal * width
        self.center = (0.5 * width, camera.horizon * height)

    def local(self, points: Array) -> Array:
        """World points (n, 3) as seen from the camera: right, up, forward."""
        result: Array = (points - self.camera.eye) @ self.basis.T
        return result

    def screen(self, local: Array) -> Array:
        """Pixel places (n, 2) of points in front of the camera."""
        scale = self.focal / local[:, 2]
        return np.stack(
            [self.center[0] + scale * local[:, 0], self.center[1] - scale * local[:, 1]], axis=1
        )


class PlacedCrown(NamedTuple):
    """A tree's crown in a view: when it is painted, its depth (m), its box in samples."""

    place: int
    crown: Crown
    depth: float
    middle: tuple[float, float]
    half: tuple[float, float]


def place_crowns(view: View, crowns: Sequence[tuple[int, Crown]]) -> list[PlacedCrown]:
    """The crowns (each with its place in the painting order) that can be seen, far to near."""
    if not crowns:
        return []
    local = view.local(np.array([crown.center for _, crown in crowns]))
    depths = np.maximum(local[:, 2], 1e-3)
    middles = view.screen(np.column_stack([local[:, :2], depths])) * SAMPLES
    scales = view.focal / depths * SAMPLES
    sides = view.width * SAMPLES, view.height * SAMPLES
    found = []
    rows = zip(crowns, local[:, 2].tolist(), middles.tolist(), scales.tolist(), strict=True)
    for (place, crown), depth, (x, y), scale in rows:
        across, up = crown.half_width * scale, crown.half_height * scale
        inside = -across < x < sides[0] + across and -up < y < sides[1] + up
        if depth > _CROWN_NEAR_M and inside and across > 1.0:
            found.append(PlacedCrown(place, crown, depth, (x, y), (across, up)))
    return sorted(found, key=lambda one: one.place)


def painting_order(boxes: Array, here: tuple[float, float]) -> Ints:
    """The place of each box (s0, s1, t0, t1) in the painting order, far to near of `here` (s, t).

    Of two boxes that are apart along the street the farther one comes first; of two that are apart
    across it, the one farther from the camera's line.
    """
    s0, s1 = boxes[:, 0] - here[0], boxes[:, 1] - here[0]
    t0, t1 = boxes[:, 2] - here[1], boxes[:, 3] - here[1]
    slack = 0.02
    beyond = s0[:, None] >= s1[None, :] - slack
    to_right = (t0[:, None] >= t1[None, :] - slack) & (t1 > 0)[None, :] & (t0 > 0)[:, None]
    to_left = (t1[:, None] <= t0[None, :] + slack) & (t0 < 0)[None, :] & (t1 < 0)[:, None]
    first = beyond | ((to_right | to_left) & ~beyond.T)
    np.fill_diagonal(first, val=False)
    # Only pairs that can meet on the screen count; without this test there are cycles.
    near, far = np.maximum(s0, 0.5), np.maximum(s1, 0.6)
    angles = np.stack([t0 / near, t1 / near, t0 / far, t1 / far])
    low, high = angles.min(axis=0) - slack, angles.max(axis=0) + slack
    first &= (low[:, None] < high[None, :]) & (low[None, :] < high[:, None])
    score = np.hypot((s0 + s1) / 2, (t0 + t1) / 2)
    waiting = first.sum(axis=0)
    order = np.zeros(len(boxes), np.int64)
    for place in range(len(boxes)):
        # Of those that wait for nobody the farthest; a cycle is cut at its farthest box.
        pick = int(np.argmax(score - 1e6 * (waiting > 0)))
        order[pick] = place
        score[pick] = -np.inf
        waiting = waiting - first[pick]
    return order


def paint(
    view: View, faces: Faces, away: Array, places: Ints, crowns: Sequence[PlacedCrown]
) -> NDArray[np.int32]:
    """The picture (H * SAMPLES, W * SAMPLES) of face numbers: 0 nothing, face + 1, then crowns.

    `away` (F,): how far the camera is in front of each face's plane; `places` (F,): when its thing
    is painted.
    """
    local = view.local(faces.corners)
    starts = np.concatenate([[0], np.cumsum(faces.counts)[:-1]])
    whole = np.minimum.reduceat(local[:, 2], starts) > NEAR_M
    seen = (away > 0) | faces.two_sided
    seen &= np.maximum.reduceat(local[:, 2], starts) > NEAR_M
    screen = view.screen(np.where(local[:, 2:] > NEAR_M, local, [0.0, 0.0, NEAR_M]))
    low = np.minimum.reduceat(screen, starts, axis=0)
    high = np.maximum.reduceat(screen, starts, axis=0)
    outside = (high < 0).any(axis=1) | (low > [view.width, view.height]).any(axis=1)
    # What is thinner than a sample would still be painted one sample thick: far plates, far bars.
    extent = (high - low) * SAMPLES
    speck = (extent.max(axis=1) < 1.0) | (extent.min(axis=1) < 0.25)
    seen &= ~(whole & (outside | speck))
    depth = np.add.reduceat(local[:, 2], starts) / faces.counts
    sequence = np.lexsort((-depth, faces.ranks, places))
    sequence = sequence[seen[sequence]]
    image = Image.new("I", (view.width * SAMPLES, view.height * SAMPLES), 0)
    draw = ImageDraw.Draw(image)
    flat = _samples(screen)
    ends, begins = (starts + faces.counts).tolist(), starts.tolist()
    is_whole, when = whole.tolist(), places.tolist()
    next_crown = 0
    for row in sequence.tolist():
        # A crown goes after the faces of its own thing.
        while next_crown < len(crowns) and crowns[next_crown].place < when[row]:
            _paint_crown(image, crowns[next_crown], len(faces.counts) + next_crown + 1)
            next_crown += 1
        a, b = begins[row], ends[row]
        if is_whole[row]:
            draw.polygon(flat[2 * a : 2 * b], fill=row + 1)
        else:
            cut = clip_near(local[a:b])
            if len(cut) >= 3:
                draw.polygon(_samples(view.screen(cut)), fill=row + 1)
    for number in range(next_crown, len(crowns)):
        _paint_crown(image, crowns[number], len(faces.counts) + number + 1)
    return np.asarray(image, np.int32)


def _samples(screen: Array) -> list[float]:
    # PIL covers the pixels of its integer corners: half a sample back centres the polygon.
    places = np.rint(np.clip(screen * SAMPLES - 0.5, -_FAR_OUT, _FAR_OUT))
    result: list[float] = places.ravel().tolist()
    return result


def _paint_crown(image: Image.Image, placed: PlacedCrown, number: int) -> None:
    (x, y), (across, up) = placed.middle, placed.half
    left, top = x - across, y - up
    x0, y0 = max(0, math.floor(left)), max(0, math.floor(top))
    x1, y1 = min(image.width, math.ceil(x + across)), min(image.height, math.ceil(y + up))
    if x1 <= x0 or y1 <= y0:
        return
    shape = atlas().cutouts[placed.crown.number]
    step_u, step_v = shape.width / (2 * across), shape.height / (2 * up)
    u0, u1 = (x0 - left) * step_u, (x1 - left) * step_u
    if placed.crown.mirrored:
        u0, u1 = shape.width - u0, shape.width - u1
    box = (u0, (y0 - top) * step_v, u1, (y1 - top) * step_v)
    mask = shape.transform((x1 - x0, y1 - y0), Image.Transform.EXTENT, box)
    image.paste(number, (x0, y0, x1, y1), mask)


def clip_near(points: Array) -> Array:
    """The part of a polygon (n, 3) in front of the near plane (Sutherland and Hodgman 1974)."""
    inside = points[:, 2] > NEAR_M
    kept: list[Array] = []
    for i in range(len(points)):
        j = (i + 1) % len(points)
        if inside[i]:
            kept.append(points[i])
        if inside[i] != inside[j]:
            share = (NEAR_M - points[i, 2]) / (points[j, 2] - points[i, 2])
            kept.append(points[i] + share * (points[j] - points[i]))
    return np.array(kept).reshape(-1, 3)
