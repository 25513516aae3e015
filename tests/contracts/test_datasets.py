from frx.build import Use
from frx.testing import check_dataset

KIND = "dataset"


def test_every_data_set_keeps_its_promises(use: Use) -> None:
    check_dataset(use.build)
