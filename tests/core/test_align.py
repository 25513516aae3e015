"""Alignment: the geometry on points that are known, and the report on pictures without a face."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from frx import align, images
from frx.align import Face, FaceFinder, align_folder, box_crop, ffhq_matrix, five_point_crop
from frx.commands.align import command
from frx.errors import DataError

# A frontal face as FFHQ has it at 256: eyes, nose and mouth as measured on the data set.
FRONTAL = np.array([[96.0, 120.0], [159.0, 120.0], [128.0, 157.0], [101.0, 186.0], [156.0, 186.0]])
PHOTOS = os.environ.get("FRX_PHOTOS")


def moved(points: align.Points, matrix: align.Points) -> align.Points:
    return points @ matrix[:, :2].T + matrix[:, 2]


def turn(degrees: float, scale: float, shift: tuple[float, float]) -> align.Points:
    angle = np.deg2rad(degrees)
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[c, -s, shift[0]], [s, c, shift[1]]])


def dotted(points: align.Points, height: int, width: int) -> images.Picture:
    """A grey picture with a bright disc at each point."""
    picture = np.full((height, width, 3), 60, np.uint8)
    for x, y in points:
        cv2.circle(picture, (round(16 * x), round(16 * y)), 16 * 5, (255, 255, 255), -1, shift=4)
    return picture


def centres(picture: images.Picture) -> align.Points:
    _, _, _, found = cv2.connectedComponentsWithStats((picture[..., 0] > 157).astype(np.uint8))
    return np.array(sorted(found[1:].tolist()))


class TestGeometry:
    def test_an_aligned_face_stays(self) -> None:
        after = moved(FRONTAL, ffhq_matrix(FRONTAL, size=256))
        assert np.abs(after - FRONTAL).max() < 2.5
        assert after[:2] == pytest.approx(np.array([[96.0, 120], [159, 120]]), abs=2)

    def test_follows_the_rule_of_ffhq(self) -> None:
        # Level eyes 60 apart with the mouth 64 below: the side is max(4 · 60, 3.6 · 64) = 240, its
        # middle a tenth of the way from the eyes to the mouth.
        points = np.array([[70.0, 100], [130, 100], [100, 130], [80, 164], [120, 164]])
        matrix = ffhq_matrix(points, size=240)
        assert matrix[:, :2] == pytest.approx(np.eye(2))
        assert moved(np.array([100.0, 106.4]), matrix) == pytest.approx([119.5, 119.5])

    def test_a_profile_is_scaled_by_its_height(self) -> None:
        narrow = FRONTAL.copy()
        narrow[:, 0] = 128 + (FRONTAL[:, 0] - 128) * 0.3
        scale = np.hypot(*ffhq_matrix(narrow, size=256)[:, 0])
        assert scale == pytest.approx(256 / (2 * 1.8 * 66), rel=0.01)

    @pytest.mark.parametrize("degrees", [0, 25, -60, 180])
    @pytest.mark.parametrize("scale", [0.4, 1.0, 3.0])
    def test_undoes_turn_scale_and_shift(self, degrees: float, scale: float) -> None:
        elsewhere = moved(FRONTAL, turn(degrees, scale, (300, 200)))
        there = moved(elsewhere, ffhq_matrix(elsewhere, size=256))
        assert there == pytest.approx(moved(FRONTAL, ffhq_matrix(FRONTAL, size=256)))

    @pytest.mark.parametrize("scale", [0.5, 1.0, 2.7])
    def test_pixels_go_where_points_go(self, scale: float) -> None:
        points = moved(FRONTAL, turn(20, scale, (150, 40)))
        picture = dotted(points, 1000, 1000)
        aligned = five_point_crop(picture, points, size=256)
        expected = moved(points, ffhq_matrix(points, size=256))
        assert aligned.shape == (256, 256, 3)
        assert centres(aligned) == pytest.approx(np.array(sorted(expected.tolist())), abs=0.35)

    def test_shrinks_without_aliasing(self) -> None:
        stripes = np.zeros((1200, 1200, 3), np.uint8)
        stripes[:, ::2] = 255
        crop = box_crop(stripes, (100.0, 100, 1100, 1100), size=64, padding=0)
        assert crop[8:-8, 8:-8].std() < 6
        assert crop.mean() == pytest.approx(127.5, abs=3)

    def test_box_is_cut_out_square_with_its_padding(self) -> None:
        picture = np.zeros((200, 200, 3), np.uint8)
        picture[60:140, 70:130] = 255
        exact = box_crop(picture, (60.0, 60, 140, 140), size=80, padding=0)
        assert np.array_equal(exact, picture[60:140, 60:140])
        padded = box_crop(picture, (70.0, 60, 130, 140), size=160, padding=0.5)
        assert np.array_equal(padded, picture[20:180, 20:180])

    def test_is_mirrored_beyond_the_edge(self) -> None:
        picture = np.full((50, 50, 3), 200, np.uint8)
        assert (box_crop(picture, (0.0, 0, 50, 50), size=80, padding=0.3) == 200).all()

    def test_points_on_one_spot_are_refused(self) -> None:
        with pytest.raises(DataError, match="one spot"):
            ffhq_matrix(np.full((5, 2), 7.0), size=64)


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


class TestFinder:
    @pytest.mark.parametrize("shape", [(100, 140), (8, 300), (20, 20), (1, 1), (2000, 30)])
    def test_finds_nothing_in_a_plain_picture(
        self, finder: FaceFinder, shape: tuple[int, int]
    ) -> None:
        assert finder(np.full((*shape, 3), 99, np.uint8)) == []

    def test_finds_nothing_in_noise(self, finder: FaceFinder) -> None:
        noise = np.random.default_rng(1).integers(0, 256, (120, 160, 3), dtype=np.uint8)
        assert finder(noise) == []

    @pytest.mark.skipif(not PHOTOS, reason="FRX_PHOTOS does not name a folder of photographs")
    def test_agrees_with_pictures_that_are_aligned_already(self, finder: FaceFinder) -> None:
        paths = sorted(Path(str(PHOTOS), "faces", "omi_256").glob("*.jpg"))[:40:2]
        eyes, moves = [], []
        for path in paths:
            face = finder(images.read_rgb(path))[0]
            matrix = ffhq_matrix(face.points, size=256)
            corners = np.array([[0.0, 0], [255, 0], [0, 255], [255, 255]])
            eyes.append(face.points[:2])
            moves.append(np.abs(moved(corners, matrix) - corners).mean())
        assert np.mean(eyes, axis=0) == pytest.approx(np.array([[96.0, 120], [160, 120]]), abs=2)
        assert np.median(moves) < 4

    @pytest.mark.skipif(not PHOTOS, reason="FRX_PHOTOS does not name a folder of photographs")
    def test_box_and_points_scale_with_the_photograph(self, finder: FaceFinder) -> None:
        path = Path(str(PHOTOS), "faces", "omi_256", "omi_0001.jpg")
        small = images.read_rgb(path)
        large = images.resize(small, 2048, 2048)
        one, eight = finder(small)[0], finder(large)[0]
        assert np.abs(eight.points / 8 - one.points).max() < 4
        assert eight.box == pytest.approx([8 * edge for edge in one.box], rel=0.15)


def two_faces(pixels: images.Picture) -> list[Face]:
    """Stands for the detector: a face in wide pictures, none in others."""
    if pixels.shape[1] <= pixels.shape[0]:
        return []
    return [Face(box=(20.0, 10.0, 60.0, 60.0), points=FRONTAL / 3, confidence=0.98)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    wide = dotted(FRONTAL / 3, 100, 120)
    images.write(folder / "a.jpg", wide)
    images.write(folder / "a.webp", wide)
    images.write(folder / "deep" / "b.PNG", wide)
    images.write(folder / "tall.png", np.full((120, 100, 3), 50, np.uint8))
    (folder / "notes.txt").write_text("no picture")
    return folder


class TestFolder:
    def test_keeps_names_and_reports_fallbacks(self, photos: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        report = align_folder(photos, out, size=64, find=two_faces)
        assert (report.found, report.fallbacks, report.failed) == (3, ("tall.png",), ())
        made = sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png"))
        assert made == ["a.png", "a.webp.png", "deep/b.png", "tall.png"]
        assert {images.read_rgb(out / name).shape for name in made} == {(64, 64, 3)}
        assert (images.read_rgb(out / "tall.png") == 50).all()

    def test_writes_a_table(self, photos: Path, tmp_path: Path) -> None:
        align_folder(photos, tmp_path / "out", size=64, find=two_faces)
        with (tmp_path / "out" / "align.csv").open(newline="") as file:
            rows = {row["name"]: row for row in csv.DictReader(file)}
        assert list(rows) == ["a.jpg", "a.webp", "deep/b.PNG", "tall.png"]
        assert rows["a.jpg"]["status"] == "found"
        assert [rows["a.jpg"][key] for key in ("left", "bottom", "left_eye_x", "confidence")] == [
            "20.0",
            "60.0",
            "32.0",
            "0.9800",
        ]
        assert (rows["tall.png"]["status"], rows["tall.png"]["left"]) == ("fallback", "")

    def test_one_bad_picture_does_not_stop_the_others(self, photos: Path, tmp_path: Path) -> None:
        (photos / "aa.png").write_bytes(b"not a picture")
        report = align_folder(photos, tmp_path / "out", size=64, find=two_faces)
        assert report.found == 3
        [(name, reason)] = report.failed
        assert name == "aa.png"
        assert "aa.png" in reason

    def test_box_takes_the_box(self, photos: Path, tmp_path: Path) -> None:
        align_folder(photos, tmp_path / "out", size=50, crop="box", padding=0, find=two_faces)
        expected = images.read_rgb(photos / "deep" / "b.PNG")[10:60, 15:65]
        assert np.array_equal(images.read_rgb(tmp_path / "out" / "deep" / "b.png"), expected)

    def test_does_not_align_its_own_output(self, photos: Path) -> None:
        first = align_folder(photos, photos / "aligned", size=32, find=two_faces)
        second = align_folder(photos, photos / "aligned", size=32, find=two_faces)
        assert first == second

    def test_takes_one_file(self, photos: Path, tmp_path: Path) -> None:
        report = align_folder(photos / "a.jpg", tmp_path / "out", size=32, find=two_faces)
        assert report.found == 1
        assert (tmp_path / "out" / "a.png").is_file()

    @pytest.mark.parametrize("case", ["same", "empty", "missing"])
    def test_refuses(self, photos: Path, tmp_path: Path, case: str) -> None:
        (tmp_path / "empty").mkdir()
        inputs = {"same": photos, "empty": tmp_path / "empty", "missing": tmp_path / "none"}[case]
        with pytest.raises(DataError):
            align_folder(inputs, photos if case == "same" else tmp_path / "out", find=two_faces)


def test_command_counts_and_names(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    images.write(photos / "plain.png", np.full((60, 80, 3), 50, np.uint8))
    arguments = [str(photos), "-o", str(tmp_path / "out"), "--size", "32"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "aligned faces: 0" in result.output
    assert "central square taken: 1\n  plain.png" in result.output
    (photos / "bad.png").write_bytes(b"x")
    failed = CliRunner().invoke(command, arguments)
    assert isinstance(failed.exception, DataError)
    assert "bad.png" in str(failed.exception)
    assert "central square taken: 1" in failed.output
