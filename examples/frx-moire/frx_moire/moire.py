from typing import Annotated

import numpy as np
from annotated_types import Ge, Interval
from numpy.typing import NDArray


def moire(
    image: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    period_px: Annotated[float, Ge(2)] = 6.0,
    strength: Annotated[float, Interval(gt=0, le=1)] = 0.3,
) -> NDArray[np.uint8]:
    """Coloured stripes at a random angle, as when a screen is photographed."""
    angle, phase = rng.uniform(0, 2 * np.pi, 2)
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    across = 2 * np.pi / period_px * (columns * np.cos(angle) + rows * np.sin(angle)) + phase
    stripes = np.cos(across[..., None] + [0, 1, 2])  # red, green and blue of a screen lie apart
    return np.clip(np.rint(image * (1 + strength * stripes)), 0, 255).astype(np.uint8)
