"""What the tests of losses share."""

import pytest
import torch
from torch import Tensor


@pytest.fixture
def clean() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
