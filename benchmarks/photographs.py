"""Pictures like photographs, as files: there is none to ship."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CONTRAST, COLOURFULNESS, GRAIN = 50.0, 12.0, 2.0


def write(folder: Path, count: int, height: int, width: int, quality: int) -> list[Path]:
    """Write JPEGs as a camera or `Image.save` would, colour halved in both directions."""
    paths = [folder / f"{number:05}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        rng = np.random.default_rng(number)
        Image.fromarray(drawn(rng, height, width)).save(path, quality=quality, subsampling=2)
    return paths


def drawn(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise with the spectrum of photographs, uint8 [H, W, 3].

    Amplitudes fall with the frequency to the power of 1.6, colours are weaker than brightness, and
    a sensor's noise is added: JPEG makes as many bytes of it as of photographs of faces.
    """
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.hypot(down * height, across * width)
    frequency[0, 0] = np.inf
    planes = []
    for strength in (CONTRAST, COLOURFULNESS, COLOURFULNESS):
        spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / frequency**1.6
        plane = np.fft.irfft2(spectrum, (height, width))
        planes.append(plane * (strength / plane.std()))
    bright, red, blue = planes
    pixels = np.stack([bright + red, bright - (red + blue) / 2, bright + blue], axis=-1) + 128
    grain = GRAIN * rng.standard_normal(pixels.shape)
    return (pixels + grain).clip(0, 255).astype(np.uint8)
