"""Light on a relief: direction, shadow, occlusion, skin that lets light through, gloss."""

from __future__ import annotations

import attrs
import cv2
import numpy as np

from frx.datasets.drawn_faces.appearance import Appearance
from frx.datasets.drawn_faces.plane import Floats, Plane


@attrs.frozen(eq=False)
class Light:
    """A key light and the surroundings' light; colours are linear."""

    key: Floats
    ambient: Floats
    direction: Floats
    softness: float
    rim: Floats

    @classmethod
    def of(cls, appearance: Appearance, melanin: float, surroundings: Floats) -> Light:
        """`surroundings`, the background's mean colour, tints shadows and rims.

        Exposure follows the skin's `melanin` a little, as a photographer's would.
        """
        azimuth, elevation = np.radians(
            [appearance.light_azimuth_deg, appearance.light_elevation_deg]
        )
        direction = np.array(
            [np.sin(azimuth) * np.cos(elevation), -np.sin(elevation),
             np.cos(azimuth) * np.cos(elevation)], np.float32)  # fmt: skip
        warmth = appearance.light_warmth
        key = np.array([1 + 0.10 * warmth, 1.0, 1 - 0.22 * warmth], np.float32)
        tint = surroundings / max(float(surroundings.mean()), 0.02)
        ambient = 0.65 * np.array([0.97, 1.0, 1.06], np.float32) + 0.35 * np.clip(
            0.5 + 0.5 * tint, 0.75, 1.3
        )
        rim = appearance.rim * (0.35 * key + 0.65 * np.clip(tint, 0.3, 2))
        strength = appearance.exposure * (0.90 + 0.24 * melanin)
        return cls(
            (1.28 - appearance.ambient) * strength * key,
            appearance.ambient * strength * ambient.astype(np.float32),
            direction,
            appearance.light_softness,
            (strength * rim).astype(np.float32),
        )


def normals_of(depth: Floats, plane: Plane) -> tuple[Floats, Floats, Floats]:
    """Unit normals of a depth map; z is toward the viewer."""
    scale = plane.n / 2
    dx = cv2.filter2D(depth, -1, np.array([[-scale, 0, scale]], np.float32))
    dy = cv2.filter2D(depth, -1, np.array([[-scale], [0], [scale]], np.float32))
    nz = 1 / np.sqrt(1 + dx * dx + dy * dy)
    return -dx * nz, -dy * nz, nz


def cast_shadow(depth: Floats, plane: Plane, direction: Floats, softness: float) -> Floats:
    """How much of the key light arrives (0..1), by marching toward it over the relief."""
    down, across = (max(8, length // 2) for length in plane.shape)
    small = cv2.resize(depth, (across, down), interpolation=cv2.INTER_AREA)
    size = plane.n / 2
    blocked = np.zeros_like(small)
    lx, ly, lz = (float(value) for value in direction)
    for reach in np.geomspace(0.012, 0.26, 12):
        shift = np.array([[1, 0, reach * lx * size], [0, 1, reach * ly * size]], np.float32)
        there = cv2.warpAffine(
            small, shift, (across, down), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
        spread = reach * (0.16 + 0.35 * softness)
        blocked = np.maximum(blocked, np.clip((there - small - reach * lz) / spread + 0.15, 0, 1))
    blocked = cv2.GaussianBlur(blocked, (0, 0), 0.004 * size * (1 + softness))
    arrives = 1 - cv2.resize(blocked, plane.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(arrives, 0, 1), np.float32)


def light_skin(
    depth: Floats,
    albedo: Floats,
    gloss: Floats,
    translucence: float,
    light: Light,
    plane: Plane,
) -> Floats:
    """Light a surface: linear colours [n, n, 3] from depth, albedo and gloss."""
    nx, ny, nz = normals_of(depth, plane)
    lx, ly, lz = (float(value) for value in light.direction)
    facing = nx * lx + ny * ly + nz * lz
    shadow = cast_shadow(depth, plane, light.direction, light.softness)
    hollow = plane.blur(depth, 0.022) - depth
    deep = plane.blur(depth, 0.007) - depth
    open_sky = np.clip(1 - 9.0 * hollow - 16.0 * deep, 0.45, 1.12)
    sky = open_sky * (0.80 - 0.20 * ny) * (0.55 + 0.45 * nz)
    lit = np.empty_like(albedo)
    # Light that enters skin comes out redder beside it: red wraps further round a form than blue.
    for channel, wrap in enumerate((0.30, 0.17, 0.13)):
        soft = np.float32(translucence * wrap + 0.18 * light.softness)
        diffuse = np.clip((facing + soft) / (1 + soft), 0, 1)
        passed = shadow if channel else np.sqrt(shadow)
        lit[..., channel] = albedo[..., channel] * (
            light.key[channel] * diffuse * passed + light.ambient[channel] * sky
        )
    hx, hy, hz = lx, ly, lz + 1
    norm = (hx * hx + hy * hy + hz * hz) ** 0.5
    mirror = np.maximum(nx * (hx / norm) + ny * (hy / norm) + nz * (hz / norm), 0)
    m2 = mirror * mirror
    m4 = m2 * m2
    m8 = m4 * m4
    m16 = m8 * m8
    shine = (0.055 * m8 + 0.20 * m16 * m16) * gloss * shadow
    grazing = 1 - nz
    edge = np.square(grazing * grazing)
    away = np.clip(nx * np.float32(-1.5 * np.sign(lx)), 0, 1)
    for channel in range(3):
        lit[..., channel] += light.key[channel] * shine
        lit[..., channel] += light.rim[channel] * 0.55 * edge * away
        lit[..., channel] += light.ambient[channel] * 0.05 * edge * gloss
    return lit
