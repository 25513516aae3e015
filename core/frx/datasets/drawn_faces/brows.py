"""Eyebrows and eyelashes, hair by hair, on the frontal plane."""

from __future__ import annotations

import numpy as np

from frx.datasets.drawn_faces.appearance import Appearance
from frx.datasets.drawn_faces.eyes import lid_edges
from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.plane import Floats, Plane, draw_strands, linear, mix
from frx.datasets.drawn_faces.relief import Eye


def draw_lashes(
    lit: Floats, eyes: tuple[Eye, Eye], identity: Identity, plane: Plane, rng: np.random.Generator
) -> None:
    """Upper and lower lashes as single curved hairs, over the lit picture, in place."""
    full = 0.40 + 0.55 * (1 - identity.masculinity) + 0.35 * identity.make_up
    strands = np.zeros(plane.shape, np.uint8)
    for eye in eyes:
        for upper, count, long in ((True, 38, 0.0165), (False, 22, 0.0075)):
            u = np.sort(rng.uniform(-0.72 if upper else -0.3, 1.0, count)).astype(np.float32)
            top, low = lid_edges(eye, u)
            root = np.stack([eye.side * u * eye.half_width, top if upper else low], -1)
            fan = 0.65 * u + 0.10 + rng.normal(0, 0.14, count)
            rise = -1.0 if upper else 1.0
            length = (
                long * full * rng.uniform(0.65, 1.1, count) * (0.65 + 0.35 * np.clip(u + 0.6, 0, 1))
            )
            tip = root + length[:, None] * np.stack(
                [eye.side * np.sin(fan), rise * 0.72 * np.cos(fan)], -1)  # fmt: skip
            knee = root * 0.5 + tip * 0.5 + length[:, None] * np.stack(
                [0.10 * eye.side * np.ones(count), -rise * 0.16 * np.ones(count)], -1)  # fmt: skip
            path = np.stack([root, knee, tip], 1) + np.array([eye.x, eye.y])
            level = round(255 * min(1.0, (0.75 if upper else 0.42) * 0.0042 * plane.n))
            draw_strands(strands, plane.pixels(path), [(level,)] * count,
                         max(1, round(0.0016 * plane.n)))  # fmt: skip
    dark = linear(identity.hair) * 0.08 + np.array([0.006, 0.005, 0.005], np.float32)
    mix(lit, dark, strands.astype(np.float32) / 255 * 0.9)


def paint_brows(
    albedo: Floats,
    gloss: Floats,
    eyes: tuple[Eye, Eye],
    identity: Identity,
    appearance: Appearance,
    plane: Plane,
    rng: np.random.Generator,
) -> None:
    """Eyebrows of single hairs over a soft shadow, in place."""
    count = 190
    at = rng.uniform(0, 1, count) ** 0.92
    across = np.clip(rng.normal(0, 0.42, count), -1, 1)
    raised = -0.013 * appearance.brow_raise
    knit = appearance.brow_furrow
    strands = np.zeros((*plane.shape, 2), np.uint8)
    soft = plane.zeros()
    for eye in eyes:
        inner = 0.042 - 0.007 * knit
        x = inner + (0.152 * identity.eye_spacing) * at
        arch = 0.013 * identity.brow_arch
        spine = (
            -0.0625
            + 0.006 * np.exp(-at / 0.12)
            + identity.brow_height
            + raised
            + 0.010 * knit * (1 - at) ** 1.5
        )
        spine = spine - arch * np.sin(np.pi * np.clip(at * 0.70 + 0.05, 0, 1)) ** 1.3
        spine = spine + 0.009 * np.maximum(at - 0.66, 0) / 0.34
        spine = spine + 0.0015 * eye.side * identity.asymmetry[2]
        half = (
            0.0098
            * identity.brow_thickness
            * (1 - 0.78 * at**1.7)
            * (0.75 + 0.25 * np.minimum(at * 6, 1))
        )
        root = np.stack([x, spine + across * half], -1)
        slope = (
            np.where(at < 0.12, -0.85, -0.40 + 0.95 * at)
            + 0.45 * across
            + rng.normal(0, 0.14, count)
        )
        length = 0.0155 * (0.75 + 0.25 * identity.brow_thickness) * rng.uniform(0.6, 1.1, count)
        tip = root + length[:, None] * np.stack([np.cos(slope), np.sin(slope)], -1)
        knee = (root + tip) / 2 - np.stack([np.zeros(count), 0.0014 * np.ones(count)], -1)
        path = np.stack([root, knee, tip], 1) * (eye.side, 1)
        level = rng.integers(40, 220, count)
        draw_strands(strands, plane.pixels(path), [(int(v), 255) for v in level],
                     max(1, round(0.0016 * plane.n)))  # fmt: skip
        order = np.argsort(at)
        edge_up = np.stack([x, spine - 0.85 * half], -1)[order]
        edge_low = np.stack([x, spine + 0.85 * half], -1)[order]
        soft = np.maximum(
            soft, plane.polygon(np.concatenate([edge_up, edge_low[::-1]]) * (eye.side, 1))
        )
    hair = linear(identity.hair) * 0.62
    hair = hair * (1 - 0.6 * identity.grey) + 0.30 * 0.6 * identity.grey
    skin = linear(identity.skin)
    gloss *= 1 - 0.8 * soft
    dense = 0.42 + 0.2 * identity.make_up
    mix(albedo, hair * 0.75 + 0.12 * skin, np.clip(plane.blur(soft, 0.0045) * dense, 0, 1))
    value = strands[..., :1].astype(np.float32) / 255
    cover = strands[..., 1].astype(np.float32) / 255 * min(1.0, 0.0042 * plane.n) * 0.75
    mix(albedo, hair * (0.35 + 1.0 * value), cover)
