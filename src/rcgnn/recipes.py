"""`RECIPES`: what a recipe sets where the user says nothing."""

from __future__ import annotations

from typing import Any, Literal

Recipe = Literal["auto", "origin-before", "origin-after"]

_ORIGIN_DATA = {"max_lag": 1, "clean": "off", "window": 24, "stride": 1, "valid_share": 0.3, "valid_blocks": 1}
_ORIGIN_TRAIN = {"epochs": 100, "batch": 8, "patience": 15, "eval_every": 2}

RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "auto": {},
    "origin-before": {
        "data": {**_ORIGIN_DATA, "scale": False},
        "losses": {"recon": 1.0, "sparse": 0.01, "acyclic": 0.1, "disen": 0.01, "invariance": 0.0, "balance": "fixed"},
        "train": {**_ORIGIN_TRAIN, "lr": 1e-3, "weight_decay": 1e-5, "clip": 10.0, "schedule": "constant"},
    },
    "origin-after": {
        "data": {**_ORIGIN_DATA, "scale": True},
        "losses": {"recon": 10.0, "sparse": 1e-4, "acyclic": 1e-5, "disen": 1e-4, "invariance": 0.0, "balance": "fixed"},
        "train": {**_ORIGIN_TRAIN, "lr": 5e-4, "weight_decay": 1e-4, "clip": 1.0, "schedule": "plateau"},
    },
}
"""What a recipe sets where the user says nothing; whatever the user sets wins."""
