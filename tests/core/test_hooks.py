"""Hooks: who may listen, early stopping's counting."""

from types import SimpleNamespace

import pytest

from frx.errors import RecipeError
from frx.hooks.early_stopping import EarlyStopping
from frx.lifecycle import plugin_manager
from frx.run import Position
from frx.specs import hookimpl


def after(losses: list[float], **options: float) -> tuple[EarlyStopping, int | None]:
    """The validation (from 1) after which early stopping ends a stage with these losses."""
    hook = EarlyStopping(**options)
    run = SimpleNamespace(position=Position(), validation={})
    hook.frx_stage_start(run=run)
    for number, loss in enumerate(losses, start=1):
        run.validation["loss"] = loss
        hook.frx_validation_end(run=run)
        if run.position.stop:
            return hook, number
    return hook, None


def test_it_stops_when_patience_is_at_its_end() -> None:
    assert after([3, 2, 2.5, 2.5, 2.5], patience=3)[1] == 5
    assert after([3, 2, 2.5, 2.5], patience=3)[1] is None


def test_an_improvement_sets_the_count_back() -> None:
    assert after([3, 3.1, 3.1, 2.9, 3.0, 3.0, 3.0], patience=3)[1] == 7


def test_less_than_min_delta_is_no_improvement() -> None:
    assert after([3, 2.95, 2.91], patience=2, min_delta=0.1)[1] == 3
    assert after([3, 2.89, 2.78], patience=2, min_delta=0.1)[1] is None


def test_it_goes_on_counting_after_a_resume_and_begins_anew_in_the_next_stage() -> None:
    first, _ = after([3, 3.1], patience=3)
    again = EarlyStopping(patience=3)
    again.load_state_dict(first.state_dict())
    run = SimpleNamespace(position=Position(epoch=2), validation={"loss": 3.1})
    again.frx_stage_start(run=run)
    again.frx_validation_end(run=run)
    assert run.position.stop is None
    again.frx_validation_end(run=run)
    assert "no improvement in 3 validations" in run.position.stop
    new_stage = SimpleNamespace(position=Position(stage=1), validation={"loss": 9.0})
    again.frx_stage_start(run=new_stage)
    again.frx_validation_end(run=new_stage)
    assert new_stage.position.stop is None


class Misspelt:
    @hookimpl
    def frx_step_finished(self, run: object) -> None: ...


class WrongArgument:
    @hookimpl
    def frx_step_end(self, rnu: object) -> None: ...


@pytest.mark.parametrize(
    ("hook", "says"),
    [(Misspelt(), "frx_step_finished"), (WrongArgument(), "rnu"), (EarlyStopping, "a class where")],
)
def test_a_hook_that_would_never_be_called_is_refused(hook: object, says: str) -> None:
    with pytest.raises(RecipeError, match=f"hook mine: .*{says}"):
        plugin_manager({"mine": hook})
