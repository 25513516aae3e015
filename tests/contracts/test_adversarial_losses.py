from frx.build import Use
from frx.testing import check_adversarial_loss

KIND = "adversarial_loss"


def test_every_adversarial_loss_keeps_its_promises(use: Use) -> None:
    check_adversarial_loss(use.build())
