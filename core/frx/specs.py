"""What a component must look like, and what a lifecycle hook may listen to.

Components are nouns: classes or functions found through entry points. Their keyword-only
parameters are options, set by a recipe and checked against the annotation (bounds come from
`annotated_types`: `sigma: Annotated[float, Ge(0)]`). Everything positional is run-time data, handed
over by parameter name. Nothing here is a base class: a component that has the shape is one.

Pictures: uint8, height × width × 3, RGB, until they reach the device; there a batch is float32
[B, 3, H, W] in 0..1. Masks: uint8 [H, W] with 255 (on the device [B, 1, H, W] with 1) = destroyed.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pluggy

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from frx.build import Use
    from frx.recipe import Stage
    from frx.run import Run

    Picture = NDArray[np.uint8]
    Pictures = Mapping[str, Picture]
    Batch = Mapping[str, Tensor]

hookspec = pluggy.HookspecMarker("frx")
hookimpl = pluggy.HookimplMarker("frx")


class Degradation(Protocol):
    """Damages one image."""

    def __call__(
        self, image: Picture, rng: np.random.Generator
    ) -> Picture | tuple[Picture, Picture]:
        """Return a new image [H, W, 3], or that and a mask [H, W]; leave `image` as it was."""


class Augmentation(Protocol):
    """Varies a training sample before it is damaged."""

    def __call__(self, pictures: Pictures, rng: np.random.Generator) -> dict[str, Picture]:
        """Change all named pictures ("clean", maybe "degraded" and "mask") in the same way."""


class Baseline(Protocol):
    """A classical method, which networks are compared with."""

    def __call__(self, degraded: Picture) -> Picture:
        """Return a new image [H, W, 3]; leave `degraded` as it was.

        One that asks for `mask` [H, W], too, is told the true damage; without a default for it, it
        is for sets in which damage is marked. What it cannot take (too small) raises ValueError.
        """


class Dataset(Protocol):
    """Images by number."""

    def __len__(self) -> int:
        """How many samples there are."""

    def name(self, index: int) -> str:
        """The sample's own id: unique, the same in every session; seeds its damage."""

    def __getitem__(self, index: int) -> dict[str, Picture]:
        """Pictures by name: "clean", and where the data has them "degraded" and "mask"."""

    def splits(self) -> dict[str, NDArray[np.int64]]:
        """Sample numbers by split ("train", "val", "test", …) where the data says; else empty."""

    def groups(self) -> NDArray[np.int64] | None:
        """A number a sample: equal numbers (one identity, one source file) stay in one split."""

    def fingerprint(self) -> str:
        """Changes when the data changes; stored with every checkpoint."""


class Model(Protocol):
    """A network: an `nn.Module` whose forward names the tensors it wants."""

    def forward(self, *data: Tensor) -> Tensor | dict[str, Tensor]:
        """Return the restored image [B, 3, H, W] in 0..1, or named outputs with one "image".

        One that finds the damage itself says `finds_damage = True` and gives "mask", too:
        [B, 1, H, W], logits, high where a pixel is damaged. Only there "image" is put in.

        One that can begin with weights from a file has a method `load_pretrained()`, which is
        called when a training begins or is checked, not when it goes on and not when photographs
        are restored; DataError where it has none to load.
        """


class Loss(Protocol):
    """What training makes small."""

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        """Return one number, differentiable, least where `restored` equals `clean`.

        One that asks for `region` [B, 1, H, W] can be limited to it by a recipe. One that asks for
        `logits` and `target` instead compares an output of logits with a mask; one that asks for
        `made_features` and `real_features` what a discriminator's layers make of both pictures.
        """


class Discriminator(Protocol):
    """Tells real pictures from made ones: an `nn.Module` whose forward names what it sees."""

    def forward(self, image: Tensor, *data: Tensor) -> dict[str, Any]:
        """Return "logits" [B, 1, h, w], one number a patch, the higher the more real it looks.

        One that judges at several scales gives a list of such tensors. It may give "features", for
        each scale a list of what its layers make of the picture, which losses can compare.
        """


class AdversarialLoss(Protocol):
    """The rules by which a discriminator and a generator play: losses of single logits.

    `cannot_tell` and `perfect` are the discriminator's mean loss over real and made pictures: the
    lowest that it can reach if both get the same logits, and that of one that is always right.
    """

    cannot_tell: float
    perfect: float

    def real(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss for each logit of a real picture."""

    def fake(self, logits: Tensor) -> Tensor:
        """Return the discriminator's loss for each logit of a made picture."""

    def generator(self, logits: Tensor) -> Tensor:
        """Return the generator's loss for each logit of a picture that it made."""


class Metric(Protocol):
    """What a restored image is judged by.

    One that judges a whole set at once, such as FID, has `tally(self) -> Tally` instead of
    `__call__`; each call starts a new one.
    """

    higher_is_better: ClassVar[bool]
    protocol: str

    def __call__(self, restored: Tensor, clean: Tensor) -> Tensor:
        """Return one number an image, [B].

        One that asks for `region` [B, 1, H, W] counts what is inside; another is shown pictures
        that are clean outside it. One that asks for `found` [B, 1, H, W] and `mask` judges the
        damage that a network finds itself; one that does not ask for `clean` judges the picture
        alone, and all of it. One that needs larger pictures raises ValueError for smaller ones, and
        says so with an attribute `smallest_px`.
        """


class Tally(Protocol):
    """Gathers a whole set for a metric that is no mean over images."""

    def add(self, restored: Tensor, clean: Tensor) -> None:
        """Take in a batch, [B, 3, H, W], RGB 0..1."""

    def value(self) -> float:
        """Return the number for all that was added; RecipeError where that is too little."""


class Trainer(Protocol):
    """One way of turning a batch into optimiser steps."""

    def networks(self) -> dict[str, nn.Module]:
        """The trained networks by name; each gets an optimiser and a checkpoint entry."""

    def step(self, run: Run, batch: Batch) -> dict[str, Tensor]:
        """Call `run.update` for each network that learns now; return named losses to log."""


class Optimizer(Protocol):
    """A rule by which weights follow their gradients."""

    def __call__(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return a torch optimiser over `parameters`."""


class Schedule(Protocol):
    """How the learning rate moves over a stage."""

    def __call__(self, epoch: float, epochs: int) -> float:
        """Return the factor on the learning rate when `epoch` (with fraction) are done."""


class Hook(Protocol):
    """A listener of a run: any of the `frx_…` methods below, marked with `frx.hookimpl`.

    One with a class attribute `only_watches = True`, a tracker, is called on a thread of its own:
    when it raises or hangs it is left out with a warning, and training goes on as it would have.
    """


COMPONENT_KINDS: dict[type, str] = {
    AdversarialLoss: "adversarial_loss",
    Augmentation: "augmentation",
    Baseline: "baseline",
    Dataset: "dataset",
    Degradation: "degradation",
    Discriminator: "discriminator",
    Hook: "hook",
    Loss: "loss",
    Metric: "metric",
    Model: "model",
    Optimizer: "optimizer",
    Schedule: "schedule",
    Trainer: "trainer",
}
DATA_KINDS = ("augmentation", "dataset", "degradation")  # what makes pictures; it needs no torch


class DatasetSpecs:
    """How a data set comes to be."""

    @hookspec(firstresult=True)
    def frx_make_dataset(self, spec: Use) -> Dataset | None:
        """Asked once for each data set a run reads; the first answer that is not None is taken."""


class TrainerSpecs:
    """How a trainer comes to be."""

    @hookspec(firstresult=True)
    def frx_make_trainer(self, run: Run, stage: Stage) -> Trainer | None:
        """Asked at the start of each stage; the first answer that is not None is taken."""


class LifecycleSpecs:
    """What happens in a run, in this order:

    run_start
    for each stage:  stage_start
        for each epoch:
            for each batch:  trainer.step → step_end
            epoch_trained → validation_end → epoch_end
        stage_end
    run_end

    logged follows every line of the log: some steps of training, or a validation. checkpoint_saved
    comes when a checkpoint is on disk: after a step_end, before the next is begun, or at the latest
    before stage_end.
    """

    @hookspec
    def frx_run_start(self, run: Run) -> None:
        """Before the first stage, after a checkpoint (if there is one) has been read."""

    @hookspec
    def frx_stage_start(self, run: Run) -> None:
        """Before a stage's first step, or before it goes on; `run.stage` is current."""

    @hookspec
    def frx_step_end(self, run: Run) -> None:
        """After every batch; `run.step` and `run.log` are current."""

    @hookspec
    def frx_logged(self, run: Run, line: Mapping[str, Any]) -> None:
        """After a line of `log.jsonl`: its kind ("train", "val"), stage, step, epoch and means."""

    @hookspec
    def frx_epoch_trained(self, run: Run) -> None:
        """After an epoch's last batch, before its validation, if one is due."""

    @hookspec
    def frx_validation_end(self, run: Run) -> None:
        """After each epoch's validation; its means are in `run.validation`."""

    @hookspec
    def frx_epoch_end(self, run: Run) -> None:
        """After an epoch's validation, before its checkpoint is saved."""

    @hookspec
    def frx_checkpoint_saved(self, run: Run) -> None:
        """Once a checkpoint is safe on disk; by then the run may be some steps further."""

    @hookspec
    def frx_stage_end(self, run: Run) -> None:
        """After a stage's last epoch."""

    @hookspec
    def frx_run_end(self, run: Run) -> None:
        """After the last stage, before the final evaluation."""


HOOK_SPECS: Iterable[type] = (DatasetSpecs, TrainerSpecs, LifecycleSpecs)
HOOK_ARGUMENTS: dict[str, list[str]] = {  # what each hook is called with
    name: [each for each in inspect.signature(spec).parameters if each != "self"]
    for specs in HOOK_SPECS
    for name, spec in vars(specs).items()
    if name.startswith("frx_")
}
