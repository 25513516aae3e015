"""`model/`: a trained network on disk, all that is needed to restore with it.

`model.safetensors` holds the weights, `model.json` the component, its options and where the
weights come from. Nothing in either is ever executed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import safetensors.torch
import torch
from attrs import frozen
from safetensors import SafetensorError
from torch import Tensor, nn

from frx import files
from frx.build import Use, converter_for
from frx.errors import DataError, FrxError
from frx.precision import Precision
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
    """A trained network ready for use."""

    module: nn.Module
    precision: Precision
    about: dict[str, Any]

    @classmethod
    def open(cls, folder: Path, device: torch.device, precision: str = "auto") -> Restorer:
        """Read a run folder, or the `model/` folder of one.

        Raises:
            DataError: there is no model, or it is damaged.
        """
        inner = folder / "model"
        place = inner if inner.is_dir() else folder
        try:
            about = json.loads((place / DESCRIPTION).read_bytes())
            converter = converter_for(["model"])
            use: Use = converter.structure(about["model"], Annotated[Use, "model"])  # type: ignore[arg-type]
            weights = safetensors.torch.load((place / WEIGHTS).read_bytes())
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
        chosen = Precision.choose(precision, device)
        return cls(chosen.place(module).eval(), chosen, about)

    @torch.no_grad()
    def __call__(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Named outputs for a batch ("degraded" [B, 3, H, W] in 0..1, maybe "mask")."""
        return self.precision.forward(self.module, batch)
