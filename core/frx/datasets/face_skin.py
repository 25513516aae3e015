"""The colours of a face before light: skin, lips, teeth, beard; linear albedo on the frontal plane."""

from __future__ import annotations

import cv2
import numpy as np

from frx.datasets.face_identity import Appearance, Identity
from frx.datasets.face_plane import Floats, Plane, bell, draw_strands, linear, mix, step
from frx.datasets.face_relief import Mouth


def paint_skin(identity: Identity, plane: Plane, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Albedo [n, n, 3] of bare skin and its gloss [n, n]."""
    n = plane.n
    x, y = np.abs(plane.x), plane.y
    tone = linear(identity.skin)
    albedo = np.empty((*plane.shape, 3), np.float32)
    mottle = (
        0.035 * plane.noise(rng, 9) + 0.030 * plane.noise(rng, 34)
        + 0.040 * plane.noise(rng, 110) + 0.030 * plane.noise(rng, 240)
    )  # fmt: skip
    blush = 0.9 * bell(x - 0.155, 0.058) * bell(y - 0.105, 0.050)
    blush = blush + 0.8 * bell(x, 0.050) * bell(y - 0.135, 0.032)
    blush = blush + 0.45 * bell(x, 0.05) * bell(y - 0.37, 0.03)
    blush = blush + 1.1 * step(0.258, 0.285, x) * bell(y - 0.03, 0.09)
    blush = blush * (1 + 0.25 * plane.noise(rng, 22)) * (identity.redness + 0.7 * identity.make_up)
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
        spots = (
            step(1.3, 2.2, plane.noise(rng, 40))
            * 0.25
            * step(55, 75, np.float32(identity.age_years))
        )
        mix(albedo, tone * (0.62, 0.5, 0.42), spots * bell(y + 0.1, 0.25))
    gloss = (
        0.55
        + 0.75 * bell(x, 0.045) * bell(y - 0.06, 0.12)
        + 0.40 * bell(x, 0.13) * bell(y + 0.16, 0.07)
    )
    gloss = (gloss + 0.25 * bell(x - 0.15, 0.05) * bell(y - 0.07, 0.04)) * (
        1 + 0.30 * plane.noise(rng, 130) + 0.15 * plane.noise(rng, 30)
    )
    nostril_y = 0.128 * identity.nose_length + 0.031
    for side in (-1, 1):
        at = np.linspace(0, 2 * np.pi, 20)
        oval = np.stack(
            [side * 0.0235 * identity.nose_width + 0.0125 * identity.nose_width * np.cos(at),
             nostril_y + 0.0055 * np.sin(at) + side * 0.0025 * np.cos(at)],
            -1)  # fmt: skip
        hole = plane.blur(plane.polygon(oval), 0.0026)
        mix(albedo, tone * (0.16, 0.08, 0.07), np.minimum(hole * 1.05, 0.92))
    crease = plane.line(_wing(identity, 1), 0.005) + plane.line(_wing(identity, -1), 0.005)
    mix(albedo, tone * (0.42, 0.26, 0.22), plane.blur(crease, 0.0035) * 0.65)
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


def paint_mouth(
    albedo: Floats,
    gloss: Floats,
    depth: Floats,
    mouth: Mouth,
    identity: Identity,
    appearance: Appearance,
    plane: Plane,
    rng: np.random.Generator,
) -> None:
    """Lips with their relief, and what they show when they part, in place."""
    reach = mouth.half_width * 1.12
    rows, columns = plane.window(-reach, reach, mouth.middle - 0.09, mouth.middle + 0.13)
    y = plane.y[rows]
    t, top, upper, lower, bottom = (
        edge[:, columns] for edge in (mouth.t, mouth.top, mouth.upper, mouth.lower, mouth.bottom)
    )
    skin, lips, shine = albedo[rows, columns], depth[rows, columns], gloss[rows, columns]
    ends = 1 - step(0.90, 1.02, np.abs(t))
    inside_upper = plane.inside(np.minimum(y - top, upper - y)) * ends
    inside_lower = plane.inside(np.minimum(y - lower, bottom - y)) * ends
    gap = plane.inside(np.minimum(y - upper, lower - y)) * (1 - step(0.94, 1.0, np.abs(t)))
    tone = linear(identity.skin)
    natural = tone * np.array([0.86, 0.50, 0.50], np.float32) + np.array(
        [0.03, 0.0, 0.004], np.float32
    )
    painted = max(0.0, min(1.0, 1.6 * identity.make_up - 0.25))
    color = natural * (1 - 0.7 * painted) + linear(identity.lipstick) * 0.7 * painted
    grooves = plane.noise(rng, 170, 14)[rows, columns]
    relief = 1 + (0.10 - 0.04 * painted) * grooves + 0.05 * plane.noise(rng, 60)[rows, columns]
    lip = np.maximum(inside_upper, inside_lower)
    soft = plane.blur(lip, 0.0022)
    edge_dark = 1 - 0.10 * inside_upper
    mix(skin, color * (relief * edge_dark)[..., None], soft * (0.86 + 0.1 * painted))
    q_up = np.clip((y - top) / np.maximum(upper - top, 1e-4), 0, 1)
    q_low = np.clip((y - lower) / np.maximum(bottom - lower, 1e-4), 0, 1)
    full = np.float32(0.011 * identity.lip_fullness) * np.sqrt(np.maximum(1 - t * t, 0))
    lips += full * inside_upper * (0.25 + np.power(q_up, 0.7) * (1.25 - 0.5 * q_up)) * 0.8
    lips += 1.25 * full * inside_lower * np.sqrt(np.maximum(4 * q_low * (1 - q_low), 0))
    lips += 0.00045 * grooves * lip
    shine += (0.9 + 1.6 * painted) * lip * (1 + 0.6 * grooves)
    line = bell(y - upper, 0.0028) * (1 - gap) * (1 - step(0.93, 1.06, np.abs(t)))
    mix(skin, color * 0.16, np.clip(line * 0.85, 0, 1))
    corner = bell(np.abs(t) - 1.0, 0.055) * bell(y - upper, 0.006)
    mix(skin, tone * (0.35, 0.22, 0.2), corner * 0.6)
    if appearance.teeth > 0 or appearance.mouth_open > 0:
        _paint_teeth(
            skin,
            shine,
            lips,
            y,
            upper,
            lower,
            gap,
            t,
            mouth,
            plane.x[:, columns],
            identity,
            appearance,
        )


def _paint_teeth(
    skin: Floats, shine: Floats, lips: Floats, y: Floats, upper: Floats, lower: Floats, gap: Floats,
    t: Floats, mouth: Mouth, x: Floats, identity: Identity, appearance: Appearance,
) -> None:  # fmt: skip
    mix(skin, (0.085, 0.022, 0.020), gap)
    widths = np.cumsum([0.0, 0.0165, 0.0135, 0.0145, 0.0125, 0.012, 0.012])
    ax = np.abs(x + np.float32(0.001 * identity.asymmetry[2]))
    edge = np.min(np.abs(ax[..., None] - widths.astype(np.float32)), -1)
    which = np.searchsorted(widths, ax) - 1
    length = np.array([0.0265, 0.0240, 0.0255, 0.023, 0.022, 0.021, 0.02], np.float32)[
        np.clip(which, 0, 6)
    ]
    along = (y - upper) / length
    teeth = gap * (1 - step(0.90, 1.02, along)) * step(0.0, 0.0026, lower - y)
    round_ = 0.62 + 0.38 * step(0.0, 0.0045, edge)
    depth_shade = np.exp(-1.6 * np.square(np.clip(np.abs(t), 0, 1.1) / 0.80) ** 1.5)
    lip_shadow = 0.50 + 0.50 * step(0.0, 0.010, y - upper)
    yellow = 0.10 + 0.003 * (identity.age_years - 18)
    ivory = np.array([0.80, 0.75 - 0.3 * yellow * 0.3, 0.66 - yellow * 0.7], np.float32)
    shown = 1.0 if appearance.teeth > 0 else 0.5
    mix(skin, ivory * (round_ * depth_shade * lip_shadow)[..., None], teeth * shown)
    if appearance.mouth_open > 0.25:
        tongue = gap * step(0.45, 0.9, (y - upper) / np.maximum(lower - upper, 1e-3)) * (1 - teeth)
        mix(skin, (0.30, 0.09, 0.09), tongue * bell(t, 0.5) * 0.85)
    lips -= 0.010 * gap * (1 - teeth)
    shine += 0.8 * teeth - shine * gap * (1 - teeth)


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
