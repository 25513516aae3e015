"""Lips and teeth on the frontal plane."""

from __future__ import annotations

import numpy as np

from frx.datasets.drawn_faces.appearance import Appearance
from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.plane import Floats, Plane, Texture, bell, linear, mix, step
from frx.datasets.drawn_faces.relief import Mouth


def paint_mouth(
    albedo: Floats,
    gloss: Floats,
    depth: Floats,
    mouth: Mouth,
    identity: Identity,
    appearance: Appearance,
    plane: Plane,
    texture: Texture,
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
    column_noise = rng.standard_normal(200)
    bend = plane.x[:, columns] * 190 * (1 + 1.2 * (y - np.float32(mouth.middle))) + 100
    grooves = np.interp(bend, np.arange(200), column_noise).astype(np.float32)
    grooves = 0.7 * grooves + 0.5 * texture.middle[rows, columns]
    relief = 1 + (0.10 - 0.04 * painted) * grooves + 0.05 * texture.soft[rows, columns]
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
