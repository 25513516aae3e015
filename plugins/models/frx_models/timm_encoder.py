"""Networks of timm as encoders: what they see at several sizes, for pictures of any size."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn

from frx.errors import DataError
from frx.tensor_file import load_tensors
from frx.timm_weights import complaint
from frx.weights import fill


@frozen
class Sight:
    """What an encoder gives: channels and strides of its features, from fine to coarse.

    Pictures have sides that are multiples of `multiple_px`, 1 or the last stride, and at least
    `least_px`. `channels_last` is the order [B, H, W, C].
    """

    channels: list[int]
    strides: list[int]
    channels_last: bool
    multiple_px: int
    least_px: int


def encoder(name: str, levels: int | None) -> tuple[Any, Sight]:
    """The network, without weights of other people, and what it gives.

    Reads no file. What none of its features depends on is frozen: it could not learn.

    Raises:
        ValueError: timm has no such network, or none that a U-Net could be made of.
    """
    if wrong := complaint(name):
        raise ValueError(wrong)
    try:
        made = _made(name, levels)
    except RuntimeError as error:
        raise ValueError(f"{name} cannot be an encoder: {_first_line(error)}") from error
    sight, features = _tried(made, name)
    needed = _needed(features)
    for parameter in made.parameters():
        parameter.requires_grad_(parameter in needed)
    return made, sight


def load(network: nn.Module, name: str, levels: int | None, path: Path) -> None:
    """Put trained weights into an encoder, through timm's own translation of older names.

    Raises:
        DataError: the file is damaged, or does not hold all weights of this network.
    """
    tensors = load_tensors(path)
    # timm does not say what a file lacks, and leaves it as it was drawn. NaN shows what is reached.
    unknown = {
        key: torch.full_like(tensor, torch.nan) if tensor.is_floating_point() else tensor
        for key, tensor in tensors.items()
    }
    with torch.random.fork_rng(devices=[]):
        try:
            reached = _made(name, levels, unknown).state_dict()
            loaded = _made(name, levels, tensors).state_dict()
        except Exception as error:  # each network's translation fails in its own way
            reason = _first_line(error)
            raise DataError(f"{path} does not hold the weights of {name}: {reason}") from error
    for key, tensor in reached.items():
        if tensor.is_floating_point() and not tensor.isnan().all():
            raise DataError(f"{path} does not hold the weights of {name}: {key} is missing")
    fill(network, loaded, path, name)


def _first_line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    text = str(error).strip().partition("\n\t")  # torch's headline, then each complaint
    return (text[2] or text[0]).partition("\n")[0][:200].rstrip(" .") or type(error).__name__


def _made(name: str, levels: int | None, tensors: dict[str, Tensor] | None = None) -> Any:
    import timm

    options: dict[str, Any] = {} if levels is None else {"out_indices": tuple(range(levels))}
    if tensors is not None:
        # A copy, for some translations take out what they have used.
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"state_dict": dict(tensors)}}
    with _quiet():
        try:
            if getattr(timm.get_pretrained_cfg(name), "fixed_input_size", False):
                try:  # Swin and its like; others do not know the word
                    return timm.create_model(
                        name, features_only=True, strict_img_size=False, **options
                    )
                except TypeError:
                    pass
            return timm.create_model(name, features_only=True, **options)
        except (AssertionError, IndexError):
            if levels is None:
                raise
    with torch.device("meta"):
        most = len(_made(name, None).feature_info.channels())
    raise ValueError(f"levels is {levels}, and {name} has {most}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without timm's warnings of a classifier that it leaves out."""
    log = logging.getLogger("timm")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _tried(network: Any, name: str) -> tuple[Sight, list[Tensor]]:
    """What the network gives for a small picture, longer than it is wide."""
    channels, strides = network.feature_info.channels(), network.feature_info.reduction()
    if strides != sorted(set(strides)) or len(strides) < 2:
        raise ValueError(
            f"{name} gives features at strides {', '.join(map(str, strides))}, and a U-Net needs "
            "ever coarser ones, as resnet34, convnext_tiny and swin_tiny_patch4_window7_224 have"
        )
    channels_last = "NHWC" in str(getattr(network, "output_fmt", ""))
    last = strides[-1]
    failure: Exception | None = None
    # Nearly all convolutional ones halve odd sides, too, and round up. The others cut them off.
    for multiple_px, least_px in ((1, last + 1), (last, 2 * last), (last, 4 * last)):
        sight = Sight(channels, strides, channels_last, multiple_px, least_px)
        try:
            with torch.enable_grad():
                seen = [_features(network.eval(), sight, size) for size in _sizes(sight)]
        except Exception as error:  # each network refuses a size in its own way
            failure = error
            continue
        if all(fits for _, fits in seen):
            network.train()
            return sight, seen[0][0]
    size = network.pretrained_cfg["input_size"]
    raise ValueError(
        f"{name} takes pictures of {size[-1]} × {size[-2]} alone, and faces come in all sizes; "
        "convnext_tiny and swin_tiny_patch4_window7_224 take any"
    ) from failure


def _sizes(sight: Sight) -> list[tuple[int, int]]:
    """Heights and widths to try an encoder with; odd ones where it is to take all."""
    least, last = sight.least_px, sight.strides[-1]
    if sight.multiple_px > 1:
        return [(least + last, least)]
    return [(least, least + last // 2 + 1), (2 * last - 1, least + 2)]


def _features(network: Any, sight: Sight, size: tuple[int, int]) -> tuple[list[Tensor], bool]:
    """What the network gives for a picture of a size, and whether this is as the sight says."""
    device = next(network.parameters()).device
    features = network(torch.zeros(1, 3, *size, device=device))
    shapes = [list(one.shape[1:]) for one in features]
    placed = [shape[2:] + shape[:2] if sight.channels_last else shape for shape in shapes]
    if sight.multiple_px > 1:  # some give a row less
        return features, [shape[0] for shape in placed] == sight.channels
    wanted = [
        [channels, *(-(-side // stride) for side in size)]
        for channels, stride in zip(sight.channels, sight.strides, strict=True)
    ]
    return features, placed == wanted


def _needed(features: list[Tensor]) -> set[Tensor]:
    """The weights that features depend on, found by walking back what computed them."""
    needed, seen = set(), set()
    open_ends: list[Any] = [feature.grad_fn for feature in features]
    while open_ends:
        node = open_ends.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            needed.add(node.variable)
        open_ends += [before for before, _ in node.next_functions]
    return needed
