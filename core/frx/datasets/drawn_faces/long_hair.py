"""Long hair: strands fall from a parting over the skull and beside the face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.plane import Plane
from frx.datasets.drawn_faces.pose import Pose
from frx.datasets.drawn_faces.scalp import Array, HairDrawing, Scalp, locks_of


def draw_long(
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
    lock = locks_of(rng, 26)((u * side + 1) / 2)
    value = 0.46 + 0.075 * lock + 0.14 * (0.5 - u) + rng.normal(0, 0.14, count)

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
    sway = 0.01 * curl * np.sin(edge * 14 + fine[:, None] * 60)
    column = np.stack([fine[:, None] + sway, drop[:, None] * edge], -1)
    back.strands(column, np.clip(rng.normal(0.22, 0.07, 260), 0.05, 1), rng)
    back.strands(paths[u > 0.7], np.clip(value[u > 0.7] * 0.8, 0.1, 1), rng)

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
    start = part + rng.normal(0, 0.045, (count, 1)) - 0.02 * side[:, None]
    a = start + (side[:, None] - start) * arc**0.9
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
    settle = np.clip(fall * drop / 0.36, 0, 1)
    settle = settle * settle * (3 - 2 * settle)
    x = last[:, :1] + (target - last[:, :1]) * settle
    if style == "bob":
        tuck = np.clip((y - 0.17) / 0.20, 0, 1) ** 2
        x = x - side[:, None] * 0.055 * tuck * (0.4 + u[:, None])
    else:
        x = x + side[:, None] * 0.03 * np.clip((y - 0.40) / 0.2, 0, 1)
    waves = (3.0 + 2.5 * identity.hair_wave) * (1.0 + 0.9 * (style == "ringlets"))
    groups = locks_of(rng, 12)((u * side + 1) / 2)
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
    across = np.linspace(-0.62, 0.62, 24)
    crown = scalp.place(across, np.full(24, 0.4))
    ends = np.stack([crown[:, 0], -0.118 + 0.55 * crown[:, 0] ** 2], -1)
    drawing.fill(np.concatenate([crown, ends[::-1]]), 40)
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
    lock = locks_of(rng, 22)((a + 1) / 2)
    at = np.linspace(0, 1, 10)
    x = start[:, :1] * (1 - 0.10 * np.sin(at * np.pi / 2)) + 0.010 * lock[:, None] * at
    x = x + 0.02 * identity.hair_parting * at
    y = start[:, 1:] + (end_y[:, None] - start[:, 1:]) * at**1.15
    value = 0.48 + 0.13 * lock + rng.normal(0, 0.11, count)
    drawing.strands(np.stack([x, y], -1), np.clip(value, 0.1, 1), rng)
