"""What a network will take of the memory, before it takes it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from frx.precision import Precision
from frx.restoring.footprint import HELD_BACK, HELD_BACK_BYTES, peak_bytes
from frx_models.dual_decoder_unet import DualDecoderUNet
from frx_models.hifacegan import HiFaceGAN
from frx_models.inpaint_unet import InpaintUNet
from frx_models.pix2pix_unet import Pix2PixUNet
from frx_models.unet import UNet

CPU = torch.device("cpu")


def placed(module: nn.Module) -> nn.Module:
    return Precision(CPU, bf16=False).place(module).eval()


def alive(module: nn.Module, side: int, *, bf16: bool = False, with_mask: bool = False) -> float:
    """The estimate without what is added for allocators."""
    found = peak_bytes(placed(module), (side, side), with_mask=with_mask, bf16=bf16)
    assert found is not None
    return (found - HELD_BACK_BYTES) / HELD_BACK


class Chain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 3, 1))

    def forward(self, degraded: Tensor) -> Tensor:
        return self.layers(degraded)


class Nothing(nn.Module):
    """Large, and does nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4000, 4000)

    def forward(self, degraded: Tensor) -> Tensor:
        return degraded


class Attends(nn.Module):
    """Each place looks at all places, the scores written out."""

    def forward(self, degraded: Tensor) -> Tensor:
        places = degraded.flatten(2)
        attended = places @ (places.transpose(1, 2) @ places).softmax(-1)
        return attended.view_as(degraded)


class AttendsInOne(nn.Module):
    """The same by the function of torch, which holds scores only if sizes differ."""

    def __init__(self, value_channels: int) -> None:
        super().__init__()
        self.value_channels = value_channels

    def forward(self, degraded: Tensor) -> Tensor:
        places = degraded.flatten(2).transpose(1, 2).unsqueeze(1)
        values = places[..., : self.value_channels]
        made = nn.functional.scaled_dot_product_attention(places, places, values)
        return made.mean() + degraded


class AttendsWithHeads(nn.Module):
    def __init__(self, *, need_weights: bool) -> None:
        super().__init__()
        self.need_weights = need_weights
        self.inner = nn.MultiheadAttention(3, 3, batch_first=True)

    def forward(self, degraded: Tensor) -> Tensor:
        places = degraded.flatten(2).transpose(1, 2)
        made = self.inner(places, places, places, need_weights=self.need_weights)[0]
        return made.transpose(1, 2).view_as(degraded)


class LooksAtNumbers(nn.Module):
    def forward(self, degraded: Tensor) -> Tensor:
        return degraded if degraded.mean().item() > 0.5 else 1 - degraded


class Remembers(nn.Module):
    """Keeps what it has once made for a size, as networks with windows do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 3, padding=1)
        self.kept: Tensor | None = None

    def forward(self, degraded: Tensor) -> Tensor:
        if self.kept is None or self.kept.shape != degraded.shape[-2:]:
            self.kept = torch.zeros(degraded.shape[-2:], device=degraded.device)
        return self.layer(degraded) + self.kept


def test_what_is_alive_at_the_same_time_is_added_up() -> None:
    of_a_channel = 256 * 256 * 4
    # Both sides of the ReLU; what a convolution does with its weights is some hundred bytes more.
    assert alive(Chain(), 256) == pytest.approx(2 * 16 * of_a_channel, rel=1e-3)


def test_weights_and_the_picture_itself_do_not_count() -> None:
    assert alive(Nothing(), 64) == 0


@pytest.mark.parametrize("width", [8, 16])
def test_of_convolutions_it_grows_as_the_picture(width: int) -> None:
    small, large = (alive(UNet(width=width), side) for side in (256, 1024))
    assert large / small == pytest.approx(16, rel=0.01)


def test_of_attention_it_grows_with_the_square_of_the_pixels() -> None:
    assert alive(Attends(), 128) / alive(Attends(), 64) == pytest.approx(16, rel=0.01)
    assert alive(Attends(), 64) == pytest.approx(2 * 4 * 64**4, rel=0.01)
    assert alive(AttendsInOne(value_channels=2), 64) == pytest.approx(2 * 4 * 64**4, rel=0.01)
    assert alive(AttendsInOne(value_channels=3), 64) < 4 * 64**4 / 100
    assert alive(AttendsWithHeads(need_weights=True), 64) > 3 * 4 * 64**4
    assert alive(AttendsWithHeads(need_weights=False), 64) < 4 * 64**4 / 100


@pytest.mark.parametrize(
    "module",
    [
        DualDecoderUNet(width=8),
        HiFaceGAN(width=8),
        InpaintUNet(width=8),
        Pix2PixUNet(),
        UNet(),
    ],
    ids=lambda module: type(module).__name__,
)
def test_each_network_has_an_estimate_for_each_size_and_precision(module: nn.Module) -> None:
    module = placed(module)
    sizes = [(64, 64), (1001, 333), (1001, 1333), (4000, 6000)]
    for bf16 in (False, True):
        found = [peak_bytes(module, size, with_mask=True, bf16=bf16) for size in sizes]
        assert None not in found
        assert found == sorted(found)
        assert HELD_BACK_BYTES < found[0] < found[-1]


def test_half_as_many_bits_take_about_half() -> None:
    assert alive(UNet(), 512, bf16=True) == pytest.approx(alive(UNet(), 512) / 2, rel=0.05)


def test_a_network_that_decides_by_numbers_has_none() -> None:
    assert peak_bytes(LooksAtNumbers(), (64, 64), with_mask=False, bf16=False) is None
    assert peak_bytes(LooksAtNumbers(), (64, 64), with_mask=False, bf16=True) is None


def test_the_network_stays_as_it_was() -> None:
    module = Remembers().train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    assert peak_bytes(module, (32, 32), with_mask=False, bf16=False) is not None
    assert module.kept is None
    assert module.training
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)
    assert module(torch.rand(1, 3, 32, 32)).device == CPU


MEASURED = """\
import threading, psutil, torch
from frx.precision import Precision
from frx.restoring.footprint import peak_bytes
from frx_models.unet import UNet

torch.set_num_threads(1)
precision = Precision(torch.device("cpu"), bf16=False)
module = precision.place(UNet()).eval()
estimate = peak_bytes(module, (640, 480), with_mask=False, bf16=False)
batch = {"degraded": torch.rand(1, 640, 480, 3).permute(0, 3, 1, 2)}
process, seen, done = psutil.Process(), [], threading.Event()

def watch():
    while not done.wait(0.001):
        seen.append(process.memory_info().rss)

with torch.no_grad():
    precision.forward(module, {"degraded": batch["degraded"][..., :32, :32]})
    before = process.memory_info().rss
    watching = threading.Thread(target=watch)
    watching.start()
    precision.forward(module, batch)
done.set()
watching.join()
print(estimate / (max(seen) - before))
"""


def test_the_estimate_is_near_to_what_a_process_takes() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, check=True)
    assert 0.7 < float(done.stdout) < 1.7
