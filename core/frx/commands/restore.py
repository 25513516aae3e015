"""`frx restore`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from click.core import ParameterSource

import frx
from frx.commands.recipe_options import device_option, mask_threshold_option

if TYPE_CHECKING:
    from frx.embedding import Backbone
    from frx.restoring.jobs import Format
    from frx.restoring.record import FileRecord

EXAMPLES = """\
\b
Examples:
  frx restore photos/ -o restored/ --model runs/hifacegan
\b
  Faces that are cut out already, or a whole picture, faces or not:
  frx restore faces/ -o restored/ --model runs/hifacegan --aligned
  frx restore scan.tif -o restored/ --model runs/unet_faces --whole
\b
  Fill in what is white in a mask:
  frx restore photo.jpg -o filled/ --model runs/inpaint_gan --mask hole.png
\b
  A network of other people's (pip install 'frx[foreign]'):
  frx restore photos/ -o restored/ --model GFPGANv1.4.pth
"""

# Those of frx.restoring.likeness, which imports torch; a test holds them against each other.
IDENTITY_NETWORKS = ("edgeface_xs", "edgeface_xxs", "inception_resnet_v1")


@click.command("restore", epilog=EXAMPLES)
@click.argument(
    "inputs", nargs=-1, required=True, metavar="INPUT…", type=click.Path(path_type=Path)
)
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Output folder.")
@click.option(
    "--model",
    required=True,
    type=click.Path(path_type=Path),
    help="A finished run folder, the model/ folder of one, or a .pth or .safetensors file of a "
    "network that spandrel knows, such as GFPGAN.",
)
@click.option(
    "--faces",
    type=click.Choice(["all", "largest"]),
    help="Which of the faces found in a photograph to restore.  [default: all]",
)
@click.option("--aligned", is_flag=True, help="Every picture is one face already, cut out.")
@click.option(
    "--whole", is_flag=True, help="Restore all of each picture, in tiles, and not faces alone."
)
@click.option(
    "--strength",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="How far to go from the photograph to what the network makes of it.",
)
@click.option(
    "--mask",
    metavar="FILE|FOLDER",
    type=click.Path(path_type=Path),
    help="What to fill in, for models that ask for a mask: white in a picture of the photograph's "
    "size, or in a folder with one for each photograph, of the same name but for the suffix.",
)
@mask_threshold_option
@click.option(
    "--found-masks",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Also write what a model found damaged: to look at, or to mend and give back with --mask.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(["keep", "png", "jpeg", "webp"]),
    help="File format.  [default: its own; PNG for a JPEG, WebP or AVIF of which only "
    "what is damaged is replaced, so that the rest stays as it is]",
)
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    help="Of JPEG, WebP and AVIF.  [default: the JPEG's own, else 95]",
)
@click.option("--suffix", default="", help="Put behind each name, such as _restored.")
@click.option(
    "--compare", is_flag=True, help="Also write before and after side by side, into OUT/cmp."
)
@click.option(
    "--keep-crops",
    is_flag=True,
    help="Also write each face as the network saw and made it, into OUT/cropped_faces and "
    "OUT/restored_faces.",
)
@click.option(
    "--face-size",
    type=click.IntRange(16, 4096),
    metavar="PIXELS",
    help="Height and width at which the network sees a face.  [default: the face's own, not below "
    "what it learned at; that exactly for networks that replace only damage]",
)
@click.option(
    "--tile",
    type=click.IntRange(64),
    metavar="PIXELS",
    help="Height and width of tiles, where all of a picture is restored.  [default: what fits into "
    "memory; halved should it run out]",
)
@click.option(
    "--likeness-network",
    type=click.Choice(IDENTITY_NETWORKS),
    help="What judges whether a face is still the same person's.  [default: the first of these "
    "whose weights are in the cache]",
)
@click.option(
    "--likeness-weights", metavar="FILE", help="Its weights, if they are not in the cache."
)
@click.option(
    "--likeness-threshold",
    type=click.FloatRange(-1, 1),
    default=0.5,
    show_default=True,
    help="Warn of faces that are less like what they were (1: the same).",
)
@device_option
def command(
    inputs: tuple[Path, ...],
    out: Path,
    model: Path,
    faces: Literal["all", "largest"] | None,
    aligned: bool,
    whole: bool,
    strength: float,
    mask: Path | None,
    mask_threshold: float | None,
    found_masks: Path | None,
    format_: Format | None,
    quality: int | None,
    suffix: str,
    compare: bool,
    keep_crops: bool,
    face_size: int | None,
    tile: int | None,
    likeness_network: Backbone | None,
    likeness_weights: str | None,
    likeness_threshold: float,
    device: str,
) -> None:
    """Restore the faces in photographs, and leave the rest of these as it was.

    INPUT is photographs and folders of them. Every face is found, turned upright, restored and put
    back; names, formats, sizes, transparency, grey, 16 bits, EXIF and colour profiles are kept.
    OUT/report.html shows before and after, OUT/results.jsonl has a line a file. The same command
    again goes on where one was stopped.

    With --mask, or a model that finds the damage itself (dual_decoder_unet), only what is marked or
    found is replaced; all else stays as it is, bit for bit. Grey counts as white from 128 (of 255)
    on, as a soft brush leaves it, and what is transparent as black. Where a model errs about the
    damage, a lower --mask-threshold replaces more, a higher one less, and --mask tells it.

    Each face gets a likeness before and after, 1 for the same, and a warning where it is low: a
    lower --strength keeps more of the person.

    A file that cannot be done is named, the others are done, and the exit code is 3.
    """
    if sum((faces is not None, aligned, whole)) > 1:
        raise click.UsageError("--faces, --aligned and --whole exclude each other")
    from frx.precision import choose_device
    from frx.restoring import page
    from frx.restoring.finishing import Finishing
    from frx.restoring.jobs import Naming
    from frx.restoring.likeness import Likeness
    from frx.restoring.model import open_model
    from frx.restoring.places import Aligned, Faces, Places, Sizes, Whole
    from frx.restoring.restore import Way, restore

    options = _set_options()
    restorer = open_model(model, choose_device(device), mask_threshold)
    in_part = mask is not None or restorer.finds_damage
    sizes = Sizes(restorer, in_part, face_size)
    found = Faces(sizes, faces or "all")
    places: Places = Aligned(sizes) if aligned else Whole() if whole else found
    likeness = Likeness.open(
        restorer.precision.device, found, likeness_network, likeness_weights, likeness_threshold
    )
    finishing = Finishing(
        restorer=restorer,
        strength=strength,
        tile_px=tile,
        quality=quality,
        likeness=likeness if isinstance(likeness, Likeness) else None,
        found_masks=found_masks,
        keep_crops=keep_crops,
        compare=compare,
    )
    way = Way(places, Naming(format_, suffix, in_part), finishing)
    judge = likeness.embed.protocol if isinstance(likeness, Likeness) else None
    settings = json.dumps([frx.__version__, options, restorer.about, judge])
    records = restore(inputs, out, way, mask, settings=settings)
    page.write(
        out / "report.html",
        records,
        model=str(model),
        options=options,
        missing=likeness if isinstance(likeness, str) else None,
        threshold=likeness_threshold if judge else None,
    )
    _tell(records, out, likeness if isinstance(likeness, str) else None)


def _set_options() -> dict[str, str]:
    """The options that were given, as they were written."""
    context = click.get_current_context()
    return {
        parameter.opts[-1]: "" if parameter.is_flag else str(context.params[str(parameter.name)])
        for parameter in context.command.params
        if isinstance(parameter, click.Option)
        and parameter.name not in ("out", "model")
        and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE
    }


def _tell(records: Sequence[FileRecord], out: Path, missing: str | None) -> None:
    """Say what became of the files.

    Raises:
        DataError: names those that failed.
    """
    from frx.errors import DataError
    from frx.images import shown

    of = {
        status: [record for record in records if record.status == status]
        for status in ("restored", "unchanged", "failed")
    }
    faces = [face for record in records for face in record.faces]
    click.echo(
        f"restored {len(of['restored'])} into {shown(out)}"
        + (f", {len(faces)} faces" if faces else "")
    )
    reasons = Counter(record.reason for record in of["unchanged"])
    for reason, count in reasons.items():
        names = [shown(record.source) for record in of["unchanged"] if record.reason == reason]
        more = ", …" if count > 5 else ""
        click.echo(f"left as {count} of them were: {reason} ({', '.join(names[:5])}{more})")
    if changed := sum(face.changed for face in faces):
        click.echo(
            f"{changed} faces may no longer look like the same person: the report shows them, and "
            "a lower --strength keeps more of the person"
        )
    if missing:
        click.echo(missing)
    click.echo(f"before and after: {shown(out / 'report.html')}")
    if of["failed"]:
        lines = "\n".join(f"  {record.reason}" for record in of["failed"])
        raise DataError(f"{len(of['failed'])} could not be restored:\n{lines}")
