from frx.build import Use
from frx.testing import check_augmentation

KIND = "augmentation"


def test_every_augmentation_keeps_its_promises(use: Use) -> None:
    check_augmentation(use.build())
