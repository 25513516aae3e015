"""Faces that frx draws itself."""

from __future__ import annotations

from hashlib import blake2b
from typing import Annotated

import attrs
import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from frx.datasets.drawn_faces.appearance import Appearance
from frx.datasets.drawn_faces.drawing import DRAWING_VERSION, draw_face
from frx.datasets.drawn_faces.identity import Identity


@attrs.frozen(kw_only=True)
class SyntheticFaces:
    """Portraits drawn from a seed: no download, any size, any number.

    Each sample is uint8 [size, size, 3] RGB, aligned as FFHQ is: a frontal face has its eyes at
    (0.375, 0.469) and (0.621, 0.469) of width and height. `identities` None: every sample is
    another person; else sample `index` shows person `index % identities` in another pose,
    expression and light, and `groups()` keeps a person's pictures in one split. The same seed and
    index give the same picture in every process, and a larger `size` the same with more detail.
    """

    size: Annotated[int, Ge(16)] = 128
    count: Annotated[int, Ge(1)] = 1000
    identities: Annotated[int, Ge(1)] | None = None
    seed: int = 0

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        """The sample's id, "face-000123"."""
        return f"face-{self._checked(index):06d}"

    def __getitem__(self, index: int) -> dict[str, NDArray[np.uint8]]:
        return {"clean": draw_face(self.identity(index), self.appearance(index), self.size)}

    def identity(self, index: int) -> Identity:
        """Who is on picture `index`."""
        person = self._person(self._checked(index))
        return Identity.from_rng(self._rng("identity", person))

    def appearance(self, index: int) -> Appearance:
        """Pose, expression, light and surroundings of picture `index`."""
        return Appearance.from_rng(self._rng("appearance", self._checked(index)))

    def splits(self) -> dict[str, NDArray[np.int64]]:
        """Empty: the drawing prescribes no split."""
        return {}

    def groups(self) -> NDArray[np.int64] | None:
        """Each sample's person, or None where nobody is drawn twice."""
        if self.identities is None:
            return None
        return np.arange(self.count, dtype=np.int64) % self.identities

    def fingerprint(self) -> str:
        """Changes with every option and with the drawing itself."""
        parts = (DRAWING_VERSION, self.size, self.count, self.identities, self.seed)
        return blake2b(repr(parts).encode(), digest_size=16).hexdigest()

    def _checked(self, index: int) -> int:
        if not 0 <= index < self.count:
            raise IndexError(f"there are {self.count} faces; number {index} is not one of them")
        return int(index)

    def _person(self, index: int) -> int:
        return index if self.identities is None else index % self.identities

    def _rng(self, purpose: str, number: int) -> np.random.Generator:
        key = blake2b(f"{self.seed}/{purpose}/{number}".encode(), digest_size=16).digest()
        return np.random.Generator(np.random.SFC64(int.from_bytes(key, "little")))
