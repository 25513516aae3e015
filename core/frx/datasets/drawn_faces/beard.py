"""Stubble, moustaches and beards on the frontal plane."""

from __future__ import annotations

import numpy as np

from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.plane import Floats, Plane, bell, draw_strands, linear, mix, step
from frx.datasets.drawn_faces.relief import Mouth


def paint_beard(
    albedo: Floats,
    gloss: Floats,
    depth: Floats,
    mouth: Mouth,
    identity: Identity,
    plane: Plane,
    rng: np.random.Generator,
) -> None:
    """Stubble or a beard of single hairs, in place."""
    if identity.masculinity < 0.5:
        return
    x, y = np.abs(plane.x), plane.y
    kind = identity.beard
    line = 0.165 + 0.30 * np.maximum(x - 0.10, 0)
    cheek = step(0.0, 0.05, y - line + 0.55 * np.maximum(x - 0.195, 0) * 2.2) * step(0.05, 0.12, x)
    side = step(0.225, 0.25, x) * step(-0.02, 0.05, y)
    chin = step(0.27, 0.31, y) * (1 - step(0.11, 0.15, x)) * step(0.0, 0.02, y - mouth.bottom)
    moustache = bell(y - 0.205 - 0.35 * np.square(x) * 6, 0.017) * (1 - step(0.085, 0.125, x)) * 1.2
    moustache = moustache * (0.55 + 0.45 * step(0.002, 0.014, x))
    goatee = np.maximum(
        chin * (1 - step(0.06, 0.10, x)), bell(x - 0.112, 0.016) * step(0.19, 0.23, y)
    )
    area = {
        "none": plane.zeros(),
        "stubble": np.maximum(np.maximum(cheek, side), np.maximum(chin, moustache)),
        "moustache": moustache * np.ones_like(y),
        "goatee": np.maximum(goatee, moustache),
        "full": np.maximum(np.maximum(cheek, side), np.maximum(chin, moustache)),
    }[kind]
    shaved = np.maximum(np.maximum(cheek, side), np.maximum(chin, moustache))
    clear = step(-0.003, 0.004, np.maximum(mouth.top - y, y - mouth.bottom)) + step(
        0.98, 1.08, np.abs(mouth.t)
    )
    clear = np.minimum(clear, 1)
    area = np.clip(plane.blur((area * clear).astype(np.float32), 0.006), 0, 1)
    tone, hair = linear(identity.skin), linear(identity.hair)
    hair = hair * (1 - identity.grey) + np.array([0.45, 0.44, 0.43], np.float32) * identity.grey
    shadow = plane.blur((shaved * clear).astype(np.float32), 0.01)
    gray = tone * np.array([0.72, 0.78, 0.84], np.float32)
    mix(albedo, gray, shadow * (0.30 if kind != "none" else 0.22) * (1 - 0.6 * identity.grey))
    if kind == "none":
        return
    stubble = kind == "stubble"
    mix(
        albedo,
        hair * 0.6 + tone * 0.10,
        area * (0.28 if stubble else 0.80) * identity.beard_density,
    )
    if not stubble:
        depth += 0.010 * area * (1 + 0.25 * plane.noise(rng, 50))
    gloss *= 1 - 0.8 * area
    count = int((2600 if stubble else 3600) * (0.6 + 0.4 * identity.beard_density))
    where = np.stack([rng.uniform(-0.29, 0.29, count), rng.uniform(-0.03, 0.45, count)], -1)
    column, row = np.clip(plane.pixels(where) // 16, 0, np.array(plane.shape[::-1]) - 1).T
    keep = area[row, column] > rng.uniform(0.12, 0.9, count)
    where = where[keep]
    length = (0.005 if stubble else 0.021) * rng.uniform(0.5, 1.2, (len(where), 1))
    away = np.where(np.abs(where[:, :1]) < 0.1, where[:, :1] * 6, where[:, :1] * 1.2)
    heading = np.concatenate([away, np.ones_like(away)], -1) + rng.normal(0, 0.28, where.shape)
    heading /= np.linalg.norm(heading, axis=1, keepdims=True)
    curl = rng.normal(0, 0.5, (len(where), 1)) * heading[:, ::-1] * (1, -1)
    at = np.array([0, 0.5, 1.0])[None, :, None]
    path = where[:, None] + length[:, None] * (heading[:, None] * at + 0.5 * curl[:, None] * at**2)
    strands = np.zeros((*plane.shape, 2), np.uint8)
    level = rng.integers(30, 225, len(path))
    draw_strands(strands, plane.pixels(path), [(int(v), 255) for v in level],
                 max(1, round(0.0022 * plane.n)))  # fmt: skip
    value = strands[..., 0].astype(np.float32) / 255
    cover = strands[..., 1].astype(np.float32) / 255
    mix(albedo, hair * (0.35 + 1.7 * value)[..., None] + 0.02 * value[..., None],
        cover * (0.50 if stubble else 0.85) * min(1.0, 0.0045 * plane.n))  # fmt: skip
