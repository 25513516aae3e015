"""A promise kept, or the sentence that says how it was broken."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np
from attrs import frozen

from frx.build import called


@frozen
class Promises:
    """The promises of one component."""

    of: str

    @classmethod
    def made_by(cls, component: Any) -> Promises:
        """Name sentences after a component: its function or class."""
        return cls(called(component))

    def kept(self, kept: Any, broken: str) -> None:
        """Raise AssertionError with the sentence `broken` unless `kept`."""
        if not kept:
            raise AssertionError(f"{self.of} {broken}")

    @contextmanager
    def no_error(self, given: str) -> Iterator[None]:
        """Turn an error of the component into a sentence that says what it was given."""
        try:
            yield
        except AssertionError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise AssertionError(f"{self.of} fails on {given}: {reason}") from error

    @contextmanager
    def no_global_randomness(self) -> Iterator[None]:
        """Notice draws from generators that nobody handed in."""
        before = global_generators()
        yield
        for name, state in global_generators().items():
            if name in before:
                self.kept(state == before[name], f"draws from the global generator of {name}")

    def sent_to_worker(self, component: Any) -> Any:
        """What arrives of a component in a data-loading process."""
        with self.no_error("being sent to a data-loading process"):
            return ForkingPickler.loads(ForkingPickler.dumps(component))


def global_generators() -> dict[str, Any]:
    """The state of each generator that everyone shares."""
    algorithm, key, *rest = np.random.get_state()  # noqa: NPY002 (read, to see that nobody draws)
    found: dict[str, Any] = {
        "random": random.getstate(),
        "numpy": (algorithm, bytes(np.asarray(key)), *rest),
    }
    if "torch" in sys.modules:
        import torch

        found["torch"] = torch.get_rng_state().tolist()
    return found
