"""The plugin manager of one run: pluggy verbs over the recipe's hook nouns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pluggy

from frx.build import Use
from frx.errors import RecipeError
from frx.specs import HOOK_SPECS, Dataset, hookimpl
from frx.tracking import Tracker, is_tracker

if TYPE_CHECKING:
    from frx.recipe import Stage
    from frx.run import Run
    from frx.specs import Trainer


class Makers:
    """How data sets and trainers are made where no hook has another idea."""

    @hookimpl(trylast=True)
    def frx_make_dataset(self, spec: Use) -> Dataset:
        """Build what the recipe names."""
        dataset: Dataset = spec.build()
        return dataset

    @hookimpl(trylast=True)
    def frx_make_trainer(self, run: Run, stage: Stage) -> Trainer:
        """Build what the stage names, with the model and the loss terms it asks for."""
        trainer: Trainer = stage.trainer.build(model=run.model, losses=run.losses, run=run)
        return trainer


def build_hooks(uses: Iterable[Use]) -> dict[str, Any]:
    """The recipe's hooks by name; the second `samples` is `samples-2`; trackers guarded."""
    hooks: dict[str, Any] = {}
    for use in uses:
        number = sum(name.partition("-")[0] == use.name for name in hooks) + 1
        name = use.name if number == 1 else f"{use.name}-{number}"
        hook = use.build()
        hooks[name] = Tracker(name, hook) if is_tracker(hook) else hook
    return hooks


def dataset_maker(manager: pluggy.PluginManager) -> Callable[[Use], Dataset]:
    """What opens a recipe's data sets: the first of those who take part that answers."""
    return lambda spec: manager.hook.frx_make_dataset(spec=spec)


def plugin_manager(hooks: dict[str, Any]) -> pluggy.PluginManager:
    """A manager in which the given objects, and nothing else installed, take part.

    Raises:
        RecipeError: a hook listens to something that does not exist, or with wrong arguments.
    """
    manager = pluggy.PluginManager("frx")
    for specs in HOOK_SPECS:
        manager.add_hookspecs(specs)
    manager.register(Makers(), "frx")
    for name, hook in hooks.items():
        if inspect.isclass(hook):
            raise RecipeError(f"hook {name}: a class where an instance is meant")
        try:
            manager.register(hook, name)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            reason = " ".join(str(error).split())
            raise RecipeError(f"hook {name}: {reason}") from error
    return manager
