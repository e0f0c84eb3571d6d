import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as v2

from segnets.config.train import AugmentConfig
from segnets.data.augment import augment, draw, normalise
from segnets.data.batches import Batch

MEAN, STD = [0.3, 0.4, 0.5], [0.2, 0.25, 0.3]
NOTHING = {"gamma": 0.0, "saturation": 0.0, "flip": 0.0, "scale_min": 1.0, "scale_max": 1.0}


def make_batch(num=4, height=24, width=40):
    generator = torch.Generator().manual_seed(0)
    frames = torch.randint(
        0, 256, (num, 3, height, width, 3), dtype=torch.uint8, generator=generator
    )
    labels = torch.randint(0, 19, (num, height, width), dtype=torch.uint8, generator=generator)
    return Batch(frames, labels, list(range(num)), [f"train/{index}" for index in range(num)])


BATCH = make_batch()


def run(batch=BATCH, *, seed=0, epoch=1, **changes):
    config = AugmentConfig(**{**NOTHING, **changes})
    return augment(batch, config, mean=MEAN, std=STD, seed=seed, epoch=epoch)


def pick(batch, positions):
    return Batch(
        batch.frames[positions],
        batch.labels[positions],
        [batch.indices[one] for one in positions],
        [batch.keys[one] for one in positions],
    )


def test_normalising_is_value_over_255_less_mean_over_deviation():
    clips = normalise(BATCH.frames, MEAN, STD)
    assert (clips.shape, clips.dtype) == ((4, 3, 3, 24, 40), torch.float32)
    wanted = BATCH.frames.permute(0, 1, 4, 2, 3).double() / 255
    wanted = (wanted - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    assert torch.allclose(clips.double(), wanted, atol=1e-6)


def test_no_augmentation_is_normalising():
    clips, labels = run()
    assert torch.equal(clips, normalise(BATCH.frames, MEAN, STD))
    assert torch.equal(labels, BATCH.labels.long())


everything = dataclasses.asdict(AugmentConfig())


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True),
    st.integers(0, 1000),
    st.integers(1, 50),
)
def test_a_sample_is_the_same_whatever_batch_it_is_in(positions, seed, epoch):
    clips, labels = run(seed=seed, epoch=epoch, **everything)
    some_clips, some_labels = run(pick(BATCH, positions), seed=seed, epoch=epoch, **everything)
    assert torch.equal(some_clips, clips[positions])
    assert torch.equal(some_labels, labels[positions])


@given(st.integers(0, 1000))
def test_labels_are_never_invented(seed):
    batch = dataclasses.replace(BATCH, labels=BATCH.labels * 2)
    _, labels = run(batch, seed=seed, **everything)
    assert set(labels.unique().tolist()) <= {*batch.labels.unique().tolist(), 255}
    assert labels.dtype == torch.int64


def test_a_mirrored_clip_has_mirrored_labels():
    clips, labels = run(flip=1.0)
    assert torch.equal(clips, normalise(BATCH.frames, MEAN, STD).flip(4))
    assert torch.equal(labels, BATCH.labels.long().flip(2))


@pytest.mark.parametrize("field", ["gamma", "saturation"])
def test_colours_change_as_by_torchvision(field):
    config = AugmentConfig(**{**NOTHING, field: 0.5})
    clips, labels = run(**{field: 0.5})
    for sample in range(4):
        chosen = draw(config, seed=0, epoch=1, index=sample)
        assert 0.5 <= getattr(chosen, field) <= 1.5
        frames = BATCH.frames[sample].permute(0, 3, 1, 2).float() / 255
        change = v2.adjust_gamma if field == "gamma" else v2.adjust_saturation
        changed = change(frames, getattr(chosen, field))
        wanted = v2.normalize(changed, MEAN, STD)
        assert torch.allclose(clips[sample], wanted, atol=2e-3)  # its grey weights have 4 digits
    assert torch.equal(labels, BATCH.labels.long())


@given(st.integers(0, 200), st.floats(0.25, 1), st.floats(1, 4), st.sampled_from([0.0, 1.0]))
def test_frames_and_labels_stay_on_each_other_in_any_zoom(seed, scale_min, scale_max, flip):
    # a frame that shows its own label as grey: both must be cut and scaled alike
    labels = (
        torch.arange(24, dtype=torch.uint8).view(24, 1) // 8 + torch.arange(40).view(1, 40) // 8
    )
    labels = labels.to(torch.uint8)[None]
    frames = (labels * 25).view(1, 1, 24, 40, 1).expand(1, 1, 24, 40, 3).contiguous()
    batch = Batch(frames, labels, [seed], ["train/x"])
    clips, out = run(batch, seed=seed, flip=flip, scale_min=scale_min, scale_max=scale_max)
    shown = clips[0, 0] * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)
    seen = out[0] != 255
    difference = (shown[0] * 255 - out[0] * 25).abs()[seen]
    assert difference.median() < 13  # half the step between two labels
    assert difference.max() <= 51  # an edge is blurred in the frame and sharp in the label
    outside = clips[0, 0][:, ~seen]
    assert torch.equal(outside, torch.zeros_like(outside))  # the mean colour


def test_every_clip_has_one_draw_for_all_its_frames():
    frames = BATCH.frames[:, :1].expand(-1, 3, -1, -1, -1).contiguous()
    clips, _ = run(dataclasses.replace(BATCH, frames=frames), **everything)
    assert torch.equal(clips[:, 0], clips[:, 1])
    assert torch.equal(clips[:, 0], clips[:, 2])


def test_draws_cover_their_range_and_change_with_the_epoch():
    config = AugmentConfig()
    draws = [draw(config, seed=0, epoch=1, index=index) for index in range(500)]
    for name, low, high in (("gamma", 0.5, 1.5), ("saturation", 0.5, 1.5), ("zoom", 0.75, 1.75)):
        values = [getattr(one, name) for one in draws]
        assert low <= min(values) < low + 0.05
        assert high - 0.05 < max(values) <= high + 1e-9
    assert 200 < sum(one.is_flipped for one in draws) < 300
    assert draws[0] != draw(config, seed=0, epoch=2, index=0)
