"""Eyes and lids on the frontal plane."""

from __future__ import annotations

import attrs
import numpy as np

from frx.datasets.drawn_faces.appearance import Appearance
from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.plane import Floats, Plane, Texture, bell, linear, mix, step
from frx.datasets.drawn_faces.relief import Eye

_IRIS_RADIUS = 0.0240


@attrs.frozen(eq=False)
class _Frame:
    """A window around one eye with coordinates u (0 centre, 1 outer corner) and the lids' edges."""

    rows: slice
    columns: slice
    x: Floats
    y: Floats
    u: Floats
    upper: Floats
    lower: Floats


def lid_edges(eye: Eye, u: Floats) -> tuple[Floats, Floats]:
    """The lids' edges as heights over u; the highest point lies toward the nose."""
    v = np.clip(u, -1, 1)
    skewed = v + 0.16 * (1 - v * v)
    upper = -eye.up * np.power(np.maximum(1 - np.abs(skewed) ** 2.3, 0), 0.82)
    skewed = v - 0.14 * (1 - v * v)
    lower = eye.down * np.power(np.maximum(1 - skewed * skewed, 0), 0.80)
    slant = -eye.tilt * eye.half_width * v + 0.004 * np.square(np.minimum(v, 0))
    return (upper + slant).astype(np.float32), (lower + slant).astype(np.float32)


def _frame(eye: Eye, plane: Plane) -> _Frame:
    rows, columns = plane.window(eye.x - 0.088, eye.x + 0.088, eye.y - 0.066, eye.y + 0.060)
    x = plane.x[:, columns] - np.float32(eye.x)
    y = plane.y[rows] - np.float32(eye.y)
    u = x * np.float32(eye.side / eye.half_width)
    upper, lower = lid_edges(eye, u)
    return _Frame(rows, columns, x, y, u, upper, lower)


def paint_eye(
    albedo: Floats,
    gloss: Floats,
    depth: Floats,
    eye: Eye,
    identity: Identity,
    appearance: Appearance,
    plane: Plane,
    texture: Texture,
    rng: np.random.Generator,
) -> None:
    """Eyeball, iris, lids and crease, in place."""
    frame = _frame(eye, plane)
    x, y, u = frame.x, frame.y, frame.u
    skin = albedo[frame.rows, frame.columns]
    relief = depth[frame.rows, frame.columns]
    tone = linear(identity.skin)
    within = 1 - step(0.97, 1.04, np.abs(u))
    opening = plane.inside(np.minimum(y - frame.upper, frame.lower - y)) * within

    crease_gap = 0.006 + 0.011 * identity.lid_crease
    crease_y = frame.upper * 1.02 - crease_gap * (1 - 0.55 * np.square(np.clip(u, -1.2, 1.2)))
    crease = bell(y - crease_y, 0.0030) * (1 - step(0.88, 1.22, np.abs(u - 0.06)))
    lid = step(0.0, 0.003, y - crease_y) * step(-0.002, 0.002, frame.upper - y) * within
    depth_of_crease = 0.35 + 0.4 * identity.lid_crease
    mix(skin, tone * (0.46, 0.30, 0.25), crease * depth_of_crease)
    relief += 0.0055 * lid - 0.0045 * crease * depth_of_crease
    if identity.make_up > 0.1:
        shadow = lid * min(1.0, identity.make_up) * 0.55
        mix(skin, tone * (0.55, 0.42, 0.45), shadow)
    bag = bell(y - frame.lower - 0.016, 0.0045) * (1 - step(0.5, 0.95, np.abs(u + 0.1)))
    aged = 0.25 + 0.012 * (identity.age_years - 18) + 0.3 * max(0, appearance.smile)
    relief -= 0.0032 * bag * aged
    mix(skin, tone * (0.72, 0.58, 0.56), bag * 0.30 * aged)
    rim = bell(y - frame.lower - 0.0018, 0.0017) * within * (1 - opening)
    mix(skin, tone * (1.0, 0.78, 0.74) + 0.03, rim * 0.6)

    ball = _eyeball(identity, appearance, texture, rng, frame)
    mix(skin, ball, opening)
    gloss[frame.rows, frame.columns] *= 1 - opening
    flat = 0.004 * bell(x, 0.034) * bell(y, 0.03)
    relief += opening * (flat - 0.004)

    lash_line = bell(y - frame.upper + 0.0005, 0.0022 + 0.0018 * min(1.0, identity.make_up))
    lash_line = lash_line * (1 - step(0.95, 1.06, np.abs(u))) * (0.65 + 0.35 * step(-0.8, 0.6, u))
    dark = linear(identity.hair) * 0.12 + np.array([0.010, 0.007, 0.006], np.float32)
    strength = 0.66 - 0.12 * identity.masculinity + 0.25 * min(1.0, identity.make_up)
    mix(skin, dark, np.clip(lash_line * strength, 0, 1))
    low_line = bell(y - frame.lower - 0.0005, 0.0014) * step(-0.4, 0.7, u) * within
    mix(skin, dark, low_line * (0.28 + 0.35 * min(1.0, identity.make_up)))


def _eyeball(
    identity: Identity, appearance: Appearance, texture: Texture, rng: np.random.Generator,
    frame: _Frame,
) -> Floats:  # fmt: skip
    x, y = frame.x, frame.y
    radius_ball = np.sqrt(x * x + y * y)
    white = np.array([0.78, 0.745, 0.72], np.float32) - np.array([0, 0.012, 0.03], np.float32) * (
        (identity.age_years - 18) / 40
    )
    round_ = np.clip(1.02 - np.square(radius_ball / 0.062) * 0.75, 0.22, 1)
    ball = white * round_[..., None]
    veins = np.clip(texture.middle[frame.rows, frame.columns] - 0.9, 0, 1)
    mix(ball, (0.55, 0.22, 0.20), 0.16 * veins * step(0.4, 1.0, np.abs(frame.u)))
    pink = step(0.74, 0.95, -frame.u)
    mix(ball, (0.50, 0.20, 0.18), 0.85 * pink)

    # The eyes keep looking near the camera while the head turns.
    gaze_x = -0.034 * np.sin(np.radians(appearance.yaw_deg)) + 0.0065 * appearance.gaze[0]
    gaze_y = -0.0015 + 0.030 * np.sin(np.radians(appearance.pitch_deg)) + 0.005 * appearance.gaze[1]
    dx, dy = x - np.float32(gaze_x), y - np.float32(gaze_y)
    radius = np.sqrt(dx * dx + dy * dy)
    r = radius / np.float32(_IRIS_RADIUS)
    angle = np.arctan2(dy, dx)
    fibres = rng.normal(0, 1, 97)
    fibres[-1] = fibres[0]
    coarse = rng.normal(0, 1, 25)
    coarse[-1] = coarse[0]
    turn = np.linspace(-np.pi, np.pi, 97)
    ray = np.interp(angle + 0.06 * np.sin(9 * r), turn, fibres).astype(np.float32)
    ray = 0.6 * ray + 0.6 * np.interp(angle, turn[::4], coarse).astype(np.float32)
    color = linear(identity.iris)
    amber = linear((0.45, 0.30, 0.15))
    iris = color * (1.15 + 0.26 * ray * step(0.25, 0.5, r) * (1.1 - r))[..., None]
    ring = bell(r - 0.50, 0.13) * 0.40
    mix(iris, amber * 0.8 + color * 0.5, ring)
    lit_below = 1 + 0.75 * step(-0.3, 0.9, dy / np.float32(_IRIS_RADIUS)) * step(0.35, 0.7, r)
    iris *= lit_below[..., None]
    mix(iris, color * 0.16, step(0.76, 0.99, r) * 0.85)
    pupil = 1 - step(0.36, 0.43, r)
    mix(iris, (0.004, 0.004, 0.005), pupil)
    edge = 1 - step(0.92, 1.06, r)
    mix(ball, iris, edge)
    hood = np.exp(-np.maximum(y - frame.upper, 0) / np.float32(0.0062))
    corners = step(0.70, 1.05, np.abs(frame.u))
    ball *= (1 - 0.62 * hood)[..., None] * (1 - 0.35 * corners)[..., None]
    return ball


def light_eyes(
    lit: Floats, eyes: tuple[Eye, Eye], appearance: Appearance, direction: Floats, key: Floats,
    plane: Plane,
) -> None:  # fmt: skip
    """Catch-lights and the wet rim, over the lit picture, in place."""
    for eye in eyes:
        frame = _frame(eye, plane)
        gaze_x = -0.034 * np.sin(np.radians(appearance.yaw_deg)) + 0.0065 * appearance.gaze[0]
        cx = gaze_x + 0.0115 * float(direction[0])
        cy = -0.001 + 0.0135 * float(direction[1])
        opening = plane.inside(np.minimum(frame.y - frame.upper - 0.001, frame.lower - frame.y))
        dx, dy = frame.x - np.float32(cx), frame.y - np.float32(cy)
        size = np.float32(0.0032 + 0.0018 * appearance.light_softness)
        window = np.maximum(np.abs(dx) * 1.05, np.abs(dy) * 0.9)
        window = 0.5 * window + 0.5 * np.sqrt(dx * dx + dy * dy)
        spot = plane.inside(size - window)
        second = (
            0.30
            * bell(frame.x + np.float32(cx) - 2 * gaze_x, 0.004)
            * bell(frame.y - 0.009, 0.0025)
        )
        wet = 0.16 * bell(frame.y - frame.lower + 0.0012, 0.0011) * bell(frame.u - 0.1, 0.5)
        patch = lit[frame.rows, frame.columns]
        patch += key * (opening * (1.15 * spot + second + wet))[..., None]
