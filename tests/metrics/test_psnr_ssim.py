import math

import pytest
import torch
from torch.nn import functional as F

from frx.ssim import gaussian_window, ssim_map
from frx_metrics.psnr import PSNR
from frx_metrics.ssim import SSIM


def noisy(size, seed=0, batch=2):
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(batch, 3, *size, generator=generator)
    error = 0.1 * torch.randn(clean.shape, generator=generator)
    return (clean + error).clamp(0, 1), clean


def smooth(size, seed=0, batch=2):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, 3, 4, 4, generator=generator)
    clean = F.interpolate(coarse, size=size, mode="bicubic", align_corners=True).clamp(0, 1)
    return F.avg_pool2d(clean, 5, stride=1, padding=2), clean


def face_like(size, seed=0, batch=2):
    """Smooth areas, sharp edges, flat black and white, a little texture."""
    _, clean = smooth(size, seed, batch)
    clean[..., : size[0] // 3, :] = 0
    clean[..., -(size[1] // 4) :] = 1
    clean = clean + 0.02 * torch.randn(
        clean.shape, generator=torch.Generator().manual_seed(seed + 1)
    )
    clean = clean.clamp(0, 1).mul(255).round().div(255)
    return F.avg_pool2d(clean, 3, stride=1, padding=1).mul(255).round().div(255), clean


def brute_force_ssim(restored, clean):
    """The definition, window by window, in float64."""
    offset = torch.arange(11, dtype=torch.float64) - 5
    line = torch.exp(-(offset**2) / (2 * 1.5**2))
    window = torch.outer(line, line) / line.sum() ** 2

    def windows(image):
        padded = F.pad(image.double(), (5, 5, 5, 5), mode="reflect")
        return padded.unfold(2, 11, 1).unfold(3, 11, 1)

    x, y = windows(restored), windows(clean)
    mean_x, mean_y = (x * window).sum((-1, -2)), (y * window).sum((-1, -2))
    deviation_x, deviation_y = x - mean_x[..., None, None], y - mean_y[..., None, None]
    variance = ((deviation_x**2 + deviation_y**2) * window).sum((-1, -2))
    covariance = (deviation_x * deviation_y * window).sum((-1, -2))
    luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
    return luminance * (2 * covariance + 9e-4) / (variance + 9e-4)


@pytest.mark.parametrize("make", [noisy, smooth, face_like])
@pytest.mark.parametrize("size", [(11, 11), (32, 48), (65, 40), (128, 128)])
def test_ssim_is_torchmetrics(make, size):
    reference = pytest.importorskip("torchmetrics.functional.image")
    restored, clean = make(size)
    # In float64, for in flat white areas its float32 result is itself off by 3e-5.
    expected = reference.structural_similarity_index_measure(
        restored.double(), clean.double(), data_range=1.0, reduction="none"
    )
    torch.testing.assert_close(SSIM()(restored, clean).double(), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("make", [noisy, smooth, face_like])
def test_ssim_map_is_its_definition(make):
    restored, clean = make((24, 31))
    expected = brute_force_ssim(restored, clean)
    torch.testing.assert_close(ssim_map(restored, clean).double(), expected, rtol=0, atol=2e-4)
    torch.testing.assert_close(
        ssim_map(restored, clean).double().mean(), expected.mean(), rtol=0, atol=1e-5
    )


def test_ssim_of_identical_images_is_exactly_one():
    _, clean = face_like((32, 32))
    assert torch.equal(SSIM()(clean, clean), torch.ones(2))


def test_ssim_of_flat_images_is_the_luminance_term():
    dark, bright = torch.full((1, 3, 16, 16), 0.25), torch.full((1, 3, 16, 16), 0.75)
    expected = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert SSIM()(dark, bright).item() == pytest.approx(expected, abs=1e-5)


def test_ssim_keeps_float32_under_autocast():
    restored, clean = noisy((32, 32))
    with torch.autocast("cpu", torch.bfloat16):
        under_autocast = ssim_map(restored, clean)
    assert under_autocast.dtype == torch.float32
    assert torch.equal(under_autocast, ssim_map(restored, clean))
    assert ssim_map(restored.bfloat16(), clean).dtype == torch.float32


def test_ssim_does_not_depend_on_memory_format():
    restored, clean = noisy((32, 40))
    last = [t.contiguous(memory_format=torch.channels_last) for t in (restored, clean)]
    torch.testing.assert_close(ssim_map(*last), ssim_map(restored, clean), rtol=0, atol=1e-6)


def test_window_sums_to_one_and_is_symmetric():
    window = gaussian_window(11, 1.5)
    assert window.sum().item() == pytest.approx(1, abs=1e-6)
    assert torch.equal(window, window.flip(0))
    assert (window[5] / window[4]).item() == pytest.approx(math.exp(1 / (2 * 1.5**2)), abs=1e-5)


@pytest.mark.parametrize("size", [(10, 32), (32, 10)])
def test_ssim_of_an_image_below_the_window_says_so(size):
    image = torch.zeros(1, 3, *size)
    with pytest.raises(ValueError, match=f"11 × 11 .* {size[1]} × {size[0]}"):
        SSIM()(image, image)


def test_psnr_is_ten_log_ten_of_each_images_own_error():
    clean = torch.full((3, 3, 8, 8), 0.5)
    restored = clean + torch.tensor([0.1, 0.01, 0.2]).view(3, 1, 1, 1)
    expected = torch.tensor([20.0, 40.0, -20 * math.log10(0.2)])
    torch.testing.assert_close(PSNR()(restored, clean), expected, rtol=0, atol=1e-3)


def test_mean_psnr_is_not_the_psnr_of_the_pooled_error():
    clean = torch.full((2, 3, 8, 8), 0.5)
    restored = clean + torch.tensor([0.1, 0.01]).view(2, 1, 1, 1)
    pooled = -10 * math.log10((0.1**2 + 0.01**2) / 2)
    assert PSNR()(restored, clean).mean().item() == pytest.approx(30, abs=1e-3)
    assert pooled == pytest.approx(22.97, abs=0.01)


def test_psnr_is_torchmetrics():
    reference = pytest.importorskip("torchmetrics.functional.image")
    restored, clean = noisy((40, 33), batch=3)
    expected = [
        reference.peak_signal_noise_ratio(restored[i], clean[i], data_range=1.0) for i in range(3)
    ]
    torch.testing.assert_close(PSNR()(restored, clean), torch.stack(expected), rtol=0, atol=1e-4)


def test_psnr_of_identical_images_is_capped():
    _, clean = noisy((16, 16))
    assert torch.equal(PSNR()(clean, clean), torch.full((2,), 100.0))
    assert "at most 100 dB" in PSNR().protocol


@pytest.mark.parametrize("metric", [PSNR(), SSIM()], ids=["psnr", "ssim"])
class TestBoth:
    def test_whole_region_is_the_whole_image(self, metric):
        restored, clean = noisy((24, 24))
        whole = metric(restored, clean, torch.ones(2, 1, 24, 24))
        torch.testing.assert_close(whole, metric(restored, clean), rtol=1e-5, atol=1e-6)

    def test_only_the_region_counts(self, metric):
        """Damage far from the region, by more than the window, does not reach its score."""
        restored, clean = noisy((40, 40), batch=1)
        restored[..., 20:] = clean[..., 20:]
        region = torch.zeros(1, 1, 40, 40)
        region[..., 26:] = 1
        perfect = {PSNR: 100.0, SSIM: 1.0}[type(metric)]
        assert metric(restored, clean, region).item() == pytest.approx(perfect, abs=1e-6)
        assert metric(restored, clean, 1 - region).item() < metric(restored, clean).item()

    def test_an_empty_region_is_not_a_number_and_spares_the_others(self, metric):
        restored, clean = noisy((24, 24))
        region = torch.ones(2, 1, 24, 24)
        region[1] = 0
        score = metric(restored, clean, region)
        assert score[0].isfinite()
        assert score[1].isnan()

    def test_does_not_depend_on_the_batch(self, metric):
        restored, clean = face_like((24, 30), batch=3)
        together = metric(restored, clean)
        alone = torch.cat([metric(restored[i : i + 1], clean[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)

    def test_orders_clean_slightly_bad_very_bad(self, metric):
        _, clean = face_like((32, 32), batch=1)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
        scores = [metric(clean + s * noise, clean).item() for s in (0, 0.02, 0.3)]
        assert metric.higher_is_better
        assert scores == sorted(set(scores), reverse=True)

    def test_takes_bfloat16_and_answers_in_float32(self, metric):
        restored, clean = noisy((24, 24))
        score = metric(restored.bfloat16(), clean)
        assert score.dtype == torch.float32
        torch.testing.assert_close(score, metric(restored, clean), rtol=0.01, atol=0.01)
