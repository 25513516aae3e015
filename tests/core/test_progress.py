"""The bar on a terminal."""

import io

import pytest
from rich.console import Console

from frx import progress


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=120, color_system=None)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "console", console)
    return written


def last_drawn(terminal: io.StringIO) -> str:
    """The bar as it was drawn last."""
    return terminal.getvalue().rpartition("training")[2]


def test_the_bar_ends_with_what_was_done(terminal: io.StringIO) -> None:
    with progress.Progress("training", 12, done=2) as bar:
        for _ in range(5):
            bar.advance(2)
        bar.note = "epoch 3/3"
    assert "12/12" in last_drawn(terminal)
    assert "epoch 3/3" in last_drawn(terminal)


def test_the_bar_ends_where_work_broke_off(terminal: io.StringIO) -> None:
    bar = progress.Progress("training", 12)
    with pytest.raises(RuntimeError):
        _break_off(bar)
    assert "7/12" in last_drawn(terminal)


def _break_off(bar: progress.Progress) -> None:
    with bar:
        bar.advance(7)
        raise RuntimeError
