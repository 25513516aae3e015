"""Checkpoints: atomic, verified, two generations, no pickle.

A generation is a safetensors file with every tensor of a state; the rest of the state is JSON in
the file's header. `manifest.json` is written last and names the generations with their SHA-256, and
with its own: readers trust nothing else. Whatever instant the process dies, it names whole files.
Where it is damaged itself, `manifest.before.json` names the generation before the newest.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from attrs import Factory, define, field, frozen
from safetensors import SafetensorError, safe_open

from frx import files
from frx.errors import REMEDY, DataError, DivergedError, ResourceError
from frx.snapshot import Layout, Memory, not_finite

if TYPE_CHECKING:
    from hashlib import _Hash

GENERATIONS = 2
MANIFEST, BEFORE = "manifest.json", "manifest.before.json"


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


def _layouts(parts: dict[str, Any]) -> dict[str, Layout]:
    layouts = {}
    for name, state in parts.items():
        tree, tensors = _split(state)
        layouts[name] = Layout.of(tensors, json.dumps(tree))
    return layouts


def size_of(parts: dict[str, Any]) -> int:
    """How many bytes a generation of these states would take."""
    return sum(layout.size for layout in _layouts(parts).values())


def _manifest_text(generations: list[dict[str, Any]]) -> str:
    sha256 = hashlib.sha256(json.dumps(generations).encode()).hexdigest()
    return json.dumps({"generations": generations, "sha256": sha256}, indent=1)


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

    @property
    def seconds(self) -> float:
        """How long had been trained by the newest known generation."""
        return float(self._generations[-1]["seconds"]) if self._generations else 0.0

    def require_room(self, size: int) -> None:
        """See that generations of `size` bytes fit: two that are kept, and one being written.

        Raises:
            ResourceError: the disk has too little room; says how much is needed.
        """
        there = sum(path.stat().st_size for path in self.folder.glob("*.safetensors"))
        needed, free = (GENERATIONS + 1) * size - there, files.free_bytes(self.folder)
        if free < needed:
            raise ResourceError(
                f"{self.folder}: the checkpoints need {files.mib(needed)} and "
                f"{files.mib(free)} are left; free some space, or choose another --out"
            )

    def save(self, step: int, parts: dict[str, Any], seconds: float = 0.0) -> None:
        """Begin a new generation: the states in `parts` as they are now.

        Once it is whole, the oldest is dropped. A part that did not change since the last
        generation may be left out: it is carried over. `seconds` is how long has been trained.

        Raises:
            DivergedError, ResourceError: as `wait`, for what was saved before; or there is not
                enough memory.
        """
        self.wait()
        layouts = _layouts(parts)
        snapshots = self._memory.take(list(layouts.values()))
        begun = {}
        for (name, layout), pages in zip(layouts.items(), snapshots, strict=True):
            file = f"{name}-{step:09d}-{secrets.token_hex(4)}.safetensors"
            begun[name] = _File(file, pages, layout.size)
        # Asked for now: nothing can be once the process has begun to end.
        hashed = self._threads.submit(_digests, begun)
        entry = {"step": step, "seconds": round(seconds, 1), "parts": {}}
        self._writing = self._threads.submit(self._write, entry, begun, hashed)

    def wait(self) -> None:
        """Until what was saved is on disk.

        Raises:
            DivergedError: not all of its numbers are finite.
            ResourceError: it cannot be written; in both cases what was saved before stays.
        """
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def _write(
        self, entry: dict[str, Any], parts: dict[str, _File], hashed: Future[dict[str, str]]
    ) -> None:
        generations = self._manifest() if self._generations is None else self._generations
        try:
            spoilt = (name for file in parts.values() for name in not_finite(file.pages))
            if (name := next(spoilt, None)) is not None:
                raise DivergedError(
                    f"{self.folder}: after step {entry['step']} {name.strip('/')} holds a number "
                    f"that is not finite; what was saved before stays; {REMEDY}"
                )
            if generations:
                entry["parts"] |= generations[-1]["parts"]
            else:  # from now on, one that is missing has been lost
                files.write(self.folder / MANIFEST, _manifest_text([]))
            for file in parts.values():
                files.write_with(self.folder / file.name, file.fill, size=file.size)
            for name, digest in hashed.result().items():
                file = parts[name]
                entry["parts"][name] = {"file": file.name, "bytes": file.size, "sha256": digest}
            if generations:
                files.write(self.folder / BEFORE, _manifest_text(generations[-1:]))
            generations = [*generations, entry][-GENERATIONS:]
            files.write(self.folder / MANIFEST, _manifest_text(generations))
            self._generations = generations
        finally:
            self._sweep()

    def _sweep(self) -> None:
        """Remove what no manifest on the disk names, if both can be read."""
        with suppress(DataError, OSError):
            named = [*self._manifest(), *self._manifest(BEFORE)]
            kept = {part["file"] for generation in named for part in generation["parts"].values()}
            partial = self.folder.glob(f"{files.PARTIAL}*")
            for stale in (*self.folder.glob("*.safetensors"), *partial):
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
        tried: list[Any] = []
        for name in (MANIFEST, BEFORE):
            try:
                generations = self._manifest(name)
            except DataError as error:
                passed.append(f"{error}; the generation before it is used")
                continue
            if not generations and not passed:
                return None, []
            while generations:
                newest = generations[-1]["parts"]
                try:
                    parts = {part: self._read(file) for part, file in newest.items()}
                    self._generations = generations
                    self._sweep()
                    return parts, passed
                except DataError as error:
                    if newest not in tried:
                        passed.append(f"{error}; the generation before it is used")
                tried.append(newest)
                generations = generations[:-1]
        reason = passed[-1].rpartition(";")[0]
        raise DataError(f"{reason}; no whole checkpoint is left (--fresh starts over)")

    def _manifest(self, name: str = MANIFEST) -> list[dict[str, Any]]:
        """The generations that a manifest names, the newest last; none where there is none yet."""
        path = self.folder / name
        try:
            raw = path.read_bytes()
            generations: list[dict[str, Any]] = json.loads(raw)["generations"]
        except FileNotFoundError:
            if name == MANIFEST and any(self.folder.glob("*.safetensors")):
                raise DataError(f"{path}: missing") from None
            return []
        except OSError as error:
            raise DataError(f"{path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: damaged ({error})") from error
        if raw != _manifest_text(generations).encode():
            raise DataError(f"{path}: damaged, its SHA-256 is another")
        return generations

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
