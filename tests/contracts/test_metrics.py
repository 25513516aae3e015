from frx.build import Use
from frx.testing import check_metric

KIND = "metric"


def test_every_metric_keeps_its_promises(use: Use) -> None:
    check_metric(use.build())
