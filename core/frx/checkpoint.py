"""Checkpoints: atomic, verified, two generations, no pickle.

A generation is a safetensors file with every tensor of a state; the rest of the state is JSON in
the file's header. `manifest.json` is written last and names the generations with their SHA-256:
readers trust nothing else. Whatever instant the process dies, the manifest names whole files.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from attrs import Factory, define, field, frozen
from safetensors import SafetensorError, safe_open

from frx import files
from frx.errors import REMEDY, DataError, DivergedError
from frx.snapshot import Layout, Memory, not_finite

if TYPE_CHECKING:
    from hashlib import _Hash

GENERATIONS = 2
MANIFEST = "manifest.json"


def pack(state: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """Split nested dicts, lists and tuples into JSON values and tensors by name."""
    tree, tensors = _split(state)
    return tree, {name: tensor.to("cpu").contiguous() for name, tensor in tensors.items()}


def _split(state: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """As `pack`, with the tensors as and where they are."""
    tensors: dict[str, torch.Tensor] = {}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, torch.Tensor):
            tensors[path] = value.detach()
            return {"tensor": path}
        if isinstance(value, dict):
            return {"items": [[key, walk(item, f"{path}/{key}")] for key, item in value.items()]}
        if isinstance(value, list | tuple):
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: [walk(item, f"{path}/{n}") for n, item in enumerate(value)]}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"{path}: a {type(value).__name__} cannot be kept in a checkpoint")

    return walk(state, ""), tensors


def unpack(tree: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """The inverse of `pack`."""
    if not isinstance(tree, dict):
        return tree
    ((kind, value),) = tree.items()
    match kind:
        case "tensor":
            return tensors[value]
        case "items":
            return {key: unpack(item, tensors) for key, item in value}
        case "list":
            return [unpack(item, tensors) for item in value]
        case _:
            return tuple(unpack(item, tensors) for item in value)


@frozen(eq=False)
class _File:
    """A file to be written. Its name is new: two saves at one step must not write over another."""

    name: str
    pages: memoryview
    size: int
    # Begun where training runs: OpenSSL locks something for it, and a process that loads data,
    # forked while a thread has it locked, would find it locked for ever.
    sha256: _Hash = Factory(hashlib.sha256)

    def digest(self) -> str:
        self.sha256.update(self.pages[: self.size])
        return self.sha256.hexdigest()

    def fill(self, path: Path) -> None:
        files.fill_past_cache(path, self.pages, self.size)


def _digests(parts: dict[str, _File]) -> dict[str, str]:
    return {name: file.digest() for name, file in parts.items()}


@define(eq=False)
class Checkpoints:
    """The checkpoints of one run folder.

    Saving copies the state into memory that is kept for it; threads write the copy while training
    goes on. The process does not end before they are done, unless it is killed.
    """

    folder: Path
    # Those known to be whole; None until they have been read.
    _generations: list[dict[str, Any]] | None = None
    _memory: Memory = field(factory=Memory, init=False)
    _threads: ThreadPoolExecutor = field(init=False)
    _writing: Future[None] | None = field(default=None, init=False)

    @_threads.default
    def _one_that_writes_and_one_that_hashes(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(2, thread_name_prefix="frx-checkpoint")

    @property
    def is_writing(self) -> bool:
        return self._writing is not None and not self._writing.done()

    def save(self, step: int, parts: dict[str, Any]) -> None:
        """Begin a new generation: the states in `parts` as they are now.

        Once it is whole, the oldest is dropped. A part that did not change since the last
        generation may be left out: it is carried over.

        Raises:
            DivergedError, ResourceError: as `wait`, for what was saved before; or there is not
                enough memory.
        """
        self.wait()
        layouts = {}
        for name, state in parts.items():
            tree, tensors = _split(state)
            layouts[name] = Layout.of(tensors, json.dumps(tree))
        snapshots = self._memory.take(list(layouts.values()))
        begun = {}
        for (name, layout), pages in zip(layouts.items(), snapshots, strict=True):
            file = f"{name}-{step:09d}-{secrets.token_hex(4)}.safetensors"
            begun[name] = _File(file, pages, layout.size)
        # Asked for now: nothing can be once the process has begun to end.
        hashed = self._threads.submit(_digests, begun)
        self._writing = self._threads.submit(self._write, step, begun, hashed)

    def wait(self) -> None:
        """Until what was saved is on disk.

        Raises:
            DivergedError: not all of its numbers are finite.
            ResourceError: it cannot be written; in both cases what was saved before stays.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(self, step: int, parts: dict[str, _File], hashed: Future[dict[str, str]]) -> None:
        generations = self._manifest() if self._generations is None else self._generations
        entry: dict[str, Any] = {"step": step, "parts": {}}
        if generations:
            entry["parts"] |= generations[-1]["parts"]
        spoilt = next((name for file in parts.values() for name in not_finite(file.pages)), None)
        if spoilt is not None:
            raise DivergedError(
                f"{self.folder}: after step {step} {spoilt.strip('/')} holds a number that is not "
                f"finite; what was saved before stays; {REMEDY}"
            )
        for file in parts.values():
            files.write_with(self.folder / file.name, file.fill)
        for name, digest in hashed.result().items():
            file = parts[name]
            entry["parts"][name] = {"file": file.name, "bytes": file.size, "sha256": digest}
        generations = [*generations, entry][-GENERATIONS:]
        files.write(self.folder / MANIFEST, json.dumps({"generations": generations}, indent=1))
        self._generations = generations
        kept = {part["file"] for generation in generations for part in generation["parts"].values()}
        for stale in (*self.folder.glob("*.safetensors"), *self.folder.glob(f"{files.PARTIAL}*")):
            if stale.name not in kept:
                stale.unlink(missing_ok=True)

    def load(self) -> tuple[dict[str, Any] | None, list[str]]:
        """The newest whole generation's parts, and a sentence for each one that had to be passed.

        None: there is no checkpoint yet.

        Raises:
            DataError: there are checkpoints, but none is whole.
            ResourceError: as `wait`.
        """
        self.wait()
        passed: list[str] = []
        generations = self._manifest()
        while generations:
            try:
                newest = generations[-1]["parts"].items()
                parts = {name: self._read(part) for name, part in newest}
                self._generations = generations
                return parts, passed
            except (DataError, KeyError) as error:
                passed.append(f"{error}; the generation before it is used")
                generations = generations[:-1]
        if passed:
            reason = passed[-1].rpartition(";")[0]
            raise DataError(f"{reason}; no whole checkpoint is left (--fresh starts over)")
        return None, []

    def _manifest(self) -> list[dict[str, Any]]:
        path = self.folder / MANIFEST
        try:
            found: list[dict[str, Any]] = json.loads(path.read_bytes())["generations"]
            return found
        except FileNotFoundError:
            return []
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise DataError(f"{path}: damaged ({error}); --fresh starts over") from error

    def _read(self, part: dict[str, Any]) -> Any:
        path = self.folder / part["file"]
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from error
        if len(raw) != part["bytes"]:
            raise DataError(f"{path}: has {len(raw)} bytes instead of {part['bytes']}")
        if hashlib.sha256(raw).hexdigest() != part["sha256"]:
            raise DataError(f"{path}: damaged, its SHA-256 is not the manifest's")
        try:
            tensors = safetensors.torch.load(raw)
            with safe_open(path, "pt") as opened:
                tree = json.loads(opened.metadata()["state"])
        except (SafetensorError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: damaged ({error})") from error
        return unpack(tree, tensors)
