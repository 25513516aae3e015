from frx.build import Use
from frx.testing import check_optimizer

KIND = "optimizer"


def test_every_optimiser_keeps_its_promises(use: Use) -> None:
    check_optimizer(use.build())
