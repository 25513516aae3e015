from frx.build import Use
from frx.testing import check_discriminator

KIND = "discriminator"


def test_every_discriminator_keeps_its_promises(use: Use) -> None:
    check_discriminator(use.build(), use.build())
