"""Pictures of any size through a network in tiles: the same, without a seam, in little memory."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from frx.errors import RecipeError, ResourceError
from frx.memory import free_bytes
from frx.model_folder import Restorer
from frx.precision import Precision
from frx.restoring import tiles
from frx.restoring.tiles import Plan, plan, spans, through
from frx_models.dual_decoder_unet import DualDecoderUNet
from frx_models.unet import UNet

CPU = torch.device("cpu")
MIB = 2**20


def restorer(module: nn.Module, *, bf16: bool = False, **more: Any) -> Restorer:
    precision = Precision(CPU, bf16)
    return Restorer(precision.place(module).eval(), precision, {}, **more)


def picture(height: int, width: int, channels: int = 3) -> Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(7))


class ThreeLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.layers = nn.Sequential(
                *(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh()),
                *(nn.Conv2d(8, 8, 5, padding=2), nn.Tanh()),
                nn.Conv2d(8, 3, 3, padding=1),
            )

    def forward(self, degraded: Tensor) -> Tensor:
        return self.layers(degraded)


class Enlarges(ThreeLayers):
    def forward(self, degraded: Tensor) -> Tensor:
        return F.interpolate(super().forward(degraded), scale_factor=4)


class FillsRed(nn.Module):
    def forward(self, degraded: Tensor, mask: Tensor) -> dict[str, Tensor]:
        red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand_as(degraded)
        return {"image": torch.where(mask > 0.5, red, degraded), "generated": red}


class Evens(nn.Module):
    """Gives each place the mean of all that it is shown: another value in each tile."""

    def forward(self, degraded: Tensor) -> Tensor:
        return degraded.mean(dim=(2, 3), keepdim=True).expand_as(degraded).clone()


class AlsoGivesLess(ThreeLayers):
    """Gives a first attempt at half the size beside its picture."""

    def forward(self, degraded: Tensor) -> dict[str, Tensor]:
        return {"image": super().forward(degraded), "first": F.avg_pool2d(degraded, 2)}


class TakesNoMoreThan(ThreeLayers):
    """Says that memory is out above a size, and minds what it was shown."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.shown: list[tuple[int, int]] = []
        self.held: list[weakref.ref[Any]] = []

    def forward(self, degraded: Tensor) -> Tensor:
        if self.held:
            assert self.held[-1]() is None, "what the failed attempt took is still taken"
        height, width = degraded.shape[-2:]
        self.shown.append((height, width))
        if max(height, width) > self.side:
            taken = torch.ones(MIB)
            self.held.append(weakref.ref(taken))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward(degraded)


class TakesTooMuch(nn.Module):
    """Wants more than any machine has, if it is shown more than a little."""

    def forward(self, degraded: Tensor) -> Tensor:
        return degraded + torch.empty(2**46 if degraded.shape[-1] > 150 else 1)[:1].zero_()


# The same as of the whole ------------------------------------------------------------------------

SIZES = [
    *((65, 64), (64, 65), (97, 31), (31, 300), (111, 113), (129, 128), (160, 160)),
    *((200, 333), (255, 257), (319, 64), (401, 123)),
]


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("tile_px", [64, 72, 96, 100, 128])
def test_what_looks_only_around_gives_the_same_as_of_the_whole(
    height: int, width: int, tile_px: int
) -> None:
    network, degraded = restorer(ThreeLayers()), picture(height, width)
    made = through(network, {"degraded": degraded}, tile_px=tile_px)["image"]
    whole = network({"degraded": degraded})["image"]
    assert whole.std() > 0.02
    torch.testing.assert_close(made, whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(201, 333), (256, 130), (299, 299)])
def test_a_network_that_halves_gives_the_same_too(height: int, width: int) -> None:
    network, degraded = restorer(UNet(width=4)), picture(height, width)
    made = through(network, {"degraded": degraded}, tile_px=128)["image"]
    torch.testing.assert_close(made, network({"degraded": degraded})["image"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(65, 70), (101, 150)])
def test_a_network_that_enlarges_gives_the_same_too(height: int, width: int) -> None:
    network, degraded = restorer(Enlarges(), scale=4), picture(height, width)
    made = through(network, {"degraded": degraded}, tile_px=64)["image"]
    assert made.shape == (1, 3, 4 * height, 4 * width)
    torch.testing.assert_close(made, network({"degraded": degraded})["image"], rtol=0, atol=1e-5)


def test_a_mask_comes_along_and_all_pictures_come_back() -> None:
    degraded, mask = picture(90, 200), (picture(90, 200, channels=1) > 0.9).float()
    made = through(restorer(FillsRed()), {"degraded": degraded, "mask": mask}, tile_px=64)
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    torch.testing.assert_close(made["image"], torch.where(mask > 0, red, degraded))
    torch.testing.assert_close(made["generated"], red.expand_as(degraded))


def test_tiles_in_which_nothing_is_to_fill_in_are_not_computed() -> None:
    class Counts(FillsRed):
        calls = 0

        def forward(self, degraded: Tensor, mask: Tensor) -> dict[str, Tensor]:
            self.calls += 1
            return super().forward(degraded, mask)

    network = Counts()
    degraded, mask = picture(300, 300), torch.zeros(1, 1, 300, 300)
    mask[..., 5:9, 7:9] = 1
    made = through(restorer(network), {"degraded": degraded, "mask": mask}, tile_px=96)
    assert network.calls == 1
    torch.testing.assert_close(
        made["image"][mask.expand_as(degraded) == 0], degraded[mask.expand_as(degraded) == 0]
    )
    assert (made["image"][..., 5:9, 7:9].flatten(2).std(dim=2) == 0).all()


def test_who_finds_the_damage_is_composited_once_on_the_whole() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = restorer(DualDecoderUNet(width=4, levels=2), mask_threshold=0.05)
    degraded = picture(150, 201)
    made = through(network, {"degraded": degraded}, tile_px=96)
    assert set(made) == {"image", "generated", "found", "mask"}
    assert torch.equal(made["found"], (made["mask"].sigmoid() >= 0.05).float())
    assert 0.1 < made["found"].mean() < 0.9
    image = torch.where(made["found"] > 0, made["generated"], degraded)
    assert torch.equal(made["image"], image)


def test_what_is_of_another_size_is_left_out() -> None:
    degraded = picture(90, 120)
    made = through(restorer(AlsoGivesLess()), {"degraded": degraded}, tile_px=64)
    whole = restorer(ThreeLayers())({"degraded": degraded})["image"]
    torch.testing.assert_close(made["image"], whole, rtol=0, atol=1e-5)
    assert "first" not in made


def test_in_half_the_bits_pictures_come_back_in_all_of_them() -> None:
    network = restorer(ThreeLayers(), bf16=True)
    made = through(network, {"degraded": picture(100, 130)}, tile_px=64)["image"]
    assert made.dtype == torch.float32
    whole = network({"degraded": picture(100, 130)})["image"]
    torch.testing.assert_close(made, whole, rtol=0, atol=0.02)


def test_nothing_is_kept_for_a_way_back() -> None:
    assert not through(restorer(ThreeLayers()), {"degraded": picture(80, 80)}, tile_px=64)[
        "image"
    ].requires_grad


# No seam -----------------------------------------------------------------------------------------


def test_where_tiles_differ_one_goes_over_into_the_next() -> None:
    bright = torch.linspace(0, 1, 800).expand(1, 3, 80, 800)
    row = through(restorer(Evens()), {"degraded": bright}, tile_px=256)["image"][0, 0, 40]
    steps = row.diff()
    differences = len(spans(800, 256)) - 1
    assert row[0] < 0.2 < 0.8 < row[-1]
    assert steps.min() > -1e-6
    # a seam would be one step of a whole difference
    assert steps.max() < 0.15 * (row[-1] - row[0]) / differences


def test_where_only_one_tile_reaches_its_values_are_used_exactly() -> None:
    degraded = picture(64, 300)
    first, second = spans(300, 192)[:2]
    made = through(restorer(ThreeLayers()), {"degraded": degraded}, tile_px=192)["image"]
    alone = restorer(ThreeLayers())({"degraded": degraded[..., first.of()].clone()})["image"]
    assert second.start > 90
    assert torch.equal(made[..., : second.start], alone[..., : second.start])


@pytest.mark.parametrize("scale", [1, 3])
@pytest.mark.parametrize("tile_px", [64, 100, 256, 1000])
def test_tiles_cover_a_side_and_count_for_one_everywhere(tile_px: int, scale: int) -> None:
    for side in (1, 63, 64, 65, 99, 257, 640, 1001, 2500):
        found = spans(side, tile_px, scale)
        counts = torch.zeros(side * scale)
        for span in found:
            assert span.start % 16 == 0
            assert span.weights.min() >= 0
            counts[span.of(scale)] += span.weights
        assert (found[0].start, found[-1].stop) == (0, side)
        assert {span.stop - span.start for span in found[:-1]} <= {tile_px}
        assert found[-1].stop - found[-1].start > tile_px - 16 or len(found) == 1
        torch.testing.assert_close(counts, torch.ones_like(counts), rtol=0, atol=1e-6)


# Out of memory -----------------------------------------------------------------------------------


def test_tiles_are_halved_until_they_fit(capsys: pytest.CaptureFixture[str]) -> None:
    network = restorer(TakesNoMoreThan(100))
    degraded = picture(210, 300)
    made = through(network, {"degraded": degraded}, name="old.jpg")["image"]
    whole = restorer(ThreeLayers())({"degraded": degraded})["image"]
    torch.testing.assert_close(made, whole, rtol=0, atol=1e-5)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "old.jpg: out of memory; tiles halved to 150 px",
        "old.jpg: out of memory; tiles halved to 75 px",
    ]
    assert network.module.shown[:2] == [(210, 300), (150, 150)]
    assert max(map(max, network.module.shown[2:])) == 75


def test_a_given_tile_is_used_as_it_is_and_halved_if_it_must(
    capsys: pytest.CaptureFixture[str],
) -> None:
    network = restorer(TakesNoMoreThan(200))
    through(network, {"degraded": picture(300, 400)}, tile_px=192)
    assert {max(size) for size in network.module.shown} == {192}
    assert not capsys.readouterr().err
    network = restorer(TakesNoMoreThan(150))
    through(network, {"degraded": picture(300, 400)}, tile_px=192)
    assert {max(size) for size in network.module.shown[1:]} == {96}
    assert "the picture: out of memory; tiles halved to 96 px" in capsys.readouterr().err


def test_memory_that_runs_out_in_earnest_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    degraded = picture(200, 200)
    made = through(restorer(TakesTooMuch()), {"degraded": degraded}, tile_px=256)["image"]
    torch.testing.assert_close(made, degraded)
    assert "tiles halved to 100 px" in capsys.readouterr().err


def test_where_small_tiles_do_not_help_either_the_picture_is_named() -> None:
    network = restorer(TakesNoMoreThan(20))
    with pytest.raises(ResourceError, match=r"old\.jpg: out of memory at 400×300, .* --device"):
        through(network, {"degraded": picture(300, 400)}, name="old.jpg")
    assert min(min(size) for size in network.module.shown) >= 64


def test_a_network_of_one_size_gets_no_tiles() -> None:
    network = restorer(TakesNoMoreThan(100), size=128, fixed_size=True)
    assert plan(network, 128, 128).tile_px is None
    with pytest.raises(ResourceError, match="128×128"):
        through(network, {"degraded": picture(128, 128)})
    assert len(network.module.shown) == 1


def test_other_mistakes_come_through() -> None:
    class Wrong(nn.Module):
        def forward(self, degraded: Tensor) -> Tensor:
            return degraded @ torch.ones(3)

    with pytest.raises(RuntimeError, match="size"):
        through(restorer(Wrong()), {"degraded": picture(80, 80)}, tile_px=64)


def test_a_tile_has_to_be_large_enough_to_overlap() -> None:
    with pytest.raises(RecipeError, match="tiles of 40 px are too small: at least 64"):
        through(restorer(ThreeLayers()), {"degraded": picture(80, 80)}, tile_px=40)


# How it is chosen --------------------------------------------------------------------------------


def with_free(monkeypatch: pytest.MonkeyPatch, free: int | None) -> None:
    monkeypatch.setattr(tiles, "free_bytes", lambda device: free)


def test_what_fits_goes_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    network = restorer(UNet())
    found = plan(network, 500, 700)
    assert found.free is not None
    assert found.estimate is not None
    assert found.free == pytest.approx(free_bytes(CPU), rel=0.5)
    with_free(monkeypatch, 2 * found.estimate)
    assert plan(network, 500, 700) == Plan(None, found.estimate, 2 * found.estimate)
    with_free(monkeypatch, round(1.1 * found.estimate))  # others want some, too
    assert plan(network, 500, 700).tile_px is not None


@pytest.mark.parametrize("free_mib", [200, 500, 1000, 4000, 100_000])
def test_of_large_pictures_the_largest_tiles_that_fit(
    monkeypatch: pytest.MonkeyPatch, free_mib: int
) -> None:
    network = restorer(UNet())
    with_free(monkeypatch, free_mib * MIB)
    found = plan(network, 1500, 2000)
    assert found.tile_px is not None
    assert found.estimate is not None
    assert 64 <= found.tile_px <= 1024
    assert found.estimate <= 0.6 * free_mib * MIB
    with_free(monkeypatch, 2 * free_mib * MIB)
    assert (plan(network, 1500, 2000).tile_px or 0) >= found.tile_px


def test_the_results_of_the_whole_picture_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, 10_000 * MIB)
    once, enlarged = restorer(UNet()), restorer(UNet(), scale=4)
    estimates = [plan(network, 1500, 2000).estimate for network in (once, enlarged)]
    assert estimates[1] - estimates[0] == 3 * 4 * 15 * 1500 * 2000  # type: ignore[operator]


def test_where_nothing_fits_the_smallest_tiles_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, MIB)
    assert plan(restorer(UNet()), 300, 300).tile_px == 64
    assert plan(restorer(UNet()), 50, 60).tile_px is None


def test_tiles_are_no_larger_than_they_need_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, None)
    found = plan(restorer(UNet()), 1100, 1100).tile_px
    assert found is not None
    assert 1100 / 2 < found < 700
    assert len(spans(1100, found)) == len(spans(1100, 1024)) == 2


def test_what_cannot_be_estimated_gets_tiles_of_a_middle_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_free(monkeypatch, 10_000 * MIB)

    class LooksAtNumbers(nn.Module):
        def forward(self, degraded: Tensor) -> Tensor:
            return degraded if degraded.mean().item() > 0.5 else 1 - degraded

    network = restorer(LooksAtNumbers())
    assert plan(network, 512, 300) == Plan(None, None, 10_000 * MIB)
    assert 256 < (plan(network, 900, 1000).tile_px or 0) <= 512


def test_a_plan_is_kept_to(monkeypatch: pytest.MonkeyPatch) -> None:
    network = restorer(TakesNoMoreThan(400))
    with_free(monkeypatch, 60 * MIB)
    through(network, {"degraded": picture(300, 390)})
    chosen = plan(network, 300, 390).tile_px
    assert max(map(max, network.module.shown)) == chosen
