import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from segnets.losses import LOSSES, cross_entropy, loss_weight

WEIGHTS = [None, torch.linspace(0.0, 2.0, 19)]


def logits_and_labels(num=2, seed=0, ignored=0.3):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(num, 19, 5, 7, generator=generator, requires_grad=True)
    labels = torch.randint(0, 19, (num, 5, 7), generator=generator)
    labels[torch.rand(num, 5, 7, generator=generator) < ignored] = 255
    return logits, labels


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("weights", WEIGHTS, ids=["plain", "weighted"])
def test_a_batch_without_a_label_costs_nothing_and_moves_nothing(loss, weights):
    logits, labels = logits_and_labels(ignored=2.0)
    value = loss(logits, labels, weights)
    value.backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("weights", WEIGHTS, ids=["plain", "weighted"])
def test_an_unlabelled_pixel_has_no_gradient_and_no_say(loss, weights):
    logits, labels = logits_and_labels()
    value = loss(logits, labels, weights)
    value.backward()
    hidden = (labels == 255)[:, None].expand_as(logits)
    assert (logits.grad[hidden] == 0).all()
    changed = torch.where(hidden, 100.0, logits.detach())
    assert torch.equal(loss(changed, labels, weights), value.detach())


@pytest.mark.parametrize("weights", WEIGHTS, ids=["plain", "weighted"])
def test_cross_entropy_is_the_weighted_mean_of_minus_log_p(weights):
    logits, labels = logits_and_labels()
    above = below = 0.0
    for n, y, x in (labels != 255).nonzero().tolist():
        label = int(labels[n, y, x])
        weight = 1.0 if weights is None else float(weights[label])
        above -= weight * float(logits[n, :, y, x].detach().double().log_softmax(0)[label])
        below += weight
    assert cross_entropy(logits, labels, weights).item() == pytest.approx(above / below, rel=1e-5)
    assert loss_weight(labels, weights).item() == pytest.approx(below)


def test_labels_of_one_byte_are_taken_as_they_are():
    logits, labels = logits_and_labels()
    assert torch.equal(cross_entropy(logits, labels.byte()), cross_entropy(logits, labels))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(1, 3), st.booleans())
def test_losses_of_parts_add_up_by_their_weight(seed, cut, weighted):
    weights = WEIGHTS[weighted]
    logits, labels = logits_and_labels(4, seed)
    whole = cross_entropy(logits, labels, weights) * loss_weight(labels, weights)
    parts = sum(
        cross_entropy(logits[part], labels[part], weights) * loss_weight(labels[part], weights)
        for part in (slice(None, cut), slice(cut, None))
    )
    assert torch.allclose(whole, parts, rtol=1e-5)


def test_memory_layout_does_not_change_the_value():
    logits, labels = logits_and_labels()
    last = logits.detach().to(memory_format=torch.channels_last)
    assert torch.equal(cross_entropy(last, labels), cross_entropy(logits.detach(), labels))
