"""A run: the state of an experiment while it trains, and the loop.

Hooks and trainers see one object, `Run`. What is not in `Run.state()` does not survive a kill.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import torch
from attrs import Factory, define, field
from torch import Tensor, nn

from frx import ranks
from frx.allocation import keep_freed_memory
from frx.data import Samples, Subset, epoch_order, less_validated
from frx.divergence import leave_out
from frx.errors import DataError, RecipeError
from frx.loader import Batch, Loader
from frx.network import Network, is_shared_out, load_weights, weights
from frx.precision import Precision
from frx.randomness import seed_of
from frx.recipe import Recipe, Stage
from frx.registry import nearest
from frx.scoring.scores import NamedMetric
from frx.terms import Terms, total
from frx.validation import validate

if TYPE_CHECKING:
    from frx.specs import Augmentation, Degradation, Trainer


# The parts of a state, as a checkpoint has them.
STATE = (
    *("position", "networks", "random", "hooks"),
    *("bad_images", "warnings", "finished_stages"),
)


@define
class Position:
    """How far a run has come."""

    stage: int = 0
    epoch: int = 0  # whole epochs of this stage
    batch: int = 0  # batches of the epoch under way
    step: int = 0  # batches of the whole run
    skipped: int = 0  # updates of this stage that were left out, for they were not finite
    stop: str | None = None  # why the stage ends before its last epoch
    best: float = math.inf  # the stage's lowest validation loss …
    best_epoch: int = 0  # … and after which epoch it was reached


@define(eq=False)
class Run:
    """State of an experiment; the only thing that hooks and trainers see."""

    recipe: Recipe
    folder: Path
    precision: Precision
    sets: dict[str, Subset]
    hook: Any
    degradations: list[Degradation]
    augmentations: list[Augmentation]
    model: nn.Module
    losses_by_stage: list[Terms]
    metrics: list[NamedMetric]
    hooks: dict[str, Any] = Factory(dict)
    position: Position = Factory(Position)
    networks: dict[str, Network] = Factory(dict)
    trainer: Trainer = field(init=False)
    schedule: Any = field(init=False)
    log: Mapping[str, Tensor] = Factory(dict)
    batch: Batch | None = None
    validation: dict[str, float] = Factory(dict)
    gains: dict[str, float] = Factory(dict)  # of the last validation's pictures over the damaged
    input_scores: dict[str, float] | None = None  # of the stage's damaged pictures, once known
    best_weights: dict[str, Tensor] | None = None
    best_changed: bool = False
    bad_images: dict[str, str] = Factory(dict)
    warnings: list[str] = Factory(list)
    finished_stages: list[dict[str, Any]] = Factory(list)
    _recipe_sets: dict[str, Subset] = field(
        default=attrs.Factory(lambda self: self.sets, takes_self=True), init=False
    )
    _loaders: dict[str, Loader] = field(factory=dict, init=False)

    @property
    def device(self) -> torch.device:
        return self.precision.device

    @property
    def stage(self) -> Stage:
        """The stage under way."""
        return self.recipe.stages[self.position.stage]

    @property
    def losses(self) -> Terms:
        """The loss terms of the stage under way."""
        return self.losses_by_stage[self.position.stage]

    @property
    def step(self) -> int:
        """Batches trained on so far, over all stages."""
        return self.position.step

    @property
    def epoch_batches(self) -> int:
        """How many batches an epoch of this stage has."""
        return math.ceil(len(self.sets["train"]) / self.stage.batch_size)

    def is_due(self, every_epochs: int) -> bool:
        """Whether what happens every so many epochs does after this one; it does after the last."""
        last = self.position.epoch == self.stage.epochs or self.position.stop is not None
        return last or self.position.epoch % every_epochs == 0

    def picture(self, folder: str) -> Path:
        """Where a hook puts a picture of this epoch; the report shows the last of each folder."""
        return self.folder / folder / f"{self.stage.name}-{self.position.epoch:04}.png"

    def samples(self, name: str) -> Samples:
        """The set called `name`, damaged as the recipe says."""
        varied = self.augmentations if name == "train" else ()
        return Samples(self.sets[name], self.recipe.seed, self.degradations, varied)

    def loader(self, name: str) -> Loader:
        """What makes batches of the set called `name`, the same one throughout the stage."""
        if name not in self._loaders:
            self._loaders[name] = Loader(self.samples(name), self.device)
        return self._loaders[name]

    def drop_loaders(self) -> None:
        """End the processes that load data for the stage."""
        self._loaders = {}

    def forward(self, name: str, batch: Mapping[str, Tensor]) -> dict[str, Any]:
        """Named outputs (float32) of a network for the batch entries that it asks for."""
        return self.precision.forward(self.networks[name].module, batch)

    def mean(self, value: Tensor) -> Tensor:
        """Of a mean over this process' images of the batch, that over the images of all processes.

        A trainer that decides by a value, such as a loss, decides by this, so that all do the same.
        """
        return ranks.mean(value, self.batch)

    def update(self, name: str, loss: Tensor | Mapping[str, Tensor]) -> None:
        """Let the network `name` learn from `loss`: the only way to step a network.

        Of losses by name it is the sum; a message can then say which of them is not finite.

        Raises:
            DivergedError: the loss or a gradient is not finite, and the stage leaves no such update
                out; no weight has been touched.
        """
        network, stage = self.networks[name], self.stage
        summed = loss if isinstance(loss, Tensor) else total(loss)
        share = summed if stage.accumulate == 1 else summed / stage.accumulate
        network.learn(ranks.weighted(share, self.batch))
        network.pending += 1
        norm = network.gradient_norm()
        if not math.isfinite(self.mean(summed).item() + norm.item()):
            leave_out(self, name, loss)
            return
        if network.pending < stage.accumulate:
            return
        network.norm = norm
        if stage.clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(network.parameters, stage.clip_norm, norm)
        done = self.position.epoch + self.position.batch / self.epoch_batches
        network.step(self.schedule(done, stage.epochs))

    def state(self) -> dict[str, Any]:
        """All that is needed to go on bit for bit."""
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        random, *of_others = ranks.gathered(random)
        return {
            "position": attrs.asdict(self.position),
            "networks": {name: network.state() for name, network in self.networks.items()},
            "random": random,
            **({"random_of_others": of_others} if of_others else {}),
            "bad_images": dict(self.bad_images),
            "warnings": list(self.warnings),
            "finished_stages": list(self.finished_stages),
            "hooks": {
                name: hook.state_dict()
                for name, hook in self.hooks.items()
                if hasattr(hook, "state_dict")
            },
        }

    def load(self, state: dict[str, Any], best: dict[str, Tensor] | None) -> None:
        """Go on where `state` was taken.

        Raises:
            DataError: a part of the state is missing, or does not fit.
        """
        keeping = {
            name: hook for name, hook in self.hooks.items() if hasattr(hook, "load_state_dict")
        }
        self._require(state, STATE)
        self._require(state["hooks"], keeping, "hooks.")
        self._require(state["random"], ["cpu"], "random.")
        self._require(state["position"], attrs.fields_dict(Position), "position.")
        self.position = Position(**state["position"])
        self.begin_stage()
        self._require(state["networks"], self.networks, "networks.")
        for name, network in self.networks.items():
            try:
                network.load(state["networks"][name])
            except (KeyError, ValueError, RuntimeError) as error:
                reason = " ".join(str(error).split())
                raise self._unusable(f"does not fit the network {name} ({reason})") from error
        self.best_weights = best
        self.bad_images = state["bad_images"]
        self.warnings = state["warnings"]
        self.finished_stages = state["finished_stages"]
        for name, hook in keeping.items():
            hook.load_state_dict(state["hooks"][name])
        randoms = [state["random"], *state.get("random_of_others", [])]
        if ranks.rank() < len(randoms):  # else there are more processes than before
            random = randoms[ranks.rank()]
            torch.set_rng_state(random["cpu"])
            if "cuda" in random and self.device.type == "cuda":  # not if begun without a GPU
                torch.cuda.set_rng_state(random["cuda"], self.device)

    def _require(self, state: Mapping[str, Any], names: Iterable[str], place: str = "") -> None:
        if missing := [name for name in names if name not in state]:
            raise self._unusable(f"lacks {place}{missing[0]}")

    def _unusable(self, reason: str) -> DataError:
        where = self.folder / "checkpoints"
        return DataError(
            f"{where}: the checkpoint {reason}; go on with the frx that wrote it, or use --fresh"
        )

    def begin_stage(self) -> None:
        """Make the trainer, its networks' optimisers and the schedule of the stage.

        A network goes on with the weights of the last stage's of that name, if these fit it.
        """
        stage = self.stage
        self.input_scores = None
        self.sets = self._recipe_sets
        self.drop_loaders()
        if stage.validation_share is not None:
            self.sets = less_validated(self.sets, stage.validation_share, self.recipe.seed)
        torch.manual_seed(seed_of(self.recipe.seed, "stage", stage.name))
        self.trainer = self.hook.frx_make_trainer(run=self, stage=stage)
        modules = self.trainer.networks()
        for name in stage.optimizers.keys() - modules.keys():
            hint = nearest(name, modules)
            raise RecipeError(f"stage {stage.name}: optimizers.{name}: no such network; {hint}")
        for name, module in modules.items():
            if not is_shared_out(module):
                self.precision.place(module)
            before = self.networks[name].module if name in self.networks else module
            if before is not module and _shapes(before) == _shapes(module):
                load_weights(module, weights(before))
        self.networks = {}
        for name, module in modules.items():
            averaging = None
            if ranks.count() > 1:
                shard = name == "model" and self.recipe.compute.shard
                averaging = ranks.prepared(module, self.device, shard=shard)
            use = stage.optimizers.get(name, stage.optimizer)
            self.networks[name] = Network.of(module, use)
            self.networks[name].averaging = averaging
        if ranks.rank() > 0:  # else all would drop the same units
            torch.manual_seed(seed_of(self.recipe.seed, "stage", stage.name, ranks.rank()))
        self.schedule = stage.schedule.build()


def _shapes(network: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in network.state_dict().items()}


def train(run: Run) -> None:
    """Train all stages from where the run stands to the end."""
    keep_freed_memory()
    run.hook.frx_run_start(run=run)
    if not run.networks:
        run.begin_stage()
    try:
        while True:
            _train_stage(run)
            if run.position.stage + 1 == len(run.recipe.stages):
                break
            start_from_best = run.recipe.stages[run.position.stage + 1].start_from == "best"
            if start_from_best and run.best_weights is not None:
                load_weights(run.model, run.best_weights)
            run.position = Position(run.position.stage + 1, step=run.position.step)
            run.begin_stage()
        run.hook.frx_run_end(run=run)
    finally:
        run.drop_loaders()


def _train_stage(run: Run) -> None:
    run.hook.frx_stage_start(run=run)
    position = run.position
    while position.epoch < run.stage.epochs and position.stop is None:
        _train_epoch(run)
        position.epoch += 1
        position.batch = 0
        run.hook.frx_epoch_trained(run=run)
        if run.is_due(run.stage.validate_every_epochs):
            run.validation = ranks.from_first(validate(run))
            if run.validation["loss"] < position.best:
                position.best, position.best_epoch = run.validation["loss"], position.epoch
                run.best_weights = {
                    key: value.detach().to("cpu", copy=True)
                    for key, value in weights(run.model).items()
                }
                run.best_changed = True
            run.hook.frx_validation_end(run=run)
        run.hook.frx_epoch_end(run=run)
    if position.skipped:
        run.warnings.append(
            f"stage {run.stage.name}: updates left out, as a loss or a gradient was not finite: "
            f"{position.skipped}"
        )
    run.finished_stages.append(_summary(run))
    run.hook.frx_stage_end(run=run)


def _summary(run: Run) -> dict[str, Any]:
    """What became of a stage, for the report."""
    position = run.position
    return {
        "name": run.stage.name,
        "images": len(run.sets["train"]),
        "epochs": position.epoch,
        "best_epoch": position.best_epoch,
        "best": position.best,
        "skipped": position.skipped,
        "stop": position.stop,
    }


def _train_epoch(run: Run) -> None:
    position = run.position
    epoch = position.epoch + sum(s.epochs for s in run.recipe.stages[: position.stage])
    subset = run.sets["train"]
    order = epoch_order(run.recipe.seed, epoch, subset.indices)
    for network in run.networks.values():
        network.module.train()
    feed = run.loader("train").batches(
        order,
        run.stage.batch_size,
        epoch=epoch,
        skip=position.batch,
        share=(ranks.rank(), ranks.count()),
    )
    for batch in ranks.completed(feed, run.device):
        run.batch = batch
        run.bad_images |= dict(batch.bad)
        kept, skipped = _buffers(run), position.skipped
        run.log = run.trainer.step(run, batch) if batch.whole else {}
        if not isinstance(run.log, Mapping):
            raise RecipeError(
                f"the trainer {run.stage.trainer.name} gives a {type(run.log).__name__} after a "
                "step; losses by name are wanted"
            )
        run.log = ranks.means(run.log, batch)
        if position.skipped > skipped:
            run.log = {}
            for name, buffers in kept.items():
                run.networks[name].put_back(buffers)
        position.batch += 1
        position.step += 1
        run.hook.frx_step_end(run=run)


def _buffers(run: Run) -> dict[str, list[Tensor]]:
    """Of each network, to be put back after an update that is left out."""
    if not run.stage.skip_nonfinite:
        return {}
    return {name: network.buffers() for name, network in run.networks.items()}
