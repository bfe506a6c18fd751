"""What prior knowledge does to the answer, and where the data speak against it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rcgnn.graph import LINK, NONE, Key
from rcgnn.health import Finding
from rcgnn.prior import Prior
from rcgnn.screen.features import Features
from rcgnn.screen.partial import Partial
from rcgnn.screen.search import Local, extended_bic, gains
from rcgnn.screen.structural import Screened
from rcgnn.series import FloatArray, IntArray

REQUIRED = "required by prior knowledge"
NAMED = 5
"""A finding names at most this many links; all are in its evidence."""

STRONG = 0.5
"""Share of the links' median evidence with which a forbidden pair is worth a finding."""


def rule_out(prior: Prior | None, verdict: NDArray[np.int8], reasons: dict[Key, str]) -> None:
    """What is forbidden is no link and no open question, in place."""
    if prior is None:
        return
    verdict[~prior.permitted] = NONE
    for key in [key for key in reasons if not prior.permitted[key]]:
        del reasons[key]


def obey(screened: Screened, verdict: NDArray[np.int8], reasons: dict[Key, str]) -> None:
    """What is forbidden is no link; every required link is one, at its best lag, with the reason; in place."""
    rule_out(screened.prior, verdict, reasons)
    if screened.prior is None:
        return
    for one, (k, i, j) in zip(screened.prior.required, screened.picks, strict=True):
        linked = [(screened.evidence.profile[lag, i, j], lag) for lag in one.lags if verdict[lag, i, j] == LINK]
        best = max(linked)[1] if linked else k
        verdict[best, i, j] = LINK
        reasons[(best, i, j)] = REQUIRED


def left_out(prior: Prior | None, active: IntArray) -> list[Finding]:
    """Required links about which nothing can be said, since a sensor of theirs does not take part."""
    if prior is None:
        return []
    here = set(active.tolist())
    links = [_words(prior.names, r.cause, r.effect) for r in prior.required if not {r.cause, r.effect} <= here]
    if not links:
        return []
    return [
        Finding(
            code="INPUT",
            severity="warn",
            message=f"required by prior knowledge, but a sensor was left out: {_some(links)}; undecided.",
            remedy="Repair or drop the sensor, or require the link of the sensor that stands for it.",
            evidence={"kind": "prior_left_out", "links": links},
        )
    ]


def against(screened: Screened, verdict: NDArray[np.int8], names: tuple[str, ...]) -> list[Finding]:
    """Where the data speak against what is known: `verdict` [K+1, N, N] is what the evidence alone decides."""
    if screened.prior is None:
        return []
    weak = [
        _words(names, r.cause, r.effect) for r in screened.prior.required if not (verdict[list(r.lags), r.cause, r.effect] == LINK).any()
    ]
    strong = [_words(names, i, j) for i, j in _strong(screened, verdict)]
    findings = []
    if weak:
        findings.append(
            Finding(
                code="PRIOR_AGAINST_DATA",
                severity="info",
                message=f"required by prior knowledge, but the data alone would not show it: {_some(weak)}.",
                remedy="Read its interval and confidence before you rely on it; a link that never acted in this table cannot be seen.",
                evidence={"required": weak},
            )
        )
    if strong:
        findings.append(
            Finding(
                code="PRIOR_AGAINST_DATA",
                severity="warn",
                message=f"forbidden by prior knowledge, but it would be among the stronger links: {_some(strong)}.",
                remedy="Check the statement; if it holds, look for a common cause that is not in the table.",
                evidence={"forbidden": strong},
            )
        )
    return findings


def _strong(screened: Screened, verdict: NDArray[np.int8]) -> list[tuple[int, int]]:
    """Forbidden pairs that would add more than `STRONG` of what the median link does, strongest first."""
    linked = (verdict == LINK).any(axis=0)
    if not linked.any():
        return []
    level = STRONG * float(np.median(screened.evidence.surplus[linked]))
    found: dict[tuple[int, int], float] = {}
    for j, (features, local) in enumerate(zip(screened.features, screened.ordered.locals, strict=True)):
        if features.whole is None:
            continue
        surplus = _unseen(features, local, j, screened)
        for f in np.flatnonzero(surplus > max(level, 0.0)):
            i = int(features.owner[f, 0])
            if features.lag[f] > 0 or not screened.evidence.chosen[0, j, i]:
                found[i, j] = max(found.get((i, j), 0.0), float(surplus[f]))
    return sorted(found, key=lambda pair: -found[pair])


def _unseen(features: Features, local: Local, target: int, screened: Screened) -> FloatArray:
    """[P] evidence that each hidden feature of one other sensor would add to the final model; -inf elsewhere."""
    if features.whole is None or screened.prior is None:
        return np.full(len(features.lag), -np.inf)
    given = Partial.of(features.whole, local.given.y, local.given.inside)
    rows = float(features.rows)
    price = extended_bic(rows, len(features.lag), screened.gamma)
    worth = gains(given, local.freedom(rows)) - price
    alone = features.owner[:, 0] == features.owner[:, 1]
    may = screened.prior.features(features.lag, features.owner, target)
    return np.where(alone & ~may, worth, -np.inf)


def _words(names: Sequence[str], cause: int, effect: int) -> str:
    return f"{names[cause]} -> {names[effect]}"


def _some(links: Sequence[str]) -> str:
    return ", ".join(links[:NAMED]) + (f" and {len(links) - NAMED} more" if len(links) > NAMED else "")
