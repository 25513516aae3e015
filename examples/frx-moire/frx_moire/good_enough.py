from typing import Any

from frx import hookimpl


class GoodEnough:
    """Ends a stage once a value of its validation is low enough."""

    def __init__(self, *, monitor: str = "banding whole", at_most: float = 2.0) -> None:
        self.monitor, self.at_most = monitor, at_most

    @hookimpl
    def frx_validation_end(self, run: Any) -> None:
        if run.validation[self.monitor] <= self.at_most:
            run.position.stop = f"{self.monitor} is at most {self.at_most:g}"
