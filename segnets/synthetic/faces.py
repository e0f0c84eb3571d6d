"""Planar faces and capsules: everything a street scene is drawn from.

Axes, in the world and in each thing: x to the right, y up, z forward, metres. A face is a polygon
with a texture frame (origin, u, v): a point of it is `origin + u * u_axis + v * v_axis`, where u
and v count texture tiles, u to the right and v downwards for who sees it from outside. So the cross
product u x v points at the viewer, which culls back faces and lights the front ones.

A capsule is a rounded rod that always shows its broad side (limbs, poles, heads, trunks).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Color = tuple[float, float, float]

_CAP = np.array([[-1.0, 0.0], [-0.75, 0.6], [0.0, 1.0], [0.75, 0.6], [1.0, 0.0]])


@dataclass(frozen=True)
class Faces:
    """Many faces and capsules. F faces of P corners together, C capsules."""

    corners: Array  # (P, 3)
    counts: Ints  # (F,) corners of each face
    frames: Array  # (F, 3, 3) rows: origin, u axis, v axis of one tile
    textures: Ints  # (F,)
    tints: Array  # (F, 3) linear light
    labels: Ints  # (F,)
    ranks: Ints  # (F,) inside a thing, a higher rank is painted later
    two_sided: NDArray[np.bool_]  # (F,)
    glow: Array  # (F,) 0 lit by the sun, 1 shines by itself
    ends: Array  # (C, 2, 3)
    radii: Array  # (C, 2)
    rod_tints: Array  # (C, 3)
    rod_labels: Ints  # (C,)
    rod_ranks: Ints  # (C,)
    rod_glow: Array  # (C,)

    def moved(self, yaw: float, x: float, y: float, z: float) -> "Faces":
        """The same faces turned by `yaw` (radians, to the right) and then shifted."""
        sin, cos = float(np.sin(yaw)), float(np.cos(yaw))
        turn = np.array([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]])
        shift = np.array([x, y, z])
        frames = self.frames @ turn
        frames[:, 0] += shift
        return replace(
            self,
            corners=self.corners @ turn + shift,
            frames=frames,
            ends=self.ends @ turn + shift,
        )

    def normals(self) -> Array:
        """Unit normals (F, 3), outwards."""
        normals = np.cross(self.frames[:, 1], self.frames[:, 2])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        result: Array = normals
        return result


def join(parts: Sequence[Faces]) -> Faces:
    """All faces of `parts`, in their order."""
    return Faces(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in Faces.__dataclass_fields__
        )
    )


class Builder:
    """Collects faces one by one; `faces()` makes the arrays."""

    def __init__(self) -> None:
        self._corners: list[Array] = []
        self._rows: list[tuple[Array, int, Color, int, int, bool, float]] = []
        self._rods: list[tuple[ArrayLike, ArrayLike, float, float, Color, int, int, float]] = []

    def face(
        self,
        corners: ArrayLike,
        texture: int,
        tint: Color,
        label: int,
        *,
        tiles: tuple[float, float] = (1.0, 1.0),
        at: tuple[float, float] = (0.0, 0.0),
        frame: ArrayLike | None = None,
        rank: int = 0,
        two_sided: bool = False,
        glow: float = 0.0,
    ) -> None:
        """A polygon (n, 3), seen from outside: top left, top right, bottom right, bottom left.

        The texture starts `at` (u, v) in the first corner and runs over `tiles` tiles to the
        second (u) and to the last corner (v), unless `frame` (3, 3) says otherwise.
        """
        points = np.asarray(corners, np.float64)
        if frame is None:
            u_axis = (points[1] - points[0]) / tiles[0]
            v_axis = (points[-1] - points[0]) / tiles[1]
            frame = (points[0] - at[0] * u_axis - at[1] * v_axis, u_axis, v_axis)
        self._corners.append(points)
        self._rows.append(
            (np.asarray(frame, np.float64), texture, tint, label, rank, two_sided, glow)
        )

    def rod(
        self,
        start: ArrayLike,
        end: ArrayLike,
        radius: float | tuple[float, float],
        tint: Color,
        label: int,
        *,
        rank: int = 0,
        glow: float = 0.0,
    ) -> None:
        """A capsule from `start` to `end`, one radius or one at each end."""
        first, last = radius if isinstance(radius, tuple) else (radius, radius)
        self._rods.append((start, end, first, last, tint, label, rank, glow))

    def box(
        self,
        low: tuple[float, float, float],
        high: tuple[float, float, float],
        texture: int,
        tint: Color,
        label: int,
        *,
        tile_m: float = 1.0,
        rank: int = 0,
    ) -> None:
        """The five faces of an upright box that can be seen; a tile is `tile_m` metres."""
        (x0, y0, z0), (x1, y1, z1) = low, high
        across, up, along = (x1 - x0) / tile_m, (y1 - y0) / tile_m, (z1 - z0) / tile_m
        sides: tuple[tuple[list[tuple[float, float, float]], float, float], ...] = (
            ([(x0, y1, z0), (x1, y1, z0), (x1, y0, z0), (x0, y0, z0)], across, up),
            ([(x1, y1, z1), (x0, y1, z1), (x0, y0, z1), (x1, y0, z1)], across, up),
            ([(x0, y1, z1), (x0, y1, z0), (x0, y0, z0), (x0, y0, z1)], along, up),
            ([(x1, y1, z0), (x1, y1, z1), (x1, y0, z1), (x1, y0, z0)], along, up),
            ([(x0, y1, z1), (x1, y1, z1), (x1, y1, z0), (x0, y1, z0)], across, along),
        )
        for corners, u, v in sides:
            self.face(corners, texture, tint, label, tiles=(max(u, 0.01), max(v, 0.01)), rank=rank)

    def faces(self) -> Faces:
        """What was collected, as arrays."""
        frames, textures, tints, labels, ranks, sides, glow = (
            zip(*self._rows, strict=True) if self._rows else [()] * 7
        )
        starts, lasts, r0, r1, rod_tints, rod_labels, rod_ranks, rod_glow = (
            zip(*self._rods, strict=True) if self._rods else [()] * 8
        )
        return Faces(
            corners=np.concatenate(self._corners) if self._corners else np.zeros((0, 3)),
            counts=np.array([len(points) for points in self._corners], np.int64),
            frames=np.array(frames, np.float64).reshape(-1, 3, 3),
            textures=np.array(textures, np.int64),
            tints=np.array(tints, np.float64).reshape(-1, 3),
            labels=np.array(labels, np.int64),
            ranks=np.array(ranks, np.int64),
            two_sided=np.array(sides, np.bool_),
            glow=np.array(glow, np.float64),
            ends=np.stack(
                [
                    np.array(starts, np.float64).reshape(-1, 3),
                    np.array(lasts, np.float64).reshape(-1, 3),
                ],
                axis=1,
            ),
            radii=np.stack([np.array(r0, np.float64), np.array(r1, np.float64)], axis=1),
            rod_tints=np.array(rod_tints, np.float64).reshape(-1, 3),
            rod_labels=np.array(rod_labels, np.int64),
            rod_ranks=np.array(rod_ranks, np.int64),
            rod_glow=np.array(rod_glow, np.float64),
        )


def rods_as_faces(faces: Faces, eye: Array, sun: Array, texture: int) -> Faces:
    """The capsules of `faces` as ten-cornered faces that turn their broad side to `eye` (3,).

    Their texture runs once across the rod, u = 1 on the side of `sun` (3,), so that a texture
    which is dark at the left and light at the right makes them look round.
    """
    start, end = faces.ends[:, 0], faces.ends[:, 1]
    axis = end - start
    length = np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-6)
    axis = axis / length
    across = np.cross(axis, eye - start)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-6)
    # Towards the sun, so that the light side of the texture lies there.
    across *= np.where((across @ sun) < 0, -1.0, 1.0)[:, None]
    r0, r1 = faces.radii[:, :1], faces.radii[:, 1:]
    corners = [start + across * (r0 * side) - axis * (r0 * out) for side, out in _CAP]
    corners += [end + across * (r1 * -side) + axis * (r1 * out) for side, out in _CAP]
    count = len(start)
    widest = np.maximum(r0, r1)
    return Faces(
        corners=np.stack(corners, axis=1).reshape(-1, 3),
        counts=np.full(count, 10, np.int64),
        frames=np.stack([start - across * widest, across * (2 * widest), axis], axis=1),
        textures=np.full(count, texture, np.int64),
        tints=faces.rod_tints,
        labels=faces.rod_labels,
        ranks=faces.rod_ranks,
        two_sided=np.ones(count, np.bool_),
        glow=faces.rod_glow,
        ends=np.zeros((0, 2, 3)),
        radii=np.zeros((0, 2)),
        rod_tints=np.zeros((0, 3)),
        rod_labels=np.zeros(0, np.int64),
        rod_ranks=np.zeros(0, np.int64),
        rod_glow=np.zeros(0),
    )
