"""Where fuzzing starts: the small entries of the corpus, and settings."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hostile.binaries import NUMPY, PARQUET
from hostile.texts import CELLS, ENCODINGS, SHAPES, TIMES
from rcgnn.config import Config

SMALL = 4000
"""Bytes of a file at most."""
PRIORS = (
    'forbid: ["a -> b @ 1..2", "* -> a"]\nrequire: ["b -> a"]\n',
    "tiers: [[a], [b]]\nexogenous: [a]\nlags: {a -> b: 1..2}\n",
    'prior: {lags: ["\\"a\\" -> b @ 0..3"]}\n',
)
SAID = ("train.lr=1e-3\nrecipe=origin-after", "data.max_lag=auto\nprior.forbid=[a -> b]", "budget=10m\nlosses.balance=torchjd:MGDA")


def seeds(target: str) -> list[bytes]:
    """Inputs of one target of `fuzz.py`."""
    return tables() if target == "tables" else settings()


def settings() -> list[bytes]:
    files = [Config().to_yaml(), "recipe: origin-before\n", "data: {max_lag: auto, resample: 10min}\n", *PRIORS]
    return [bytes([kind]) + text.encode() for kind in (0, 1) for text in files] + [b"\x02" + text.encode() for text in SAID]


def tables() -> list[bytes]:
    kinds = {".csv": 0, ".parquet": 1, ".npz": 2, ".npy": 3}
    found = []
    with tempfile.TemporaryDirectory() as name:
        for number, entry in enumerate({**ENCODINGS, **SHAPES, **CELLS, **TIMES, **PARQUET, **NUMPY}.values()):
            folder = Path(name) / str(number)
            folder.mkdir()
            path = entry.write(folder)
            kind = kinds.get(path.suffix)
            if kind is not None and path.stat().st_size < SMALL:
                found.append(bytes([kind]) + path.read_bytes())
    return found
