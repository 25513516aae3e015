"""Trained weights of other people's networks: found, verified, loaded, and on request fetched.

Nothing in frx downloads but `fetch`, which the command `frx fetch` calls. The cache is
`$FRX_CACHE/weights`, or `weights` in the user's own cache folder; beside each file lies a small
JSON note of what has been verified, so that a file is hashed once and not at every start.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import attrs

from frx import files, hub
from frx.download import Progress, download, sha256_of
from frx.errors import BusyError, DataError, FrxError, ResourceError

if TYPE_CHECKING:
    from torch import Tensor, nn

TIMM = "timm/"  # with which the names of timm's trained networks begin
SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".bin")
LOCK_WAIT_S = 600.0


@attrs.frozen(kw_only=True)
class KnownFile:
    """A published file of weights: where it is, what it must hash to, what it is for.

    `sha256` may be the hash's beginning alone, where its publisher tells no more.
    """

    name: str
    file: str
    url: str
    sha256: str | None
    bytes: int | None
    what: str
    licence: str

    @property
    def size(self) -> str:
        """How large it is, as people say it."""
        if self.bytes is None:
            return "size unknown"
        if self.bytes < 1e6:
            return f"{self.bytes / 1e3:.0f} kB"
        return f"{self.bytes / 1e6:.{0 if self.bytes >= 1e7 else 1}f} MB"


@attrs.frozen(kw_only=True)
class Fetched:
    """What `fetch` brought, and what its hash was compared with."""

    path: Path
    sha256: str
    compared_with: Literal["published", "given", "nothing"]
    new: bool


# Torchvision and torch-fidelity put eight digits of the hash into the file's name; the other
# publishers state none. Whole ones stand, equal, in several independent public projects; that of
# edgeface_xxs in one, for this same revision.
KNOWN: dict[str, KnownFile] = {
    known.name: known
    for known in (
        KnownFile(
            name="inception_resnet_v1",
            file="20180402-114759-vggface2.pt",
            url="https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
            "20180402-114759-vggface2.pt",
            sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
            bytes=111_898_327,
            what="face identity: InceptionResnetV1 trained on VGGFace2",
            licence="MIT; VGGFace2 is for research",
        ),
        KnownFile(
            name="edgeface_xs",
            file="edgeface_xs_gamma_06.pt",
            url="https://huggingface.co/Idiap/EdgeFace-XS-GAMMA/resolve/"
            "735c1b59bdc798260e56f12533fddfe8a8c4c568/edgeface_xs_gamma_06.pt",
            sha256="5ae7504cd9aee0a5d52c2115fd2eb66b0985dd1730f40134b5854e0cb658ce16",
            bytes=7_170_425,
            what="face identity: EdgeFace-XS (gamma 0.6)",
            licence="CC BY-NC-SA 4.0",
        ),
        KnownFile(
            name="edgeface_xxs",
            file="edgeface_xxs.pt",
            url="https://huggingface.co/Idiap/EdgeFace-XXS/resolve/"
            "e710f4647ac4dde011c13f82224539d24800ab92/edgeface_xxs.pt",
            sha256="5b6bac48ea660aca185be8a8ac934db2093b51259461721da53c468230bc24c9",
            bytes=5_032_125,
            what="face identity: EdgeFace-XXS, the smallest",
            licence="CC BY-NC-SA 4.0",
        ),
        KnownFile(
            name="vgg19",
            file="vgg19-dcbb9e9d.pth",
            url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
            sha256="dcbb9e9d",
            bytes=None,
            what="perceptual loss: VGG-19 trained on ImageNet, torchvision's",
            licence="BSD 3-Clause; ImageNet is for research",
        ),
        KnownFile(
            name="alexnet",
            file="alexnet-owt-7be5be79.pth",
            url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
            sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
            bytes=244_408_911,
            what="LPIPS, alex: AlexNet trained on ImageNet, torchvision's",
            licence="BSD 3-Clause; ImageNet is for research",
        ),
        KnownFile(
            name="vgg16",
            file="vgg16-397923af.pth",
            url="https://download.pytorch.org/models/vgg16-397923af.pth",
            sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
            bytes=553_433_881,
            what="LPIPS, vgg: VGG-16 trained on ImageNet, torchvision's",
            licence="BSD 3-Clause; ImageNet is for research",
        ),
        KnownFile(
            name="squeezenet1_1",
            file="squeezenet1_1-b8a52dc0.pth",
            url="https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth",
            sha256="b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
            bytes=4_958_839,
            what="LPIPS, squeeze: SqueezeNet 1.1 trained on ImageNet, torchvision's",
            licence="BSD 3-Clause; ImageNet is for research",
        ),
        KnownFile(
            name="inception_v3_fid",
            file="weights-inception-2015-12-05-6726825d.pth",
            url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
            "weights-inception-2015-12-05-6726825d.pth",
            sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            bytes=95_628_359,
            what="FID and KID: the Inception of TensorFlow 1, torch-fidelity's port",
            licence="Apache 2.0; ImageNet is for research",
        ),
        KnownFile(
            name="niqe",
            file="niqe_pris_params.npz",
            url="https://raw.githubusercontent.com/XPixelGroup/BasicSR/v1.4.2/basicsr/metrics/"
            "niqe_pris_params.npz",
            sha256="2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296",
            bytes=11_850,
            what="NIQE: its authors' model of undistorted photographs, BasicSR's copy",
            licence="Apache 2.0",
        ),
    )
}


def weights_folder() -> Path:
    """Where fetched weights are kept; it need not exist yet."""
    return files.cache_folder() / "weights"


def locate(name_or_path: str | Path) -> Path:
    """The file that a known name, a path or the name of a fetched file stands for.

    A file in the cache is compared with its published hash, or with the one it had when it was
    first fetched; a path of the user's own is taken as it is. Known is every trained network of
    timm, too, as "timm/resnet18.a1_in1k".
    """
    name = str(name_or_path)
    known = _known(name)
    if name not in KNOWN and (own := Path(name).expanduser()).is_file():
        return own
    path = _of_timm(name) or weights_folder() / (known.file if known else name)
    if path.is_file() and (known or path.parent == weights_folder()):
        expected = (known.sha256 if known else None) or note_of(path).get("trusted")
        if expected and not (got := _hash_once(path)).startswith(expected):
            raise DataError(
                f"{path} is damaged or another file: its SHA-256 is {got}, expected {expected}; "
                f"delete it, then run `frx fetch {known.name if known else name}`"
            )
        return path
    if known:
        size = f"{known.size}, " if known.bytes else ""
        raise DataError(
            f"the weights {known.file} are not in {weights_folder()}; run `frx fetch {known.name}` "
            f"({size}{known.licence}), or put the file there yourself"
        )
    if name.startswith(TIMM):
        raise DataError(
            f"the trained weights of {name.removeprefix(TIMM)} are not in {weights_folder()}; run "
            f'`frx fetch {name}`, or name a file of your own as weights = "…"'
        )
    raise DataError(
        f"there is no weights file {name}, neither at that path nor in {weights_folder()}; "
        f"`frx fetch` lists the known ones"
    )


def fill(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    path: str | Path,
    name: str,
    *,
    beside: tuple[str, ...] = (),
) -> None:
    """Put the tensors of a file into a network that people call `name`.

    They have to be all that the network has, and nothing else; what begins with one of `beside` may
    be missing.

    Raises:
        DataError: they are another network's, or not finite; says which file.
    """
    import torch

    complaint = ""
    try:
        found = network.load_state_dict(dict(tensors), strict=False)
    except RuntimeError as error:  # a shape differs
        complaint = " ".join(str(error).split("\n\t")[1:2])[:200].rstrip(" .")
    else:
        if missing := [key for key in found.missing_keys if not key.startswith(beside)]:
            complaint = f"{missing[0]} is missing"
        elif found.unexpected_keys:
            complaint = f"{found.unexpected_keys[0]} is none of its own"
    if complaint:
        raise DataError(f"{path} does not hold the weights of {name}: {complaint}")
    if bad := [key for key, t in network.state_dict().items() if not torch.isfinite(t).all()]:
        raise DataError(f"{path} is damaged: {bad[0]} is not finite")


def fetch(
    name: str,
    *,
    url: str | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
) -> Fetched:
    """Download a known file, or `url` under a name of the user's own, into the cache.

    The file gets its name only after its SHA-256 agreed with the published or given one. Where
    there is neither, the hash it came with is noted and asked for from then on. For a name such as
    "timm/resnet18.a1_in1k" the hub is asked what the hash is.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", sha256 := sha256.lower()):
        raise DataError(f"--sha256 {sha256}: a SHA-256 has 64 hexadecimal digits")
    known = _known(name)
    if known is None and name.startswith(TIMM):
        from frx import timm_weights

        try:
            known = timm_weights.known_file(name, url)
        except FrxError as error:
            raise type(error)(f"{name} was not fetched: {error}") from error
    if known is None:
        if not re.fullmatch(r"\w[\w.+-]*", name) or not name.endswith(SUFFIXES):
            raise DataError(
                f"{name} is not a known file ({', '.join(KNOWN)}); a name of your own is a plain "
                f"file name that ends in {', '.join(SUFFIXES)}"
            )
        if url is None:
            raise DataError(f"{name} is not a known file ({', '.join(KNOWN)}); give its --url")
    elif known.sha256 and sha256 and not sha256.startswith(known.sha256):
        raise DataError(
            f"{known.name} is known to have SHA-256 {known.sha256}; fetch a different file under "
            f"a different name"
        )
    published = known.sha256 if known else None
    path = weights_folder() / (known.file if known else name)
    try:
        return _fetch(path, url or (known.url if known else ""), published, sha256, known, progress)
    except FrxError as error:
        if isinstance(error, BusyError):
            raise
        raise type(error)(f"{name} was not fetched: {error}. (Its place is {path}.)") from error


def _fetch(
    path: Path,
    url: str,
    published: str | None,
    given: str | None,
    known: KnownFile | None,
    progress: Progress | None,
) -> Fetched:
    from filelock import FileLock, Timeout

    expected = given or published
    compared: Literal["published", "given", "nothing"] = (
        "published" if published else "given" if given else "nothing"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_WAIT_S):
            if path.is_file():
                got, wanted = _hash_once(path), expected or note_of(path).get("trusted")
                if wanted is not None and got.startswith(wanted):
                    return Fetched(path=path, sha256=got, compared_with=compared, new=False)
            hub.refuse_offline()
            part = path.with_name(f"{path.name}.part")
            size = known.bytes if known else None
            got = download(url, part, sha256=expected, size=size, progress=progress)
            part.replace(path)
            _write_note(path, got, trusted=got, url=url, compared_with=compared)
            return Fetched(path=path, sha256=got, compared_with=compared, new=True)
    except Timeout as error:
        raise BusyError(f"another process has been fetching {path.name} for long") from error
    except OSError as error:
        raise ResourceError(f"cannot write in {path.parent}: {error.strerror or error}") from error


def _of_timm(name: str) -> Path | None:
    """The place of a trained network of timm, where the name is one's."""
    if not name.startswith(TIMM):
        return None
    from frx import timm_weights

    return timm_weights.place(name)


def _known(name: str) -> KnownFile | None:
    """By frx's own name for it, or by the name of the file."""
    return KNOWN.get(name) or next((k for k in KNOWN.values() if k.file == name), None)


def _hash_once(path: Path) -> str:
    """The file's SHA-256, taken from its note while size and time of change are the noted ones."""
    stat, note = path.stat(), note_of(path)
    if (note.get("bytes"), note.get("mtime_ns")) == (stat.st_size, stat.st_mtime_ns):
        return str(note.get("sha256"))
    got = sha256_of(path)
    kept = ("trusted", "url", "compared_with")
    _write_note(path, got, **{key: note[key] for key in kept if key in note})
    return got


def note_of(path: Path) -> dict[str, Any]:
    """What was noted of a file in the cache when it was fetched or first used."""
    try:
        note = json.loads(_note_path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _write_note(path: Path, sha256: str, **more: str) -> None:
    stat = path.stat()
    note = {"sha256": sha256, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns} | more
    # a cache that others maintain may be read-only; then the hash is taken each time
    with contextlib.suppress(ResourceError, OSError):
        files.write(_note_path(path), json.dumps(note, indent=1))


def _note_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
