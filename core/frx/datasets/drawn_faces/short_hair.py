"""Short cuts: strands start all over the scalp and follow a heading."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.plane import Plane
from frx.datasets.drawn_faces.pose import Pose
from frx.datasets.drawn_faces.scalp import CENTER, HairDrawing, Scalp, locks_of


@attrs.frozen(kw_only=True)
class Cut:
    """How many strands, how long (sides), how high they stand, and where they turn."""

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


CUTS = {
    "buzz": Cut(count=3600, length=0.012, top=0.004, sides=0.002, radial=0.8, sweep=0.1, down=0.2,
                 spread=0.5, fill=0.55),
    "crop": Cut(count=2200, length=0.060, top=0.034, sides=0.010, radial=0.55, sweep=0.45,
                 down=0.35, spread=0.42),
    "swept": Cut(count=1900, length=0.150, top=0.050, sides=0.012, radial=0.50, sweep=1.0,
                  down=0.2, spread=0.22),
    "slick": Cut(count=1900, length=0.170, top=0.030, sides=0.010, radial=1.0, sweep=0.12,
                  down=-0.1, spread=0.12),
    "bun": Cut(count=2000, length=0.180, top=0.016, sides=0.008, radial=1.0, sweep=0.1,
                down=-0.25, spread=0.08),
    "spiky": Cut(count=1700, length=0.085, top=0.058, sides=0.014, radial=1.0, sweep=0.15,
                  down=-0.2, spread=0.45),
    "curly": Cut(count=1250, length=0.085, top=0.060, sides=0.036, radial=0.5, sweep=0.2,
                  down=0.25, spread=0.9, curl=1.0),
    "afro": Cut(count=2500, length=0.050, top=0.125, sides=0.105, radial=0.7, sweep=0.0, down=0.0,
                 spread=1.2, curl=1.6),
    "receding": Cut(count=1700, length=0.050, top=0.012, sides=0.012, radial=0.5, sweep=0.4,
                     down=0.5, spread=0.35, recede=1.0, fill=0.8),
}  # fmt: skip


def draw_short(
    drawing: HairDrawing, scalp: Scalp, cut: Cut, identity: Identity, rng: np.random.Generator
) -> None:
    curled = cut.curl > 0
    rim = np.linspace(-1.0, 1.0, 60)
    inner_edge = 0.16 if not cut.recede else 0.25
    if cut.fill > 0.7:
        lumps = 0.05 * locks_of(rng, 40)((rim + 1) / 2) if curled else 0 * rim
        cap = np.concatenate(
            [
                scalp.place(rim, 0.90 + lumps),
                scalp.place(rim[::-1], 0 * rim + inner_edge),
            ]
        )
        drawing.fill(cap, 26)
    count = cut.count
    a0 = rng.uniform(-1.04, 1.04, count)
    u0 = rng.uniform(0, 1, count) ** 0.85
    u0 = np.where(curled, u0 * 0.94, u0 * 0.92)
    order = np.argsort(-u0 + rng.normal(0, 0.10, count) if not curled else rng.uniform(0, 1, count))
    a0, u0 = a0[order], u0[order]
    lock = locks_of(rng, 34)((a0 + 1.1) / 2.2) + 0.7 * locks_of(rng, 9)(u0)
    top = np.cos(np.clip(np.abs(a0) * 1.35, 0, 1.0) * np.pi / 2)
    sides = 1 - top
    length = cut.length * (0.65 + 0.5 * identity.hair_length) * rng.uniform(0.55, 1.1, count)
    length = (
        length * (cut.taper + (1 - cut.taper) * top) * np.clip((1.12 - np.abs(a0)) / 0.25, 0.35, 1)
    )
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
        arm = point - CENTER
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
    drawing.strands(path, np.clip(value, 0.10, 1) * fade, rng, 0.0024 if not curled else 0.0028)


def draw_bun(
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
