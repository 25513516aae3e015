from frx.build import Use
from frx.testing import check_degradation

KIND = "degradation"


def test_every_degradation_keeps_its_promises(use: Use) -> None:
    check_degradation(use.build())
