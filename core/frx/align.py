"""Faces found in photographs and brought to one place and size.

`five_point` turns, scales and shifts a face so that eyes and mouth lie as in FFHQ; `box` cuts out
the detector's box with a margin. Where no face is found the central square is taken, and that
is reported, never silent. The detector is MTCNN (arXiv 1604.02878); its weights are part of the
package facenet-pytorch.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from frx import files, images
from frx.errors import DataError
from frx.warping import warp

Crop = Literal["five_point", "box"]
Points = NDArray[np.float64]

_SMALLEST_FACE_PX = 20
_LONGEST_SIDE_PX = 1600


@attrs.frozen(kw_only=True, eq=False)
class Face:
    """A face in pixels of its photograph: box (left, top, right, bottom), five points [5, 2]."""

    box: tuple[float, float, float, float]
    points: Points
    confidence: float

    @property
    def area(self) -> float:
        """Area of the box in pixels."""
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


@attrs.frozen(kw_only=True)
class AlignReport:
    """What became of each input, by its name relative to the input folder."""

    found: int
    fallbacks: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


class FaceFinder:
    """Finds faces with MTCNN. Build it once; loading the detector takes a second."""

    def __init__(self, *, device: str = "cpu") -> None:
        from facenet_pytorch import MTCNN

        self._detector: Any = MTCNN(
            keep_all=True, min_face_size=_SMALLEST_FACE_PX, device=device
        ).eval()

    def __call__(self, pixels: images.Picture) -> list[Face]:
        """The faces of a picture [H, W, 3], largest first; an empty list where there is none.

        Detection runs on a copy of at most 1600 pixels' longest side, where faces from 20 pixels
        are found.
        """
        height, width = pixels.shape[:2]
        small = images.within(pixels, _LONGEST_SIDE_PX)
        if min(small.shape[:2]) < _SMALLEST_FACE_PX:
            return []
        try:
            boxes, confidences, points = self._detector.detect(small, landmarks=True)
        except RuntimeError as error:
            # facenet-pytorch joins lists of candidates that are empty in a featureless picture
            if "non-empty" in str(error):
                return []
            raise
        if boxes is None:
            return []
        # sizes are rounded, so the two directions may have shrunk by slightly different factors
        back = np.array([width / small.shape[1], height / small.shape[0]])
        faces = [
            Face(
                box=_edges(np.asarray(box, np.float64).reshape(2, 2) * back),
                points=np.asarray(five, np.float64) * back,
                confidence=float(confidence),
            )
            for box, confidence, five in zip(boxes, confidences, points, strict=True)
        ]
        return sorted(faces, key=lambda face: face.area, reverse=True)


def ffhq_matrix(points: Points, *, size: int) -> NDArray[np.float64]:
    """The turn, scale and shift [2, 3] that brings a face to its place in FFHQ at `size` pixels.

    FFHQ's own rule (arXiv 1812.04948) for the five points [5, 2] in the detector's order: upright
    is a mean of the eyes' line and the line to the mouth, the scale comes from the longer of the
    two, so that a face in profile is not enlarged; the nose is not asked. On the mean of faces the
    eyes come to lie at (0.377, 0.469) and (0.623, 0.469) of the picture.
    """
    left_eye, right_eye, _, left_mouth, right_mouth = points @ np.array([1, 1j])
    eyes, middle = right_eye - left_eye, (left_eye + right_eye) / 2
    to_mouth = (left_mouth + right_mouth) / 2 - middle
    across = eyes - 1j * to_mouth
    if across == 0:
        raise DataError("the face's points lie on one spot, so it cannot be turned upright")
    half_side = across / abs(across) * max(2 * abs(eyes), 1.8 * abs(to_mouth))
    factor = size / (2 * half_side)
    # 0.5: coordinates name the centres of pixels, and the crop's middle is a corner of four
    shift = (0.5 + 0.5j) * (size - 1) - factor * (middle + 0.1 * to_mouth)
    return np.array(
        [[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]]
    )


def five_point_crop(pixels: images.Picture, points: Points, *, size: int) -> images.Picture:
    """The face aligned as in FFHQ, `size` × `size`; the picture is mirrored beyond its edges."""
    return warp(pixels, ffhq_matrix(points, size=size), size=(size, size))


def box_crop(
    pixels: images.Picture, box: tuple[float, float, float, float], *, size: int, padding: float
) -> images.Picture:
    """The square around a box with `padding` of its longer side added on each, `size` × `size`."""
    left, top, right, bottom = box
    side = max(right - left, bottom - top) * (1 + 2 * padding)
    scale = size / side
    x, y = (left + right) / 2 - side / 2, (top + bottom) / 2 - side / 2
    # the square's outer edge, not the centre of its first pixel, comes to lie on the crop's edge
    shift = 0.5 * (scale - 1)
    return warp(
        pixels,
        np.array([[scale, 0, shift - scale * x], [0, scale, shift - scale * y]]),
        size=(size, size),
    )


def align_folder(
    inputs: Path,
    out: Path,
    *,
    size: int = 256,
    crop: Crop = "five_point",
    padding: float = 0.3,
    find: Callable[[images.Picture], list[Face]] | None = None,
    progress: Callable[[Sequence[Path]], Iterable[Path]] | None = None,
) -> AlignReport:
    """Align the largest face of every picture in a folder (or of one file) into `out`, as PNG.

    Relative names are kept. `out/align.csv` says for each input what was found: status (found,
    fallback, failed), box, the five points, confidence, and the reason of a failure.

    Raises:
        DataError: there is no picture, or `out` is the folder of the inputs.
    """
    paths, root = _pictures(inputs, out)
    find = find or FaceFinder()
    targets = _targets(paths, root, out)
    found = 0
    fallbacks: list[str] = []
    failed: list[tuple[str, str]] = []
    rows: list[list[str]] = []
    for path in progress(paths) if progress else paths:
        name = path.relative_to(root).as_posix()
        try:
            pixels = images.read_rgb(path)
            face = next(iter(find(pixels)), None)
            if face is None:
                cut = images.resize(images.crop_to_square(pixels), size, size)
            elif crop == "five_point":
                cut = five_point_crop(pixels, face.points, size=size)
            else:
                cut = box_crop(pixels, face.box, size=size, padding=padding)
            images.write(targets[path], cut)
        except DataError as error:
            failed.append((name, str(error)))
            rows.append([name, "failed", *[""] * 15, str(error)])
            continue
        if face is None:
            fallbacks.append(name)
            rows.append([name, "fallback", *[""] * 16])
        else:
            found += 1
            numbers = [*face.box, *face.points.ravel()]
            rows.append(
                [name, "found", *(f"{n:.1f}" for n in numbers), f"{face.confidence:.4f}", ""]
            )
    _write_table(out / "align.csv", rows)
    return AlignReport(found=found, fallbacks=tuple(fallbacks), failed=tuple(failed))


def _edges(corners: Points) -> tuple[float, float, float, float]:
    (left, top), (right, bottom) = corners.tolist()
    return left, top, right, bottom


def _pictures(inputs: Path, out: Path) -> tuple[list[Path], Path]:
    """The pictures, in the order of their names, and the folder that their names start from."""
    if inputs.is_file():
        return [inputs], inputs.parent
    if not inputs.is_dir():
        raise DataError(f"{images.shown(inputs)} does not exist")
    if files.real(out) == files.real(inputs):
        raise DataError(f"{images.shown(out)}: the aligned pictures need a folder of their own")
    paths = sorted(
        path
        for path in inputs.rglob("*")
        if path.suffix.lower() in images.SUFFIXES
        and not path.is_dir()
        and files.real(out) not in files.real(path).parents
    )
    if not paths:
        raise DataError(f"{images.shown(inputs)} holds no picture")
    return paths, inputs


def _targets(paths: Sequence[Path], root: Path, out: Path) -> dict[Path, Path]:
    """Where each picture goes: a.jpg to a.png, and a.webp beside it to a.webp.png."""
    targets: dict[Path, Path] = {}
    taken: set[Path] = set()
    for path in paths:
        target = out / path.relative_to(root).with_suffix(".png")
        if target in taken:
            target = target.with_name(f"{path.name}.png")
        while target in taken:
            target = target.with_name(f"{target.name}.png")
        taken.add(target)
        targets[path] = target
    return targets


def _write_table(path: Path, rows: list[list[str]]) -> None:
    points = [
        f"{part}_{axis}"
        for part in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
        for axis in "xy"
    ]
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(
        ["name", "status", "left", "top", "right", "bottom", *points, "confidence", "reason"]
    )
    table.writerows(rows)
    files.write(path, text.getvalue().encode("utf-8", "surrogateescape"))
