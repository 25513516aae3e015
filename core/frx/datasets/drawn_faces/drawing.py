"""A portrait drawn from numbers: relief, colours, light, hair, clothes, background, camera.

Everything is drawn in head coordinates on a canvas larger than the picture, in linear light, and
made smaller by averaging: one person is the same picture at every size. numpy and OpenCV only.
"""

from __future__ import annotations

import attrs
import cv2
import numpy as np
from numpy.typing import NDArray

from frx.datasets.drawn_faces.accessories import draw_covering, draw_earrings, draw_glasses
from frx.datasets.drawn_faces.appearance import Appearance
from frx.datasets.drawn_faces.backdrop import draw_backdrop
from frx.datasets.drawn_faces.beard import paint_beard
from frx.datasets.drawn_faces.body import draw_body
from frx.datasets.drawn_faces.brows import draw_lashes, paint_brows
from frx.datasets.drawn_faces.eyes import light_eyes, paint_eye
from frx.datasets.drawn_faces.hair import LONG_STYLES, draw_hair, light_hair
from frx.datasets.drawn_faces.identity import Identity
from frx.datasets.drawn_faces.light import Light, light_skin
from frx.datasets.drawn_faces.mouth import paint_mouth
from frx.datasets.drawn_faces.plane import PICTURE, Floats, Plane, Texture, mix
from frx.datasets.drawn_faces.pose import Pose
from frx.datasets.drawn_faces.relief import eyes_of, mouth_of, relief_of
from frx.datasets.drawn_faces.skin import paint_skin

# Part of every fingerprint: raise it whenever a pixel of any face changes.
DRAWING_VERSION = 1

_HEAD = (-0.345, 0.345, -0.469, 0.47)
_BODY = (PICTURE[0], PICTURE[1], 0.10, PICTURE[3])


def draw_face(identity: Identity, appearance: Appearance, size: int) -> NDArray[np.uint8]:
    """Draw one portrait, uint8 [size, size, 3] RGB; the same numbers give the same bits."""
    n = _canvas_size(size)
    picture = Plane(n)
    moment = np.random.Generator(np.random.SFC64(appearance.detail_seed))
    scene = draw_backdrop(appearance, picture, moment)
    pose = Pose.of(appearance)
    light = Light.of(appearance, identity.melanin, scene.mean((0, 1)))

    in_head = Plane(n, _HEAD)
    head, head_cover = _head(identity, appearance, light, pose, in_head)
    behind, before = draw_hair(identity, pose, picture, _stream(identity, 9))
    covering = draw_covering(appearance, identity, light, pose, picture, moment)
    if behind is not None:
        colors, cover = light_hair(behind, identity, light, picture, pose)
        mix(scene, colors * 0.55, cover)

    if covering is not None and identity.hair_style == "headscarf":
        mix(scene, covering[0].mean((0, 1)) * 0.25, picture.blur(_behind(covering[1]), 0.004))
    below = Plane(n, _BODY)
    colors, cover = draw_body(identity, appearance, light, pose, below, moment)
    everywhere = picture.zeros()
    everywhere[in_head.rows, in_head.columns] = head_cover
    shade = _thrown(everywhere, picture, light, 0.085, 0.022)[below.rows, below.columns]
    colors *= (1 - 0.68 * shade)[..., None]
    mix(scene[below.rows, below.columns], colors, cover)

    region = scene[in_head.rows, in_head.columns]
    draw_glasses(head, identity, light, pose, in_head)
    if before is not None:
        hair, hair_cover = light_hair(before, identity, light, picture, pose)
        shade = _thrown(hair_cover, picture, light, 0.024, 0.010)[in_head.rows, in_head.columns]
        head *= (1 - 0.50 * shade)[..., None]
    if covering is not None:
        shade = _thrown(covering[1], picture, light, 0.030, 0.010)[in_head.rows, in_head.columns]
        head *= (1 - 0.55 * shade)[..., None]
    mix(region, head, head_cover)
    if identity.hair_style not in (*LONG_STYLES, "headscarf"):
        draw_earrings(region, identity, light, pose, in_head)
    if before is not None:
        mix(scene, hair, hair_cover)
    if covering is not None:
        mix(scene, *covering)
    return _photograph(scene, appearance, size, moment)


def _canvas_size(size: int) -> int:
    if size <= 64:
        return max(112, 2 * size)
    return round(size * float(np.interp(size, [64, 128, 256, 1024], [2.0, 1.65, 1.5, 1.25])))


def _head(
    identity: Identity,
    appearance: Appearance,
    light: Light,
    pose: Pose,
    plane: Plane,
) -> tuple[Floats, Floats]:
    """The bare head in its pose: lit linear colours and coverage."""
    texture = Texture(plane, _stream(identity, 1))
    relief = relief_of(identity, appearance, plane, texture, _stream(identity, 2))
    albedo, gloss = paint_skin(identity, plane, texture, _stream(identity, 3))
    depth = relief.depth
    mouth = mouth_of(identity, appearance, plane)
    paint_mouth(
        albedo, gloss, depth, mouth, identity, appearance, plane, texture, _stream(identity, 4)
    )
    eyes = eyes_of(identity, appearance)
    in_eyes = _stream(identity, 5)
    for eye in eyes:
        paint_eye(albedo, gloss, depth, eye, identity, appearance, plane, texture, in_eyes)
    paint_brows(albedo, gloss, eyes, identity, appearance, plane, _stream(identity, 6))
    paint_beard(albedo, gloss, depth, mouth, identity, plane, _stream(identity, 7))
    seen = attrs.evolve(light, direction=pose.in_head(light.direction))
    lit = light_skin(depth, albedo, gloss, 1 - 0.6 * identity.melanin, seen, plane)
    light_eyes(lit, eyes, appearance, seen.direction, seen.key, plane)
    draw_lashes(lit, eyes, identity, plane, _stream(identity, 8))
    flat = np.dstack([lit, plane.inside(relief.inside)])
    column, row = pose.view(relief.smooth_depth, plane)
    turned = cv2.remap(flat, column, row, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    return np.maximum(turned[..., :3], 0), np.clip(turned[..., 3], 0, 1)


def _behind(cover: Floats) -> Floats:
    """A covering with its opening filled, row by row: its far side, seen beside the face."""
    from_left = np.maximum.accumulate(cover, 1)
    from_right = np.maximum.accumulate(cover[:, ::-1], 1)[:, ::-1]
    return np.minimum(from_left, from_right)


def _stream(identity: Identity, part: int) -> np.random.Generator:
    """One generator for each part, so that an expression never changes a person's other details."""
    return np.random.Generator(np.random.SFC64([identity.detail_seed, part]))


def _thrown(cover: Floats, plane: Plane, light: Light, distance: float, softness: float) -> Floats:
    """The soft shadow that a layer throws on what lies `distance` behind it."""
    lx, ly, _ = (float(part) for part in light.direction)
    soft = plane.blur(cover, softness)
    reach = distance * plane.n
    shift = np.array([[1, 0, -lx * reach], [0, 1, (0.35 - ly) * reach]], np.float32)
    return np.asarray(
        cv2.warpAffine(soft, shift, plane.shape[::-1], borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def _photograph(
    scene: Floats, appearance: Appearance, size: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Expose, grain and round: linear light to 8 bits."""
    small = cv2.resize(scene, (size, size), interpolation=cv2.INTER_AREA)
    plane = Plane(size)
    corner = np.square(plane.x) + np.square(plane.y - 0.03)
    small = small * (1 - appearance.vignette * 1.1 * corner)[..., None]
    # A film-like shoulder keeps highlights from turning into flat white.
    tone = np.sqrt(np.clip(1 - np.exp(-1.45 * np.maximum(small, 0)), 0, 1))
    grain = rng.standard_normal((size, size, 1), dtype=np.float32) * np.float32(appearance.grain)
    return np.asarray(np.clip((tone + grain) * 255 + 0.5, 0, 255), np.uint8)
