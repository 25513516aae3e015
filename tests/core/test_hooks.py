"""Hooks: who may listen."""

import pytest

from frx.errors import RecipeError
from frx.hooks.early_stopping import EarlyStopping
from frx.lifecycle import plugin_manager
from frx.specs import hookimpl


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
