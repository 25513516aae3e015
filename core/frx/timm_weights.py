"""The trained networks of timm by name: which there are, and the file of each.

Importing timm takes seconds, so only what asks for one of its names does so.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from frx import hub
from frx.errors import DataError
from frx.weights import TIMM, KnownFile, note_of, weights_folder

SUFFIXES = (".safetensors", ".pth")  # of the files here; published ones have a dozen more


def complaint(name: str) -> str:
    """Why timm has no network of this name, such as "resnet18" or "resnet18.a1_in1k"; or nothing.

    A sentence with the nearest names.
    """
    import timm
    from timm.models import get_arch_pretrained_cfgs

    known = timm.list_models()
    network, _, tag = name.partition(".")
    if network not in known:
        near = difflib.get_close_matches(network, known, 4, 0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "timm.list_models() has them all"
        return f"timm has no network {network!r}; {hint}"
    trained = get_arch_pretrained_cfgs(network)
    if tag and name not in trained:
        there = [one.partition(".")[2] for one in trained]
        near = difflib.get_close_matches(tag, there, len(there), 0) or there
        hint = f"it has {', '.join(near[:6])}" if any(there) else "it has none"
        return f"timm has no training {tag!r} of {network}; {hint}"
    return ""


def place(name: str) -> Path:
    """Where the file of "timm/resnet18.a1_in1k" is in the cache, or would be if it were fetched.

    Without a training's name ("timm/resnet18") timm's first choice is meant.

    Raises:
        DataError: there is no such network, or timm names no trained weights of it.
    """
    stem = f"timm-{_full_name(name, _published(name))}"
    places = [weights_folder() / f"{stem}{suffix}" for suffix in SUFFIXES]
    return next((path for path in places if path.is_file()), places[0])


def known_file(name: str, url: str | None = None) -> KnownFile:
    """What is published as "timm/resnet18.a1_in1k"; the hub is asked, unless the file is here.

    `url` is another address of it, which nobody has told the hash of.

    Raises:
        DataError: there is no such network, or its weights are not published.
        ResourceError: the hub cannot be reached.
    """
    published = _published(name)
    path = place(name)
    note = note_of(path) if path.is_file() else {}
    found: hub.Listed | None
    if "trusted" in note:
        compared = note.get("compared_with") == "published"
        sha256 = note["trusted"] if compared else None
        found = hub.Listed(url=url or note["url"], sha256=sha256, bytes=None)
    elif url:
        found = hub.Listed(url=url, sha256=None, bytes=None)
    else:
        found = next(_listed(published), None)
    if found is None:
        raise DataError(f"{published.hf_hub_id} has no file of weights that frx could read")
    if not note:
        path = path.with_suffix(".safetensors" if found.url.endswith(".safetensors") else ".pth")
    return KnownFile(
        name=TIMM + _full_name(name, published),
        file=path.name,
        url=found.url,
        sha256=found.sha256,
        bytes=found.bytes,
        what="a network of timm",
        licence=published.license or "see where it is published",
    )


def _listed(published: Any) -> Iterator[hub.Listed]:
    """Where the file is to be had, in timm's own order."""
    repository, _, revision = (published.hf_hub_id or "").partition("@")
    file = published.hf_hub_filename or "pytorch_model.bin"
    safe = re.sub(r"(pytorch_)?model\.bin$", "model.safetensors", file)
    for each in dict.fromkeys((safe, file)) if repository else ():
        if found := hub.listed(repository, each, revision or "main"):
            yield found
    url = published.url if isinstance(published.url, str) else ""
    if url and not url.endswith(".npz"):  # those are not PyTorch's
        hashed = re.search(r"-([0-9a-f]{8,64})\.\w+$", url)
        yield hub.Listed(url=url, sha256=hashed[1] if hashed else None, bytes=None)


def _published(name: str) -> Any:
    """timm's own entry for a name that begins with "timm/"."""
    import timm

    network = name.removeprefix(TIMM)
    if wrong := complaint(network):
        raise DataError(wrong)
    found = timm.get_pretrained_cfg(network)
    if found is None or not (found.hf_hub_id or found.url):
        raise DataError(f"timm names no trained weights of {network}")
    return found


def _full_name(name: str, published: Any) -> str:
    network = name.removeprefix(TIMM).partition(".")[0]
    return f"{network}.{published.tag}" if published.tag else network
