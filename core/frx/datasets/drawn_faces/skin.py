"""Bare skin before light: its linear albedo and gloss on the frontal plane."""

from __future__ import annotations

import cv2
import numpy as np

from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.plane import Floats, Plane, Texture, bell, linear, mix, step


def paint_skin(
    identity: Identity, plane: Plane, texture: Texture, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Albedo [n, n, 3] of bare skin and its gloss [n, n]."""
    x, y = np.abs(plane.x), plane.y
    tone = linear(identity.skin)
    albedo = np.empty((*plane.shape, 3), np.float32)
    mottle = (
        0.030 * texture.broad + 0.026 * texture.soft
        + 0.020 * texture.middle + 0.012 * texture.fine
    )  # fmt: skip
    blush = 0.9 * bell(x - 0.155, 0.058) * bell(y - 0.105, 0.050)
    blush = blush + 0.8 * bell(x, 0.050) * bell(y - 0.135, 0.032)
    blush = blush + 0.45 * bell(x, 0.05) * bell(y - 0.37, 0.03)
    blush = blush + 1.1 * step(0.258, 0.285, x) * bell(y - 0.03, 0.09)
    blush = blush * (1 + 0.22 * texture.soft) * (identity.redness + 0.7 * identity.make_up)
    hollow = bell(x - 0.110, 0.052) * bell(y - 0.030, 0.020)
    hollow = hollow + 0.9 * bell(x - 0.060, 0.028) * bell(y - 0.005, 0.030)
    hollow = hollow * (0.35 + 0.012 * (identity.age_years - 18))
    pale = 0.10 * bell(x, 0.10) * bell(y + 0.17, 0.07)
    shade = 1 + mottle + pale - 0.16 * hollow
    for channel, (red, dark) in enumerate(((0.02, 0.0), (-0.21, 0.05), (-0.17, 0.02))):
        albedo[..., channel] = tone[channel] * shade * (1 + red * blush - dark * hollow)
    if identity.freckles > 0:
        _dots(albedo, plane, rng, identity)
    if identity.age_years > 55:
        many = float(np.clip((identity.age_years - 55) / 20, 0, 1))
        spots = step(1.3, 2.2, texture.soft) * 0.25 * many
        mix(albedo, tone * (0.62, 0.5, 0.42), spots * bell(y + 0.1, 0.25))
    gloss = (
        0.55
        + 0.75 * bell(x, 0.045) * bell(y - 0.06, 0.12)
        + 0.40 * bell(x, 0.13) * bell(y + 0.16, 0.07)
    )
    gloss = (gloss + 0.25 * bell(x - 0.15, 0.05) * bell(y - 0.07, 0.04)) * (
        1 + 0.16 * texture.middle - 0.12 * texture.soft
    )
    nostril_y = 0.128 * identity.nose_length + 0.031
    for side in (-1, 1):
        at = np.linspace(0, 2 * np.pi, 20)
        oval = np.stack(
            [side * 0.0235 * identity.nose_width + 0.0125 * identity.nose_width * np.cos(at),
             nostril_y + 0.0046 * np.sin(at) + side * 0.0025 * np.cos(at)],
            -1)  # fmt: skip
        hole = plane.blur(plane.polygon(oval), 0.0026)
        mix(albedo, tone * (0.20, 0.10, 0.08), np.minimum(hole * 1.05, 0.85))
    crease = plane.line(_wing(identity, 1), 0.005) + plane.line(_wing(identity, -1), 0.005)
    mix(albedo, tone * (0.42, 0.26, 0.22), plane.blur(crease, 0.0040) * 0.50)
    gloss *= 0.85 - 0.38 * identity.melanin
    return albedo, np.maximum(gloss, 0).astype(np.float32)


def _wing(identity: Identity, side: int) -> np.ndarray:
    at = np.linspace(-1.0, 1.25, 14)
    x0, y0 = 0.043 * identity.nose_width, 0.128 * identity.nose_length + 0.016
    return np.stack([side * (x0 + 0.017 * np.cos(at)), y0 + 0.019 * np.sin(at)], -1)


def _dots(albedo: Floats, plane: Plane, rng: np.random.Generator, identity: Identity) -> None:
    count = int(90 + 190 * identity.freckles)
    where = np.stack([rng.normal(0, 0.115, count), 0.075 + rng.normal(0, 0.06, count)], -1)
    size = rng.uniform(0.0008, 0.0028, count)
    dots = np.zeros(plane.shape, np.uint8)
    at = np.linspace(0, 2 * np.pi, 9)[:-1]
    ring = np.stack([np.cos(at), np.sin(at)], -1)
    for center, radius, level in zip(where, size, rng.integers(70, 190, count), strict=True):
        cv2.fillPoly(dots, [plane.pixels(center + ring * radius)], int(level), cv2.LINE_AA, 4)
    tone = linear(identity.skin)
    mix(albedo, tone * (0.66, 0.46, 0.36), plane.blur(dots.astype(np.float32) / 255, 0.0012))
