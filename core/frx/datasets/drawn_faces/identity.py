"""What stays with a person: the numbers behind a face, sampled from a generator.

Most measures are factors around 1; colours are sRGB in 0..1.
"""

from __future__ import annotations

import attrs
import numpy as np

HAIR_STYLES = (
    "bald", "buzz", "crop", "swept", "slick", "spiky", "curly", "afro",
    "receding", "bob", "long", "wavy", "ringlets", "fringe", "bun", "headscarf",
)  # fmt: skip
_FEMININE = np.array([0.3, 0.5, 2, 3, 2, 0.5, 4, 3, 0, 10, 16, 14, 9, 10, 9, 4])
_MASCULINE = np.array([8, 10, 18, 16, 8, 8, 10, 4, 7, 0.8, 2, 2, 1, 1, 1, 0])
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "round", "rectangle", "browline", "thin")
# Iris colours by rising melanin, sRGB.
_IRIS = np.array(
    [
        (0.42, 0.58, 0.70), (0.30, 0.46, 0.62), (0.42, 0.52, 0.44), (0.38, 0.45, 0.27),
        (0.52, 0.40, 0.22), (0.40, 0.25, 0.13), (0.28, 0.16, 0.09), (0.19, 0.11, 0.07),
    ]
)  # fmt: skip
# Skin by rising melanin, sRGB.
_SKIN = np.array(
    [
        (0.950, 0.808, 0.715), (0.915, 0.735, 0.620), (0.845, 0.645, 0.515),
        (0.730, 0.525, 0.400), (0.590, 0.400, 0.290), (0.440, 0.285, 0.205),
        (0.310, 0.195, 0.145),
    ]
)  # fmt: skip
# Hair from black over brown to blond, and red, sRGB.
_HAIR = np.array(
    [
        (0.075, 0.062, 0.060), (0.150, 0.100, 0.075), (0.255, 0.165, 0.110),
        (0.380, 0.255, 0.160), (0.560, 0.410, 0.260), (0.760, 0.615, 0.410),
    ]
)  # fmt: skip
_RED_HAIR = np.array((0.520, 0.225, 0.095))

Color = tuple[float, float, float]


@attrs.frozen(kw_only=True)
class Identity:
    """What stays with a person: bones, skin, hair, eyes."""

    detail_seed: int
    masculinity: float
    age_years: float
    skin: Color
    melanin: float
    redness: float
    freckles: float
    face_width: float
    jaw_width: float
    jaw_angle: float
    chin_length: float
    chin_point: float
    cheekbone: float
    brow_ridge: float
    forehead_height: float
    nose_width: float
    nose_length: float
    nose_bridge: float
    nose_tip: float
    eye_size: float
    eye_tilt: float
    eye_spacing: float
    eye_depth: float
    lid_crease: float
    iris: Color
    brow_thickness: float
    brow_arch: float
    brow_height: float
    lip_fullness: float
    mouth_width: float
    mouth_height: float
    ear_size: float
    asymmetry: tuple[float, float, float]
    hair_style: str
    hair: Color
    grey: float
    hair_volume: float
    hair_length: float
    hair_parting: float
    hair_wave: float
    beard: str
    beard_density: float
    make_up: float
    lipstick: Color
    glasses: str
    frame: Color
    earrings: bool

    @classmethod
    def from_rng(cls, rng: np.random.Generator) -> Identity:
        """Draw a person from `rng`; skin, hair and iris colours are correlated as in life."""
        masculinity = float(np.clip(rng.choice([0.18, 0.82]) + rng.normal(0, 0.1), 0, 1))
        masculine = masculinity > 0.5
        melanin = float(rng.beta(0.95, 1.15))
        age = float(np.clip(18 + 62 * rng.beta(1.1, 2.3), 18, 82))
        darkness = float(np.clip(rng.normal(1.25 * melanin - 0.12, 0.26), -0.35, 1))
        blondness = float(np.clip(0.62 - 0.95 * darkness + rng.normal(0, 0.12), 0, 1))
        red = melanin < 0.35 and rng.random() < 0.14
        hair = _ramp(_HAIR, blondness)
        if red:
            hair = tuple(0.35 * np.array(hair) + 0.65 * _RED_HAIR * rng.uniform(0.7, 1.2))
        grey = float(np.clip((age - rng.normal(52, 9)) / 22, 0, 1))
        odds = _MASCULINE.copy() if masculine else _FEMININE.copy()
        curled = np.isin(HAIR_STYLES, ("curly", "afro", "ringlets", "buzz"))
        odds = np.where(curled, odds * (0.35 + 2.2 * melanin), odds * (1.5 - 1.1 * melanin))
        odds[[0, 8]] *= 0.15 if age < 35 else 1.8
        tone = np.array(_ramp(_SKIN, melanin)) * (1 + rng.normal(0, 0.025))
        undertone = rng.normal(0, 0.02)
        skin = np.clip(tone * (1, 1 + undertone, 1 - 0.8 * undertone), 0.02, 0.98)
        beards = [0.36, 0.27, 0.09, 0.11, 0.17] if masculine else [1, 0, 0, 0, 0]
        glasses = rng.random() < 0.16 + 0.004 * (age - 18)
        lips = [(0.62, 0.10, 0.13), (0.72, 0.28, 0.30), (0.45, 0.10, 0.16), (0.78, 0.38, 0.36)]

        def scale(sigma: float) -> float:
            return float(1 + sigma * np.clip(rng.normal(), -2.2, 2.2))

        male = masculinity - 0.5
        freckled = bool(rng.random() < 0.5 * (1 - melanin) ** 2 + 0.4 * red)
        iris = float(np.clip(max(darkness + 0.1, 1.5 * melanin), 0, 1))
        return cls(
            detail_seed=int(rng.integers(2**31)),
            masculinity=masculinity,
            age_years=age,
            skin=_color(skin),
            melanin=melanin,
            redness=float(rng.uniform(0.2, 1) * (1.1 - 0.7 * melanin)),
            freckles=freckled * float(rng.uniform(0.3, 1)),
            face_width=scale(0.040) + 0.02 * male,
            jaw_width=scale(0.040) + 0.13 * male,
            jaw_angle=scale(0.05) + 0.05 * male,
            chin_length=scale(0.045) + 0.03 * male,
            chin_point=float(rng.normal(0, 0.5)),
            cheekbone=scale(0.3) - 0.2 * male,
            brow_ridge=scale(0.3) + 1.1 * male,
            forehead_height=scale(0.05),
            nose_width=scale(0.10) + 0.10 * male + 0.26 * (melanin - 0.35),
            nose_length=scale(0.06) + 0.03 * male,
            nose_bridge=scale(0.22) - 0.35 * (melanin - 0.35),
            nose_tip=scale(0.2),
            eye_size=scale(0.06) - 0.06 * male,
            eye_tilt=float(rng.normal(0.05, 0.05)) - 0.05 * male,
            eye_spacing=scale(0.02),
            eye_depth=scale(0.25) + 0.3 * male,
            lid_crease=float(rng.uniform(0.1, 1)),
            iris=_color(np.array(_ramp(_IRIS, iris)) * rng.uniform(0.85, 1.2)),
            brow_thickness=scale(0.18) + 0.45 * male,
            brow_arch=scale(0.45) - 0.7 * male,
            brow_height=float(rng.normal(0, 0.004)) - 0.009 * male,
            lip_fullness=scale(0.16) - 0.22 * male + 0.45 * (melanin - 0.35),
            mouth_width=scale(0.06) + 0.03 * male,
            mouth_height=float(rng.normal(0, 0.005)),
            ear_size=scale(0.09) + 0.05 * male,
            asymmetry=_color(rng.normal(0, 1, 3)),
            hair_style=str(rng.choice(HAIR_STYLES, p=odds / odds.sum())),
            hair=_color(np.array(hair) * rng.uniform(0.85, 1.15)),
            grey=grey,
            hair_volume=scale(0.22),
            hair_length=float(rng.uniform(0, 1)),
            hair_parting=float(rng.choice([-1, 1]) * rng.uniform(0, 0.42)),
            hair_wave=float(rng.uniform(0, 1)),
            beard=str(rng.choice(BEARDS, p=beards)),
            beard_density=float(rng.uniform(0.5, 1)),
            make_up=0.0 if masculine else float(max(0, rng.normal(0.35, 0.4))),
            lipstick=_color(np.array(lips[int(rng.integers(4))]) * rng.uniform(0.85, 1.1)),
            glasses=str(rng.choice(GLASSES[1:])) if glasses else "none",
            frame=[(0.05, 0.05, 0.06), (0.25, 0.14, 0.08), (0.45, 0.36, 0.2), (0.12, 0.13, 0.25)][
                int(rng.integers(4))
            ],
            earrings=bool(not masculine and rng.random() < 0.35),
        )  # fmt: skip


def _ramp(colors: np.ndarray, position: float) -> Color:
    at = np.linspace(0, 1, len(colors))
    return _color([np.interp(position, at, colors[:, channel]) for channel in range(3)])


def _color(values: np.ndarray | list[float]) -> Color:
    r, g, b = (float(value) for value in values)
    return (r, g, b)
