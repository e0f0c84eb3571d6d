import pytest
import torch
from torch import nn

from segnets.training.optim import OPTIMIZERS, Ema, build_optimizer, set_learning_rate


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def decayed(optimizer):
    """Shapes of the parameters that decay."""
    return [
        tuple(parameter.shape)
        for group in optimizer.param_groups
        if group["weight_decay"] > 0
        for parameter in group["params"]
    ]


def test_adamw_spares_norms_and_biases_from_decay_and_the_others_nothing(trial_config):
    module = small_net()
    optimizer = build_optimizer(module, trial_config(weight_decay=0.1))
    assert decayed(optimizer) == [(4, 3, 3, 3), (2, 4, 1, 1)]
    optimizer = build_optimizer(module, trial_config(optimizer="adam", weight_decay=0.1))
    assert len(decayed(optimizer)) == len(list(module.parameters()))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimiser_lowers_a_loss(name, trial_config):
    module, clips = small_net(), torch.randn(4, 3, 8, 8)
    optimizer = build_optimizer(module, trial_config(optimizer=name, lr=0.01))
    set_learning_rate(optimizer, 0.005)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = module(clips).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert {group["lr"] for group in optimizer.param_groups} == {0.005}


def test_the_average_follows_its_warm_up_and_then_its_decay():
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema = Ema(module, 0.5)
    nn.init.ones_(module.weight)
    expected = 0.0
    for step in range(1, 20):
        ema.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay)
        assert ema.module.weight.item() == pytest.approx(expected)


def test_running_statistics_are_averaged_and_counters_copied():
    module = small_net()
    ema = Ema(module, 0.999)
    module.train()(torch.randn(8, 3, 8, 8) + 3)
    ema.update(1)
    live, averaged = module[1], ema.module[1]
    decay = 2 / 11
    assert torch.allclose(averaged.running_mean, (1 - decay) * live.running_mean)
    assert int(averaged.num_batches_tracked) == int(live.num_batches_tracked) == 1
    assert not ema.module.training
    assert not any(parameter.requires_grad for parameter in ema.module.parameters())
