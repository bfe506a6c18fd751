"""Curves and products that the screen chose: which, and whether they are more than the luckiest of all that were offered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rcgnn.screen.features import Features
from rcgnn.screen.score import log_chi2_tail, removal
from rcgnn.screen.search import Local
from rcgnn.series import BoolArray, FloatArray, IntArray


def curves(own: Features, local: Local) -> IntArray:
    """The chosen features of one sensor that are no plain values of other sensors."""
    plain = own.plain[own.lag[local.chosen], own.owner[local.chosen, 0]]
    return np.asarray(local.chosen[plain != local.chosen])


def luck(features: Sequence[Features], locals_: Sequence[Local]) -> FloatArray:
    """[N] natural log of the p-value of each sensor's chosen curves, taken out together; 0 where none was chosen.

    Args:
        features: of each sensor.
        locals_: the model of each sensor.
    """
    found = np.zeros(len(features))
    for j, (own, local) in enumerate(zip(features, locals_, strict=True)):
        picked = curves(own, local)
        if picked.size:
            stat = removal(local, picked, local.freedom(float(max(own.rows, 2))))
            found[j] = log_chi2_tail(np.array([stat]), np.array([picked.size]))[0]
    return found


def borne_out(features: Sequence[Features], log_p: FloatArray, alpha: float) -> BoolArray:
    """[N] sensors whose curves are missed when they are taken out: Bonferroni over all curves that any sensor was offered.

    Each sensor's search pays for the features that it was offered itself. Of fifty sensors on straight lines one or two choose a curve all
    the same, which is worth nothing to anyone.

    Args:
        features: of each sensor.
        log_p: [N] from `luck`.
        alpha: chance of one such sensor in a table of straight lines.
    """
    offered = sum(max(len(own.lag) - own.plain.size, 0) for own in features)
    return np.asarray(log_p < np.log(alpha / max(offered, 1)))
