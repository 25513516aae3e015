"""Randomness as a function: what is drawn depends on names, never on what was drawn before."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np


def seed_of(*names: str | int) -> int:
    """A 64-bit seed for the things named, the same in every process."""
    return int.from_bytes(_digest(names, 8), "little")


def generator(*names: str | int) -> np.random.Generator:
    """A fresh generator for the things named, such as (run seed, purpose, epoch, sample id)."""
    key = np.frombuffer(_digest(names, 16), dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def _digest(names: tuple[str | int, ...], size: int) -> bytes:
    text = "\0".join(str(name) for name in names)
    # File names need not be UTF-8: Python carries foreign bytes as surrogates.
    return blake2b(text.encode(errors="surrogateescape"), digest_size=size).digest()
