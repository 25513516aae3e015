"""What lies behind a face: studio, lights, leaves, rooms, sky, walls; mostly out of focus."""

from __future__ import annotations

from colorsys import hsv_to_rgb

import cv2
import numpy as np

from frx.datasets.drawn_faces.appearance import Appearance
from frx.datasets.drawn_faces.plane import Floats, Plane, bell, linear, mix, step


def draw_backdrop(appearance: Appearance, plane: Plane, rng: np.random.Generator) -> Floats:
    """Linear colours [n, n, 3] of a background."""
    # Out of focus, so a small picture enlarged shows all there is; walls add their grain after.
    small = Plane(96)
    kind, hue, tone = appearance.background, appearance.background_hue, appearance.background_tone
    near = (hue + rng.uniform(-0.08, 0.08)) % 1
    if kind == "studio":
        scene = _gradient(small, _tint(hue, 0.10 + 0.35 * rng.random(), 0.25 + 0.6 * tone),
                          _tint(near, 0.3, 0.10 + 0.35 * tone), rng)  # fmt: skip
    elif kind == "bokeh":
        scene = _gradient(small, _tint(hue, 0.5, 0.10 + 0.2 * tone), _tint(near, 0.6, 0.05), rng)
        warm = rng.random() < 0.6
        for _ in range(int(rng.integers(14, 34))):
            spot_hue = rng.uniform(0.05, 0.14) if warm else (hue + rng.normal(0, 0.10)) % 1
            _disc(scene, small, rng, _tint(spot_hue, rng.uniform(0.2, 0.8), 1.0), (0.015, 0.065))
    elif kind == "foliage":
        scene = _gradient(small, _tint(0.16 + 0.16 * hue, 0.22 + 0.3 * tone, 0.30 + 0.35 * tone),
                          _tint(0.22 + 0.14 * hue, 0.45, 0.14), rng)  # fmt: skip
        leaves = (
            0.5 * small.noise(rng, 7) + 0.45 * small.noise(rng, 15) + 0.4 * small.noise(rng, 30)
        )
        scene *= np.clip(1 + 0.65 * leaves, 0.15, 3)[..., None]
        for _ in range(int(rng.integers(8, 22))):
            _disc(scene, small, rng, _tint(rng.uniform(0.12, 0.28), 0.4, 0.9), (0.010, 0.04))
    elif kind == "interior":
        scene = _interior(small, hue, tone, rng)
    elif kind == "sky":
        low = step(rng.uniform(-0.05, 0.1), 0.35, small.y + 0.02 * small.noise(rng, 5))[..., None]
        clouds = np.clip(0.5 * small.noise(rng, 4, 7) + 0.35 * small.noise(rng, 9, 14), 0, 1)
        blue = _tint(0.57 + 0.05 * hue, 0.25 + 0.4 * tone, 0.72 + 0.2 * tone)
        scene = np.broadcast_to(blue, (*small.shape, 3)) * (1.0 + 0.35 * small.y[..., None])
        mix(scene, (0.85, 0.85, 0.86), clouds * 0.75)
        land = _tint(0.1 + 0.25 * hue, 0.35, 0.42) * (1 + 0.25 * small.noise(rng, 14))[..., None]
        scene = scene + (land - scene) * low
    elif kind == "dusk":
        up = step(-0.45, 0.45, small.y + 0.03 * small.noise(rng, 5))[..., None]
        scene = _tint(0.62 + 0.12 * hue, 0.5, 0.35) * (1 - up) + _tint(0.05, 0.6, 0.85) * up
        scene = scene * (1 + 0.10 * small.noise(rng, 6))[..., None]
        for _ in range(int(rng.integers(5, 18))):
            _disc(scene, small, rng, _tint(rng.uniform(0.03, 0.14), 0.6, 1.0), (0.006, 0.028), 0.15)
    else:
        return _wall(appearance, plane, rng)
    soft = cv2.GaussianBlur(np.asarray(scene, np.float32), (0, 0), 0.9)
    return np.maximum(cv2.resize(soft, plane.shape[::-1], interpolation=cv2.INTER_CUBIC), 0.002)


def _tint(hue: float, saturation: float, value: float) -> Floats:
    return linear(hsv_to_rgb(hue % 1, saturation, value))


def _gradient(plane: Plane, center: Floats, edge: Floats, rng: np.random.Generator) -> Floats:
    x0, y0 = rng.uniform(-0.35, 0.35), rng.uniform(-0.4, 0.2)
    radius = np.sqrt(np.square(plane.x - np.float32(x0)) + np.square(plane.y - np.float32(y0)))
    near = step(0.85, 0.05, radius + 0.035 * plane.noise(rng, 4))[..., None]
    return np.asarray(edge + (center - edge) * near, np.float32)


def _disc(
    scene: Floats, plane: Plane, rng: np.random.Generator, color: Floats,
    sizes: tuple[float, float], low: float = -0.469,
) -> None:  # fmt: skip
    x0, y0, size = rng.uniform(-0.5, 0.5), rng.uniform(low, 0.53), rng.uniform(*sizes)
    radius = np.sqrt(np.square(plane.x - np.float32(x0)) + np.square(plane.y - np.float32(y0)))
    inside = plane.inside((size - radius).astype(np.float32))
    ring = 0.75 + 0.35 * step(0.6 * size, size, radius)
    scene += color * (inside * ring * np.float32(rng.uniform(0.15, 0.75)))[..., None]


def _interior(plane: Plane, hue: float, tone: float, rng: np.random.Generator) -> Floats:
    wall = _tint(hue, 0.18, 0.35 + 0.4 * tone)
    scene = np.empty((*plane.shape, 3), np.float32)
    scene[:] = wall
    for _ in range(int(rng.integers(6, 13))):
        x0, y0 = rng.uniform(-0.6, 0.45), rng.uniform(-0.6, 0.4)
        wide, high = rng.uniform(0.04, 0.35), rng.uniform(0.08, 0.7)
        inside = plane.inside(np.minimum(np.minimum(plane.x - x0, x0 + wide - plane.x),
                                         np.minimum(plane.y - y0, y0 + high - plane.y))
                              .astype(np.float32))  # fmt: skip
        shade = rng.uniform(0.05, 0.6) if rng.random() < 0.75 else rng.uniform(0.8, 1.0)
        color = _tint((hue + rng.normal(0, 0.18)) % 1, rng.uniform(0.05, 0.55), shade)
        mix(scene, color, inside * np.float32(rng.uniform(0.5, 0.95)))
    light = bell(plane.x - rng.uniform(-0.5, 0.5), 0.35) * bell(plane.y + 0.2, 0.4)
    scene *= (0.65 + 0.6 * light)[..., None]
    return np.asarray(cv2.GaussianBlur(scene, (0, 0), float(rng.uniform(1.2, 3.2))), np.float32)


def _wall(appearance: Appearance, plane: Plane, rng: np.random.Generator) -> Floats:
    hue, tone = appearance.background_hue, appearance.background_tone
    side = float(np.sign(appearance.light_azimuth_deg))
    falloff = 1 + 0.5 * side * plane.x - 0.35 * plane.y
    rough = 0.05 * plane.noise(rng, 5) + 0.05 * plane.noise(rng, 40) + 0.05 * plane.noise(rng, 150)
    if appearance.background == "plaster":
        color = _tint(hue, 0.06 + 0.3 * rng.random(), 0.35 + 0.5 * tone)
        return np.asarray(color * (falloff * (1 + rough))[..., None], np.float32)
    high, wide = 0.058, 0.165
    row = np.floor((plane.y + 2) / high)
    down = (plane.y + 2) / high - row
    across = (plane.x + 2) / wide + 0.5 * (row % 2)
    column = np.floor(across)
    across = across - column
    shades = rng.normal(0, 1, (64, 32)).astype(np.float32)
    shade = shades[row.astype(int) % 64, column.astype(int) % 32]
    joint = np.minimum(np.minimum(down, 1 - down) * high, np.minimum(across, 1 - across) * wide)
    brick = step(0.0025, 0.0065, joint.astype(np.float32))
    body = _tint(0.02 + 0.04 * hue, 0.25 + 0.35 * tone, 0.42 + 0.2 * tone)
    wall = body * (1 + 0.18 * shade)[..., None] * np.ones((1, 1, 3), np.float32)
    wall += (_tint(0.08, 0.12, 0.60) - wall) * (1 - brick)[..., None]
    wall = wall * (falloff * (1 + 1.5 * rough))[..., None]
    return plane.blur(wall.astype(np.float32), 0.0035)
