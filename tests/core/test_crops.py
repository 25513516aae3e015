"""Faces cut out of photographs and put back: where, how much, and what stays as it was."""

import math

import numpy as np
import pytest

from frx import images
from frx.align import Face
from frx.datasets.synthetic_faces import SyntheticFaces
from frx.restoring.crops import Crop, paste, shares
from frx.warping import Place, magnified, scale_of


def face_at(x: float, y: float, width: float = 30.0, degrees: float = 0.0) -> Face:
    """A face whose eyes are `width` apart around (x, y), turned."""
    turn = np.exp(1j * math.radians(degrees))
    five = np.array([-0.5, 0.5, 0.5j, -0.4 + 1j, 0.4 + 1j]) * width * turn + (x + 1j * y)
    points = np.stack([five.real, five.imag], axis=1)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return Face(box=(left, top, right, bottom), points=points, confidence=1.0)


def photograph(height: int = 240, width: int = 320, dtype: type = np.uint8) -> np.ndarray:
    small = images.resize(SyntheticFaces(size=64)[0]["clean"], height, width)
    return small if dtype is np.uint8 else small.astype(np.uint16) * 257 + 3


@pytest.mark.parametrize("degrees", [0, 17, -140])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_crop_put_back_unchanged_changes_next_to_nothing(dtype: type, degrees: float) -> None:
    pixels = photograph(dtype=dtype)
    crop = Crop.of_face(face_at(150, 110, degrees=degrees), 256)
    made, replaced = paste(pixels, [crop], [crop.cut(pixels)])
    levels = np.iinfo(dtype).max / 255
    assert made.dtype == dtype
    assert np.abs(made.astype(float) - pixels)[replaced > 0].mean() / levels < 0.6
    assert (replaced > 0.99).sum() > 3000


def test_where_nothing_is_replaced_every_bit_stays() -> None:
    pixels = photograph(dtype=np.uint16)
    crop = Crop.of_face(face_at(150, 110, degrees=30), 64)
    made, replaced = paste(pixels, [crop], [np.zeros((64, 64, 3), np.float32)])
    np.testing.assert_array_equal(made[replaced == 0], pixels[replaced == 0])
    assert (made[replaced == 1] == 0).all()
    assert 0.1 < (replaced > 0).mean() < 0.5


def test_a_paste_fades_out_instead_of_ending() -> None:
    pixels = np.full((240, 320, 3), 200, np.uint8)
    crop = Crop.of_face(face_at(150, 110, degrees=10), 128)
    made, _ = paste(pixels, [crop], [np.zeros((128, 128, 3), np.float32)])
    steps = [np.abs(np.diff(made[..., 0].astype(int), axis=axis)).max() for axis in (0, 1)]
    assert max(steps) < 20  # of 200, where a hard edge would be one step


def test_a_picture_at_four_times_the_size_lands_in_the_same_place() -> None:
    pixels = photograph()
    crop = Crop.of_face(face_at(150, 110, degrees=25), 96)
    large = crop.at(4)
    ones, _ = paste(pixels, [crop], [crop.cut(pixels)])
    fours, _ = paste(pixels, [crop], [large.cut(pixels)])
    assert np.abs(ones.astype(float) - fours).mean() < 0.5
    assert large.side_px == pytest.approx(crop.side_px)


def test_a_face_at_the_edge_is_cut_mirrored_and_put_back_inside() -> None:
    pixels = photograph()
    crop = Crop.of_face(face_at(5, 3), 64)
    assert crop.cut(pixels).shape == (64, 64, 3)
    made, replaced = paste(pixels, [crop], [np.ones((64, 64, 3), np.float32)])
    assert made.shape == pixels.shape
    assert (made[:10, :10] > 250).all()
    assert not replaced[150:].any()


def test_a_face_outside_of_the_picture_changes_nothing() -> None:
    pixels = photograph()
    crop = Crop.of_face(face_at(-500, -500), 64)
    made, replaced = paste(pixels, [crop], [np.ones((64, 64, 3), np.float32)])
    np.testing.assert_array_equal(made, pixels)
    assert not replaced.any()


def test_neighbours_share_the_pixels_between_them_and_each_keeps_its_own_face() -> None:
    pixels = np.zeros((240, 320, 3), np.uint8)
    crops = [Crop.of_face(face_at(x, 100), 64) for x in (120, 175)]
    black, white = np.zeros((64, 64, 3), np.float32), np.ones((64, 64, 3), np.float32)
    made, replaced = paste(pixels, crops, [black, white])
    assert (made[90:120, 115:125] < 40).all()
    assert (made[90:120, 170:180] > 215).all()
    everywhere = Place(0, 0, 240, 320)
    parts = [shares(crops, number, everywhere) for number in (0, 1)]
    covered = parts[0][1]
    np.testing.assert_array_equal(covered, parts[1][1])
    total = parts[0][0] + parts[1][0]
    np.testing.assert_allclose(total[covered > 0], 1, atol=1e-5)
    np.testing.assert_allclose(replaced, covered, atol=1e-5)
    row = made[105, 125:170, 0].astype(int)
    assert (np.diff(row) >= -1).all()  # from one to the other without a jump back
    assert np.diff(row).max() < 40


def test_order_does_not_matter_to_faces_that_overlap() -> None:
    pixels = photograph()
    crops = [Crop.of_face(face_at(x, 100), 64) for x in (120, 160)]
    pictures = [np.full((64, 64, 3), value, np.float32) for value in (0.2, 0.9)]
    one, _ = paste(pixels, crops, pictures)
    two, _ = paste(pixels, crops[::-1], pictures[::-1])
    assert np.abs(one.astype(int) - two).max() <= 1


def test_strength_goes_part_of_the_way() -> None:
    pixels = np.full((240, 320, 3), 100, np.uint8)
    crop = Crop.of_face(face_at(150, 110), 64)
    white = np.ones((64, 64, 3), np.float32)
    levels = [paste(pixels, [crop], [white], strength=s)[0][110, 150, 0] for s in (0, 0.5, 1)]
    assert levels == [100, 178, 255]


def test_only_what_a_mask_marks_is_replaced_and_all_of_it_near_the_middle() -> None:
    pixels = photograph(dtype=np.uint16)
    mask = np.zeros((240, 320), np.uint8)
    mask[100:104] = 255
    crop = Crop.of_face(face_at(150, 110), 64)
    white = np.ones((64, 64, 3), np.float32)
    made, replaced = paste(pixels, [crop], [white], mask=mask)
    np.testing.assert_array_equal(made[mask == 0], pixels[mask == 0])
    assert (made[100:104, 130:170] == 65535).all()
    assert set(np.unique(replaced)) == {0, 1}
    assert crop.cut_mask(mask).any()
    assert set(np.unique(crop.cut_mask(mask))) == {0, 255}


def test_a_scratch_thinner_than_a_pixel_of_the_crop_is_not_lost() -> None:
    mask = np.zeros((400, 400), np.uint8)
    mask[:, 200] = 255
    crop = Crop.of_whole(400, 400, 0.25)
    assert (crop.cut_mask(mask)[:, 49:51] == 255).any(axis=1).all()


def test_a_whole_picture_at_its_own_size_is_its_very_pixels() -> None:
    pixels = photograph(37, 53)
    crop = Crop.of_whole(37, 53, 1)
    np.testing.assert_array_equal(np.rint(255 * crop.cut(pixels)), pixels)
    inverted = 1 - crop.cut(pixels)
    made, replaced = paste(pixels, [crop], [inverted])
    np.testing.assert_array_equal(made, 255 - pixels)
    assert (replaced == 1).all()


def test_large_pictures_are_put_back_in_bands_that_do_not_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pixels = photograph()
    crop = Crop.of_face(face_at(150, 110, degrees=40), 300)
    dark = crop.cut(pixels) / 2
    at_once, _ = paste(pixels, [crop], [dark])
    monkeypatch.setattr("frx.restoring.crops.AT_ONCE", 7 * 200)
    in_bands, _ = paste(pixels, [crop], [dark])
    assert np.abs(in_bands.astype(int) - at_once).max() <= 1


def test_the_middle_square_of_a_crop() -> None:
    crop = Crop.of_whole(100, 60, 0.5).square()
    assert (crop.height, crop.width) == (30, 30)
    assert crop.place(100, 60) == Place(20, 0, 80, 60)


def test_magnifying_keeps_the_outer_edges() -> None:
    matrix = magnified(np.eye(2, 3), 4)
    assert scale_of(matrix) == pytest.approx(4)
    np.testing.assert_allclose(matrix @ [-0.5, -0.5, 1], [-0.5, -0.5])


@pytest.mark.parametrize("factor", [1, 2.5, 64])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 3)])
def test_pictures_of_a_pixel_or_a_row(size: tuple[int, int], factor: float) -> None:
    pixels = np.full((*size, 3), 100, np.uint8)
    crop = Crop.of_whole(*size, factor)
    made, _ = paste(pixels, [crop], [1 - crop.cut(pixels)])
    np.testing.assert_array_equal(made, 255 - pixels)
