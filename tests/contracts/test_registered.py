"""The contract tests keep up with what is registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from frx.registry import GROUPS, Component, components, find

Table = dict[tuple[str, str], dict[str, Any]]


def test_every_kind_has_its_contract_tests(request: pytest.FixtureRequest) -> None:
    here = request.path.parent
    tested = {
        kind
        for kind in GROUPS
        for path in here.glob("test_*.py")
        if f'\nKIND = "{kind}"\n' in path.read_text(encoding="utf-8")
    }
    assert tested == set(GROUPS)


def test_every_component_gets_the_options_that_it_needs(
    lacking: Callable[[Component], str], option_table: Table
) -> None:
    ours = [component for component in components() if component.package == "frx"]
    assert [said for component in ours if (said := lacking(component))] == []
    assert option_table.keys() - {(c.kind, c.name) for c in ours} == set()


def test_a_component_without_an_entry_is_named(
    lacking: Callable[[Component], str], option_table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(option_table, ("schedule", "step"))
    assert lacking(find("schedule", "step")) == (
        "the schedule step needs every_epochs: give it an entry in OPTIONS, "
        "tests/contracts/conftest.py"
    )
