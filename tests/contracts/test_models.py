from frx.build import Use
from frx.testing import check_model

KIND = "model"


def test_every_model_keeps_its_promises(use: Use) -> None:
    check_model(use.build(), use.build())
