import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from segnets.config.train import TrainConfig
from segnets.errors import ConfigError
from segnets.losses import cross_entropy
from segnets.models.registry import MODELS, build
from segnets.models.resnet_lstm import ResnetLstm

SMALL = (64, 96)


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def built(seed=0, **settings):
    torch.manual_seed(seed)
    return build(TrainConfig(**settings))


def clips(num=2, frames=4, size=SMALL, seed=1):
    return torch.randn(num, frames, 3, *size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def in_eval():
    """Every architecture, in eval mode; shared, since building the LSTM takes a second."""
    return {name: built(model=name).eval() for name in MODELS}


CONVLSTM_FORMS = [
    {},
    {"temporal": "mean"},
    {"temporal": "none"},
    {"psp": False},
    {"past_scale": 0.5},
    {"detach_past": False},
]


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=8, deadline=None)
@given(height=st.integers(1, 150), width=st.integers(1, 150))
def test_logits_have_the_input_size_whatever_it_is(in_eval, name, height, width):
    with torch.inference_mode():
        logits = in_eval[name](clips(1, 2, (height, width)))
    assert logits.shape == (1, 19, height, width)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


@pytest.mark.parametrize("form", CONVLSTM_FORMS)
def test_every_form_of_the_default_model_trains_all_its_weights(form):
    model = built(**form)
    with torch.autocast("cpu", torch.bfloat16, enabled=False):
        logits = model(clips())
    cross_entropy(logits, torch.randint(0, 19, (2, *SMALL))).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]


def test_the_students_model_leaves_only_its_two_unused_parts_untrained():
    model = built(model="resnet_lstm", detach_past=False)
    cross_entropy(model(clips()), torch.randint(0, 19, (2, *SMALL))).backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None}
    assert idle == {
        f"resnet_lstm.{part}.{kind}"
        for part in ("deconv", "resnet18.fc")
        for kind in ("weight", "bias")
    }


@pytest.mark.parametrize("name", MODELS)
def test_in_eval_mode_every_frame_of_a_clip_matters_and_no_other_clip_does(in_eval, name):
    inputs = clips().requires_grad_()
    in_eval[name](inputs)[0].sum().backward()
    strength = inputs.grad.abs().sum((2, 3, 4))  # (N, T)
    assert (strength[0] > 0).all()
    assert (strength[1] == 0).all()


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("past_scale", [1.0, 0.5])
def test_in_training_a_detached_past_gets_no_gradient_and_an_attached_one_does(name, past_scale):
    for detach in (True, False):
        model = built(model=name, detach_past=detach, past_scale=past_scale).train()
        inputs = clips(frames=3).requires_grad_()
        model(inputs).square().mean().backward()
        strength = inputs.grad.abs().sum((0, 2, 3, 4))
        assert (strength[:2] == 0).all() if detach else (strength[:2] > 0).all()
        assert strength[2] > 0


def test_the_single_frame_baseline_does_not_see_the_past():
    model = built(temporal="none").eval()
    one, other = clips(seed=1), clips(seed=2)
    other[:, -1] = one[:, -1]
    with torch.inference_mode():
        assert torch.equal(model(one), model(other))


@pytest.mark.parametrize("name", MODELS)
def test_the_order_of_the_past_frames_can_matter(in_eval, name):
    inputs = clips()
    with torch.inference_mode():
        straight = in_eval[name](inputs)
        turned = in_eval[name](inputs[:, [2, 1, 0, 3]])
    assert not torch.equal(straight, turned)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("order", [[0], [1, 0], [2, 0, 1], [0, 1, 2, 0, 1]])
def test_in_eval_mode_a_sample_does_not_depend_on_its_batch(in_eval, name, order):
    inputs = clips(3)
    with torch.inference_mode():
        alone = torch.cat([in_eval[name](inputs[[index]]) for index in order])
        together = in_eval[name](inputs[order])
    assert (alone - together).abs().max() < 1e-5
    top = alone.topk(2, 1).values
    clear = top[:, 0] - top[:, 1] > 1e-5
    assert (alone.argmax(1) == together.argmax(1))[clear].all()


def test_old_weights_see_the_last_frame_only_and_no_other_clip():
    """As the student's network did with a batch of one; its samples leaked in larger ones."""
    torch.manual_seed(0)
    model = ResnetLstm(psp=False).eval()
    model.over_batch()
    inputs = clips().requires_grad_()
    model(inputs)[1].sum().backward()
    strength = inputs.grad.abs().sum((2, 3, 4))
    assert (strength[:, :3] == 0).all()
    assert strength[0, 3] == 0
    assert strength[1, 3] > 0


def test_the_two_ways_of_feeding_the_past_agree_in_eval_mode():
    model = built().eval()
    inputs = clips()
    with torch.inference_mode():
        together = model(inputs)
        model.past_scale = 1.0 - 1e-9  # goes apart, at the same rounded size
        apart = model(inputs)
    assert (together - apart).abs().max() < 1e-5


def statistics(model):
    return {k: v.clone() for k, v in model.state_dict().items() if "running" in k or "num_b" in k}


@pytest.mark.parametrize("past_scale", [1.0, 0.5])
def test_a_detached_past_never_moves_the_running_statistics(past_scale):
    """They move once a step, by the present frames: as if there were no past."""
    moved = []
    for past_seed in (5, 6):
        model = built(past_scale=past_scale).train()
        inputs = clips(seed=past_seed)
        inputs[:, -1] = clips(seed=9)[:, -1]
        model(inputs)
        moved.append({k: v for k, v in statistics(model).items() if k.startswith("trunk")})
    assert all(torch.equal(moved[0][key], moved[1][key]) for key in moved[0])
    assert moved[0]["trunk.bn1.num_batches_tracked"] == 1
    single = built(temporal="none").train()
    single(clips(seed=9)[:, -1:])
    assert torch.equal(moved[0]["trunk.bn1.running_mean"], single.trunk.bn1.running_mean)


def test_an_attached_past_moves_the_running_statistics_once_with_the_present():
    model = built(detach_past=False).train()
    model(clips())
    assert model.trunk.bn1.num_batches_tracked == 1


def test_the_norms_of_a_detached_past_use_its_own_batch():
    """A shift of brightness of all past frames cancels in the first norm, but for its borders."""
    model = built().train()
    seen = []
    model.project.register_forward_hook(lambda *hooked: seen.append(hooked[2].detach()))
    inputs = clips(size=(128, 128))
    model(inputs)
    bright = inputs.clone()
    bright[:, :-1] *= 3.0
    model(bright)
    assert (seen[0] - seen[2]).abs().max() < 1e-3 * seen[0].abs().max()


def test_bf16_gradients_point_where_those_of_fp32_do():
    """With a detached past autocast must not hand its gradient-free casts to the present frames."""
    grads = []
    for bf16 in (False, True):
        model = built().train()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = model(clips())
        cross_entropy(logits, torch.arange(2 * 64 * 96).reshape(2, 64, 96) % 19).backward()
        grads.append({name: p.grad.flatten() for name, p in model.named_parameters()})
    for name in ("trunk.conv1.weight", "trunk.layer4.1.conv2.weight", "project.weight"):
        cosine = torch.cosine_similarity(grads[0][name], grads[1][name], 0)
        assert cosine > 0.8, name


def test_the_head_computes_in_fp32_also_in_a_bf16_pass():
    model, seen = built().eval(), []
    model.head.register_forward_hook(lambda *hooked: seen.append(hooked[2].dtype))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        model(clips(size=(16, 16)))
    assert seen == [torch.float32]


@pytest.mark.parametrize("name", MODELS)
def test_one_pixel_a_channel_in_training_is_a_sentence_and_not_a_crash(name):
    with pytest.raises(ConfigError, match=r"one frame of 32x32 pixels.*--batch-size"):
        built(model=name).train()(clips(1, size=(32, 32)))
    built(model=name).train()(clips(2, size=(32, 32)))


@pytest.mark.parametrize("name", MODELS)
def test_one_seed_gives_one_set_of_weights(name):
    one, same, other = (built(seed, model=name).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert not all(torch.equal(one[key], other[key]) for key in one)


def test_the_students_state_dict_has_its_names_and_shapes():
    state = ResnetLstm(psp=True).state_dict()
    expected = {
        "resnet_lstm.resnet18.fc.weight": (1000, 512),
        "resnet_lstm.resnet18.layer4.1.bn2.running_var": (512,),
        "resnet_lstm.classifier32.0.weight": (512, 512, 1, 1),
        "resnet_lstm.classifier8.1.bias": (19,),
        "resnet_lstm.deconv.weight": (38, 19, 32, 32),
        "resnet_lstm.deconv32.weight": (38, 19, 4, 4),
        "resnet_lstm.deconv8.weight": (38, 19, 8, 8),
        "resnet_lstm.lstm.weight_hh_l0": (7448, 1862),
        "psp.psp.3.1.weight": (16, 19, 1, 1),
        "psp.conv_last.0.weight": (19, 83, 1, 1),
    }
    assert {key: tuple(state[key].shape) for key in expected} == expected
    # 122 of ResNet-18, 12 of three classifiers, 8 of four transposed convolutions, 4 of the LSTM
    assert len(state) == 122 + 12 + 8 + 4 + 6
    assert not [key for key in ResnetLstm(psp=False).state_dict() if key.startswith("psp")]


def test_the_model_is_as_large_as_its_description_says():
    assert sum(p.numel() for p in built().parameters()) == 12_801_939
