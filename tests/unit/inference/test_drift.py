import pytest
from hypothesis import given
from hypothesis import strategies as st

from segnets.inference.drift import Training, measure

SHARES = st.lists(st.integers(0, 9), min_size=19, max_size=19).filter(any)


def row(share, confidence=0.5, flicker=None):
    total = sum(share)
    return {"share": [one / total for one in share], "confidence": confidence, "flicker": flicker}


@given(st.lists(SHARES, min_size=1, max_size=3), SHARES)
def test_the_share_distance_is_what_would_have_to_change_class(nights, usual):
    rows = [row(share) for share in nights]
    training = Training(share=[one / sum(usual) for one in usual])
    means = [sum(one["share"][c] for one in rows) / len(rows) for c in range(19)]
    surplus = sum(max(0.0, a - b) for a, b in zip(means, training.share, strict=True))
    found = measure(rows, training, 1.0)
    assert found["share_distance"] == pytest.approx(surplus)
    assert 0 <= found["share_distance"] <= 1 + 1e-9
    assert not found["marked"]


def test_black_pixels_are_of_no_class_and_count_for_nothing():
    half_black = {"share": [0.5] + [0.0] * 18, "confidence": 0.5, "flicker": None}
    found = measure([half_black], Training(share=[1.0] + [0.0] * 18), 0.0)
    assert found["share_distance"] == 0
    black = {"share": [0.0] * 19, "confidence": 0.1, "flicker": None}
    assert measure([black], Training(share=[1.0] + [0.0] * 18), 0.0)["share_distance"] is None


def test_each_measure_above_the_bar_marks_the_night_with_its_own_sentence():
    training = Training(share=[0.5, 0.5] + [0.0] * 17, confidence=0.9)
    rows = [row([1, 1] + [0] * 17, 0.9, None), row([1, 1] + [0] * 17, 0.9, 0.1)]
    assert measure(rows, training, 0.1)["why"] == []
    (sentence,) = measure([row([1] + [0] * 18, 0.9)], training, 0.25)["why"]
    assert sentence == (
        "0.50 of the pixels are of other classes than in training (most road, 1.00 instead of 0.50)"
    )
    (sentence,) = measure([row([1, 1] + [0] * 17, 0.6)], training, 0.25)["why"]
    assert sentence == "mean confidence is 0.60, 0.90 on val"
    (sentence,) = measure([row([1, 1] + [0] * 17, 0.9, 0.3)], training, 0.25)["why"]
    assert sentence == "0.30 of the pixels change class from a frame to the next"


def test_what_nothing_is_known_of_is_null_and_marks_nothing():
    found = measure([row([1] * 19)], Training(), 0.0)
    assert (found["share_distance"], found["confidence_drop"], found["flicker"]) == (None,) * 3
    assert (found["confidence"], found["marked"]) == (0.5, False)
