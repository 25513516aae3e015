"""The tensors of a file of weights, by name: whatever else the file wants is refused.

A PyTorch file is a pickle, a program for a small machine that may call anything. Here it is read by
PyTorch's restricted machine alone, which knows the names that tensors need and no others.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frx.errors import DataError, ResourceError

if TYPE_CHECKING:
    from torch import Tensor

# Where training programs put the weights, among other things; the averaged ones come first.
_WRAPPERS = (
    *("params_ema", "params-ema", "g_ema", "params", "model_state_dict", "state_dict"),
    *("net_state_dict", "model", "net"),
)
# PyTorch compresses nothing and numbers compress badly: by more, a file is there to fill memory.
_MOST_COMPRESSED = 20
_MEND = "where you trust it, save its tensors as .safetensors"


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, or of a PyTorch file, by name and on the CPU.

    Unwraps "params_ema", "state_dict", "model" and the like, and takes off the "module." of a
    DataParallel. No code in the file is ever run.

    Raises:
        DataError: it is damaged, asks for more than tensors, or holds others than plain ones: a
            tensor has all its numbers in the file.
        ResourceError: it does not fit into memory.
    """
    path = Path(path)
    try:
        tensors = _tensors_in(_loaded(path))
    except MemoryError as error:
        raise ResourceError(f"{path} does not fit into memory") from error
    except Exception as error:  # a damaged file raises a dozen kinds, EOFError('') among them
        reason = _reason(error, path)
        raise DataError(f"cannot read the weights in {path}: {reason}") from error
    if not tensors:
        raise DataError(f"{path} holds no named tensors, so it is not a file of weights")
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors


def _loaded(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path, device="cpu")
    import torch

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(each.file_size for each in archive.infolist())
        if unpacked > path.stat().st_size * _MOST_COMPRESSED:
            raise ValueError(f"it would unpack to {unpacked / 1e9:.3g} GB")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on the pickle protocol of what is then refused
        return torch.load(path, weights_only=True, map_location="cpu")


def _tensors_in(loaded: object) -> dict[str, Tensor]:
    """What a file holds, freed of all that its maker could have hung on dictionaries and tensors.

    Both may carry attributes that stand in place of methods, so none of theirs is called.
    """
    import torch

    entries = _entries(loaded)
    for wrapper in _WRAPPERS * 2:  # one may lie in another
        if isinstance(inner := entries.get(wrapper), dict):
            entries = _entries(inner)
    found = {str(k): torch.detach(v) for k, v in entries.items() if isinstance(v, torch.Tensor)}
    for name, tensor in found.items():
        dense = tensor.layout is torch.strided and tensor.device.type == "cpu"
        if not dense or tensor.nbytes > tensor.untyped_storage().nbytes():
            raise ValueError(f"{name} is not a plain tensor")
    return found


def _entries(loaded: object) -> dict[Any, Any]:
    return dict(dict.items(loaded)) if isinstance(loaded, dict) else {}


def _reason(error: Exception, path: Path) -> str:
    """One line; torch itself would advise to load a suspicious file unsafely."""
    text = str(error)
    head = b"" if isinstance(error, OSError) else _head(path)
    if head.startswith(b"<"):
        return "it is a web page, saved in place of the file"
    if head.startswith(b"version https://git-lfs"):
        return "it only points to a file that Git LFS keeps; fetch that with `git lfs pull`"
    if "TorchScript" in text:
        return f"it is a TorchScript program; {_MEND}"
    if "legacy .tar" in text:
        return f"it is in the tar format that PyTorch gave up long ago; {_MEND}"
    if "Weights only load failed" in text:
        asked = re.search(r"GLOBAL (\S+)", text)
        return f"it asks for {asked[1] if asked else 'code'}, and weights may hold tensors only"
    if not text or isinstance(error, EOFError):
        return "it is empty or cut off"
    return text.splitlines()[0].partition(". This is an internal")[0][:200].rstrip(".")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64).lstrip()
