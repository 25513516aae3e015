"""Loss terms: what is compared, over which part, and what is said when that cannot be."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from frx.errors import RecipeError
from frx.precision import Precision
from frx.recipe import LossTerm
from frx.terms import Terms
from frx_losses.bce import bce
from frx_losses.l1 import l1
from frx_losses.masked_l1 import masked_l1
from frx_losses.ssim import ssim

PRECISION = Precision(torch.device("cpu"), bf16=False)


def terms(loss: Any, **keys: Any) -> Terms:
    use: Any = SimpleNamespace(name="named", build=lambda: loss)
    return Terms.build([LossTerm(loss=use, **keys)], PRECISION)


def batch() -> dict[str, Tensor]:
    mask = torch.zeros(1, 1, 20, 20)
    mask[..., 8:12, 8:12] = 1
    return {"clean": torch.zeros(1, 3, 20, 20), "mask": mask}


def test_a_region_is_the_marked_damage_and_a_ring_around_it() -> None:
    made = torch.zeros(1, 3, 20, 20)
    made[..., 8:12, 8:12] = 1.0  # wrong by 1 in the hole …
    made[..., :4, :] = 1.0  # … and far from it
    outputs = {"image": made}
    assert terms(l1, region="mask")(outputs, batch())["named"].item() == 1
    ring = terms(l1, region="mask", ring_px=2)(outputs, batch())["named"].item()
    assert ring == pytest.approx(4 * 4 / (8 * 8))
    assert terms(l1)(outputs, batch())["named"].item() == pytest.approx((16 + 80) / 400)


def test_a_term_is_weighted_and_compares_what_it_names() -> None:
    outputs = {"image": torch.zeros(1, 3, 20, 20), "mask": torch.full((1, 1, 20, 20), 0.5)}
    found = terms(l1, on="mask", target="mask", weight=3, name="where")(outputs, batch())
    assert {name: value.item() for name, value in found.items()} == {"where": 1.5}


def test_a_loss_of_logits_takes_what_its_term_names() -> None:
    given = batch()
    logits = torch.where(given["mask"] > 0, 2.0, -1.0)
    made = {"image": torch.zeros(1, 3, 20, 20), "mask": logits, "deeper": -logits}
    expected = (16 * math.log(1 + math.exp(-2)) + 384 * math.log(1 + math.exp(-1))) / 400
    found = terms(bce, on="mask", target="mask")(made, given)["named"]
    assert found.item() == pytest.approx(expected)
    assert terms(bce, on="deeper", target="mask")(made, given)["named"] > found


@pytest.mark.parametrize("keys", [{}, {"target": "mask"}, {"on": "image"}])
def test_an_image_is_no_logits(keys: dict[str, Any]) -> None:
    sentence = 'loss named: asks for logits, and an image is none; a mask\'s are on = "mask"'
    with pytest.raises(RecipeError, match=sentence):
        terms(bce, **keys)


def test_a_mask_compared_with_the_clean_picture_is_refused_with_the_way_out() -> None:
    made = {"mask": torch.zeros(1, 1, 20, 20)}
    with pytest.raises(RecipeError, match=r'loss bce: .* target = "mask"'):
        terms(bce, on="mask")(made, batch())


def test_both_pairs_of_names_are_the_same_tensors() -> None:
    def difference(restored: Tensor, target: Tensor, mask: Tensor) -> Tensor:
        return ((restored - target) * mask).sum()

    made = {"image": torch.ones(1, 3, 20, 20)}
    assert terms(difference)(made, batch())["named"].item() == 3 * 16


def test_a_loss_that_asks_for_the_mask_gets_it_whatever_its_target_is() -> None:
    made = {"image": torch.full((1, 3, 20, 20), 0.25)}
    assert terms(masked_l1)(made, batch())["named"].item() == pytest.approx(0.75)
    untouched = {**batch(), "mask": torch.zeros(1, 1, 20, 20)}
    assert terms(masked_l1)(made, untouched)["named"].item() == 0


def test_a_loss_that_knows_no_region_cannot_have_one() -> None:
    def everywhere(restored: Tensor, clean: Tensor) -> Tensor:
        return (restored - clean).abs().mean()

    with pytest.raises(RecipeError, match="loss named: cannot be limited to a region"):
        terms(everywhere, region="mask")


@pytest.mark.parametrize(("key", "listed"), [("on", "image"), ("target", "clean, mask")])
def test_what_is_not_there_is_named_with_what_is(key: str, listed: str) -> None:
    made = terms(l1, **{key: "depth"})
    with pytest.raises(
        RecipeError, match=f"loss named: {key} = 'depth' is not there; has: {listed}"
    ):
        made({"image": torch.zeros(1, 3, 20, 20)}, batch())


def test_pictures_that_are_too_small_for_a_loss_are_said_to_be() -> None:
    small = {"clean": torch.zeros(1, 3, 8, 8), "mask": torch.zeros(1, 1, 8, 8)}
    with pytest.raises(RecipeError, match=r"loss named: .* 8 × 8 is too small"):
        terms(ssim)({"image": torch.zeros(1, 3, 8, 8)}, small)
