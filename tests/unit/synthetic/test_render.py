"""Pictures: perspective, labels, light, time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.synthetic.faces import Builder, join, rods_as_faces
from segnets.synthetic.paint import SAMPLES, View, clip_near, paint, painting_order
from segnets.synthetic.render import Renderer
from segnets.synthetic.scene import FRAME_S, make_scene
from segnets.synthetic.street import CAR, ROAD, SKY, Camera, bend
from segnets.synthetic.textures import MAX_LEVELS, atlas

CAMERA = Camera(eye=np.array([0.0, 1.5, 0.0]), yaw=0.0, pitch=0.0, focal=1.0, horizon=0.5)


@pytest.fixture(scope="module")
def renderer():
    return Renderer(make_scene((0, 0, 3), 3, 3 * FRAME_S), 128, 256, 3 * FRAME_S)


def wall(z, *, facing=1):
    """A wall 2 m wide and high across the view at depth z."""
    builder = Builder()
    x = np.array([-1.0, 1.0, 1.0, -1.0]) * facing
    y = np.array([2.5, 2.5, 0.5, 0.5])
    builder.face(np.stack([x, y, np.full(4, z)], 1), 0, (1, 1, 1), CAR)
    return builder.faces()


def painted(faces, view):
    away = np.einsum("ij,ij->i", faces.normals(), view.camera.eye - faces.frames[:, 0])
    return paint(view, faces, away, np.zeros(len(faces.counts), np.int64), [])


@pytest.mark.parametrize("depth", [3.0, 6.0, 12.0])
def test_a_wall_twice_as_far_is_half_as_wide(depth):
    view = View(CAMERA, 128, 256)
    ids = painted(wall(depth), view)
    width = (ids[ids.shape[0] // 2] == 1).sum() / SAMPLES
    assert width == pytest.approx(2.0 / depth * 256, abs=1.0)


def test_a_wall_that_looks_away_is_not_seen():
    assert painted(wall(5.0, facing=-1), View(CAMERA, 64, 128)).max() == 0


def test_the_nearer_wall_hides_the_farther_whatever_their_order():
    view = View(CAMERA, 64, 128)
    for first, second, near in ((3.0, 8.0, 1), (8.0, 3.0, 2)):
        ids = painted(join([wall(first), wall(second)]), view)
        assert ids[ids.shape[0] // 2, ids.shape[1] // 2] == near


@given(
    st.lists(
        st.tuples(st.floats(1, 80), st.floats(0.5, 10), st.floats(-20, 20), st.floats(0.5, 6)),
        min_size=2,
        max_size=12,
    )
)
def test_of_two_boxes_in_line_the_farther_one_is_painted_first(boxes):
    rows = np.array([(s, s + length, t, t + width) for s, length, t, width in boxes])
    order = painting_order(rows, (0.0, 0.0))
    assert sorted(order.tolist()) == list(range(len(rows)))
    # Boxes one behind the other straight ahead: no cycle is possible among these.
    ahead = np.stack([rows[:, 0], rows[:, 0] + 0.1, -rows[:, 1], rows[:, 1]], 1)
    places = painting_order(ahead, (0.0, 0.0))
    for i in range(len(ahead)):
        for j in range(len(ahead)):
            if ahead[i, 0] > ahead[j, 1]:
                assert places[i] < places[j]


@given(st.lists(st.tuples(*[st.floats(-50, 50)] * 3), min_size=3, max_size=8))
def test_what_the_near_plane_leaves_lies_before_it(points):
    cut = clip_near(np.array(points))
    assert (cut[:, 2] > 0.34).all()
    if min(point[2] for point in points) > 0.4:
        assert np.array_equal(cut, np.array(points))


def test_a_rod_shows_its_broad_side_from_everywhere():
    builder = Builder()
    builder.rod((0, 0, 5), (0, 2, 5), 0.1, (1, 1, 1), CAR)
    for x in (-4.0, 0.5, 4.0):
        eye = np.array([x, 1.0, 0.0])
        faces = rods_as_faces(builder.faces(), eye, np.array([0, 1.0, 0]), 0)
        across = faces.frames[0, 1]
        assert np.linalg.norm(across) == pytest.approx(0.2)
        assert across @ (eye - np.array([0, 1.0, 5])) == pytest.approx(0, abs=1e-9)


def test_a_street_without_bend_is_straight_and_a_bend_keeps_its_width():
    straight = bend(0.0, 10.0, 100.0, 20.0)
    assert straight.at(40.5, 3.0) == pytest.approx((3.0, 40.5))
    curved = bend(0.01, 5.0, 100.0, 20.0)
    for s in (0.0, 12.3, 60.0):
        left, right = np.array(curved.at(s, -4.0)), np.array(curved.at(s, 4.0))
        assert np.linalg.norm(right - left) == pytest.approx(8.0)


def test_the_sky_is_above_the_road(renderer):
    labels = renderer.draw(0.0).label_ids
    rows = np.arange(labels.shape[0])[:, None] * np.ones_like(labels)
    assert rows[labels == SKY].mean() < rows[labels == ROAD].mean()
    assert (labels[-1] != SKY).all()


def test_every_pixel_belongs_to_something(renderer):
    assert (renderer.draw(0.0).label_ids != 0).all()


def test_a_border_in_the_labels_is_a_border_in_the_picture(renderer):
    """Where road meets sky-less classes the colours differ on average: labels are not shifted."""
    picture = renderer.draw(0.0)
    gray = picture.rgb.astype(float).mean(axis=2)
    step = np.abs(np.diff(gray, axis=1))
    border = np.diff(picture.label_ids.astype(int), axis=1) != 0
    strength = {}
    for shift in (-3, 0, 3):
        moved = np.roll(border, shift, axis=1)
        strength[shift] = step[:, 4:-4][moved[:, 4:-4]].mean()
    assert strength[0] > 1.5 * strength[-3]
    assert strength[0] > 1.5 * strength[3]


def test_the_past_differs_by_motion_and_more_the_longer_ago(renderer):
    now = renderer.draw(0.0).rgb.astype(float)
    change = [np.abs(renderer.draw(-FRAME_S * back).rgb - now).mean() for back in (0, 1, 3)]
    assert change[0] == 0.0
    assert 1.0 < change[1] < change[2]


def test_the_same_moment_drawn_twice_is_the_same_to_the_byte(renderer):
    one, two = renderer.draw(-FRAME_S), renderer.draw(-FRAME_S)
    assert one.rgb.tobytes() == two.rgb.tobytes()
    assert one.instance_ids.tobytes() == two.instance_ids.tobytes()


def test_scenes_differ_in_light_and_layout():
    scenes = [make_scene((0, 0, number), number, 0.0) for number in range(6)]
    assert len({scene.light.exposure for scene in scenes}) == 6
    assert len({scene.lateral for scene in scenes}) == 6
    assert len({scene.layout.pavement for scene in scenes}) == 6


def test_each_mover_has_a_speed_of_its_own():
    scene = make_scene((0, 0, 1), 1, 0.36)
    moving = [mover for mover in scene.movers if mover.speed or mover.drift]
    assert len(moving) >= 8
    assert len({mover.speed for mover in moving}) >= 6
    assert len({mover.instance for mover in scene.movers}) == len(scene.movers)


def test_a_texture_keeps_its_mean_through_all_levels():
    names = atlas()
    for name, row in names.ids.items():
        log_size = int(names.log_sizes[row])
        means = []
        for level in range(log_size + 1):
            begin = int(names.bases[row * MAX_LEVELS + level])
            texels = names.texels[begin : begin + 4 ** (log_size - level)]
            means.append(texels.view(np.uint8).reshape(-1, 4).mean(axis=0))
        assert np.ptp(np.array(means), axis=0).max() < 3.0, name
