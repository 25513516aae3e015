import io

import numpy as np
import pytest
from PIL import Image

from frx.datasets.synthetic_faces import SyntheticFaces
from frx_degradations.jpeg import Jpeg


@pytest.fixture(scope="module")
def face():
    return SyntheticFaces(count=1, size=128)[0]["clean"]


def psnr(image, other):
    return 10 * np.log10(255**2 / max(1e-9, np.mean((image.astype(float) - other) ** 2)))


@pytest.mark.parametrize("quality", [17, 51, 85])
def test_it_is_what_pillow_writes_and_reads(face, quality):
    file = io.BytesIO()
    Image.fromarray(face).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    by_pillow = np.asarray(Image.open(file).convert("RGB"))
    ours = Jpeg(quality=(quality, quality))(face, np.random.default_rng(0))
    # Decoders differ in how they enlarge and round colour: far less than the losses.
    assert psnr(ours, by_pillow) > psnr(ours, face) + 6
    assert psnr(ours, face) == pytest.approx(psnr(by_pillow, face), abs=0.1)


def test_lower_quality_loses_more_and_colours_keep_their_order(face):
    scores = [
        psnr(Jpeg(quality=(q, q))(face, np.random.default_rng(0)), face) for q in (5, 20, 50, 95)
    ]
    assert scores == sorted(scores)
    red = np.full((32, 32, 3), (200, 30, 60), np.uint8)
    assert np.abs(Jpeg()(red, np.random.default_rng(0)).astype(int) - red).max() <= 4


def test_both_ends_of_the_range_are_drawn(face):
    each = {q: Jpeg(quality=(q, q))(face, np.random.default_rng(0)).tobytes() for q in (30, 31, 32)}
    drawn = {Jpeg(quality=(30, 32))(face, np.random.default_rng(s)).tobytes() for s in range(40)}
    assert drawn == set(each.values())


@pytest.mark.parametrize("quality", [(85, 50), (0, 50), (50, 101)])
def test_impossible_quality_is_refused(quality):
    with pytest.raises(ValueError, match="quality"):
        Jpeg(quality=quality)
