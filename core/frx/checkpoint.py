"""Checkpoints: atomic, verified, two generations, no pickle.

A generation is a safetensors file with every tensor of a state; the rest of the state is JSON in
the file's header. `manifest.json` is written last and names the generations with their SHA-256:
readers trust nothing else. Whatever instant the process dies, the manifest names whole files.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from attrs import define
from safetensors import SafetensorError, safe_open

from frx import files
from frx.errors import DataError

GENERATIONS = 2
MANIFEST = "manifest.json"


def pack(state: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """Split nested dicts, lists and tuples into JSON values and tensors by name."""
    tensors: dict[str, torch.Tensor] = {}

    def walk(value: Any, path: str) -> Any:
        if isinstance(value, torch.Tensor):
            tensors[path] = value.detach().to("cpu").contiguous()
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


@define
class Checkpoints:
    """The checkpoints of one run folder."""

    folder: Path
    # Those known to be whole; None until they have been read.
    _generations: list[dict[str, Any]] | None = None

    def save(self, step: int, parts: dict[str, Any]) -> None:
        """Make a new generation of the states in `parts`, then drop the oldest.

        A part that did not change since the last generation may be left out: it is carried over.

        Raises:
            ResourceError: it cannot be written; the earlier generations are as they were.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        generations = self._manifest() if self._generations is None else self._generations
        entry: dict[str, Any] = {"step": step, "parts": {}}
        if generations:
            entry["parts"] |= generations[-1]["parts"]
        for name, state in parts.items():
            tree, tensors = pack(state)
            raw = safetensors.torch.save(tensors, {"state": json.dumps(tree)})
            digest = hashlib.sha256(raw).hexdigest()
            # The digest too: two saves at one step must not write over one another.
            file = f"{name}-{step:09d}-{digest[:8]}.safetensors"
            files.write(self.folder / file, raw)
            entry["parts"][name] = {"file": file, "bytes": len(raw), "sha256": digest}
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
        """
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
