"""Scene and time to picture, labels and instances, by deferred shading.

1. All faces are painted from far to near into one picture of face numbers, three times as fine as
   the frame in each direction (PIL's polygons, integers, no blending).
2. Each pixel whose nine samples show one face is shaded once, with a filtered texture; the others
   once a sample, and averaged. Shading goes through the inverse projection of the face's plane, so
   texture, depth, haze and shadow are right in perspective and cost the same whatever lies behind.
3. Lens blur, vignette, tone curve, sensor noise.

The label of a pixel is that of its middle sample, so labels and picture come from the same faces.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segnets.labels import LABELS
from segnets.synthetic.faces import Array, Faces, Ints, join, rods_as_faces
from segnets.synthetic.patterns import Floats
from segnets.synthetic.scene import Camera, Scene
from segnets.synthetic.shadows import PIXELS_PER_M, ShadowMap
from segnets.synthetic.textures import MAX_LEVELS, atlas
from segnets.synthetic.things import Crown

SAMPLES = 3  # a pixel has 3 x 3; odd, so that one lies in its middle
NEAR_M = 0.35
_CHUNK = 1 << 15  # pixels shaded at once: their arrays stay in the cache
_HAS_INSTANCES = {row.label_id for row in LABELS if row.has_instances}


@dataclass(frozen=True)
class Picture:
    """One frame."""

    rgb: NDArray[np.uint8]  # (H, W, 3)
    label_ids: NDArray[np.uint8]  # (H, W)
    instance_ids: NDArray[np.uint16]  # (H, W): labelId, or labelId * 1000 + number of the thing


@dataclass(frozen=True)
class _Table:
    """What shading asks of a face, one row each; row 0 is nothing."""

    planes: Floats  # (9, F) screen to (u, v, 1) / z
    level: Floats  # (F,) texture level at z = 1
    texture: NDArray[np.int32]
    sizes: Floats  # side of the texture in texels
    lit: Floats  # (3, F) light times tint
    bare: Floats  # (F,) light alone
    air: Floats  # (F,) haze per metre
    flat: NDArray[np.bool_]  # lies on the ground, takes shadows
    tile_m: Floats  # metres of a tile (ground only)
    label: NDArray[np.uint8]
    instance: NDArray[np.uint16]


class Renderer:
    """Draws the frames of one scene at (height, width)."""

    def __init__(self, scene: Scene, height: int, width: int, past_s: float = 0.0) -> None:
        self.scene, self.height, self.width = scene, height, width
        self.shadows = ShadowMap(scene, past_s)
        self._static = join(
            [scene.backdrop, scene.ground, *(thing.faces for thing in scene.things)]
        )
        counts = [len(scene.backdrop.counts), len(scene.ground.counts)]
        counts += [len(thing.faces.counts) for thing in scene.things]
        self._owners = np.repeat(np.arange(-2, len(scene.things)), counts)
        rods = [len(scene.backdrop.radii), len(scene.ground.radii)]
        rods += [len(thing.faces.radii) for thing in scene.things]
        self._rod_owners = np.repeat(np.arange(-2, len(scene.things)), rods)

    def draw(self, time: float) -> Picture:
        """The picture at `time` seconds (0: the labelled frame)."""
        scene = self.scene
        camera = scene.camera(time)
        basis = _basis(camera)
        focal = camera.focal * self.width
        center = (0.5 * self.width, camera.horizon * self.height)
        faces, owners, instances = self._collect(time, camera)
        crowns, crown_owners = self._crowns(camera, basis)
        order = self._order(time)
        normals = faces.normals()
        away = np.einsum("ij,ij->i", normals, camera.eye - faces.frames[:, 0])
        seen = (away > 0) | faces.two_sided
        local = (faces.corners - camera.eye) @ basis.T
        starts = np.concatenate([[0], np.cumsum(faces.counts)[:-1]])
        nearest = np.minimum.reduceat(local[:, 2], starts)
        farthest = np.maximum.reduceat(local[:, 2], starts)
        seen &= farthest > NEAR_M
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = np.where(np.abs(local[:, 2]) < 1e-3, 1e-3, local[:, 2])
            screen = np.stack(
                [center[0] + focal * local[:, 0] / depth, center[1] - focal * local[:, 1] / depth],
                1,
            )
        whole = nearest > NEAR_M
        left = np.minimum.reduceat(screen[:, 0], starts)
        right = np.maximum.reduceat(screen[:, 0], starts)
        top = np.minimum.reduceat(screen[:, 1], starts)
        bottom = np.maximum.reduceat(screen[:, 1], starts)
        outside = (right < 0) | (left > self.width) | (bottom < 0) | (top > self.height)
        seen &= ~(whole & outside)
        middle = np.add.reduceat(local[:, 2], starts) / faces.counts
        position = np.where(owners < 0, owners - 10, order[owners])
        by_depth = np.where(owners < 0, 0.0, -middle)
        sequence = np.lexsort((by_depth, faces.ranks, position))
        sequence = sequence[seen[sequence]]
        ids = self._paint(sequence, faces, owners, starts, screen, local, whole, focal, center,
                          crowns, crown_owners, order, basis, camera)  # fmt: skip
        table = self._table(faces, owners, instances, normals, away, basis, camera, focal, center,
                            crowns)  # fmt: skip
        rgb = self._shade_all(ids, table, camera, time)
        middle_ids = ids[1::SAMPLES, 1::SAMPLES]
        return Picture(
            rgb=self._develop(rgb, time),
            label_ids=table.label[middle_ids],
            instance_ids=table.instance[middle_ids],
        )

    def _collect(self, time: float, camera: Camera) -> tuple[Faces, Ints, Ints]:
        """All faces, for each the thing it belongs to (-2, -1: backdrop, ground), its instance."""
        scene = self.scene
        parts, owners, rod_owners = [self._static], [self._owners], [self._rod_owners]
        base = len(scene.things)
        for number, mover in enumerate(scene.movers):
            s, t = mover.s + mover.speed * time, mover.t + mover.drift * time
            x, z = scene.street.at(s, t)
            border = scene.layout
            raised = t > border.curb(1) or t < border.curb(0)
            turned = mover.faces(mover.rate * time).moved(
                scene.street.yaw(s) + mover.yaw, x, 0.12 if raised else 0.0, z
            )
            parts.append(turned)
            owners.append(np.full(len(turned.counts), base + number))
            rod_owners.append(np.full(len(turned.radii), base + number))
        everything = join(parts)
        rods = rods_as_faces(everything, camera.eye, scene.light.sun, atlas()["rod"])
        faces = join([everything, rods])
        owner = np.concatenate([*owners, *rod_owners])
        numbers = np.array([0] * base + [mover.instance for mover in scene.movers] + [0, 0])
        return faces, owner, numbers[owner]

    def _crowns(self, camera: Camera, basis: Array) -> tuple[list[Crown], list[int]]:
        crowns, owners = [], []
        for number, thing in enumerate(self.scene.things):
            for crown in thing.crowns:
                z = float((np.array(crown.center) - camera.eye) @ basis[2])
                if z > 1.2:
                    crowns.append(crown)
                    owners.append(number)
        return crowns, owners

    def _order(self, time: float) -> Ints:
        """The place of each thing in the painting order, far to near.

        Of two boxes that are apart along the street the farther one comes first; of two that are
        apart across it, the one farther from the camera's line.
        """
        scene = self.scene
        boxes = np.array(
            [thing.box for thing in scene.things] + [mover.box(time) for mover in scene.movers]
        )
        here = np.array([scene.speed * time, scene.lateral])
        s0, s1 = boxes[:, 0] - here[0], boxes[:, 1] - here[0]
        t0, t1 = boxes[:, 2] - here[1], boxes[:, 3] - here[1]
        behind = s0[:, None] >= s1[None, :] - 0.02  # i lies beyond j
        beside = ((t0[:, None] >= t1[None, :] - 0.02) & (t1[None, :] > 0) & (t0[:, None] > 0)) | (
            (t1[:, None] <= t0[None, :] + 0.02) & (t0[None, :] < 0) & (t1[:, None] < 0)
        )
        first = behind | (beside & ~behind.T)
        np.fill_diagonal(first, False)  # noqa: FBT003
        # Only pairs that can meet on the screen matter; without this test cycles appear.
        near = np.maximum(s0, 0.5)
        angles = np.stack(
            [t0 / near, t1 / near, t0 / np.maximum(s1, 0.6), t1 / np.maximum(s1, 0.6)]
        )
        low, high = angles.min(axis=0) - 0.02, angles.max(axis=0) + 0.02
        meets = (low[:, None] < high[None, :]) & (low[None, :] < high[:, None])
        first &= meets
        distance = np.hypot((s0 + s1) / 2, (t0 + t1) / 2)
        waiting = first.sum(axis=0)  # how many must come before
        order = np.zeros(len(boxes), np.int64)
        done = np.zeros(len(boxes), np.bool_)
        for place in range(len(boxes)):
            # Ready ones first, the farthest of them; a cycle is cut at its farthest thing.
            score = np.where(done, -np.inf, distance - 1e6 * (waiting > 0))
            pick = int(np.argmax(score))
            order[pick] = place
            done[pick] = True
            waiting = waiting - first[pick]
        return order

    def _paint(
        self, sequence: Ints, faces: Faces, owners: Ints, starts: Ints, screen: Array, local: Array,
        whole: NDArray[np.bool_], focal: float, center: tuple[float, float], crowns: list[Crown],
        crown_owners: list[int], order: Ints, basis: Array, camera: Camera,
    ) -> NDArray[np.int32]:  # fmt: skip
        """The picture of face numbers + 1 (H * 3, W * 3); crowns are numbered after the faces."""
        image = Image.new("I", (self.width * SAMPLES, self.height * SAMPLES), 0)
        draw = ImageDraw.Draw(image)
        # PIL covers the pixels of its integer corners: half a sample back centres the polygon.
        flat = np.rint(np.clip(screen * SAMPLES - 0.5, -60_000, 60_000)).ravel().tolist()
        ends = (starts + faces.counts).tolist()
        begins, is_whole, owner = starts.tolist(), whole.tolist(), owners.tolist()
        # Crowns go after the faces of their own thing.
        pending = sorted(range(len(crowns)), key=lambda k: (int(order[crown_owners[k]]), k))
        places = [int(order[crown_owners[k]]) for k in pending]
        done = 0
        for row in sequence.tolist():
            if owner[row] >= 0:
                place = order[owner[row]]
                while done < len(pending) and places[done] < place:
                    self._paint_crown(image, crowns[pending[done]], len(faces.counts) + pending[done] + 1,
                                      focal, center, basis, camera)  # fmt: skip
                    done += 1
            a, b = begins[row], ends[row]
            if is_whole[row]:
                draw.polygon(flat[2 * a : 2 * b], fill=row + 1)
            else:
                cut = _clip_near(local[a:b])
                if len(cut) >= 3:
                    x = center[0] + focal * cut[:, 0] / cut[:, 2]
                    y = center[1] - focal * cut[:, 1] / cut[:, 2]
                    points = np.rint(np.clip(np.stack([x, y], 1) * SAMPLES - 0.5, -60_000, 60_000))
                    draw.polygon(points.ravel().tolist(), fill=row + 1)
        for k in pending[done:]:
            self._paint_crown(
                image, crowns[k], len(faces.counts) + k + 1, focal, center, basis, camera
            )
        return np.asarray(image, np.int32)

    def _paint_crown(
        self, image: Image.Image, crown: Crown, number: int, focal: float,
        center: tuple[float, float], basis: Array, camera: Camera,
    ) -> None:  # fmt: skip
        x, y, z = (np.array(crown.center) - camera.eye) @ basis.T
        scale = focal / z * SAMPLES
        left = center[0] * SAMPLES + x * scale - crown.half_width * scale
        top = center[1] * SAMPLES - y * scale - crown.half_height * scale
        right, bottom = left + 2 * crown.half_width * scale, top + 2 * crown.half_height * scale
        x0, y0 = max(0, int(np.floor(left))), max(0, int(np.floor(top)))
        x1, y1 = min(image.width, int(np.ceil(right))), min(image.height, int(np.ceil(bottom)))
        if x1 - x0 < 1 or y1 - y0 < 1:
            return
        shape = atlas().cutouts[f"crown{crown.number}"]
        side = shape.shape[0]
        u = ((np.arange(x0, x1) + 0.5 - left) / (right - left) * side).clip(0, side - 1)
        if crown.mirrored:
            u = side - 1 - u
        v = ((np.arange(y0, y1) + 0.5 - top) / (bottom - top) * side).clip(0, side - 1)
        mask = shape[v.astype(np.intp)[:, None], u.astype(np.intp)[None, :]]
        image.paste(
            number, (x0, y0, x1, y1), Image.fromarray(mask).convert("1", dither=Image.Dither.NONE)
        )

    def _table(
        self, faces: Faces, owners: Ints, instances: Ints, normals: Array, away: Array, basis: Array,
        camera: Camera, focal: float, center: tuple[float, float], crowns: list[Crown],
    ) -> _Table:  # fmt: skip
        names, light = atlas(), self.scene.light
        right, up = basis[0], basis[1]
        crown_frames = np.array(
            [
                [
                    np.array(c.center)
                    - right * (c.half_width * (-1 if c.mirrored else 1))
                    + up * c.half_height,
                    right * (2 * c.half_width * (-1 if c.mirrored else 1)),
                    -up * (2 * c.half_height),
                ]
                for c in crowns
            ]
        ).reshape(-1, 3, 3)
        nothing = np.array([[[0.0, 0.0, 50.0], [1.0, 0, 0], [0, -1.0, 0]]]) @ basis + np.array(
            [camera.eye, [0, 0, 0], [0, 0, 0]]
        )
        frames = np.concatenate([nothing, faces.frames, crown_frames])
        origin = (frames[:, 0] - camera.eye) @ basis.T
        axes = np.stack([frames[:, 1] @ basis.T, frames[:, 2] @ basis.T, origin], axis=2)
        project = np.array([[focal, 0, center[0]], [0, -focal, center[1]], [0, 0, 1]])
        matrix = project @ axes
        determinant = np.abs(np.linalg.det(matrix))
        thin = determinant < 1e-7 * focal * focal
        matrix[thin] = project @ np.diag([1.0, 1.0, 30.0])
        planes = np.linalg.inv(matrix)
        # Twice a texel's stretch is what a tile loses on a slanting face: see the module's text.
        texture = np.concatenate(
            [[names["plain"]], faces.textures, [names[f"crown{c.number}"] for c in crowns]]
        ).astype(np.int32)
        side = 2.0 ** names.log_sizes[texture]
        u_m = np.linalg.norm(frames[:, 1], axis=1)
        v_m = np.linalg.norm(frames[:, 2], axis=1)
        plane_m = np.concatenate([[50.0], np.maximum(np.abs(away), 0.05), np.ones(len(crowns))])
        for k, c in enumerate(crowns):
            plane_m[len(faces.counts) + 1 + k] = max(
                1.0, float((np.array(c.center) - camera.eye) @ basis[2])
            )
        level = np.log2(side / np.sqrt(np.maximum(u_m * v_m, 1e-8)) / focal) - 0.5 * np.log2(
            plane_m
        )
        # Light: from the sun where the face looks at it, from the sky by how far it looks up.
        facing = normals * np.where(away < 0, -1.0, 1.0)[:, None]
        direct = np.maximum(facing @ light.sun, 0.0)
        sky = 0.62 + 0.38 * facing[:, 1]
        is_rod = np.arange(len(faces.counts)) >= len(faces.counts) - len(faces.counts[owners == -9])
        del is_rod
        lit = direct[:, None] * light.sun_color + sky[:, None] * light.sky_color
        glow = faces.glow[:, None]
        lit = lit * (1 - glow) + glow
        crown_light = 0.55 * light.sun_color + 0.8 * light.sky_color
        lit = np.concatenate([np.zeros((1, 3)), lit, np.tile(crown_light, (len(crowns), 1))])
        tints = np.concatenate(
            [np.ones((1, 3)), faces.tints, np.array([c.tint for c in crowns]).reshape(-1, 3)]
        )
        owner = np.concatenate([[-1], owners, np.zeros(len(crowns), np.int64)])
        labels = np.concatenate([[0], faces.labels, np.full(len(crowns), 21)])
        numbers = np.concatenate([[0], instances, np.zeros(len(crowns), np.int64)])
        counted = np.isin(labels, list(_HAS_INSTANCES))
        air = np.where(labels == 23, 1.0 / 14_000.0, 1.0 / light.visibility_m)
        with_floor = np.concatenate(
            [[False], np.abs(normals[:, 1]) > 0.9, np.zeros(len(crowns), bool)]
        )
        return _Table(
            planes=np.ascontiguousarray(planes.reshape(-1, 9).T, np.float32),
            level=level.astype(np.float32),
            texture=texture,
            sizes=side.astype(np.float32),
            lit=np.ascontiguousarray((lit * tints).T, np.float32),
            bare=lit.mean(axis=1).astype(np.float32),
            air=air.astype(np.float32),
            flat=(owner == -1) & with_floor,
            tile_m=u_m.astype(np.float32),
            label=labels.astype(np.uint8),
            instance=np.where(counted, labels * 1000 + numbers, labels).astype(np.uint16),
        )

    def _shade_all(
        self, ids: NDArray[np.int32], table: _Table, camera: Camera, time: float
    ) -> Floats:
        """Linear light (H, W, 3)."""
        del camera
        height, width = self.height, self.width
        middle = np.ascontiguousarray(ids[1::SAMPLES, 1::SAMPLES])
        mixed = np.zeros((height, width), np.bool_)
        for dy in range(SAMPLES):
            for dx in range(SAMPLES):
                if (dy, dx) != (1, 1):
                    mixed |= ids[dy::SAMPLES, dx::SAMPLES] != middle
        ground_light = self.shadows.at(time)
        out = np.empty((height * width, 3), np.float32)
        plain = np.flatnonzero(~mixed.ravel())
        numbers = middle.ravel()
        for begin in range(0, len(plain), _CHUNK):
            at = plain[begin : begin + _CHUNK]
            y, x = np.divmod(at, width)
            out[at] = self._shade(
                (x + 0.5).astype(np.float32), (y + 0.5).astype(np.float32), numbers[at], table,
                ground_light, smooth=True,
            )  # fmt: skip
        border = np.flatnonzero(mixed.ravel())
        step = _CHUNK // 9
        offsets = (np.arange(SAMPLES, dtype=np.float32) + 0.5) / SAMPLES
        for begin in range(0, len(border), step):
            at = border[begin : begin + step]
            y, x = np.divmod(at, width)
            sample = np.empty((len(at), SAMPLES, SAMPLES), np.int32)
            for dy in range(SAMPLES):
                for dx in range(SAMPLES):
                    sample[:, dy, dx] = ids[y * SAMPLES + dy, x * SAMPLES + dx]
            xs = np.broadcast_to(x[:, None, None] + offsets[None, None, :], sample.shape)
            ys = np.broadcast_to(y[:, None, None] + offsets[None, :, None], sample.shape)
            colors = self._shade(
                xs.ravel().astype(np.float32), ys.ravel().astype(np.float32), sample.ravel(), table,
                ground_light, smooth=False,
            )  # fmt: skip
            # Clipped before the mean, as a sensor would; else one bright lamp fills its pixel.
            out[at] = np.minimum(colors, 1.6).reshape(len(at), 9, 3).mean(axis=1)
        return out.reshape(height, width, 3)

    def _shade(
        self, x: Floats, y: Floats, number: NDArray[np.int32], table: _Table, ground_light: Floats,
        *, smooth: bool,
    ) -> Floats:  # fmt: skip
        """Linear light (n, 3) of the faces `number` at screen places x, y (n,)."""
        planes = table.planes
        w = planes[6][number] * x + planes[7][number] * y + planes[8][number]
        np.maximum(w, 1e-5, out=w)
        u = (planes[0][number] * x + planes[1][number] * y + planes[2][number]) / w
        v = (planes[3][number] * x + planes[4][number] * y + planes[5][number]) / w
        texel = self._texels(u, v, w, number, table, smooth=smooth)
        share = texel[:, 3] * np.float32(1 / 255.0)
        bare = table.bare[number] * (1 - share)
        clear = np.exp(-table.air[number] / w)
        clear *= np.float32(1 / 255.0**2)
        flat = np.flatnonzero(table.flat[number])
        if len(flat):
            meter = table.tile_m[number[flat]]
            shade = self._ground_light(u[flat] * meter, -v[flat] * meter, ground_light)
            clear_flat = clear[flat] * shade
        out = np.empty((len(x), 3), np.float32)
        haze = self.scene.light.haze
        for channel in range(3):
            color = table.lit[channel][number] * share
            color += bare
            color *= texel[:, channel]
            color *= texel[:, channel]
            if len(flat):
                shaded = color[flat] * clear_flat
            color *= clear
            if len(flat):
                color[flat] = shaded
            color += np.float32(haze[channel]) * (1 - clear * np.float32(255.0**2))
            out[:, channel] = color
        return out

    def _ground_light(self, x: Floats, z: Floats, light: Floats) -> Floats:
        """The shadow map (rows: z) read between its points."""
        shadows = self.shadows
        column = (x - np.float32(shadows.x0)) * PIXELS_PER_M - np.float32(0.5)
        row = (z - np.float32(shadows.z0)) * PIXELS_PER_M - np.float32(0.5)
        height, width = light.shape
        np.clip(column, 0, width - 1.001, out=column)
        np.clip(row, 0, height - 1.001, out=row)
        c0, r0 = column.astype(np.int32), row.astype(np.int32)
        fc, fr = column - c0, row - r0
        flat = light.ravel()
        at = r0 * width + c0
        upper = flat[at] + fc * (flat[at + 1] - flat[at])
        lower = flat[at + width] + fc * (flat[at + width + 1] - flat[at + width])
        result: Floats = upper + fr * (lower - upper)
        return result

    def _texels(
        self, u: Floats, v: Floats, w: Floats, number: NDArray[np.int32], table: _Table, *, smooth: bool
    ) -> Floats:  # fmt: skip
        """Texture values (n, 4) in 0..255 at the level that fits the distance."""
        names = atlas()
        texture = table.texture[number]
        log_size = names.log_sizes[texture]
        level = table.level[number] - np.float32(1.5) * np.log2(w)
        level = np.clip(level + np.float32(0.35), 0, log_size).astype(np.int32)
        base = names.bases[texture * MAX_LEVELS + level]
        shift = log_size - level
        side = np.left_shift(np.int32(1), shift)
        mask = side - 1
        # Whole tiles do not matter; without them the products stay small.
        u = (u - np.floor(u)) * side
        v = (v - np.floor(v)) * side
        if not smooth:
            column, row = u.astype(np.int32) & mask, v.astype(np.int32) & mask
            packed = names.texels[base + np.left_shift(row, shift) + column]
            return packed.view(np.uint8).reshape(-1, 4).astype(np.float32)
        u += np.float32(-0.5)
        v += np.float32(-0.5)
        u0, v0 = np.floor(u), np.floor(v)
        fu, fv = (u - u0)[:, None], (v - v0)[:, None]
        c0, r0 = u0.astype(np.int32), v0.astype(np.int32)
        c1, r1 = (c0 + 1) & mask, np.left_shift((r0 + 1) & mask, shift) + base
        c0 &= mask
        r0 = np.left_shift(r0 & mask, shift) + base

        def fetch(at: NDArray[np.int32]) -> Floats:
            return names.texels[at].view(np.uint8).reshape(-1, 4).astype(np.float32)

        upper = fetch(r0 + c0)
        upper += fu * (fetch(r0 + c1) - upper)
        lower = fetch(r1 + c0)
        lower += fu * (fetch(r1 + c1) - lower)
        lower -= upper
        lower *= fv
        upper += lower
        return upper

    def _develop(self, light: Floats, time: float) -> NDArray[np.uint8]:
        """What the camera makes of linear light: blur, vignette, tone, noise; uint8 (H, W, 3)."""
        height, width = self.height, self.width
        light *= np.float32(self.scene.light.exposure)
        # Soft shoulder, then the square root that screens undo.
        tone = np.sqrt(light / (1 + 0.30 * light) * np.float32(1.22))
        y = (np.arange(height, dtype=np.float32) / height - 0.5)[:, None, None]
        x = (np.arange(width, dtype=np.float32) / width - 0.5)[None, :, None]
        tone *= 1 - 0.22 * (x * x + y * y)
        side = np.float32(0.13)
        tone[:, 1:-1] = (1 - 2 * side) * tone[:, 1:-1] + side * (tone[:, :-2] + tone[:, 2:])
        tone[1:-1] = (1 - 2 * side) * tone[1:-1] + side * (tone[:-2] + tone[2:])
        rng = np.random.default_rng([*self.scene.seed, 6, int(round(-time * 1000))])
        tone *= np.float32(255)
        tone += np.float32(0.5) * rng.standard_normal(tone.shape, np.float32)
        np.clip(tone, 0, 255, out=tone)
        np.rint(tone, out=tone)
        return tone.astype(np.uint8)


def _basis(camera: Camera) -> Array:
    """Rows: the camera's right, up and forward in the world."""
    sin, cos = np.sin(camera.yaw), np.cos(camera.yaw)
    right = np.array([cos, 0.0, -sin])
    level = np.array([sin, 0.0, cos])
    up = np.array([0.0, 1.0, 0.0])
    ps, pc = np.sin(camera.pitch), np.cos(camera.pitch)
    return np.stack([right, pc * up - ps * level, pc * level + ps * up])


def _clip_near(points: Array) -> Array:
    """The part of a polygon (n, 3) in front of the near plane (Sutherland and Hodgman)."""
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
