"""Progress of long work: a bar with rate and remaining time, plain lines where nobody watches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from types import TracebackType
from typing import TypeVar

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as RichProgress,
)
from rich.text import Text

from frx.streams import say_no_more

T = TypeVar("T")

PLAIN_EVERY_S = 10.0
WIDE = 300


class _Console(Console):
    """When nobody reads it any more, it falls silent: the work goes on."""

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError:  # a closed window is an input/output error
            self.on_broken_pipe()

    def on_broken_pipe(self) -> None:
        self.quiet = True
        say_no_more(self.file)


console = _Console(stderr=True, highlight=False)


def standard_output() -> Console:
    """Where tables are printed; a file is as wide as they need it to be."""
    console = _Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    return console


def say(text: str) -> None:
    """One line for the person at the keyboard, above any running bar."""
    console.print(text, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """`0:42`, `12:05`, `3:20:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:.3g} {task.fields['unit']}/s", style="cyan")


class _Bar(RichProgress):
    """Asks how far the work has come whenever it is drawn, so that no step has to tell it."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._progress = progress
        of = progress
        self.add_task(of.label, total=of.total, completed=of.done, unit=of.unit, note="")

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            self.update(task.id, completed=self._progress.done, note=self._progress.note)
        return super().get_renderables()


class Progress:
    """Progress of `total` units; `total` None is work whose end is not known.

    `note` stands at the line's end.
    """

    def __init__(self, label: str, total: int | None, unit: str = "images", done: int = 0) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = self.before = done
        self.note = ""
        self.started = self.spoken = time.monotonic()
        self._bar = _Bar(self) if console.is_terminal and not console.is_dumb_terminal else None

    def __enter__(self) -> Progress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()
        elif kind is None and time.monotonic() - self.started > PLAIN_EVERY_S:
            self.note = ""
            self._speak()

    def advance(self, count: int = 1) -> None:
        """`count` more units are done."""
        self.done += count
        if self._bar is None and time.monotonic() - self.spoken > PLAIN_EVERY_S:
            self._speak()

    def _speak(self) -> None:
        self.spoken = time.monotonic()
        rate = (self.done - self.before) / (self.spoken - self.started)
        parts = [f"{self.label}: {self.done}"]
        if self.total is not None:
            parts[0] += f"/{self.total}"
        parts.append(f"{rate:.3g} {self.unit}/s")
        if self.total is not None and rate and self.done < self.total:
            parts.append(f"{duration((self.total - self.done) / rate)} left")
        say(" · ".join([*parts, self.note] if self.note else parts))


def track(
    items: Iterable[T], *, label: str, total: int | None = None, unit: str = "images"
) -> Iterator[T]:
    """Pass `items` on, showing how many have gone by."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    with Progress(label, total, unit) as progress:
        for item in items:
            yield item
            progress.advance()
