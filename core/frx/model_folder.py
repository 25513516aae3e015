"""`model/`: a trained network on disk, all that is needed to restore with it.

`model.safetensors` holds the weights, `model.json` the component, its options and where the
weights come from. Nothing in either is ever executed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import safetensors.torch
import torch
from attrs import evolve, frozen
from safetensors import SafetensorError
from torch import Tensor, nn

from frx import files
from frx.blind import MASK_THRESHOLD, composited, finds_damage
from frx.build import Use, converter_for, run_time_data
from frx.errors import DataError, FrxError, RecipeError
from frx.precision import Precision
from frx.recipe import Compute
from frx.strict import mistakes_in

WEIGHTS, DESCRIPTION = "model.safetensors", "model.json"


def export(
    folder: Path,
    model: Use,
    weights: Mapping[str, Tensor],
    about: Mapping[str, Any],
    others: Mapping[str, nn.Module] | None = None,
) -> None:
    """Write a model folder; `about` is for people (recipe, epoch, version).

    `others` are networks that only training needs, as they are at its end: a discriminator is
    written as `discriminator.safetensors`.
    """
    files.write(folder / WEIGHTS, _as_bytes(weights))
    for name, module in (others or {}).items():
        files.write(folder / f"{name}.safetensors", _as_bytes(module.state_dict()))
    description = {"model": model.table(), "package": model.component.package, **about}
    files.write(folder / DESCRIPTION, json.dumps(description, indent=2))


def _as_bytes(weights: Mapping[str, Tensor]) -> bytes:
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    return safetensors.torch.save(ready)


@frozen(eq=False)
class Restorer:
    """A trained network ready for use.

    `size` is the height and width in pixels of the faces that it learned on, None where that is
    not known; with `fixed_size` it takes no other. `scale` is how many times as large as its input
    the picture is that it gives.
    """

    module: nn.Module
    precision: Precision
    about: dict[str, Any]
    mask_threshold: float = MASK_THRESHOLD
    size: int | None = None
    fixed_size: bool = False
    scale: int = 1

    @property
    def name(self) -> str:
        """What to call it in a message."""
        described = self.about.get("model")
        known = described.get("use") if isinstance(described, dict) else None
        return str(known or type(self.module).__name__)

    @property
    def asks(self) -> dict[str, bool]:
        """What it asks for by name; True where it cannot do without."""
        return run_time_data(self.module.forward)

    @property
    def takes_mask(self) -> bool:
        """Whether a mask makes sense: it asks for one, or finds damage that one can correct."""
        return "mask" in self.asks or self.finds_damage

    @property
    def finds_damage(self) -> bool:
        """Whether it finds the damage itself, and replaces only that."""
        return finds_damage(self.module)

    @classmethod
    def open(
        cls,
        folder: Path,
        device: torch.device,
        compute: Compute | None = None,
        mask_threshold: float | None = None,
    ) -> Restorer:
        """Read a run folder, or the `model/` folder of one.

        `mask_threshold`, 0..1, is for networks that find the damage themselves (`frx.blind`).

        Raises:
            DataError: there is no model, or it is damaged.
            RecipeError: a threshold is given, and the model finds no damage.
        """
        inner = folder / "model"
        place = inner if inner.is_dir() else folder
        try:
            about = json.loads((place / DESCRIPTION).read_bytes())
            converter = converter_for(["model"])
            use: Use = converter.structure(about["model"], Annotated[Use, "model"])  # type: ignore[arg-type]
            raw = (place / WEIGHTS).read_bytes()
            about["sha256"] = hashlib.sha256(raw).hexdigest()
            weights = safetensors.torch.load(raw)
            module = use.build()
            module.load_state_dict(weights)
        except FileNotFoundError as error:
            what = "an unfinished run" if (folder / "recipe.toml").exists() else "no trained model"
            raise DataError(f"{folder}: {what}; {error.filename} is missing") from None
        except FrxError:
            raise
        except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise DataError(f"{place}: this model cannot be read: {reason}") from error
        except Exception as error:
            text = "; ".join(mistake.text for mistake in mistakes_in(error))
            raise DataError(f"{place / DESCRIPTION}: {text}") from error
        chosen = Precision.choose(compute or Compute(), device)
        size = about.get("size")
        size = size if isinstance(size, int) and size > 0 else None
        opened = cls(chosen.place(module).eval(), chosen, about, size=size)
        return opened.with_threshold(mask_threshold)

    def with_threshold(self, mask_threshold: float | None) -> Restorer:
        """The same with another threshold for the damage that it finds; None keeps its own.

        Raises:
            RecipeError: it finds no damage.
        """
        if mask_threshold is None:
            return self
        if not self.finds_damage:
            raise RecipeError(
                f"{self.name} does not find the damage itself: leave --mask-threshold out"
            )
        return evolve(self, mask_threshold=mask_threshold)

    @torch.no_grad()
    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named outputs for a batch ("degraded" [B, 3, H, W] in 0..1, maybe "mask").

        Where the network finds the damage itself, its "image" is the composite.
        """
        outputs = self.precision.forward(self.module, batch)
        return composited(outputs, batch["degraded"], self.mask_threshold)
