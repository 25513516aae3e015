"""The network to restore with: one that frx trained, or somebody else's."""

from __future__ import annotations

from pathlib import Path

import torch

from frx.errors import DataError
from frx.foreign import open_foreign
from frx.images import shown
from frx.model_folder import Restorer
from frx.weights import SUFFIXES


def open_model(path: Path, device: torch.device, mask_threshold: float | None = None) -> Restorer:
    """Read a run folder, the `model/` folder of one, or a file of weights (`frx.foreign`).

    `mask_threshold`, 0..1, is for networks that find the damage themselves (`frx.blind`).

    Raises:
        DataError: there is no model, or it is damaged.
        RecipeError: a threshold is given, and the model finds no damage; spandrel is missing.
    """
    if not path.is_file():
        return Restorer.open(path, device, mask_threshold=mask_threshold)
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(
            f"{shown(path)} is no trained model: that is a run folder, the model/ folder of one, "
            f"or a file of weights ({', '.join(SUFFIXES)})"
        )
    return open_foreign(path, device).with_threshold(mask_threshold)
