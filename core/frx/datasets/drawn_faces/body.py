"""Neck, shoulders and clothes below a face."""

from __future__ import annotations

from colorsys import hsv_to_rgb

import numpy as np

from frx.datasets.drawn_faces.appearance import Appearance
from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.light import Light, light_skin
from frx.datasets.drawn_faces.plane import Floats, Plane, bell, linear, mix, step
from frx.datasets.drawn_faces.pose import Pose


def draw_body(
    identity: Identity,
    appearance: Appearance,
    light: Light,
    pose: Pose,
    plane: Plane,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Lit linear colours [h, w, 3] and coverage [h, w] of what is below the chin."""
    middle = float(pose.project(np.array([0.0, 0.30, -0.06]))[0])
    x, y = plane.x - np.float32(middle), plane.y
    ax = np.abs(x)
    half = 0.128 + 0.045 * identity.masculinity
    # The neck widens into shoulders; both edges are curves over x.
    neck = plane.inside(half + 0.35 * np.square(np.maximum(y - 0.34, 0)) * 4 - ax) * step(
        0.12, 0.16, y
    )
    slope = 0.425 + 0.02 * (1 - identity.masculinity)
    shoulder = slope + 0.30 * np.maximum(ax - half, 0) * (0.75 + 0.55 * ax)
    body = plane.inside(y - shoulder)
    depth = (
        0.22 * np.sqrt(np.maximum(1 - np.square(np.minimum(ax / (half * 1.08), 1)), 0.01)) - 0.08
    )
    depth = depth + 0.012 * bell(ax - 0.052 - 0.10 * (0.47 - y), 0.016) * step(0.3, 0.46, y)
    depth = depth - 0.010 * bell(x, 0.022) * bell(y - 0.50, 0.03)
    tone = linear(identity.skin)
    albedo = np.empty((*plane.shape, 3), np.float32)
    albedo[:] = tone * 0.94
    albedo *= (1 + 0.04 * plane.noise(rng, 30) + 0.04 * plane.noise(rng, 120))[..., None]
    gloss = np.full(plane.shape, 0.30, np.float32)
    gloss *= 1 + 0.2 * plane.noise(rng, 100)

    cloth, dress, bulge, shine = _garment(identity, appearance, plane, x, y, shoulder, half, rng)
    torso = 0.16 - 0.75 * np.square(x) + 0.30 * (y - 0.45)
    folds = 0.012 * plane.noise(rng, 7, 5) + 0.006 * plane.noise(rng, 16, 12)
    surface = depth + (torso + folds + bulge - depth) * dress
    mix(albedo, cloth, dress)
    gloss += (shine - gloss) * dress
    cover = np.maximum(np.maximum(neck, body), dress)
    lit = light_skin(surface.astype(np.float32), albedo, gloss, 0.5, light, plane)
    return lit, cover


def _garment(
    identity: Identity, appearance: Appearance, plane: Plane, x: Floats, y: Floats,
    shoulder: Floats, half: float, rng: np.random.Generator,
) -> tuple[Floats, Floats, Floats, float]:  # fmt: skip
    """Albedo, coverage, relief and gloss of the clothes."""
    kind = appearance.garment
    ax = np.abs(x)
    color = linear(hsv_to_rgb(appearance.garment_hue, appearance.garment_saturation,
                              0.15 + 0.8 * appearance.garment_tone))  # fmt: skip
    deep = {"tee": 0.055, "stripes": 0.050, "knit": 0.010, "shirt": 0.06, "blazer": 0.09,
            "hoodie": 0.045}[kind]  # fmt: skip
    opening = 0.432 + deep * np.sqrt(
        np.maximum(1 - np.square(np.minimum(ax / (half + 0.03), 1)), 0)
    )
    if kind in ("shirt", "blazer"):
        opening = 0.478 - 0.085 * np.minimum(ax / half, 1)
    edge = np.maximum(shoulder - 0.014, opening)
    dress = plane.inside((y - edge).astype(np.float32))
    weave = plane.noise(rng, 210) * 0.10 + plane.noise(rng, 60) * 0.05
    bulge = plane.zeros()
    cloth = np.empty((*plane.shape, 3), np.float32)
    cloth[:] = color
    shine = 0.10
    rib = bell(y - edge - 0.010, 0.008)
    if kind in ("tee", "stripes"):
        bulge += 0.006 * rib
        if kind == "stripes":
            other = linear(hsv_to_rgb((appearance.garment_hue + 0.5) % 1, 0.12, 0.9))
            phase = (y + 0.25 * np.square(x) + 0.004 * plane.noise(rng, 9)) / 0.034
            band = step(-0.15, 0.15, np.sin(2 * np.pi * phase).astype(np.float32))
            mix(cloth, other, band * (1 - rib))
    elif kind == "knit":
        turtle = plane.inside((half + 0.02 - ax).astype(np.float32)) * plane.inside(
            y - 0.40 - 0.35 * np.square(x)
        )
        dress = np.maximum(dress, turtle)
        stitch = np.sin(2 * np.pi * x / 0.0125) * (0.8 + 0.2 * np.sin(2 * np.pi * y / 0.009))
        bulge += 0.0022 * stitch + 0.006 * turtle
        cloth *= (1 + 0.12 * stitch)[..., None]
        weave = weave * 1.6
    elif kind == "shirt":
        collar = _collar(plane, x, half)
        dress = np.maximum(dress, collar)
        bulge += 0.016 * plane.blur(collar, 0.004)
        bulge -= 0.004 * bell(x - 0.014, 0.003) * dress * (1 - collar)
        mix(cloth, color * 1.12, collar)
        shine = 0.16
    elif kind == "blazer":
        shirt = linear((0.86, 0.87, 0.90)) if rng.random() < 0.7 else color * 0.4 + 0.4
        lapel = plane.inside((ax - 0.052 - 0.62 * np.maximum(0.53 - y, 0) * 0.9).astype(np.float32))
        jacket = color * 0.30 + 0.012
        mix(cloth, shirt, 1 - lapel)
        mix(cloth, jacket, lapel)
        seam = bell(ax - 0.125 - 0.35 * (0.50 - y), 0.003) * lapel
        bulge += 0.012 * lapel + 0.006 * bell(ax - 0.10, 0.02) * lapel - 0.006 * seam
        collar = _collar(plane, x, half) * (1 - lapel)
        dress = np.maximum(dress, collar)
        mix(cloth, shirt * 1.05, collar)
        bulge += 0.014 * plane.blur(collar, 0.004)
        if identity.masculinity > 0.5 and rng.random() < 0.5:
            tie = plane.inside(
                (0.022 + 0.10 * np.maximum(y - 0.49, 0) - ax).astype(np.float32)
            ) * plane.inside(y - 0.462)
            dress = np.maximum(dress, tie)
            silk = linear(hsv_to_rgb(rng.random(), 0.6, 0.5))
            slant = step(0.5, 0.7, np.sin(2 * np.pi * (x + y) / 0.028).astype(np.float32))
            mix(cloth, silk, tie)
            mix(cloth, silk * 0.4 + 0.3, tie * slant * 0.7)
            bulge += 0.012 * tie
    else:
        hood = (
            plane.inside((half + 0.085 - ax).astype(np.float32))
            * plane.inside(
                (y - 0.365 - 0.55 * np.square(np.maximum(ax - half + 0.04, 0)) * 8).astype(
                    np.float32
                )
            )
            * plane.inside((ax - half + 0.012 + 0.5 * np.maximum(y - 0.44, 0)).astype(np.float32))
        )
        dress = np.maximum(dress, hood)
        bulge += 0.020 * bell(ax - half - 0.045, 0.030) * step(0.36, 0.42, y)
        cord = plane.inside((0.0045 - np.abs(ax - 0.062)).astype(np.float32)) * plane.inside(
            y - opening - 0.01
        )
        mix(cloth, linear((0.88, 0.87, 0.84)), cord)
        bulge += 0.004 * cord + 0.006 * rib
    cloth *= (1 + weave)[..., None]
    return np.maximum(cloth, 0.004), dress, bulge.astype(np.float32), shine


def _collar(plane: Plane, x: Floats, half: float) -> Floats:
    """Coverage of a shirt collar's two leaves around a neck of half width `half`."""
    middle = float(plane.x[0, 0] - x[0, 0])
    leaf = np.array([(half - 0.012, 0.392), (0.010, 0.474), (0.058, 0.526), (half + 0.038, 0.462),
                     (half + 0.022, 0.404)])  # fmt: skip
    place = np.array([middle, 0.0])
    return np.maximum(plane.polygon(leaf * (-1, 1) + place), plane.polygon(leaf + place))
