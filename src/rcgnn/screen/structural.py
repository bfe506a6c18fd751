"""The screen from draws to evidence: basis by evidence, products of promising sensors, lag-0 order, scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations

import numpy as np

from rcgnn.config import ScreenConfig
from rcgnn.health import Progress, silent
from rcgnn.screen import features as feature_room
from rcgnn.screen.features import BASES, Features, Tables, moments
from rcgnn.screen.order import Ordered, Scores, search
from rcgnn.screen.score import Evidence, evidence, log_p_values
from rcgnn.screen.search import grow, start
from rcgnn.series import BoolArray, FloatArray

MOST_SOURCES = 12
"""Products are formed among this many best sources of a sensor."""


@dataclass(frozen=True, eq=False)
class Screened:
    """What the screen found.

    Attributes:
        score: [K+1, N, N] > 0 evidence; its maximum over lags is the pair's.
        log_p: [N, N] log p-value of each pair.
        evidence: the numbers behind both.
        ordered: models and lag-0 parents.
        basis: the basis that won.
        value: extended BIC by basis (larger is better).
        tests: number of features that competed, for the multiplicity of the decision.
        features: moments of each target.
        tables: features of every draw and row.
        keep: [rows, N] rows that count for each target.
        pairs: products that each target was offered.
        gamma: weight of the extended part of the penalty.
    """

    score: FloatArray
    log_p: FloatArray
    evidence: Evidence
    ordered: Ordered
    basis: str
    value: dict[str, float]
    tests: int
    features: list[Features]
    tables: Tables
    keep: BoolArray
    pairs: list[list[tuple[int, int]]]
    gamma: float


def screen(
    signal: FloatArray, keep: BoolArray, segments: Sequence[slice], *, max_lag: int, config: ScreenConfig, progress: Progress = silent
) -> Screened:
    """Evidence for every pair of sensors.

    Args:
        signal: [S, T, N] scaled signal draws.
        keep: [T, N] readings that count: a sensor is only ever a target where it was read.
        segments: runs of rows.
        max_lag: K.
        config: settings of the screen.
        progress: told of every basis tried.
    """
    names = list(BASES) if config.basis == "auto" else [config.basis]
    tried = {}
    for done, name in enumerate(names):
        progress("screen", {"done": done, "total": len(names), "message": f"{name} basis"})
        tables = feature_room.build(signal, segments, max_lag=max_lag, basis=name)
        tried[name] = _with_basis(tables, keep[tables.time], config, name)
    best = max(tried, key=lambda name: tried[name].value[name])
    return replace(tried[best], value={name: one.value[name] for name, one in tried.items()})


def _with_basis(tables: Tables, keep: BoolArray, config: ScreenConfig, basis: str) -> Screened:
    own, pairs = _moments_by_target(tables, keep, config, products=basis != "linear")
    models = _models(own, config, [len(f.lag) for f in own])
    same_rows = bool((keep == keep[:, :1]).all())
    joint = None if same_rows or not config.joint_rows else _joint(tables, keep, pairs, models, config)
    ordered = search(models, instantaneous=config.instantaneous, joint=joint)
    found = evidence(own, ordered, models.rows, [models.penalty(j) for j in range(len(own))], tables.max_lag)
    total = sum(local.value(n) - np.log(n) * len(local.forced) for local, n in zip(ordered.locals, models.rows, strict=True))
    tests = max(len(f.lag) for f in own)
    return Screened(
        scores(found), log_p_values(found), found, ordered, basis, {basis: float(total)}, tests, own, tables, keep, pairs, config.gamma
    )


def _models(own: list[Features], config: ScreenConfig, competing: list[int]) -> Scores:
    """Models of every sensor; `competing` features pay the multiplicity, however few of them are at hand."""
    rows = np.array([float(max(f.rows, 2)) for f in own])
    return Scores(own, rows, lambda j: _penalty(own[j], rows[j], config.gamma, competing[j]), config.max_features)


def _joint(
    tables: Tables, keep: BoolArray, pairs: list[list[tuple[int, int]]], scores: Scores, config: ScreenConfig
) -> Callable[[int, int], Scores]:
    """(i, j) -> models of both on the rows in which both were read, each from the features that any of its models has used."""
    plain = np.arange(tables.draws[0].shape[1])
    always = plain[plain // tables.sensors % tables.width == 0]

    @cache
    def models(i: int, j: int) -> Scores:
        both = keep[:, i] & keep[:, j]
        mine = list(scores.features)
        for t in (i, j):
            used = [one for (target, _), local in scores.cache.items() if target == t for one in (local.chosen, local.forced)]
            now = plain[: tables.sensors * tables.width]
            used.append(now[np.isin(now % tables.sensors, (i, j))])
            mine[t] = moments(tables, both, pairs[t], np.unique(np.concatenate([always, *used])))
        return _models(mine, config, [len(f.lag) for f in scores.features])

    return models


def _moments_by_target(
    tables: Tables, keep: BoolArray, config: ScreenConfig, *, products: bool
) -> tuple[list[Features], list[list[tuple[int, int]]]]:
    """Moments for each target over the rows in which it was read; targets read in the same rows share them."""
    known: dict[bytes, Features] = {}
    own, pairs = [], []
    for j in range(tables.sensors):
        mine = keep[:, j]
        key = np.packbits(mine).tobytes()
        if key not in known:
            known[key] = moments(tables, mine)
        base = known[key]
        pairs.append(_pairs(base, j, _penalty(base, base.rows, config.gamma)) if products else [])
        own.append(moments(tables, mine, pairs[j]) if products else base)
    return own, pairs


def _penalty(features: Features, rows: float, gamma: float, competing: int | None = None) -> FloatArray:
    """[P] the same price for every feature."""
    count = len(features.lag)
    return np.full(count, extended_bic(rows, competing or count, gamma))


def extended_bic(rows: float, competing: int, gamma: float) -> float:
    """Price of one feature (Chen & Chen 2008, eq. 1.2): ln n + 2 gamma ln(number of competing features).

    Example:
        >>> round(extended_bic(1500, 150, 0.5), 2)
        12.32
    """
    return float(np.log(max(rows, 2.0)) + 2.0 * gamma * np.log(competing))


def _pairs(base: Features, target: int, penalty: FloatArray) -> list[tuple[int, int]]:
    """Pairs of the target's most promising sources, the target itself among them."""
    model = start(base, target)
    y = int(base.value[target])
    lagged = base.lag > 0
    grown = grow(model, y, lagged, rows=float(max(base.rows, 2)), penalty=penalty, most=MOST_SOURCES)
    power = np.maximum(np.diag(model.swept), 1e-12)
    r2 = np.where(lagged & (power > 1e-5), model.swept[:, y] ** 2 / (power * model.unexplained), 0.0)
    strength = np.array([r2[base.of(i)].max() for i in range(base.sensors)])
    strength[target] = np.inf
    strength[base.owner[grown.chosen].ravel()] += 10.0
    best = np.sort(np.argsort(-strength, kind="stable")[:MOST_SOURCES])
    return [(int(a), int(b)) for a, b in combinations(best, 2)]


def scores(found: Evidence) -> FloatArray:
    """[K+1, N, N] positive scores: 1 + S where S > 0, else exp S; same-step evidence is shared between the directions."""
    pair, profile = _positive(found.surplus), _positive(found.profile)
    same_step, linked = profile[0], found.chosen[0]
    shared = np.where(linked, np.maximum(pair * found.direction, profile[1:].max(axis=0)), pair)
    mirror = np.where(linked, same_step * (1.0 - found.direction), 0.0).T
    total = np.maximum(shared, mirror)
    top = profile.max(axis=0)
    score = profile / np.where(top > 0, top, 1.0) * total
    index = np.arange(score.shape[1])
    score[:, index, index] = 0.0
    return score


def _positive(surplus: FloatArray) -> FloatArray:
    """1 + S where S > 0, else exp S: positive, in the same order."""
    return np.where(surplus > 0, 1.0 + np.maximum(surplus, 0.0), np.exp(np.clip(surplus, -700.0, 0.0)))


def sparse_support(moment: FloatArray, observed: FloatArray) -> BoolArray:
    """[N, N L] coefficients of a sparse linear autoregression: the strict search (gamma = 2) that EM uses between passes."""
    sensors = len(observed)
    lags = len(moment) // sensors - 1
    features = feature_room.from_moment(moment, sensors, int(observed.max()))
    keep = np.zeros((sensors, sensors * lags), bool)
    for j in range(sensors):
        base = start(features, j)
        cost = _penalty(features, observed[j], 2.0)
        grown = grow(base, j, features.lag > 0, rows=float(max(observed[j], 2.0)), penalty=cost, most=MOST_SOURCES * lags)
        keep[j, np.concatenate([grown.chosen, base.forced]) - sensors] = True
    return keep
