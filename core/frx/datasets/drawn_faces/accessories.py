"""Glasses, earrings, hats and headscarves."""

from __future__ import annotations

from colorsys import hsv_to_rgb

import cv2
import numpy as np
from numpy.typing import NDArray

from frx.datasets.drawn_faces.appearance import Appearance
from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.light import Light, light_skin
from frx.datasets.drawn_faces.plane import Floats, Plane, bell, linear, mix, step
from frx.datasets.drawn_faces.pose import Pose

Array = NDArray[np.float64]

# Half width, half height, squareness (superellipse exponent) and rim width of each frame.
_FRAMES = {
    "round": (0.066, 0.062, 2.0, 0.0055),
    "rectangle": (0.076, 0.048, 4.0, 0.0090),
    "browline": (0.074, 0.054, 2.8, 0.0045),
    "thin": (0.072, 0.050, 3.0, 0.0032),
}


def _with_depth(points: Array) -> Array:
    depth = 0.285 - 0.9 * np.square(points[..., :1])
    return np.concatenate([points, depth], -1)


def _rims(kind: str) -> list[Array]:
    wide, high, square, _ = _FRAMES[kind]
    at = np.linspace(0, 2 * np.pi, 49)[:-1]
    round_ = np.stack([np.cos(at), np.sin(at)], -1)
    shape = np.sign(round_) * np.abs(round_) ** (2 / square) * (wide, high)
    shape[:, 0] *= 1 - 0.10 * np.clip(shape[:, 1] / high, 0, 1)
    return [shape * (side, 1) + (side * 0.121, 0.010) for side in (-1, 1)]


def draw_glasses(
    picture: Floats, identity: Identity, light: Light, pose: Pose, plane: Plane
) -> None:
    """Put glasses, their shadow and their reflections onto a lit head, in place."""
    if identity.glasses == "none":
        return
    kind = identity.glasses
    rim_width = _FRAMES[kind][3]
    rims = [pose.project(_with_depth(rim)) for rim in _rims(kind)]
    wide = _FRAMES[kind][0]
    bow = np.linspace(-1, 1, 9)
    bridge = pose.project(
        _with_depth(
            np.stack([0.052 * bow * (0.121 - wide) / 0.05, -0.006 - 0.012 * (1 - bow**2)], -1)
        )
    )
    arms = [
        pose.project(np.array([(s * (0.121 + wide * 0.97), -0.012, 0.25), (s * 0.262, -0.012, 0.16),
                               (s * 0.288, 0.000, 0.02)])) for s in (-1, 1)
    ]  # fmt: skip
    lines = plane.zeros()
    for rim in rims:
        lines = np.maximum(lines, plane.line(rim, rim_width, closed=True))
        if kind == "browline":
            lines = np.maximum(lines, plane.line(rim[24:], rim_width * 2.4))
    lines = np.maximum(lines, plane.line(bridge, rim_width * 1.1))
    for arm in arms:
        lines = np.maximum(lines, plane.line(arm, max(rim_width, 0.005)))
    lx, ly, _ = (float(part) for part in light.direction)
    drop = np.array([[1, 0, -0.030 * lx * plane.n], [0, 1, -0.030 * ly * plane.n]], np.float32)
    shadow = cv2.warpAffine(plane.blur(lines, 0.0045), drop, plane.shape[::-1])
    picture *= (1 - 0.50 * np.clip(shadow * 1.3, 0, 1))[..., None]
    lens = np.maximum(plane.polygon(rims[0]), plane.polygon(rims[1]))
    sheen = bell(
        (plane.x * 0.8 + plane.y * 0.9 + 0.10 * np.float32(np.sign(lx))) % np.float32(0.245) - 0.10,
        0.022,
    )
    picture *= (1 - 0.05 * lens)[..., None]
    picture += light.ambient * (lens * (0.014 + 0.05 * sheen))[..., None]
    frame = linear(identity.frame)
    bevel = lines - plane.blur(np.roll(lines, max(1, round(0.0016 * plane.n)), 0), 0.0012)
    color = (
        frame * (light.key + light.ambient) * 0.8
        + 0.35 * np.clip(bevel, 0, 1)[..., None] * light.key
    )
    mix(picture, color, np.clip(lines * 1.15, 0, 1))


def draw_earrings(
    picture: Floats, identity: Identity, light: Light, pose: Pose, plane: Plane
) -> None:
    """Hang a stud or a ring under each ear, in place."""
    if not identity.earrings:
        return
    metal = linear((0.92, 0.74, 0.36)) if identity.asymmetry[1] > 0 else linear((0.85, 0.86, 0.88))
    low = 0.035 + 0.080 * identity.ear_size
    for side in (-1, 1):
        x, y = pose.project(np.array([side * 0.272 * identity.face_width, low, 0.045]))
        dx, dy = plane.x - np.float32(x), plane.y - np.float32(y)
        if identity.asymmetry[0] > 0.3:
            ring = np.sqrt(np.square(dx * 1.25) + np.square(dy - 0.021))
            cover = plane.inside(0.0032 - np.abs(ring - 0.023))
            glint = bell(dx + 0.010, 0.005) * bell(dy - 0.028, 0.007)
        else:
            cover = plane.inside(0.0075 - np.sqrt(dx * dx + dy * dy))
            glint = bell(dx + 0.0025, 0.002) * bell(dy + 0.0028, 0.002)
        color = metal * (0.45 + 2.2 * glint - 10 * np.clip(dy, -0.02, 0.02))[..., None] * light.key
        mix(picture, color, cover)


def draw_covering(
    appearance: Appearance, identity: Identity, light: Light, pose: Pose, plane: Plane,
    rng: np.random.Generator,
) -> tuple[Floats, Floats] | None:  # fmt: skip
    """Lit colours and coverage of a headscarf or hat; None without one."""
    if identity.hair_style == "headscarf":
        return _scarf(appearance, light, pose, plane, rng)
    if appearance.hat != "none":
        return _hat(appearance, light, pose, plane, rng)
    return None


def _scarf(
    appearance: Appearance, light: Light, pose: Pose, plane: Plane, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    mx, my = pose.project(np.array([0.0, 0.06, 0.13]))
    bx, by = pose.project(np.array([0.0, 0.0, 0.0]))
    x, y = plane.x - np.float32(mx), plane.y - np.float32(my)
    face = 1 - np.sqrt(np.square(x / 0.214) + np.square(y / np.where(y < 0, 0.285, 0.352)))
    ox, oy = plane.x - np.float32(bx), plane.y - np.float32(by)
    head = 1 - np.sqrt(np.square(ox / 0.325) + np.square((oy + 0.02) / 0.465))
    drape = 0.29 + 0.30 * np.square(np.maximum(oy - 0.1, 0)) * 5 - np.abs(ox)
    outer = np.maximum(head * 0.33, np.minimum(drape, oy - 0.08))
    cover = plane.inside(np.minimum(outer, -face * 0.24).astype(np.float32))
    # Folds run round the face: a texture over the angle and the distance from its edge.
    # Mirrored left and right, for an angle alone has a seam where it starts again.
    turn = np.abs(np.arctan2(x, -y)) / (2 * np.pi) + 0.04 * x + 0.25
    away = -face + 0.10 * np.sin(3 * turn * 2 * np.pi)
    lattice = rng.normal(0, 1, (14, 9)).astype(np.float32)
    folds = cv2.resize(lattice, (128, 128), interpolation=cv2.INTER_CUBIC)
    folds = cv2.GaussianBlur(folds, (0, 0), 2)
    column, row = turn * 40 + 20, np.clip(away * 130 + 6, 0, 126)
    waves = cv2.remap(
        folds, column.astype(np.float32), row.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT)  # fmt: skip
    bow = np.square(ox / 0.66) + np.square(np.minimum(oy, 0) / 0.80)
    dome = 0.36 * np.sqrt(np.maximum(1 - bow, 0.02))
    depth = dome + 0.012 * waves + 0.020 * bell(-face - 0.05, 0.05)
    hue, tone = appearance.garment_hue, 0.30 + 0.6 * appearance.garment_tone
    albedo = np.empty((*plane.shape, 3), np.float32)
    albedo[:] = linear(hsv_to_rgb(hue, 0.25 + 0.5 * appearance.garment_saturation, tone))
    albedo *= (1 + 0.06 * plane.noise(rng, 200) + 0.05 * waves)[..., None]
    gloss = np.full(plane.shape, 0.25, np.float32)
    return light_skin(depth.astype(np.float32), albedo, gloss, 0.5, light, plane), cover


def _hat(
    appearance: Appearance, light: Light, pose: Pose, plane: Plane, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    bx, by = pose.project(np.array([0.0, -0.25, 0.05]))
    x, y = plane.x - np.float32(bx), plane.y - np.float32(by)
    rim = 0.150 - 0.42 * np.square(x)
    dome = 1 - np.sqrt(np.power(np.abs(x) / 0.302, 2.6) + np.power(np.abs(y - 0.12) / 0.375, 2.2))
    cover = plane.inside(np.minimum(dome * 0.33, rim - y).astype(np.float32))
    depth = 0.28 * np.sqrt(
        np.maximum(1 - np.square(x / 0.325) - np.square(np.minimum(y - 0.12, 0) / 0.405), 0.01)
    )
    albedo = np.empty((*plane.shape, 3), np.float32)
    hue, saturation = (appearance.garment_hue + 0.4) % 1, 0.42 * appearance.garment_saturation
    albedo[:] = linear(hsv_to_rgb(hue, saturation + 0.1, 0.2 + 0.6 * appearance.background_tone))
    band = step(-0.072, -0.064, y - rim)
    curved = x / np.sqrt(np.maximum(1 - np.square(np.minimum(y - 0.1, 0) / 0.44), 0.05))
    rib = np.sin(2 * np.pi * np.arcsin(np.clip(curved / 0.36, -1, 1)) / 0.062)
    rows = np.sin(2 * np.pi * y / 0.010 + 1.5 * np.sign(rib))
    depth = depth + 0.0045 * rib + 0.0012 * rows + 0.012 * band
    albedo *= (1 + 0.15 * rib + 0.06 * rows + 0.10 * plane.noise(rng, 180))[..., None]
    gloss = np.full(plane.shape, 0.12, np.float32)
    return light_skin(
        depth.astype(np.float32), np.maximum(albedo, 0.004), gloss, 0.3, light, plane
    ), cover
