"""Some points of each injector, and the proof that what is lost would be seen."""

import pytest

from crash import points
from crash.injectors import FOLDER


def test_what_is_interrupted_anywhere_goes_on_to_the_same_bits():
    found = points.run(1, 1, seed=0, store="folder", sample=2)
    assert (found["ok"], found["faults"]) == (2 * len(FOLDER), [])
    assert found["fewer_operations"] == {}
    assert set(found["injectors"]) == set(FOLDER)


@pytest.mark.slow
@pytest.mark.parametrize(
    "store",
    [
        "folder",
        pytest.param("rclone", marks=pytest.mark.s3),
        pytest.param("ministack", marks=pytest.mark.s3),
    ],
)
def test_fifty_points_of_each_injector(store):
    found = points.run(1, 1, seed=1, store=store, sample=50)
    assert (found["ok"], found["faults"]) == (found["points"], [])
