import numpy as np
import pytest
import torch

from frx.augmentations.color_jitter import ColorJitter
from frx.augmentations.horizontal_flip import HorizontalFlip
from frx.augmentations.random_crop import RandomCrop
from frx.augmentations.rotation import Rotation

ALL = [
    HorizontalFlip(probability=1.0),
    Rotation(degrees=30.0),
    ColorJitter(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1),
    RandomCrop(share=0.55),
]


@pytest.fixture
def sample():
    """A smooth picture, twice, with the mask of its bright part."""
    rows, columns = np.mgrid[:40, :48]
    waves = [np.sin(rows / 5 + c) * np.cos(columns / 6 - c) for c in range(3)]
    image = np.rint(127.5 + 90 * np.stack(waves, axis=2)).astype(np.uint8)
    mask = np.where(image[..., 0] > 140, 255, 0).astype(np.uint8)
    return {"clean": image, "degraded": image.copy(), "mask": mask}


@pytest.mark.parametrize("augmentation", ALL, ids=lambda a: type(a).__name__)
class TestEveryAugmentation:
    def test_changes_all_pictures_alike_and_leaves_its_input(self, augmentation, sample):
        before = {name: picture.copy() for name, picture in sample.items()}
        result = augmentation(sample, np.random.default_rng(3))
        assert list(result) == list(sample)
        np.testing.assert_array_equal(result["clean"], result["degraded"])
        assert result["mask"].shape == result["clean"].shape[:2]
        assert set(np.unique(result["mask"])) <= {0, 255}
        for name, picture in result.items():
            assert picture.dtype == np.uint8
            np.testing.assert_array_equal(sample[name], before[name])
        assert not np.array_equal(result["clean"], sample["clean"])

    def test_is_decided_by_its_generator(self, augmentation, sample):
        once, again = (augmentation(sample, np.random.default_rng(5)) for _ in range(2))
        for name in sample:
            np.testing.assert_array_equal(once[name], again[name])

    def test_does_the_same_to_a_sample_with_fewer_pictures(self, augmentation, sample):
        whole = augmentation(sample, np.random.default_rng(5))
        alone = augmentation({"clean": sample["clean"]}, np.random.default_rng(5))
        np.testing.assert_array_equal(whole["clean"], alone["clean"])

    def test_takes_views(self, augmentation, sample):
        views = {name: picture[::-1, ::-1] for name, picture in sample.items()}
        copies = {name: picture.copy() for name, picture in views.items()}
        of_views = augmentation(views, np.random.default_rng(5))
        of_copies = augmentation(copies, np.random.default_rng(5))
        for name in sample:
            np.testing.assert_array_equal(of_views[name], of_copies[name])


def test_flip_mirrors_every_picture(sample):
    result = HorizontalFlip(probability=1.0)(sample, np.random.default_rng(0))
    for name, picture in sample.items():
        np.testing.assert_array_equal(result[name], picture[:, ::-1])


def test_flip_takes_its_share(sample):
    flipped = sum(
        not np.array_equal(HorizontalFlip()(sample, rng)["clean"], sample["clean"])
        for rng in (np.random.default_rng(s) for s in range(400))
    )
    assert 90 < flipped < 150


def test_rotation_keeps_a_disc_and_turns_a_line():
    rows, columns = np.mgrid[-20:21, -20:21]
    disc = np.where(rows**2 + columns**2 < 150, 200, 50).astype(np.uint8)
    line = np.where((rows == 0) & (columns > 0), 255, 0).astype(np.uint8)
    pictures = {"clean": np.repeat(disc[..., None], 3, axis=2), "mask": line}
    angles = []
    for seed in range(60):
        turned = Rotation(degrees=30.0)(pictures, np.random.default_rng(seed))
        difference = np.abs(turned["clean"].astype(int) - pictures["clean"])
        assert difference[rows**2 + columns**2 < 100].max() == 0
        lit = turned["mask"] > 0
        angles.append(np.degrees(np.arctan2(-rows[lit].mean(), columns[lit].mean())))
    assert -31 < min(angles) < -22
    assert 22 < max(angles) < 31


def test_rotation_by_nothing_changes_nothing(sample):
    result = Rotation(degrees=0.0)(sample, np.random.default_rng(0))
    for name, picture in sample.items():
        np.testing.assert_array_equal(result[name], picture)


def test_rotation_fills_corners_by_reflection():
    bright = {
        "clean": np.full((32, 32, 3), 180, np.uint8),
        "mask": np.full((32, 32), 255, np.uint8),
    }
    result = Rotation(degrees=45.0)(bright, np.random.default_rng(0))
    assert result["clean"].min() == 180
    assert result["mask"].min() == 255


@pytest.mark.parametrize("option", ["brightness", "contrast", "saturation", "hue"])
@pytest.mark.parametrize("seed", [0, 2, 3])
def test_each_colour_change_is_torchvisions(option, seed):
    functional = pytest.importorskip("torchvision.transforms.v2.functional")
    rng = np.random.default_rng(11)
    image = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    names = ("brightness", "contrast", "saturation", "hue")
    jitter = ColorJitter(**{name: 0.4 if name == option else 0 for name in names})
    result = jitter({"clean": image}, np.random.default_rng(seed))["clean"]
    draws = np.random.default_rng(seed)
    amounts = [draws.uniform(-r, r) for r in (jitter.brightness, jitter.contrast)]
    amounts += [draws.uniform(-r, r) for r in (jitter.saturation, jitter.hue)]
    amount = amounts[names.index(option)]
    change = getattr(functional, f"adjust_{option}")
    tensor = torch.from_numpy(image).permute(2, 0, 1).double() / 255
    expected = change(tensor, amount if option == "hue" else 1 + amount)
    reference = expected.permute(1, 2, 0).numpy() * 255
    assert np.abs(result - reference).max() <= 1
    assert np.abs(result.astype(int) - image).max() > 5


def test_no_colour_change_is_the_identity(sample):
    jitter = ColorJitter(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0)
    result = jitter(sample, np.random.default_rng(0))
    np.testing.assert_array_equal(result["clean"], sample["clean"])


def test_colour_change_is_one_function_of_colour_for_all_pictures(sample):
    sample["degraded"] = np.ascontiguousarray(sample["clean"][:20, :24])
    jitter = ColorJitter(brightness=0.3, contrast=0.5, saturation=0.3, hue=0.1)
    result = jitter(sample, np.random.default_rng(1))
    np.testing.assert_array_equal(result["degraded"], result["clean"][:20, :24])
    np.testing.assert_array_equal(result["mask"], sample["mask"])


def test_brightness_does_not_go_below_black(sample):
    jitter = ColorJitter(brightness=3.0, contrast=0.0, saturation=0.0, hue=0.0)
    darkest = min(jitter(sample, np.random.default_rng(s))["clean"].mean() for s in range(20))
    assert darkest == 0


def test_crop_cuts_every_place_and_all_pictures_at_the_same_one():
    rows, columns = np.mgrid[:5, :6]
    image = np.stack([rows, columns, rows], axis=2).astype(np.uint8)
    mask = (10 * rows + columns).astype(np.uint8)
    places = set()
    for seed in range(200):
        cut = RandomCrop(share=0.6)({"clean": image, "mask": mask}, np.random.default_rng(seed))
        assert cut["clean"].shape == (3, 3, 3)
        top, left, _ = map(int, cut["clean"][0, 0])
        np.testing.assert_array_equal(cut["clean"], image[top : top + 3, left : left + 3])
        np.testing.assert_array_equal(cut["mask"], mask[top : top + 3, left : left + 3])
        places.add((top, left))
    assert places == {(top, left) for top in range(3) for left in range(4)}


def test_a_whole_share_leaves_a_square_picture_as_it_is():
    square = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    cut = RandomCrop(share=1.0)({"clean": square}, np.random.default_rng(1))["clean"]
    np.testing.assert_array_equal(cut, square)


def test_crop_refuses_pictures_of_different_sizes():
    pictures = {"clean": np.zeros((8, 8, 3), np.uint8), "degraded": np.zeros((4, 6, 3), np.uint8)}
    with pytest.raises(ValueError, match="clean 8 × 8, degraded 6 × 4"):
        RandomCrop(share=0.5)(pictures, np.random.default_rng(0))
