"""Hair as single strands that follow a scalp, its light, and head coverings.

A place on the scalp is (a, u): a runs from ear (-1) over the forehead's middle (0) to ear (1), u from
the hairline (0) to the silhouette (1).
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from frx.datasets.face_identity import Identity
from frx.datasets.face_light import Light
from frx.datasets.face_plane import Floats, Plane, bell, draw_strands, linear, step
from frx.datasets.face_pose import Pose
from frx.datasets.face_relief import outline_radius

Array = NDArray[np.float64]

_CENTER = np.array([0.0, -0.02])
_TURN = np.radians(98)
LONG_STYLES = ("bob", "long", "wavy", "ringlets", "fringe")


@attrs.frozen(kw_only=True)
class _Cut:
    """A short cut: strands start all over the scalp and follow a heading."""

    count: int
    length: float
    top: float
    sides: float
    radial: float
    sweep: float
    down: float
    spread: float
    curl: float = 0.0
    recede: float = 0.0
    taper: float = 0.6
    fill: float = 1.0


_CUTS = {
    "buzz": _Cut(count=3600, length=0.012, top=0.004, sides=0.002, radial=0.8, sweep=0.1, down=0.2,
                 spread=0.5, fill=0.55),
    "crop": _Cut(count=2200, length=0.060, top=0.034, sides=0.010, radial=0.55, sweep=0.45,
                 down=0.35, spread=0.42),
    "swept": _Cut(count=1900, length=0.150, top=0.050, sides=0.012, radial=0.50, sweep=1.0,
                  down=0.2, spread=0.22),
    "slick": _Cut(count=1900, length=0.170, top=0.030, sides=0.010, radial=1.0, sweep=0.12,
                  down=-0.1, spread=0.12),
    "bun": _Cut(count=2000, length=0.180, top=0.016, sides=0.008, radial=1.0, sweep=0.1,
                down=-0.25, spread=0.08),
    "spiky": _Cut(count=1700, length=0.085, top=0.058, sides=0.014, radial=1.0, sweep=0.15,
                  down=-0.2, spread=0.45),
    "curly": _Cut(count=1250, length=0.085, top=0.060, sides=0.036, radial=0.5, sweep=0.2,
                  down=0.25, spread=0.9, curl=1.0),
    "afro": _Cut(count=2500, length=0.050, top=0.125, sides=0.105, radial=0.7, sweep=0.0, down=0.0,
                 spread=1.2, curl=1.6),
    "receding": _Cut(count=1700, length=0.050, top=0.012, sides=0.012, radial=0.5, sweep=0.4,
                     down=0.5, spread=0.35, recede=1.0, fill=0.8),
}  # fmt: skip


class Scalp:
    """Where a head's hair grows, in frontal head coordinates with depth."""

    def __init__(self, identity: Identity, top: float, sides: float, recede: float = 0.0) -> None:
        self._outline = outline_radius(identity)
        self._top, self._sides = top, sides
        at = np.array([0, 0.22, 0.45, 0.62, 0.78, 0.95, 1.1])
        high = identity.forehead_height
        line = np.array([0.268 * high, 0.272 * high, 0.272, 0.252, 0.240, 0.247, 0.258])
        old = np.clip((identity.age_years - 30) / 40, 0, 1) * identity.masculinity
        line = line + old * np.array([0.006, 0.016, 0.024, 0.008, 0, 0, 0])
        line = line + recede * np.array([0.115, 0.105, 0.070, 0.025, 0.004, 0, 0])
        widow = 0.006 * identity.asymmetry[2] * np.array([-1, 0, 0, 0, 0, 0, 0])
        self._at, self._line = at, (line + widow) * (0.4 + 0.6 * identity.face_width)

    def radii(self, a: Array) -> tuple[Array, Array]:
        """Distances of hairline and silhouette from the scalp's centre."""
        size = np.minimum(np.abs(a), 1.1)
        inner = np.interp(size, self._at, self._line)
        angle = 90 - np.degrees(_TURN) * size
        skull = np.interp(-angle, np.linspace(-90, 90, 361), self._outline)
        skull = skull + _CENTER[1] * np.cos(_TURN * size)
        volume = self._sides + (self._top - self._sides) * np.cos(_TURN * size * 0.9).clip(0) ** 0.8
        return inner, np.maximum(skull + volume, inner + 0.006)

    def place(self, a: Array, u: Array) -> Array:
        """Head coordinates [..., 2] of (a, u)."""
        inner, outer = self.radii(a)
        radius = inner + (outer - inner) * u
        return np.stack([np.sin(_TURN * a) * radius, -np.cos(_TURN * a) * radius], -1) + _CENTER

    def raise_(self, points: Array) -> Array:
        """Points [..., 2] with the depth of the hair at them, [..., 3]."""
        x, y = points[..., 0], points[..., 1]
        dome = 1 - (x / 0.36) ** 2 - (np.minimum(y + 0.04, 0) / 0.50) ** 2
        depth = 0.285 * np.sqrt(np.maximum(dome, 0)) - 0.04 - 0.10 * np.clip(y - 0.1, 0, 1)
        return np.concatenate([points, depth[..., None]], -1)


class HairDrawing:
    """Strands drawn so far: value (light to dark), a number a strand, coverage."""

    def __init__(self, plane: Plane, pose: Pose, scalp: Scalp) -> None:
        self.image: NDArray[np.uint8] = np.zeros((*plane.shape, 3), np.uint8)
        self._plane, self._pose, self._scalp = plane, pose, scalp

    def fill(self, outline: Array, value: int) -> None:
        """Fill a polygon of frontal points with dark hair."""
        seen = self._pose.project(self._scalp.raise_(outline))
        cv2.fillPoly(self.image, [self._plane.pixels(seen)], (value, 128, 255), cv2.LINE_AA, 4)

    def strands(
        self, paths: Array, values: Array, rng: np.random.Generator, width: float = 0.0032
    ) -> None:
        """Draw paths [strands, points, 2] of frontal points, the last on top."""
        seen = self._plane.pixels(self._pose.project(self._scalp.raise_(paths)))
        numbers = rng.integers(1, 256, len(paths))
        levels = np.clip(values * 255, 1, 255).astype(int)
        thickness = max(1, round(width * self._plane.n))
        colors = [(int(v), int(k), 255) for v, k in zip(levels, numbers, strict=True)]
        draw_strands(self.image, seen, colors, thickness)


def draw_hair(
    identity: Identity, pose: Pose, plane: Plane, rng: np.random.Generator
) -> tuple[NDArray[np.uint8] | None, NDArray[np.uint8] | None]:
    """The hair behind the neck and the hair before the head; None where there is none."""
    style = identity.hair_style
    if style in ("bald", "headscarf"):
        return None, None
    if style in LONG_STYLES:
        return _long(identity, pose, plane, rng)
    cut = _CUTS[style]
    volume = identity.hair_volume
    scalp = Scalp(identity, cut.top * volume, cut.sides * volume, cut.recede)
    drawing = HairDrawing(plane, pose, scalp)
    back = None
    if style == "bun":
        back = _bun(identity, pose, plane, scalp, rng)
    _short(drawing, scalp, cut, identity, rng)
    return back, drawing.image


def _locks(rng: np.random.Generator, cells: int) -> Callable[[Array], Array]:
    """A smooth random function on 0..1: hair holds together in locks."""
    table = rng.normal(0, 1, cells + 1)

    def at(position: Array) -> Array:
        return np.interp(position, np.linspace(0, 1, cells + 1), table)

    return at


def _short(
    drawing: HairDrawing, scalp: Scalp, cut: _Cut, identity: Identity, rng: np.random.Generator
) -> None:
    curled = cut.curl > 0
    rim = np.linspace(-1.06, 1.06, 60)
    inner_edge = 0.16 if not cut.recede else 0.25
    if cut.fill > 0.7:
        lumps = 0.05 * _locks(rng, 40)((rim + 1.06) / 2.12) if curled else 0 * rim
        cap = np.concatenate(
            [
                scalp.place(rim, 0.90 + lumps - 0.15 * curled * 0),
                scalp.place(rim[::-1], 0 * rim + inner_edge),
            ]
        )
        drawing.fill(cap, 26)
    count = cut.count
    a0 = rng.uniform(-1.07, 1.07, count)
    u0 = rng.uniform(0, 1, count) ** 0.85
    u0 = np.where(curled, u0 * 0.94, u0 * 0.92)
    order = np.argsort(-u0 + rng.normal(0, 0.10, count) if not curled else rng.uniform(0, 1, count))
    a0, u0 = a0[order], u0[order]
    lock = _locks(rng, 34)((a0 + 1.1) / 2.2) + 0.7 * _locks(rng, 9)(u0)
    top = np.cos(np.clip(np.abs(a0) * 1.35, 0, 1.0) * np.pi / 2)
    sides = 1 - top
    length = cut.length * (0.65 + 0.5 * identity.hair_length) * rng.uniform(0.55, 1.1, count)
    length = length * (cut.taper + (1 - cut.taper) * top)
    toward = np.sign(-identity.hair_parting) if identity.hair_parting else 1.0
    away = np.tanh((a0 - identity.hair_parting) * 7)
    sweep = cut.sweep * np.where(cut.length > 0.1, 0.55 * toward + 0.45 * away, away) * top
    sweep = sweep + np.sign(a0) * sides * (0.35 + cut.down)
    radial = cut.radial * (top + 0.55 * sides) * np.where(u0 < 0.12, 1.0, 0.75)
    heading = rng.normal(0, 1, (count, 2)) * cut.spread * 0.5 + 0.25 * cut.spread * np.stack(
        [lock, -lock], -1
    )
    point = scalp.place(a0, u0)
    paths = [point]
    steps = 12 if curled else 7
    phase = rng.uniform(0, 2 * np.pi, count)
    coil = 0.0095 * (1.15 if cut.curl < 1.3 else 0.60) * (0.7 + 0.6 * identity.hair_wave)
    spin = rng.choice([-1.0, 1.0], count) * rng.uniform(0.65, 1.0, count)
    for k in range(steps):
        arm = point - _CENTER
        out = arm / np.linalg.norm(arm, axis=1, keepdims=True)
        along = np.stack([-out[:, 1], out[:, 0]], -1)
        go = radial[:, None] * out + sweep[:, None] * along + heading
        go[:, 1] += 0.10 * k * cut.length / 0.15
        go /= np.linalg.norm(go, axis=1, keepdims=True) + 0.2
        point = point + go * (length / steps)[:, None]
        shown = point
        if curled:
            turn = phase + spin * k * 1.05
            shown = point + coil * np.stack([np.cos(turn), np.sin(turn)], -1)
        paths.append(shown)
    path = np.stack(paths[1:] if curled else paths, 1)
    value = 0.46 + 0.11 * lock + rng.normal(0, 0.13, count) + 0.10 * (1 - u0)
    fade = 0.55 if cut.fill < 0.7 else 1.0
    drawing.strands(path, np.clip(value, 0.10, 1) * fade, rng, 0.0032 if not curled else 0.0036)


def _bun(
    identity: Identity, pose: Pose, plane: Plane, scalp: Scalp, rng: np.random.Generator
) -> NDArray[np.uint8]:
    drawing = HairDrawing(plane, pose, scalp)
    center = np.array([0.05 * np.sign(identity.hair_parting or 1), -0.455])
    size = 0.095 * identity.hair_volume
    at = np.linspace(0, 2 * np.pi, 40)
    drawing.fill(center + size * np.stack([1.15 * np.cos(at), np.sin(at)], -1), 40)
    count = 420
    radius = size * rng.uniform(0.15, 1.03, count)
    start, sweep = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.6, 1.6, count)
    turn = start[:, None] + sweep[:, None] * np.linspace(0, 1, 9)
    bent = radius[:, None] * (1 + 0.25 * np.sin(turn * 1.0 + 1))
    path = center + np.stack([1.15 * bent * np.cos(turn), bent * np.sin(turn)], -1)
    drawing.strands(path, np.clip(rng.normal(0.5, 0.16, count), 0.1, 1), rng)
    return drawing.image


def _long(
    identity: Identity, pose: Pose, plane: Plane, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    style, volume = identity.hair_style, identity.hair_volume
    curl = {"wavy": 0.6, "ringlets": 1.0}.get(style, 0.10 + 0.15 * identity.hair_wave)
    scalp = Scalp(identity, (0.040 + 0.035 * curl) * volume, (0.030 + 0.055 * curl) * volume)
    bottom = (
        0.27 + 0.12 * identity.hair_length if style == "bob" else 0.47 + 0.25 * identity.hair_length
    )
    part = 0.0 if style == "fringe" else identity.hair_parting
    count = 1500
    u = rng.uniform(0, 1, count)
    side = np.where(rng.random(count) < 0.5, -1.0, 1.0)
    behind = u + rng.normal(0, 0.05, count)
    order = np.argsort(-behind)
    u, side = u[order], side[order]
    paths = _falling(scalp, u, side, part, bottom, curl, style, identity, rng)
    lock = _locks(rng, 26)((u * side + 1) / 2)
    value = 0.46 + 0.12 * lock + 0.14 * (0.5 - u) + rng.normal(0, 0.12, count)

    back = HairDrawing(plane, pose, scalp)
    edge = np.linspace(0, 1, 20)
    left = _falling(
        scalp,
        np.full(1, 0.97),
        np.full(1, -1.0),
        part,
        bottom * 0.97,
        curl * 0.4,
        style,
        identity,
        rng,
    )[0]
    right = _falling(
        scalp,
        np.full(1, 0.97),
        np.full(1, 1.0),
        part,
        bottom * 0.97,
        curl * 0.4,
        style,
        identity,
        rng,
    )[0]
    back.fill(np.concatenate([left, right[::-1]]), 20)
    fine = rng.uniform(-0.30, 0.30, 260)
    drop = bottom * rng.uniform(0.9, 1.04, 260)
    column = np.stack([np.repeat(fine[:, None], 20, 1) + 0.01 * curl * np.sin(edge * 14 + fine[:, None] * 60),
                       drop[:, None] * edge + 0.0], -1)  # fmt: skip
    back.strands(column, np.clip(rng.normal(0.22, 0.07, 260), 0.05, 1), rng)
    back.strands(paths[u > 0.55], np.clip(value[u > 0.55] * 0.8, 0.1, 1), rng)

    front = HairDrawing(plane, pose, scalp)
    rim = np.linspace(-1.02, 1.02, 60)
    front.fill(
        np.concatenate([scalp.place(rim, 0 * rim + 0.93), scalp.place(rim[::-1], 0 * rim + 0.12)]),
        30,
    )
    front.strands(paths, np.clip(value, 0.10, 1), rng)
    if style == "fringe":
        _fringe(front, scalp, identity, rng)
    return back.image, front.image


def _falling(
    scalp: Scalp, u: Array, side: Array, part: float, bottom: float, curl: float, style: str,
    identity: Identity, rng: np.random.Generator,
) -> Array:  # fmt: skip
    """Strands from the parting over the skull and down beside the face, [strands, points, 2]."""
    count = len(u)
    arc, fall = np.linspace(0, 1, 9), np.linspace(0, 1, 18)[1:]
    a = part + (side[:, None] - part) * arc**0.9
    near = 0.35 + 0.65 * np.sin(np.clip(arc * 1.6, 0, 1) * np.pi / 2)
    over = scalp.place(a, np.clip(u[:, None] * near + (1 - near) * 0.55 * u[:, None], 0, 1.05))
    last = over[:, -1]
    drop = (bottom * (0.93 + 0.07 * np.sin(u * 9)) * rng.uniform(0.93, 1.03, count) - last[:, 1])[
        :, None
    ]
    y = last[:, 1:] + drop * fall
    wide = 0.030 + 0.05 * curl if style != "bob" else 0.018
    inner = 0.232 * identity.face_width - 0.010 * identity.hair_length
    outer = 0.292 * identity.face_width + wide * identity.hair_volume + 0.02
    target = side[:, None] * (inner + (outer - inner) * u[:, None])
    settle = 1 - (1 - np.clip(fall * 2.6, 0, 1)) ** 2
    x = last[:, :1] + (target - last[:, :1]) * settle
    if style == "bob":
        tuck = np.clip((y - 0.17) / 0.20, 0, 1) ** 2
        x = x - side[:, None] * 0.055 * tuck * (0.4 + u[:, None])
    else:
        x = x + side[:, None] * 0.03 * np.clip((y - 0.40) / 0.2, 0, 1)
    waves = (3.0 + 2.5 * identity.hair_wave) * (1.0 + 0.9 * (style == "ringlets"))
    groups = _locks(rng, 12)((u * side + 1) / 2)
    phase = 2.4 * groups + rng.normal(0, 0.22, count)
    swing = 0.020 * curl * (0.55 + 0.45 * rng.random(count)) * (1.25 if style == "ringlets" else 1)
    grow = np.clip((fall * drop) / 0.20, 0, 1)
    x = x + swing[:, None] * grow * np.sin(2 * np.pi * waves * (y + 0.1) + phase[:, None])
    x = x + 0.006 * rng.normal(0, 1, (count, 1)) * fall
    falling = np.stack([x, y], -1)
    return np.concatenate([over, falling], 1)


def _fringe(
    drawing: HairDrawing, scalp: Scalp, identity: Identity, rng: np.random.Generator
) -> None:
    count = 520
    a = rng.uniform(-0.66, 0.66, count)
    a = a[np.argsort(rng.random(count) - 0.2 * np.abs(a))]
    start = scalp.place(a, rng.uniform(0.25, 0.75, count))
    end_y = (
        -0.088
        - 0.03 * identity.asymmetry[2] * 0.3
        + 0.55 * start[:, 0] ** 2
        + rng.normal(0, 0.007, count)
    )
    lock = _locks(rng, 22)((a + 1) / 2)
    at = np.linspace(0, 1, 10)
    x = start[:, :1] * (1 - 0.10 * np.sin(at * np.pi / 2)) + 0.010 * lock[:, None] * at
    x = x + 0.02 * identity.hair_parting * at
    y = start[:, 1:] + (end_y[:, None] - start[:, 1:]) * at**1.15
    value = 0.48 + 0.13 * lock + rng.normal(0, 0.11, count)
    drawing.strands(np.stack([x, y], -1), np.clip(value, 0.1, 1), rng)


def light_hair(
    drawing: NDArray[np.uint8], identity: Identity, light: Light, plane: Plane, pose: Pose
) -> tuple[Floats, Floats]:
    """Lit linear colours [h, w, 3] of drawn hair, and its coverage [h, w]."""
    value, number, cover = (drawing[..., k].astype(np.float32) / 255 for k in range(3))
    middle = pose.project(np.array([0.0, -0.06, 0.0]))
    nx = np.clip((plane.x - np.float32(middle[0])) / 0.37, -1, 1)
    ny = np.clip((plane.y - np.float32(middle[1])) / 0.46, -1, 0.25)
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0.04))
    lx, ly, lz = (float(part) for part in light.direction)
    facing = np.clip((nx * lx + ny * ly + nz * lz + 0.35) / 1.35, 0, 1)
    hair = linear(identity.hair)
    grey = (number < identity.grey).astype(np.float32) * 0.9
    silver = np.array([0.42, 0.42, 0.43], np.float32)
    strength = 0.22 + 2.2 * value * value
    gloss = 0.09 + 0.30 * float(hair.mean()) + 0.10 * identity.grey
    if identity.hair_style in ("afro", "curly", "buzz"):
        gloss *= 0.45
    at = ny + 0.10 * (number - 0.5) + 0.16 * (value - 0.5)
    halo = bell(at + 0.48 - 0.25 * (ly + 0.5), 0.10) + 0.35 * bell(at - 0.02, 0.16)
    shine = gloss * halo * np.square(facing) * (0.35 + 1.3 * value) * 1.6
    under = 1 - 0.35 * step(0.12, 0.45, plane.y)
    lit = np.empty((*plane.shape, 3), np.float32)
    rim = np.square(np.square(1 - nz)) * np.clip(-np.sign(lx) * nx, 0, 1)
    for channel in range(3):
        color = hair[channel] + (silver[channel] - hair[channel]) * grey
        incoming = light.key[channel] * facing + light.ambient[channel] * (0.75 - 0.3 * ny)
        lit[..., channel] = color * strength * incoming * under
        lit[..., channel] += (
            light.key[channel] * shine * (0.45 + 0.55 * color / (hair.max() + 0.05))
        )
        lit[..., channel] += light.rim[channel] * rim * value * 0.35
    soft = np.asarray(cv2.GaussianBlur(cover, (0, 0), 0.55), np.float32)
    return lit, soft
