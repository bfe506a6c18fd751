"""The origin's network and its two recipes, rebuilt as a baseline and as the entry point `scripts/train_stable.py`."""

from rcgnn.origin.fit import OriginResult, fit_origin
from rcgnn.origin.record import EpochReport

__all__ = ["EpochReport", "OriginResult", "fit_origin"]
