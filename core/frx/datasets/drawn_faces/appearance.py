"""What changes between two pictures of one person, sampled from a generator."""

from __future__ import annotations

import attrs
import numpy as np

BACKGROUNDS = ("studio", "bokeh", "foliage", "interior", "sky", "plaster", "brick", "dusk")
GARMENTS = ("tee", "shirt", "knit", "blazer", "hoodie", "stripes")
HATS = ("none", "beanie")


@attrs.frozen(kw_only=True)
class Appearance:
    """What changes between two pictures of one person: pose, expression, light, surroundings."""

    detail_seed: int
    yaw_deg: float
    pitch_deg: float
    roll_deg: float
    smile: float
    teeth: float
    mouth_open: float
    brow_raise: float
    brow_furrow: float
    eye_open: float
    gaze: tuple[float, float]
    light_azimuth_deg: float
    light_elevation_deg: float
    light_softness: float
    light_warmth: float
    ambient: float
    rim: float
    exposure: float
    grain: float
    vignette: float
    background: str
    background_hue: float
    background_tone: float
    garment: str
    garment_hue: float
    garment_saturation: float
    garment_tone: float
    hat: str

    @classmethod
    def from_rng(cls, rng: np.random.Generator) -> Appearance:
        """Draw the circumstances of one photograph from `rng`."""
        smile = float(np.clip(rng.normal(0.48, 0.38), -0.3, 1))
        shows_teeth = rng.random() < np.clip(1.4 * smile - 0.25, 0, 0.85)
        return cls(
            detail_seed=int(rng.integers(2**31)),
            yaw_deg=float(np.clip(rng.normal(0, 7.5), -17, 17)),
            pitch_deg=float(np.clip(rng.normal(0, 3.5), -8, 8)),
            roll_deg=float(np.clip(rng.normal(0, 2.2), -6, 6)),
            smile=smile,
            teeth=float(rng.uniform(0.45, 1) * shows_teeth),
            mouth_open=float(rng.uniform(0.1, 0.8)) if rng.random() < 0.15 else 0.0,
            brow_raise=float(np.clip(rng.normal(0.05, 0.35), -0.6, 1)),
            brow_furrow=float(max(0, rng.normal(-0.25, 0.35))),
            eye_open=float(np.clip(rng.normal(1.0, 0.1), 0.7, 1.2)),
            gaze=(float(rng.normal(0, 0.3)), float(rng.normal(0, 0.2))),
            light_azimuth_deg=float(rng.choice([-1, 1]) * rng.uniform(8, 62)),
            light_elevation_deg=float(rng.uniform(14, 50)),
            light_softness=float(rng.uniform(0, 1)),
            light_warmth=float(np.clip(rng.normal(0.15, 0.45), -0.8, 1)),
            ambient=float(rng.uniform(0.28, 0.62)),
            rim=float(rng.uniform(0.3, 1)) if rng.random() < 0.4 else 0.0,
            exposure=float(rng.normal(1.0, 0.08)),
            grain=float(rng.uniform(0.001, 0.006)),
            vignette=float(rng.uniform(0, 0.35)),
            background=str(rng.choice(BACKGROUNDS)),
            background_hue=float(rng.uniform(0, 1)),
            background_tone=float(rng.uniform(0, 1)),
            garment=str(rng.choice(GARMENTS)),
            garment_hue=float(rng.uniform(0, 1)),
            garment_saturation=float(rng.beta(1.3, 2.0)),
            garment_tone=float(rng.uniform(0.03, 0.85)),
            hat=str(rng.choice(HATS, p=[0.96, 0.04])),
        )
