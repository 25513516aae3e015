from frx.build import Use
from frx.testing import check_schedule

KIND = "schedule"


def test_every_schedule_keeps_its_promises(use: Use) -> None:
    check_schedule(use.build())
