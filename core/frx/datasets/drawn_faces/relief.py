"""The shape of a head: its depth on the frontal plane, and the eyes' and lips' edges."""

from __future__ import annotations

import attrs
import cv2
import numpy as np

from frx.datasets.drawn_faces.appearance import Appearance
from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.plane import Floats, Plane, Texture, bell, step

_DEGREES = np.linspace(-90, 90, 361)


@attrs.frozen(eq=False)
class Mouth:
    """Edges of the lips as heights y over the columns of a plane, and where each column is."""

    t: Floats
    top: Floats
    upper: Floats
    lower: Floats
    bottom: Floats
    half_width: float
    middle: float
    corner: float


@attrs.frozen(eq=False)
class Eye:
    """One eye's place and half sizes; `side` is -1 on the picture's left."""

    side: int
    x: float
    y: float
    half_width: float
    up: float
    down: float
    tilt: float


def outline_radius(identity: Identity) -> np.ndarray:
    """Distance from the origin to the head's outline at -90° (crown) to 90° (chin), each 0.5°."""
    width, jaw = identity.face_width, identity.jaw_width
    chin = 0.422 + 0.5 * (identity.chin_length - 1) * 0.4
    point = 0.014 * identity.chin_point
    knots = {
        -90: 0.432, -70: 0.418 * (0.5 + 0.5 * width), -45: 0.355 * width, -20: 0.296 * width,
        0: 0.268 * width, 18: 0.264 * width + 0.004 * identity.cheekbone,
        35: 0.274 * (width + jaw) / 2,
        52: 0.318 * jaw * (0.6 + 0.4 * identity.jaw_angle), 66: 0.361 * (0.45 + 0.55 * jaw) - point,
        78: 0.404 * identity.chin_length - point * 0.6, 90: chin,
    }  # fmt: skip
    radius = np.interp(_DEGREES, list(knots), list(knots.values()))
    # Mirrored at both ends so that the outline is smooth where left meets right.
    mirrored = np.concatenate([radius[::-1][:-1], radius, radius[::-1][1:]])
    kernel = np.exp(-0.5 * (np.arange(-48, 49) / 15.0) ** 2)
    smooth = np.convolve(mirrored, kernel / kernel.sum(), mode="same")
    return np.asarray(smooth[360:721])


def eyes_of(identity: Identity, appearance: Appearance) -> tuple[Eye, Eye]:
    """Both eyes as the expression leaves them."""
    squint = 0.28 * max(0.0, appearance.smile) ** 1.5
    opening = appearance.eye_open + 0.12 * max(0, appearance.brow_raise) - squint
    eyes = []
    for side in (-1, 1):
        skew = 0.0015 * side * identity.asymmetry[0]
        size = identity.eye_size
        eyes.append(
            Eye(
                side=side,
                x=side * 0.123 * identity.eye_spacing,
                y=skew,
                half_width=0.0615 * size,
                up=0.0240 * size * max(0.35, opening - 0.05),
                down=0.0150 * size * max(0.45, opening - 0.6 * squint),
                tilt=identity.eye_tilt,
            )
        )
    return eyes[0], eyes[1]


def mouth_of(identity: Identity, appearance: Appearance, plane: Plane) -> Mouth:
    """The lips as the expression leaves them."""
    smile = appearance.smile
    wide = 0.104 * identity.mouth_width * (1 + 0.20 * max(0, smile) - 0.06 * max(0, -smile))
    wide *= 1 - 0.12 * appearance.mouth_open
    middle = 0.252 + identity.mouth_height
    t = np.clip(plane.x / np.float32(wide), -1.2, 1.2)
    t2 = np.minimum(t * t, 1)
    lift = -0.044 * smile if smile > 0 else -0.012 * smile
    skew = 0.0015 * identity.asymmetry[1]
    line = middle + lift * (t2 - 0.35) + skew * t + 0.0035 * bell(t, 0.22) - 0.002 * bell(t, 0.5)
    thin = 1 - 0.25 * max(0, smile) - 0.004 * (identity.age_years - 30)
    upper_lip = 0.029 * identity.lip_fullness * thin
    lower_lip = 0.038 * identity.lip_fullness * thin * (1 + 0.1 * max(0, smile))
    gap = 0.030 * appearance.teeth * max(0.25, smile) + 0.045 * appearance.mouth_open
    open_by = gap * np.power(1 - t2, 0.6)
    upper = line - 0.30 * open_by
    lower = line + 0.70 * open_by
    arch = np.power(1 - t2, 0.85) * (1 + 0.30 * bell(np.abs(t) - 0.24, 0.13)) - 0.22 * bell(t, 0.10)
    top = upper - upper_lip * np.maximum(arch, 0) * 0.92
    bottom = lower + lower_lip * np.power(1 - t2, 0.75)
    return Mouth(t, top, upper, lower, bottom, float(wide), float(middle),
                 float(middle + 0.65 * lift))  # fmt: skip


@attrs.frozen(eq=False)
class Relief:
    """Depth toward the viewer, and how far inside the head's outline each point is (sides)."""

    depth: Floats
    inside: Floats
    smooth_depth: Floats


def relief_of(
    identity: Identity,
    appearance: Appearance,
    plane: Plane,
    texture: Texture,
    rng: np.random.Generator,
) -> Relief:
    """The head's surface with bones, features and the folds of age and expression."""
    x, y = np.abs(plane.x), plane.y
    radius, angle = cv2.cartToPolar(
        np.broadcast_to(x, plane.shape).copy(), np.broadcast_to(y, plane.shape).copy()
    )
    angle = np.where(angle > np.pi, angle - 2 * np.pi, angle) * (180 / np.pi)
    edge = np.interp(angle, _DEGREES, outline_radius(identity)).astype(np.float32)
    rho = radius / edge
    dome = np.sqrt(np.maximum(1 - np.power(rho, np.float32(2.5)), np.float32(0.0004)))
    depth = 0.285 * dome
    features = _features(identity, appearance, x, y)
    old = max(0.0, (identity.age_years - 26) / 45)
    features += _folds(identity, appearance, plane, rng)
    features += 0.00022 * texture.soft + 0.00016 * texture.middle
    features += (0.00006 + 0.00010 * old) * texture.fine
    fade = step(0, 0.30, dome)
    depth += features * fade
    # A paraboloid outside keeps the inverse of the pose a contraction beyond the outline.
    bowl = 0.27 * (1 - np.square(np.minimum(rho, 1.6)) * 0.85)
    bowl += plane.blur(features, 0.008) * step(0.0, 0.2, 1 - rho)
    ear, ear_depth = _ear(identity, x, y)
    inside = edge - radius
    depth += (ear_depth - depth) * (step(-0.004, 0.001, -inside) * (ear > -0.01))
    return Relief(depth, np.maximum(inside, ear), bowl)


def _ear(identity: Identity, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Signed distance inside the ears, and their depth: rim, fold and hollow."""
    high, wide = 0.078 * identity.ear_size, 0.037 * identity.ear_size
    q = (y - 0.035) / np.float32(high)
    p = (x - np.float32(0.268 * identity.face_width + 0.006) - 0.006 * (-q)) / np.float32(wide)
    p = p / (1.0 - 0.28 * np.maximum(q, 0))
    r = np.sqrt(p * p + q * q)
    depth = 0.055 + 0.010 * p + 0.010 * bell(r - 0.86, 0.10) - 0.012 * bell(r - 0.62, 0.12)
    depth = (
        depth
        + 0.007 * bell(r - 0.40, 0.10) * (q < 0.3)
        - 0.016 * bell(p + 0.15, 0.25) * bell(q - 0.1, 0.3)
    )
    return (1 - r) * np.float32(wide), depth.astype(np.float32)


def _features(identity: Identity, appearance: Appearance, x: Floats, y: Floats) -> Floats:
    def bump(height: float, x0: float, y0: float, sx: float, sy: float) -> Floats:
        return np.float32(height) * bell(x - x0, sx) * bell(y - y0, sy)

    smile = max(0.0, appearance.smile)
    male = identity.masculinity
    nose = identity.nose_length
    tip = 0.128 * nose
    wide = identity.nose_width
    old = max(0.0, (identity.age_years - 35) / 45)
    depth = bump(0.013 * identity.brow_ridge, 0.085, -0.058, 0.055, 0.020)
    depth += bump(0.010, 0.0, -0.20, 0.16, 0.09)
    depth += bump(-0.008 * male, 0.0, -0.105, 0.15, 0.03)
    depth += bump(-0.034 * identity.eye_depth, 0.105, -0.004, 0.046, 0.030)
    depth += bump(-0.020, 0.052, -0.002, 0.022, 0.028)
    depth += bump(0.020, 0.123 * identity.eye_spacing, 0.000, 0.036, 0.020)
    depth += bump(0.016 * identity.cheekbone, 0.165, 0.090, 0.050, 0.036)
    depth += bump(0.018 * smile, 0.135, 0.125 - 0.01 * smile, 0.042, 0.034)
    depth += bump(-0.012 * (0.4 + old), 0.150, 0.205, 0.045, 0.060)
    depth += bump(-0.008 * old - 0.003, 0.215, -0.075, 0.035, 0.060)
    along = np.clip((y + 0.045) / np.float32(tip + 0.045), 0, 1)
    ridge = 0.007 + identity.nose_bridge * 0.017 + 0.030 * along**1.7
    spread = (0.018 + 0.018 * along**2) * (0.65 + 0.35 * wide)
    end = 1 - step(tip - 0.010, tip + 0.050, y)
    depth += ridge * step(-0.095, -0.02, y) * end * np.exp(-0.5 * np.square(x / spread))
    depth += bump(0.024 * identity.nose_tip, 0.0, tip + 0.002, 0.026 * wide, 0.023)
    depth += bump(0.019, 0.041 * wide, tip + 0.014, 0.0155 * wide, 0.0170)
    depth += bump(-0.006, 0.026 * wide, tip + 0.002, 0.008, 0.010)
    depth += bump(-0.012, 0.0, tip + 0.050, 0.040 * wide, 0.013)
    depth += bump(-0.0032, 0.0, 0.205, 0.011, 0.022) + bump(0.0012, 0.019, 0.205, 0.010, 0.022)
    depth += bump(0.017, 0.0, 0.245, 0.085, 0.052)
    depth += bump(-0.012, 0.0, 0.322, 0.062, 0.016)
    depth += bump(0.024, 0.0, 0.372, 0.052, 0.030)
    depth += bump(-0.011 * max(0, identity.chin_point - 0.4) * male, 0.0, 0.385, 0.008, 0.020)
    depth += bump(-0.006 * (smile + 0.3), 0.118 + 0.015 * smile, 0.245 - 0.02 * smile, 0.014, 0.022)
    return depth.astype(np.float32)


def _folds(
    identity: Identity, appearance: Appearance, plane: Plane, rng: np.random.Generator
) -> Floats:
    """Wrinkles and creases: lines of depth, softened."""
    old = float(np.clip((identity.age_years - 26) / 45, 0, 1.1))
    smile = max(0.0, appearance.smile)
    fold = plane.zeros()
    wrinkles = np.zeros_like(fold)
    mouth_x = 0.098 * identity.mouth_width * (1 + 0.2 * smile)
    wing = 0.060 * identity.nose_width
    for side in (-1.0, 1.0):
        at = np.linspace(0, 1, 14)[:, None]
        start, end = np.array([wing, 0.125]), np.array([mouth_x + 0.022, 0.235 - 0.012 * smile])
        bend = np.array([wing + 0.052 + 0.02 * smile, 0.150])
        path = (1 - at) ** 2 * start + 2 * at * (1 - at) * bend + at**2 * end
        fold = np.maximum(fold, plane.line(path * (side, 1), 0.007))
        for foot in range(4):
            if rng.random() < 0.3 * old + 0.7 * smile * old:
                y0 = -0.012 + 0.016 * foot + rng.normal(0, 0.002)
                far = 0.205 + 0.03 * rng.random()
                path = np.stack([0.187 + (far - 0.187) * at[:, 0],
                                 y0 + (foot - 1.2) * 0.012 * at[:, 0]], -1)  # fmt: skip
                wrinkles = np.maximum(wrinkles, plane.line(path * (side, 1), 0.004))
        if old > 0.25 or appearance.brow_furrow > 0.35:
            path = np.stack([0.016 + 0.004 * at[:, 0], -0.085 + 0.045 * at[:, 0]], -1)
            wrinkles = np.maximum(
                wrinkles, (0.5 * old + appearance.brow_furrow) * plane.line(path * (side, 1), 0.005)
            )
    for row in range(4):
        strength = old * 0.8 + 0.9 * max(0.0, appearance.brow_raise) * (0.35 + old)
        strength *= rng.uniform(0.2, 1.0)
        xs = np.linspace(-0.15, 0.15, 20) * rng.uniform(0.45, 1.0) + rng.normal(0, 0.02)
        ys = -0.135 - 0.030 * row + 0.10 * xs**2 + 0.003 * np.sin(xs * 40 + rng.uniform(0, 6))
        line = plane.line(np.stack([xs, ys], -1), 0.0045)
        wrinkles = np.maximum(wrinkles, min(strength, 1.0) * line)
    depth = -(0.003 + 0.015 * old + 0.018 * smile) * plane.blur(fold, 0.0065)
    depth -= (0.0036 + 0.003 * old) * plane.blur(wrinkles, 0.0030)
    return np.asarray(depth, np.float32)
