"""Checks of a component's contract, for tests of plugins: one function a kind.

Each raises AssertionError with one sentence about the first promise that is not kept. They work on
small random data in seconds; what a component is for, its author tests.
"""

from frx.testing.adversarial import check_adversarial_loss, check_discriminator
from frx.testing.losses import check_loss
from frx.testing.pictures import (
    check_augmentation,
    check_baseline,
    check_dataset,
    check_degradation,
)
from frx.testing.tensors import check_metric, check_model
from frx.testing.trainers import check_trainer
from frx.testing.training import check_hook, check_optimizer, check_schedule

__all__ = [
    "check_adversarial_loss",
    "check_augmentation",
    "check_baseline",
    "check_dataset",
    "check_degradation",
    "check_discriminator",
    "check_hook",
    "check_loss",
    "check_metric",
    "check_model",
    "check_optimizer",
    "check_schedule",
    "check_trainer",
]
