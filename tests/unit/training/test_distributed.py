"""Two ranks over gloo make the steps of one process on the whole batch."""

import itertools
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from segnets.config.train import TrainConfig
from segnets.errors import Diverged
from segnets.losses import cross_entropy
from segnets.models.parts.backbone import frozen_statistics
from segnets.models.registry import build
from segnets.training.distributed import ALONE, Ranks, SyncNorm, set_synced, sync_norms
from segnets.training.step import train_step

SIZE = 2


class Small(nn.Module):
    """Two norms, one after the other, and one that leaves its running statistics alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Sequential(nn.Conv2d(8, 19, 1), nn.BatchNorm2d(19))

    def forward(self, clips):
        with frozen_statistics(self.first):
            past = self.first(clips[:, 0])
        return self.head(self.first(clips[:, -1]) + past)


def batch(num):
    """Clips of different brightness, and labels of which the first clip has few."""
    draw = torch.Generator().manual_seed(num)
    clips = torch.randn(num, 2, 3, 64, 96, generator=draw, dtype=torch.float64)
    clips *= torch.arange(1, num + 1).view(-1, 1, 1, 1, 1)
    labels = torch.randint(0, 19, (num, 64, 96), generator=draw)
    labels[0, 2:] = 255
    return clips, labels


def steps(module, ranks):
    """Three steps, the last on fewer clips than ranks; losses, norms, counts and the state."""
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    dtype = next(module.parameters()).dtype
    weights = torch.linspace(1, 3, 19, dtype=dtype)
    norms = [part for part in module.modules() if isinstance(part, SyncNorm)]
    said = []
    for num in (5, 4, 1):
        clips, labels = batch(num)
        clips = clips.to(dtype)
        mine = ranks.share(range(num))
        set_synced(norms, on=ranks.splits(num))
        result = train_step(
            module,
            optimizer,
            clips[mine],
            labels[mine],
            loss=cross_entropy,
            weights=weights,
            clip_grad=1.0,
            autocast=nullcontext,
            ranks=ranks if ranks.splits(num) else ALONE,
        )
        said.append((result.loss, result.grad_norm, result.counts))
    return said, module.state_dict()


def made(kind):
    torch.manual_seed(3)
    module = build(TrainConfig()) if kind == "resnet" else Small().double()
    return module.train()


def be_rank(rank, kind, folder):
    torch.set_num_threads(1)
    meet = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=SIZE)
    module = made(kind)
    sync_norms(module)
    ranks = Ranks(rank, SIZE)
    if kind == "wild" and rank == 1:  # of one rank's share only
        module.head[0].bias.data[0] = float("nan")
    try:
        found = steps(module, ranks)
    except Diverged as fault:
        found = fault.what
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


def on_ranks(kind, folder):
    """What each of two ranks says, and beside them what one process says."""
    ranks = [
        subprocess.Popen([sys.executable, __file__, str(rank), kind, folder])
        for rank in range(SIZE)
    ]
    alone = None if kind == "wild" else steps(made(kind), ALONE)
    assert [rank.wait(120) for rank in ranks] == [0] * SIZE
    return alone, [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(SIZE)]


@pytest.mark.parametrize(("kind", "near"), [("small", 1e-6), ("resnet", 1e-3)])
def test_two_ranks_make_the_steps_of_one(tmp_path, kind, near):
    (said, state), ranks = on_ranks(kind, tmp_path)
    for said_there, state_there in ranks:
        for one, other in zip(said, said_there, strict=True):
            assert other[:2] == pytest.approx(one[:2], rel=near)
            assert int((other[2] - one[2]).abs().sum()) <= near * int(one[2].sum())
        for name, value in state.items():
            torch.testing.assert_close(state_there[name], value, rtol=near, atol=near, msg=name)
    assert all(torch.equal(ranks[0][1][name], ranks[1][1][name]) for name in state)


def test_what_is_not_finite_on_one_rank_ends_all_before_the_update(tmp_path):
    assert on_ranks("wild", tmp_path)[1] == ["the loss is not finite"] * SIZE


def test_shares_are_every_sample_once_or_the_whole_batch_where_there_are_fewer_than_ranks():
    for size in range(1, 6):
        for num in range(1, 12):
            shares = [Ranks(rank, size).share(range(num)) for rank in range(size)]
            if num >= size:
                assert sorted(itertools.chain(*shares)) == list(range(num))
                assert max(map(len, shares)) - min(map(len, shares)) <= 1
            else:
                assert shares == [list(range(num))] * size


def test_a_norm_of_ranks_is_the_same_module_to_a_checkpoint():
    one, other = made("resnet"), made("resnet")
    assert len(sync_norms(other)) > 20
    assert list(one.state_dict()) == list(other.state_dict())
    assert [name for name, _ in one.named_parameters()] == [
        name for name, _ in other.named_parameters()
    ]
    clips = batch(2)[0].float()
    one, other = one.eval(), other.eval()
    with torch.no_grad():
        assert torch.equal(one(clips), other(clips))


if __name__ == "__main__":
    be_rank(int(sys.argv[1]), *sys.argv[2:])
