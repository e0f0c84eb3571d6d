import hypothesis.strategies as st
import torch
import torch.nn.functional as F
from hypothesis import given, settings

from segnets.models.parts.pyramid import BINS, pooling_matrix


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([*BINS, 7, 14]))
def test_two_matrices_pool_as_adaptive_pooling_does(height, width, bins):
    maps = torch.randn(2, 3, height, width, dtype=torch.float64)
    pooled = pooling_matrix(height, bins, maps) @ maps @ pooling_matrix(width, bins, maps).T
    assert torch.allclose(pooled, F.adaptive_avg_pool2d(maps, bins))
