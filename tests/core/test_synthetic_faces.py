"""Faces drawn from a seed: the same everywhere, varied, aligned, and faces to a face detector."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from itertools import combinations

import attrs
import cv2
import numpy as np
import pytest

from frx.datasets.drawn_faces.appearance import BACKGROUNDS, GARMENTS, HATS
from frx.datasets.drawn_faces.drawing import draw_face
from frx.datasets.drawn_faces.identity import BEARDS, GLASSES, HAIR_STYLES
from frx.datasets.synthetic_faces import SyntheticFaces

EYES = np.array([(0.375, 0.469), (0.621, 0.469)])


def _digest(faces: SyntheticFaces, indices: range) -> str:
    whole = hashlib.sha256()
    for index in indices:
        whole.update(faces[index]["clean"].tobytes())
    return whole.hexdigest()


def _facing(faces: SyntheticFaces, index: int) -> np.ndarray:
    """A sample as its person looks straight into the camera."""
    still = attrs.evolve(
        faces.appearance(index),
        yaw_deg=0.0,
        pitch_deg=0.0,
        roll_deg=0.0,
        gaze=(0.0, 0.0),
        hat="none",
    )
    return draw_face(faces.identity(index), still, faces.size)


@pytest.mark.parametrize("size", [16, 17, 64, 100, 301])
def test_a_sample_has_the_size_asked_for(size: int) -> None:
    picture = SyntheticFaces(size=size, count=3)[2]["clean"]
    assert picture.shape == (size, size, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 20


def test_same_bits_on_every_call_and_thread_count() -> None:
    faces = SyntheticFaces(size=64, count=8)
    first = _digest(faces, range(8))
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        assert _digest(faces, range(8)) == first
        cv2.setNumThreads(4)
        assert _digest(SyntheticFaces(size=64, count=8), range(8)) == first
    finally:
        cv2.setNumThreads(before)


def test_same_bits_in_another_process() -> None:
    program = (
        "import hashlib\n"
        "from frx.datasets.synthetic_faces import SyntheticFaces\n"
        "faces = SyntheticFaces(size=64, count=20, seed=-3)\n"
        "whole = hashlib.sha256()\n"
        "for index in range(12, 16):\n"
        "    whole.update(faces[index]['clean'].tobytes())\n"
        "print(whole.hexdigest())\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert other == _digest(SyntheticFaces(size=64, count=20, seed=-3), range(12, 16))


def test_a_picture_does_not_depend_on_how_many_there_are() -> None:
    few, many = SyntheticFaces(size=48, count=5), SyntheticFaces(size=48, count=500)
    assert np.array_equal(few[4]["clean"], many[4]["clean"])


def test_other_seeds_and_indices_give_other_pictures() -> None:
    digests = {
        _digest(SyntheticFaces(size=32, count=6, seed=seed), range(index, index + 1))
        for seed in range(3)
        for index in range(6)
    }
    assert len(digests) == 18


def test_every_size_shows_the_same_picture() -> None:
    small, large = SyntheticFaces(size=64, count=16), SyntheticFaces(size=256, count=16)
    for index in range(16):
        reduced = cv2.resize(large[index]["clean"], (64, 64), interpolation=cv2.INTER_AREA)
        seen = small[index]["clean"]
        assert np.corrcoef(reduced.ravel(), seen.ravel())[0, 1] > 0.97
        assert np.abs(reduced.astype(float) - seen).mean() < 8


def test_people_differ() -> None:
    faces = SyntheticFaces(size=64, count=24)
    pictures = [faces[index]["clean"].astype(float) for index in range(24)]
    distances = [np.abs(one - other).mean() for one, other in combinations(pictures, 2)]
    assert np.mean(distances) > 40
    assert np.min(distances) > 15


def test_a_population_covers_skin_age_and_hair() -> None:
    people = [SyntheticFaces(count=400).identity(index) for index in range(400)]
    brightness = [np.mean(person.skin) for person in people]
    assert np.quantile(brightness, 0.1) < 0.35
    assert np.quantile(brightness, 0.9) > 0.75
    assert len({person.hair_style for person in people}) >= 14
    assert {person.beard for person in people} >= {"none", "stubble", "moustache", "goatee", "full"}
    assert 0.35 < np.mean([person.masculinity > 0.5 for person in people]) < 0.65
    assert 0.1 < np.mean([person.glasses != "none" for person in people]) < 0.5


STYLES = [
    *(("hair_style", style) for style in HAIR_STYLES),
    *(("beard", style) for style in BEARDS),
    *(("glasses", style) for style in GLASSES),
    *(("background", kind) for kind in BACKGROUNDS),
    *(("garment", kind) for kind in GARMENTS),
    *(("hat", kind) for kind in HATS),
]


@pytest.mark.parametrize(("field", "value"), STYLES)
@pytest.mark.parametrize("turn", [-1, 1])
def test_every_style_is_drawn_at_the_widest_turn(field: str, value: str, turn: int) -> None:
    """No invalid number anywhere, which would show as black, and no blank picture."""
    faces = SyntheticFaces(size=48, count=2)
    who, how = faces.identity(1), faces.appearance(1)
    how = attrs.evolve(how, yaw_deg=17.0 * turn, pitch_deg=8.0 * turn, roll_deg=6.0 * turn)
    if hasattr(who, field):
        who = attrs.evolve(who, masculinity=0.9, **{field: value})
    else:
        how = attrs.evolve(how, **{field: value})
    with np.errstate(divide="raise", invalid="raise"):
        picture = draw_face(who, how, 48)
    grey = picture.mean(-1)
    assert grey.std() > 15
    assert (grey < 3).mean() < 0.2


def test_detail_for_a_network_to_restore() -> None:
    faces = SyntheticFaces(size=128, count=12)
    for index in range(12):
        picture = faces[index]["clean"].astype(np.float32)
        assert np.abs(picture - cv2.GaussianBlur(picture, (0, 0), 2)).mean() > 3


def test_an_identity_is_drawn_again_in_other_circumstances() -> None:
    faces = SyntheticFaces(size=64, count=20, identities=4)
    groups = faces.groups()
    assert groups is not None
    assert groups.dtype == np.int64
    assert groups.tolist() == [index % 4 for index in range(20)]
    assert faces.identity(1) == faces.identity(5) != faces.identity(2)
    assert faces.appearance(1) != faces.appearance(5)
    assert not np.array_equal(faces[1]["clean"], faces[5]["clean"])


def test_one_person_in_one_light_looks_more_alike_than_two() -> None:
    faces = SyntheticFaces(size=64, count=12)
    setting = faces.appearance(0)
    other = attrs.evolve(setting, smile=0.9, teeth=0.8, brow_raise=0.6, yaw_deg=setting.yaw_deg + 4)
    for index in range(0, 12, 2):
        here = draw_face(faces.identity(index), setting, 64).astype(float)
        again = draw_face(faces.identity(index), other, 64).astype(float)
        stranger = draw_face(faces.identity(index + 1), setting, 64).astype(float)
        assert np.abs(here - again).mean() < np.abs(here - stranger).mean()


def test_nobody_twice_has_no_groups_and_no_split() -> None:
    faces = SyntheticFaces(count=3)
    assert faces.groups() is None
    assert faces.splits() == {}


def test_frontal_eyes_lie_where_alignment_puts_them() -> None:
    """Iris and pupil are much darker than the cheek below, at the place FFHQ's alignment gives."""
    faces = SyntheticFaces(size=128, count=16)
    darkness = []
    for index in range(16):
        grey = _facing(faces, index).mean(-1)
        for x, y in EYES * 128:
            eye = grey[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4]
            cheek = grey[round(y + 16) : round(y + 20), round(x) - 4 : round(x) + 5]
            darkness.append(eye.min() / cheek.mean())
            assert np.ptp(eye) > 2 * np.ptp(cheek), index
    # Behind glasses and in dark skin the contrast is less than in the usual face.
    assert max(darkness) < 0.9
    assert np.median(darkness) < 0.5


def test_pose_moves_the_features() -> None:
    faces = SyntheticFaces(size=96, count=1)
    still = attrs.evolve(faces.appearance(0), yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0)
    straight = draw_face(faces.identity(0), still, 96).astype(float)
    turned = draw_face(faces.identity(0), attrs.evolve(still, yaw_deg=15.0), 96).astype(float)
    middle = np.s_[40:75, 30:66]
    assert np.abs(straight[middle] - turned[middle]).mean() > 6


def test_a_face_detector_finds_the_faces() -> None:
    from facenet_pytorch import MTCNN

    detector = MTCNN(min_face_size=100, device="cpu")
    faces = SyntheticFaces(size=256, count=24)
    found, errors = 0, []
    for index in range(24):
        picture = _facing(faces, index)
        _, score, points = detector.detect(picture, landmarks=True)
        if points is not None and score[0] > 0.95:
            found += 1
            errors.append(np.abs(points[0][:2] / 256 - EYES).max())
    assert found >= 20
    assert np.median(errors) < 0.03


def test_fingerprint_changes_with_every_option() -> None:
    faces = SyntheticFaces()
    assert faces.fingerprint() == SyntheticFaces().fingerprint()
    changed = [
        attrs.evolve(faces, size=64),
        attrs.evolve(faces, count=7),
        attrs.evolve(faces, identities=9),
        attrs.evolve(faces, seed=1),
    ]
    prints = {data.fingerprint() for data in (faces, *changed)}
    assert len(prints) == 5


def test_fingerprint_changes_with_the_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = SyntheticFaces().fingerprint()
    monkeypatch.setattr("frx.datasets.synthetic_faces.DRAWING_VERSION", 999)
    assert SyntheticFaces().fingerprint() != before


def test_names_are_unique_and_sorted() -> None:
    faces = SyntheticFaces(count=1200)
    names = [faces.name(index) for index in range(len(faces))]
    assert names[123] == "face-000123"
    assert names == sorted(set(names))


@pytest.mark.parametrize("index", [-1, 5])
def test_a_number_out_of_range_is_an_index_error(index: int) -> None:
    faces = SyntheticFaces(count=5)
    with pytest.raises(IndexError, match="5 faces"):
        faces[index]
    with pytest.raises(IndexError, match="5 faces"):
        faces.name(index)


def test_drawing_leaves_torch_unimported() -> None:
    program = (
        "import sys\n"
        "from frx.datasets.synthetic_faces import SyntheticFaces\n"
        "SyntheticFaces(size=16, count=1)[0]\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
