"""Scene and time to picture, labels and instances.

Faces are collected (this file), painted as numbers (paint.py), shaded (shade.py) and photographed
(lens.py). The label of a pixel is that of its
middle sample, so labels and picture come from the same faces.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segnets.labels import LABELS
from segnets.synthetic.faces import Array, Faces, Ints, join, rods_as_faces
from segnets.synthetic.ground import KERB_M
from segnets.synthetic.lens import develop
from segnets.synthetic.paint import SAMPLES, PlacedCrown, View, paint, painting_order, place_crowns
from segnets.synthetic.shade import Ground, Table, shade
from segnets.synthetic.shadows import ShadowMap
from segnets.synthetic.street import SKY, VEGETATION, Crown, Scene
from segnets.synthetic.textures import atlas

_BACKDROP, _GROUND = -2, -1  # owners of faces that belong to no thing
_SKY_CLEAR_M = 14_000.0
_HAS_INSTANCES = [row.label_id for row in LABELS if row.has_instances]


@dataclass(frozen=True)
class Picture:
    """One frame."""

    rgb: NDArray[np.uint8]  # (H, W, 3)
    label_ids: NDArray[np.uint8]  # (H, W)
    instance_ids: NDArray[np.uint16]  # (H, W): labelId, or labelId * 1000 + number of the thing


class Renderer:
    """Draws the frames of one scene at (height, width), for times from -`past_s` to 0."""

    def __init__(self, scene: Scene, height: int, width: int, past_s: float = 0.0) -> None:
        self.scene, self.height, self.width = scene, height, width
        self._shadows = ShadowMap(scene, past_s)
        parts = [scene.backdrop, scene.ground, *(thing.faces for thing in scene.things)]
        owners = np.arange(_BACKDROP, len(scene.things))
        self._still = join(parts)
        self._crowns = [
            (number, crown) for number, thing in enumerate(scene.things) for crown in thing.crowns
        ]
        self._owners = np.repeat(owners, [len(part.counts) for part in parts])
        self._rod_owners = np.repeat(owners, [len(part.radii) for part in parts])

    def draw(self, time: float) -> Picture:
        """The picture at `time` seconds (0: the labelled frame)."""
        scene = self.scene
        view = View(scene.camera(time), self.height, self.width)
        faces, owners = self._collect(time, view)
        boxes = [thing.box for thing in scene.things]
        boxes += [mover.box(time) for mover in scene.movers]
        order = painting_order(np.array(boxes), (scene.speed * time, scene.lateral))
        crowns = place_crowns(view, [(int(order[number]), crown) for number, crown in self._crowns])
        normals = faces.normals()
        away = np.einsum("ij,ij->i", normals, view.camera.eye - faces.frames[:, 0])
        places = np.where(owners < 0, owners, order[owners])
        ids = paint(view, faces, away, places, crowns)
        table = self._table(view, faces, owners, normals, away, crowns)
        ground = Ground(self._shadows.at(time), self._shadows.x0, self._shadows.z0)
        light = shade(ids, table, ground, scene.light.haze.astype(np.float32))
        middle = ids[SAMPLES // 2 :: SAMPLES, SAMPLES // 2 :: SAMPLES]
        rng = np.random.default_rng([*scene.seed, 6, round(-time * 1000)])
        return Picture(
            rgb=develop(light, scene.light.exposure, rng, drops=scene.light.drops),
            label_ids=table.label[middle],
            instance_ids=table.instance[middle],
        )

    def _collect(self, time: float, view: View) -> tuple[Faces, Ints]:
        """All faces, rods turned to the camera among them; for each the thing it belongs to."""
        scene = self.scene
        parts, owners, rod_owners = [self._still], [self._owners], [self._rod_owners]
        for number, mover in enumerate(scene.movers, len(scene.things)):
            s, t = mover.place(time)
            x, z = scene.street.at(s, t)
            if ((np.array([x, 0.0, z]) - view.camera.eye) @ view.basis[2]) < -mover.size[1]:
                continue  # behind us
            on_road = scene.layout.curb(0) < t < scene.layout.curb(1)
            yaw, y = scene.street.yaw(s) + mover.yaw, 0.0 if on_road else KERB_M
            parts.append(mover.faces(mover.rate * time).moved(yaw, x, y, z))
            owners.append(np.full(len(parts[-1].counts), number))
            rod_owners.append(np.full(len(parts[-1].radii), number))
        everything = join(parts)
        rods = rods_as_faces(everything, view.camera.eye, scene.light.sun, atlas()["rod"])
        return join([everything, rods]), np.concatenate([*owners, *rod_owners])

    def _table(
        self, view: View, faces: Faces, owners: Ints, normals: Array, away: Array,
        placed: list[PlacedCrown],
    ) -> Table:  # fmt: skip
        """The rows: nothing, the faces, the crowns."""
        names, light, count = atlas(), self.scene.light, len(placed)
        crowns = [one.crown for one in placed]
        basis, focal, center = view.basis, view.focal, view.center
        nothing = [view.camera.eye + 50 * basis[2], basis[0], -basis[1]]
        crown_frames = [_crown_frame(crown, basis) for crown in crowns]
        frames = np.concatenate([[nothing], faces.frames, *([crown_frames] if crowns else [])])
        project = np.array([[focal, 0, center[0]], [0, -focal, center[1]], [0, 0, 1]])
        local = [frames[:, 1] @ basis.T, frames[:, 2] @ basis.T, view.local(frames[:, 0])]
        matrix = project @ np.stack(local, axis=2)
        # Planes seen edge-on have no inverse, and no pixels that anybody could recognise.
        edge_on = np.abs(np.linalg.det(matrix)) < 1e-7 * focal * focal
        matrix[edge_on] = project @ np.diag([1.0, 1.0, 30.0])
        planes = np.linalg.inv(matrix)
        textures = [names[f"crown{crown.number}"] for crown in crowns]
        texture = np.concatenate([[names["plain"]], faces.textures, textures]).astype(np.intp)
        u_m, v_m = np.linalg.norm(frames[:, 1], axis=1), np.linalg.norm(frames[:, 2], axis=1)
        depths = [one.depth for one in placed]
        plane_m = np.concatenate([[50.0], np.maximum(np.abs(away), 0.05), depths])
        texels_per_m = 2.0 ** names.log_sizes[texture] / np.sqrt(np.maximum(u_m * v_m, 1e-8))
        # Light: from the sun where the face looks at it, from the sky by how far it looks up.
        facing = normals * np.where(away < 0, -1.0, 1.0)[:, None]
        direct, sky = np.maximum(facing @ light.sun, 0.0), 0.66 + 0.34 * facing[:, 1]
        lit = direct[:, None] * light.sun_color + sky[:, None] * light.sky_color
        glow = faces.glow[:, None]
        lit = lit * (1 - glow) + glow
        crown_lit = np.tile(0.55 * light.sun_color + 0.8 * light.sky_color, (count, 1))
        lit = np.concatenate([np.zeros((1, 3)), lit, crown_lit])
        crown_tints = np.array([crown.tint for crown in crowns]).reshape(-1, 3)
        tints = np.concatenate([np.ones((1, 3)), faces.tints, crown_tints])
        things = len(self.scene.things)
        instances = [0] * things + [mover.instance for mover in self.scene.movers] + [0, 0]
        labels = np.concatenate([[0], faces.labels, np.full(count, VEGETATION)])
        numbers = np.concatenate([[0], np.array(instances)[owners], np.zeros(count, np.int64)])
        level_ground = (owners == _GROUND) & (np.abs(normals[:, 1]) > 0.9)
        air = np.where(labels == SKY, 1.0 / _SKY_CLEAR_M, 1.0 / light.visibility_m)
        return Table(
            planes=np.ascontiguousarray(planes.reshape(-1, 9).T, np.float32),
            level=(np.log2(texels_per_m / focal) - 0.5 * np.log2(plane_m)).astype(np.float32),
            texture=texture,
            lit=np.ascontiguousarray((lit * tints).T, np.float32),
            bare=lit.mean(axis=1).astype(np.float32),
            air=air.astype(np.float32),
            on_ground=np.concatenate([[False], level_ground, np.zeros(count, np.bool_)]),
            tile_m=u_m.astype(np.float32),
            label=labels.astype(np.uint8),
            instance=np.where(
                np.isin(labels, _HAS_INSTANCES), labels * 1000 + numbers, labels
            ).astype(np.uint16),
        )


def _crown_frame(crown: Crown, basis: Array) -> list[Array]:
    """Origin, u and v axis of a crown's picture, turned to the camera."""
    right = basis[0] * (-crown.half_width if crown.mirrored else crown.half_width)
    up = basis[1] * crown.half_height
    return [np.array(crown.center) - right + up, 2 * right, -2 * up]
