from frx.build import Use
from frx.testing import check_loss

KIND = "loss"


def test_every_loss_keeps_its_promises(use: Use) -> None:
    check_loss(use.build())
