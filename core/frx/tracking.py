"""Trackers: hooks that only watch, and can neither change nor stop what they watch."""

from __future__ import annotations

import ctypes
import json
import os
import queue
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, wraps
from textwrap import shorten
from typing import Any

from attrs import define, field

from frx.errors import RecipeError
from frx.progress import say
from frx.registry import DEBUG_VARIABLE

PATIENCE_S = 30.0

Call = Callable[[], Any]
Asked = queue.SimpleQueue[Call | None]
Answered = queue.SimpleQueue[tuple[Any, str | None]]


def is_tracker(hook: object) -> bool:
    """Whether a hook declares that it only watches."""
    return bool(getattr(hook, "only_watches", False))


@define(slots=False, eq=False)
class Tracker:
    """Stands for a hook that only watches: calls it on a thread of its own, and waits a while.

    When it raises, or has not come back after `PATIENCE_S`, that is said and it is left out until
    the run is next begun or continued. What it draws from torch's global generators is given back.
    Its thread keeps neither the process nor the run alive.

    Raises:
        RecipeError: it makes something, or wraps other listeners, and so does more than watch.
    """

    name: str
    hook: Any
    lost: str | None = field(default=None, init=False)  # why it is, or was before a break, left out
    _takes_part: bool = field(default=True, init=False, repr=False)
    _thread: threading.Thread | None = field(default=None, init=False, repr=False)
    _asked: Asked = field(factory=queue.SimpleQueue, init=False, repr=False)
    _answered: Answered = field(factory=queue.SimpleQueue, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        for event in dir(type(self.hook)):
            marked = getattr(getattr(type(self.hook), event, None), "frx_impl", None)
            if marked is None:
                continue
            makes = (marked["specname"] or event).startswith("frx_make_")
            if makes or marked["wrapper"] or marked["hookwrapper"]:
                raise RecipeError(
                    f"hook {self.name}: only_watches = True, but its {event} does more than watch"
                )
            setattr(self, event, self._watching(event))

    def state_dict(self) -> dict[str, Any]:
        """Why it was left out, and what the hook keeps: None where that is nothing, or is lost."""
        save = getattr(self.hook, "state_dict", None)
        kept = self._call("state_dict", partial(_storable, save)) if save else None
        return {"lost": self.lost, "kept": kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Hand the hook what it kept; one that was left out takes part again."""
        self.lost = state["lost"]
        load = getattr(self.hook, "load_state_dict", None)
        if load and state["kept"] is not None:
            self._call("load_state_dict", partial(load, state["kept"]))

    def _watching(self, event: str) -> Callable[..., None]:
        method = getattr(self.hook, event)

        @wraps(method)  # pluggy reads its arguments and its marks
        def watch(*given: Any) -> None:
            self._call(event, partial(method, *given))

        return watch

    def _call(self, what: str, call: Call) -> Any:
        if not self._takes_part:
            return None
        if self._thread is None:
            self._start()
        with _torch_randomness_kept():
            self._asked.put(call)
            try:
                value, wrong = self._answered.get(timeout=PATIENCE_S)
            except queue.Empty:
                self._end_soon()
                value, wrong = None, f"has not come back after {PATIENCE_S:g} s"
        if wrong is not None:
            self._leave_out(f"its {what} {wrong}")
        return value

    def _start(self) -> None:
        self._thread = threading.Thread(
            target=_serve, args=(self._asked, self._answered), name=f"frx-{self.name}", daemon=True
        )
        self._thread.start()
        weakref.finalize(self, self._asked.put, None)

    def _leave_out(self, reason: str) -> None:
        self._takes_part = False
        self.lost = f"hook {self.name} was left out: {reason}"
        say(f"  warning: {self.lost}; training goes on without it")
        self._asked.put(None)

    def _end_soon(self) -> None:
        """Let its thread end with its next step in Python: what hangs may come back and go on."""
        if self._thread is not None and self._thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(self._thread.ident), ctypes.py_object(SystemExit)
            )


def _serve(asked: Asked, answered: Answered) -> None:
    """Do what is asked, one after the other, and answer with the value or what went wrong."""
    while (call := asked.get()) is not None:
        answer: tuple[Any, str | None]
        try:
            answer = call(), None
        except BaseException as error:  # also SystemExit: nothing that it does ends a run
            if os.environ.get(DEBUG_VARIABLE):
                traceback.print_exc()
            # Made from the error by traceback, as its own __str__ may raise.
            said = shorten("".join(traceback.format_exception_only(error)), 300)
            answer = None, f"raised {said}"
        answered.put(answer)
        del call, answer  # through them a thread that waits would keep the run alive


def _storable(save: Callable[[], Any]) -> Any:
    """A copy of what `save` gives, known to fit into a checkpoint."""
    import safetensors.torch

    from frx.checkpoint import pack, unpack

    tree, tensors = pack(save())
    copies = {name: tensor.clone() for name, tensor in tensors.items()}
    safetensors.torch.save(copies)
    return unpack(json.loads(json.dumps(tree)), copies)


@contextmanager
def _torch_randomness_kept() -> Iterator[None]:
    import torch

    used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if used else []
    with torch.random.fork_rng(devices=devices):
        yield
