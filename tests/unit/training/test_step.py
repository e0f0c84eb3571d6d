from contextlib import nullcontext

import pytest
import torch
from torch import nn

from segnets.errors import Diverged
from segnets.losses import cross_entropy
from segnets.training.step import Totals, train_step


class Pointwise(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.head = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 19, 1))

    def forward(self, clips):
        return self.head(clips[:, -1])


def step(module, optimizer, clips, labels, **over):
    settings = {"loss": cross_entropy, "weights": None, "clip_grad": 0.0, "autocast": nullcontext}
    return train_step(module, optimizer, clips, labels, **{**settings, **over})


@pytest.fixture
def clips():
    return torch.randn(2, 3, 3, 4, 8, generator=torch.Generator().manual_seed(2))


def copied(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def equal(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def test_a_batch_without_a_labelled_pixel_touches_nothing(clips):
    module = Pointwise().train()
    before = copied(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0, momentum=0.9)
    assert step(module, optimizer, clips, torch.full((2, 4, 8), 255)) is None
    assert equal(before, copied(module))


def test_a_step_counts_every_labelled_pixel_once_and_moves_the_weights(clips):
    module = Pointwise().train()
    before = copied(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    labels = torch.randint(0, 19, (2, 4, 8))
    labels[0, 0] = 255
    result = step(module, optimizer, clips, labels)
    assert int(result.counts.sum()) == int((labels != 255).sum())
    assert result.loss > 0
    assert not equal(before, copied(module))


def test_a_clipped_gradient_has_the_norm_asked_for_and_the_row_tells_the_norm_before(clips):
    module = Pointwise().train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.0)
    result = step(module, optimizer, clips, torch.zeros(2, 4, 8, dtype=torch.int64), clip_grad=0.01)
    norms = [parameter.grad.norm() for parameter in module.parameters()]
    assert float(torch.stack(norms).norm()) == pytest.approx(0.01, rel=1e-3)
    assert result.grad_norm > 0.1


def test_a_gradient_that_is_not_finite_is_never_applied(clips):
    module = Pointwise().train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    before = [parameter.detach().clone() for parameter in module.parameters()]

    def steep(logits, labels, weights):
        return (logits * 0).sqrt().sum()  # value 0, gradient 0 / 0

    with pytest.raises(Diverged, match="gradient is not finite"):
        step(module, optimizer, clips, torch.zeros(2, 4, 8, dtype=torch.int64), loss=steep)
    assert all(map(torch.equal, before, module.parameters()))


def test_totals_are_means_over_clips_and_steps(clips):
    module = Pointwise().train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    totals, results = Totals(), []
    for num in (2, 1):
        labels = torch.zeros(num, 4, 8, dtype=torch.int64)
        results.append(step(module, optimizer, clips[:num], labels))
        totals.add(results[-1], num)
    assert totals.loss == pytest.approx((2 * results[0].loss + results[1].loss) / 3)
    assert totals.grad_norm == pytest.approx((results[0].grad_norm + results[1].grad_norm) / 2)
    assert int(totals.counts.sum()) == 3 * 32
