"""Picture files that Pillow cannot write, or not as fast: PNG, and TIFF of 16 bits a channel."""

from __future__ import annotations

import io
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from PIL import TiffImagePlugin as Tiff

from frx.photograph import DeepPicture, Picture, described

_SIGNATURE_BYTES = 8
_HEADER = slice(16, 29)  # the body of IHDR, always the first chunk
_FIRST_CHUNKS_END = 33
_DEFLATE = 8
_RGB, _BLACK_IS_ZERO = 2, 1
_NOT_MULTIPLIED_BY_ALPHA = 2
_STRIP_BYTES = 1 << 18


def require_picture(pixels: Picture | DeepPicture) -> None:
    """Refuse what no file of any format could hold.

    Raises:
        ValueError: it is not uint8 or uint16, [H, W, 3] or [H, W], or has no pixels.
    """
    kinds = (np.uint8, np.uint16)
    if pixels.dtype not in kinds or not (pixels.ndim == 2 or pixels.shape[2:] == (3,)):
        raise ValueError(
            "a picture is uint8 or uint16 [H, W, 3] or [H, W], "
            f"not {pixels.dtype} {list(pixels.shape)}"
        )
    if not pixels.size:
        raise ValueError("it has no pixels")


def png(
    samples: NDArray[np.uint8] | DeepPicture, *, exif: bytes = b"", icc_profile: bytes = b""
) -> memoryview:
    """Encode [H, W], [H, W, 3] or [H, W, 4] as PNG, quickly; with uint16 also [H, W, 2].

    Of photographs, run lengths with the best filter a row take a fifth of the time of Pillow's
    search for what repeats, and make files 2 % larger.
    """
    gray_alpha = samples.shape[2:] == (2,)
    if gray_alpha:
        # OpenCV takes no two channels. PNG filters bytes by what they are in the pixel before,
        # and grey with alpha of 16 bits has as many a pixel as colour with alpha of 8.
        samples = samples.astype(">u2").view(np.uint8)
    if samples.ndim == 3:
        order = cv2.COLOR_RGB2BGR if samples.shape[2] == 3 else cv2.COLOR_RGBA2BGRA
        samples = cv2.cvtColor(samples, order)  # type: ignore[assignment]
    # The level, which run lengths take no notice of, makes OpenCV try all filters.
    options = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    options += [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    done, encoded = cv2.imencode(".png", np.ascontiguousarray(samples), options)
    if not done:
        raise ValueError(f"OpenCV cannot encode {list(samples.shape)}")
    header = bytearray(encoded[_HEADER])
    if gray_alpha:
        header[8:10] = 16, 4
    file = io.BytesIO()
    file.write(encoded[:_SIGNATURE_BYTES].data)
    PngImagePlugin.putchunk(file, b"IHDR", bytes(header))
    if icc_profile:
        PngImagePlugin.putchunk(file, b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile))
    if exif:
        PngImagePlugin.putchunk(file, b"eXIf", exif.removeprefix(b"Exif\0\0"))
    file.write(encoded[_FIRST_CHUNKS_END:].data)
    return file.getbuffer()


def tiff(samples: DeepPicture, *, exif: bytes = b"", icc_profile: bytes = b"") -> memoryview:
    """Encode [H, W] or [H, W, C], C from 2 to 4, as TIFF, deflated.

    Of `exif`, what describes the picture goes into the file's directory, as TIFF has it. Grey with
    alpha becomes colour: neither Pillow nor OpenCV reads the other in 16 bits.

    Raises:
        ValueError: the colour profile is one for grey, and the file has to be of colour.
    """
    if samples.shape[2:] == (2,):
        if icc_profile[16:20] == b"GRAY":
            raise ValueError(
                "16 bits cannot keep both transparency and a colour profile for grey; write PNG"
            )
        samples = samples[..., [0, 0, 0, 1]]
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    rows = max(1, _STRIP_BYTES // (width * channels * 2))
    strips = [_strip(samples[top : top + rows]) for top in range(0, height, rows)]
    ends = np.cumsum([len(strip) for strip in strips]).tolist()

    described_by = Image.Exif()
    described_by.load(exif)
    directory = Tiff.ImageFileDirectory_v2()
    for tag, value in described(described_by):
        directory[tag] = value
    directory[Tiff.IMAGEWIDTH] = width
    directory[Tiff.IMAGELENGTH] = height
    directory[Tiff.BITSPERSAMPLE] = (16,) * channels
    directory[Tiff.COMPRESSION] = _DEFLATE
    directory[Tiff.PREDICTOR] = 2
    directory[Tiff.PHOTOMETRIC_INTERPRETATION] = _BLACK_IS_ZERO if channels == 1 else _RGB
    directory[Tiff.SAMPLESPERPIXEL] = channels
    directory[Tiff.PLANAR_CONFIGURATION] = 1
    directory[Tiff.ROWSPERSTRIP] = rows
    directory[Tiff.STRIPBYTECOUNTS] = tuple(len(strip) for strip in strips)
    # Counted from the directory's end, where the strips begin; Pillow adds where that is.
    directory[Tiff.STRIPOFFSETS] = (0, *ends[:-1])
    if channels == 4:
        directory[Tiff.EXTRASAMPLES] = _NOT_MULTIPLIED_BY_ALPHA
    if icc_profile:
        directory[Tiff.ICCPROFILE] = icc_profile
    file = io.BytesIO()
    directory.save(file)
    file.writelines(strips)
    return file.getbuffer()


def _strip(samples: DeepPicture) -> bytes:
    """Deflate rows, each sample as its difference from the one to the left."""
    differences = samples.astype("<u2")
    differences[:, 1:] -= samples[:, :-1]
    # More effort makes photographs' noise no smaller, and takes twice as long.
    return zlib.compress(differences.tobytes(), level=1)
