"""frx trains, measures and applies face-restoration networks.

These are the names a plugin author needs; importing them does not import torch.
"""

from frx.errors import (
    BusyError,
    DataError,
    DivergedError,
    FrxError,
    RecipeError,
    ResourceError,
)
from frx.specs import (
    AdversarialLoss,
    Augmentation,
    Baseline,
    Dataset,
    Degradation,
    Discriminator,
    Hook,
    Loss,
    Metric,
    Model,
    Optimizer,
    Schedule,
    Trainer,
    hookimpl,
)

__version__ = "0.1.0"

__all__ = [
    "AdversarialLoss",
    "Augmentation",
    "Baseline",
    "BusyError",
    "DataError",
    "Dataset",
    "Degradation",
    "Discriminator",
    "DivergedError",
    "FrxError",
    "Hook",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "RecipeError",
    "ResourceError",
    "Schedule",
    "Trainer",
    "__version__",
    "hookimpl",
]
