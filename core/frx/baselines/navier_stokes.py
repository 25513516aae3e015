"""The Navier-Stokes fill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import attrs
import cv2
from annotated_types import Gt

from frx.baselines.telea import filled

if TYPE_CHECKING:
    from frx.specs import Picture


@attrs.frozen(kw_only=True)
class NavierStokes:
    """Fills marked damage by carrying edges into it, as a fluid flows.

    OpenCV's `inpaint` with INPAINT_NS, each pixel from those within `radius_px`. Pixels outside the
    mask keep their values.

    Bertalmio, Bertozzi, Sapiro: Navier-Stokes, fluid dynamics, and image and video inpainting,
    Computer Vision and Pattern Recognition 2001.
    """

    radius_px: Annotated[float, Gt(0)] = 3.0

    def __call__(self, degraded: Picture, mask: Picture) -> Picture:
        """Return the filled image [H, W, 3]; `mask` [H, W] is 255 where there is damage."""
        return filled(degraded, mask, self.radius_px, cv2.INPAINT_NS)
