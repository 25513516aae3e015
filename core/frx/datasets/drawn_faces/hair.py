"""A head's hair: which style is drawn, and the light on it."""

from __future__ import annotations

from math import copysign

import cv2
import numpy as np
from numpy.typing import NDArray

from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.light import Light
from frx.datasets.drawn_faces.long_hair import draw_long
from frx.datasets.drawn_faces.plane import Floats, Plane, bell, linear, step
from frx.datasets.drawn_faces.pose import Pose
from frx.datasets.drawn_faces.scalp import HairDrawing, Scalp
from frx.datasets.drawn_faces.short_hair import CUTS, draw_bun, draw_short

LONG_STYLES = ("bob", "long", "wavy", "ringlets", "fringe")


def draw_hair(
    identity: Identity, pose: Pose, plane: Plane, rng: np.random.Generator
) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]:
    """The hair behind the neck and the hair before the head; None where there is none."""
    style = identity.hair_style
    if style in ("bald", "headscarf"):
        return None, None
    if style in LONG_STYLES:
        return draw_long(identity, pose, plane, rng)
    cut = CUTS[style]
    volume = identity.hair_volume
    scalp = Scalp(identity, cut.top * volume, cut.sides * volume, cut.recede)
    drawing = HairDrawing(plane, pose, scalp)
    back = None
    if style == "bun":
        back = draw_bun(identity, pose, plane, scalp, rng)
    draw_short(drawing, scalp, cut, identity, rng)
    return back, drawing.image


def light_hair(
    drawing: NDArray[np.uint8], identity: Identity, light: Light, plane: Plane, pose: Pose
) -> tuple[Floats, Floats]:
    """Lit linear colours [h, w, 3] of drawn hair, and its coverage [h, w]."""
    value, number, cover = (
        np.ascontiguousarray(part, np.float32) / 255 for part in cv2.split(drawing)
    )
    # Anti-aliased strands fade to 0 at their edges: what they are made of does not.
    whole = 1 / np.maximum(cover, 0.02)
    value, number = np.minimum(value * whole, 1), np.minimum(number * whole, 1)
    middle = pose.project(np.array([0.0, -0.06, 0.0]))
    nx = np.clip((plane.x - np.float32(middle[0])) / 0.37, -1, 1)
    ny = np.clip((plane.y - np.float32(middle[1])) / 0.46, -1, 0.25)
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0.04))
    lx, ly, lz = (float(part) for part in light.direction)
    facing = np.clip((nx * lx + ny * ly + nz * lz + 0.35) / 1.35, 0, 1)
    hair = linear(identity.hair)
    grey = np.clip(1.5 * identity.grey - 0.6 * number, 0, 0.92)
    silver = np.array([0.42, 0.42, 0.43], np.float32)
    strength = 0.32 + 1.7 * value * value
    gloss = 0.14 + 0.55 * float(hair.mean()) + 0.10 * identity.grey
    if identity.hair_style in ("afro", "curly", "buzz"):
        gloss *= 0.45
    at = ny + 0.10 * (number - 0.5) + 0.16 * (value - 0.5)
    halo = bell(at + 0.48 - 0.25 * (ly + 0.5), 0.10) + 0.35 * bell(at - 0.02, 0.16)
    shine = gloss * halo * np.square(facing) * (0.35 + 1.3 * value) * 1.6
    under = 1 - 0.35 * step(0.12, 0.45, plane.y)
    lit = np.empty((*plane.shape, 3), np.float32)
    rim = np.square(np.square(1 - nz)) * np.clip(-copysign(1, lx) * nx, 0, 1)
    for channel in range(3):
        color = hair[channel] + (silver[channel] - hair[channel]) * grey
        incoming = light.key[channel] * facing + light.ambient[channel] * (0.75 - 0.3 * ny)
        lit[..., channel] = color * strength * incoming * under
        lit[..., channel] += (
            light.key[channel] * shine * (0.45 + 0.55 * color / (hair.max() + 0.05))
        )
        lit[..., channel] += light.rim[channel] * rim * value * 0.35
    soft = np.asarray(cv2.GaussianBlur(cover, (0, 0), 0.55), np.float32)
    return lit, soft
