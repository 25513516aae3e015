import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from frx.edges import edges
from frx_losses.sobel import sobel


def pictures(size=(32, 41), batch=3):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, batch, 3, *size, generator=generator)


def opencv(image):
    """Magnitudes [H, W, 3] of a picture [3, H, W], in float64."""
    planes = np.ascontiguousarray(image.permute(1, 2, 0).double().numpy())
    gx, gy = (
        cv2.Sobel(planes, cv2.CV_64F, *order, ksize=3, borderType=cv2.BORDER_REPLICATE)
        for order in ((1, 0), (0, 1))
    )
    return np.sqrt(gx**2 + gy**2 + 1e-8)


def test_is_opencvs_sobel_up_to_the_border():
    restored, clean = pictures()
    expected = [
        np.abs(opencv(one) - opencv(other)) for one, other in zip(restored, clean, strict=True)
    ]
    for picture, magnitude in zip(restored, edges(restored), strict=True):
        found = magnitude.permute(1, 2, 0).numpy()
        np.testing.assert_allclose(found, opencv(picture), rtol=0, atol=2e-6)
    assert sobel(restored, clean).item() == pytest.approx(np.mean(expected), abs=1e-6)


def test_has_the_gradient_of_the_definition():
    restored, clean = (picture.double() for picture in pictures((9, 8), batch=1))
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=torch.float64)
    kernels = torch.stack([across, across.T])[:, None]

    def magnitude(image):
        planes = F.pad(image, (1, 1, 1, 1), mode="replicate").reshape(3, 1, 11, 10)
        return (F.conv2d(planes, kernels).square().sum(dim=1) + 1e-8).sqrt()

    expected, found = (restored.clone().requires_grad_() for _ in range(2))
    (magnitude(expected) - magnitude(clean)).abs().mean().backward()
    sobel(found, clean).backward()
    torch.testing.assert_close(found.grad, expected.grad, rtol=1e-4, atol=1e-7)


def test_a_step_from_black_to_white_has_4_on_both_sides():
    flat, step = torch.zeros(1, 3, 8, 10), torch.zeros(1, 3, 8, 10)
    step[..., 5:] = 1
    magnitudes = edges(step)[0, 0, 0].tolist()
    assert magnitudes == pytest.approx([0, 0, 0, 0, 4, 4, 0, 0, 0, 0], abs=1.1e-4)
    assert sobel(step, flat).item() == pytest.approx(0.2 * 4, abs=1e-4)


def test_a_pictures_share_does_not_depend_on_the_others_edges():
    restored, clean = pictures(batch=2)
    together, gradients = [], []
    for contrast in (0.1, 1.0):  # of the second picture, where the reference took its maximum
        first = restored.clone().requires_grad_()
        scale = torch.tensor([1, contrast]).view(2, 1, 1, 1)
        loss = sobel(first * scale, clean * scale)
        (gradient,) = torch.autograd.grad(loss, first)
        alone = sobel(restored[1:] * contrast, clean[1:] * contrast).item()
        together.append(2 * loss.item() - alone)
        gradients.append(gradient[0])
    assert together == pytest.approx([sobel(restored[:1], clean[:1]).item()] * 2, rel=1e-4)
    assert torch.equal(*gradients)


def test_a_flat_picture_has_a_finite_gradient():
    flat = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    loss = sobel(flat, pictures((8, 8), batch=1)[0])
    loss.backward()
    assert loss.item() > 0.1
    assert flat.grad.isfinite().all()


def test_is_zero_at_equality_and_does_not_see_brightness():
    _, clean = pictures()
    assert sobel(clean, clean).item() == 0
    assert sobel(clean * 0.5 + 0.5, clean * 0.5).item() == pytest.approx(0, abs=1e-6)
