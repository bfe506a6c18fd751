"""The screen from draws to evidence: basis by evidence, products of promising sensors, lag-0 order, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain

import numpy as np

from rcgnn.config import ScreenConfig
from rcgnn.mapped import in_turn
from rcgnn.prior import Prior, known_to
from rcgnn.screen import drivers as driver_room
from rcgnn.screen import features as feature_room
from rcgnn.screen.curves import borne_out, curves, luck
from rcgnn.screen.dense import blend_dense, dense_choice, dense_evidence
from rcgnn.screen.drivers import Drivers
from rcgnn.screen.features import BASES, Features, Offer, Sample, Tables, linear_columns
from rcgnn.screen.hidden import MARGIN, MOST_SENSORS, competing
from rcgnn.screen.known import Picks, hide, insist, pick
from rcgnn.screen.moments import Moments
from rcgnn.screen.offers import Offered, Tell, nobody, offered, penalty
from rcgnn.screen.order import Joint, Ordered, Scores, directed, ordered, search
from rcgnn.screen.residuals import innovations
from rcgnn.screen.score import Evidence, evidence, log_evidence, log_p_values, rescaled
from rcgnn.screen.search import grow, start
from rcgnn.screen.shape import Shapes
from rcgnn.screen.width import MOST_SOURCES
from rcgnn.series import BoolArray, FloatArray, IntArray, taken

DRIVER_DRAWS = 4


@dataclass(frozen=True, eq=False)
class Screened:
    """What the screen found.

    Attributes:
        score: [K+1, N, N] > 0 evidence; its maximum over lags is the pair's.
        log_p: [N, N] log p-value of each pair.
        evidence: the numbers behind both.
        ordered: models and lag-0 parents.
        bases: the basis that won, sensor by sensor.
        value: extended BIC of the lagged models by basis, summed over the sensors (larger is better).
        tests: number of features that competed, for the multiplicity of the decision.
        features: moments of each target.
        tables: features of every draw and row.
        keep: [rows, N] rows that count for each target.
        offers: what each target was offered.
        gamma: weight of the extended part of the penalty.
        drivers: hidden drivers; None where same-step links explain the table better, or nothing needs explaining.
        prior: what was known beforehand, or None.
        picks: the lag at which each required link entered.
        rows: see `Sample`.
        strength: [K+1, N, N] as `select.effects` measures it, where that was done before; None: not yet.
        luck: [N] what `by_luck` gives, where that was done before.
        told: [N, N] what `turning.told` gives, where that was done before.
    """

    score: FloatArray
    log_p: FloatArray
    evidence: Evidence
    ordered: Ordered
    bases: tuple[str, ...]
    value: dict[str, float]
    tests: int
    features: list[Features]
    tables: Tables
    keep: BoolArray
    offers: list[Offer]
    gamma: float
    drivers: Drivers | None = None
    prior: Prior | None = None
    picks: Picks = ()
    rows: IntArray | None = None
    strength: FloatArray | None = None
    luck: FloatArray | None = None
    told: BoolArray | None = None

    @property
    def basis(self) -> str:
        """The basis of the table: the one that won everywhere, else `mixed`."""
        return self.bases[0] if len(set(self.bases)) == 1 else "mixed"

    @property
    def curved(self) -> list[bool]:
        """[N] whether a curve or a product was chosen for the sensor, beside plain values of other sensors."""
        return [curves(own, local).size > 0 for own, local in zip(self.features, self.ordered.locals, strict=True)]

    def bends(self, alpha: float) -> bool:
        """Whether curves explain some sensor better than straight lines do, see `borne_out`."""
        return bool(borne_out(self.features, self.by_luck(), alpha).any())

    def by_luck(self) -> FloatArray:
        """[N] log p-values of the curves that were chosen, see `rcgnn.screen.curves`."""
        return luck(self.features, self.ordered.locals) if self.luck is None else self.luck

    def needed(self, alpha: float) -> list[str]:
        """The basis that each sensor's model makes use of: straight lines where no curve was chosen, or none is borne out."""
        bent = borne_out(self.features, self.by_luck(), alpha)
        return [basis if curved else "linear" for basis, curved in zip(self.bases, bent, strict=True)]


def screen(
    sample: Sample,
    config: ScreenConfig,
    *,
    bases: Sequence[str] | None = None,
    rng: np.random.Generator | None = None,
    tell: Tell = nobody,
) -> Screened:
    """Evidence for every pair of sensors.

    Args:
        sample: draws, readings that count, segments, longest lag.
        config: settings of the screen; an `Informed` one brings prior knowledge along.
        bases: the basis of each sensor, where it has been decided before; None: by the evidence.
        rng: for the paths of hidden drivers; None: nobody looks for any.
        tell: told of every target that is done.
    """
    sensors = sample.keep.shape[1]
    given = bases or [config.basis] * sensors
    tables = feature_room.build(
        sample.signal, sample.segments, max_lag=sample.max_lag, basis="linear" if set(given) == {"linear"} else "nonlinear"
    )
    rows = taken(sample.keep, tables.time)
    bank, tried = offered(tables, rows, given, config, tell)
    won, second = [max(one, key=lambda each: each.worth_choosing) for one in tried], [one[-1] for one in tried]
    value = dict.fromkeys(BASES, 0.0)
    for each in chain.from_iterable(tried):
        value[each.basis] += each.value
    tested = {name for basis in given for name in (BASES if basis == "auto" else (basis,))}
    found = _searched(won, bank, rows, config)
    if won != second:
        other = _searched(second, bank, rows, config)
        while (disputed := _disputed(found, other)).any():
            won = [theirs if disputed[j] else mine for j, (mine, theirs) in enumerate(zip(won, second, strict=True))]
            found = _searched(won, bank, rows, config)
        found = replace(found, score=_two_opinions(found.score, other.score))
    found = replace(found, value={name: total for name, total in value.items() if name in tested}, rows=sample.rows)
    if rng is None or config.hidden == "off" or not found.evidence.chosen[0].any() or sensors > MOST_SENSORS:
        return found
    own, lagged = [one.features for one in won], [one.lagged for one in won]
    least = MARGIN if config.hidden == "auto" else -np.inf
    count, margin = competing(*innovations(tables, rows, [one.offer for one in won], own, lagged), config.gamma, least)
    if not count or margin <= least:
        return found
    return _given_drivers(found, driver_room.infer(repeated(tables), count, margin, rng), config)


def _searched(won: list[Offered], bank: Moments, keep: BoolArray, config: ScreenConfig) -> Screened:
    tables = bank.tables
    own, offers = [one.features for one in won], [one.offer for one in won]
    prior, sizes = known_to(config), [len(f.lag) for f in own]
    models = _models(own, config, sizes)
    prices = [models.penalty(j) for j in range(len(own))]
    if picks := pick(own, models.rows, prior, prices):
        own = insist(own, picks)
        models = _models(own, config, sizes)
    same_rows = all(bool((column == keep[:, 0]).all()) for column in in_turn(keep.T, keep))
    joint = None if same_rows or not config.joint_rows else _joint(bank, keep, offers, models, config, picks)
    parents = directed(models, instantaneous=config.instantaneous, joint=joint)
    if config.shape and any(parents):
        shapes = Shapes(tables, keep, offers, own)
        if shapes.tell(parents, [models.local(j, of_j) for j, of_j in enumerate(parents)]):
            models = replace(models, shape=shapes.of)
            parents = directed(models, joint=joint, begin=parents)
    chosen = ordered(models, parents, joint)
    found = evidence(own, chosen, models.rows, prices, tables.max_lag)
    tests = max(len(f.lag) for f in own)
    bases = tuple(one.basis for one in won)
    permitted = None if prior is None else prior.permitted
    score = _permitted(blend_dense(scores(found), dense_evidence(own, models.rows), chosen.locals, own), permitted)
    log_p = log_p_values(found, permitted)
    return Screened(score, log_p, found, chosen, bases, {}, tests, own, tables, keep, offers, config.gamma, prior=prior, picks=picks)


def _permitted(score: FloatArray, permitted: BoolArray | None) -> FloatArray:
    return score if permitted is None else score * permitted


def _disputed(found: Screened, other: Screened) -> BoolArray:
    """[N] sensors to be given the other screen's basis: one end of a same-step link that the two screens direct differently.

    The end with more features to choose from attracts the arrow; such a direction is judged with the same features on both sides.
    """
    differs = np.array([mine != theirs for mine, theirs in zip(found.bases, other.bases, strict=True)])
    links = found.evidence.chosen[0] & other.evidence.chosen[0].T & (differs[:, None] != differs)
    return np.asarray((links.any(axis=0) | links.any(axis=1)) & differs)


def _two_opinions(score: FloatArray, other: FloatArray) -> FloatArray:
    """[K+1, N, N] scores of pairs as the geometric mean of two screens'; lags keep the first one's proportions.

    A weak curve escapes the choice of a basis and still ranks its link.
    """
    return rescaled(score, (log_evidence(score) + log_evidence(other)) / 2)


def repeated(tables: Tables) -> Tables:
    """The same table often enough for several draws of the drivers."""
    return tables if len(tables.draws) > 1 else replace(tables, draws=tables.draws * DRIVER_DRAWS)


def _given_drivers(found: Screened, drivers: Drivers, config: ScreenConfig) -> Screened:
    """The screen again, without same-step links, every sensor's model given the drivers."""
    tables = repeated(found.tables)
    offers = [replace(offer, hidden=drivers.paths) for offer in found.offers]
    bank = Moments.of(tables, offers)
    own = [hide(bank.features(found.keep[:, j], offer), j, found.prior) for j, offer in enumerate(offers)]
    sizes = [len(f.lag) for f in own]
    unforced = _models(own, config, sizes)
    penalties = [unforced.penalty(j) for j in range(len(own))]
    own = insist(own, found.picks)
    models = _models(own, config, sizes)
    dense = None if found.picks else dense_choice(own, models.rows, penalties, tables.max_lag)
    if dense is None:
        chosen = search(models, instantaneous=False)
        judged = evidence(own, chosen, models.rows, penalties, tables.max_lag)
    else:
        judged, locals_ = dense
        chosen = Ordered((frozenset(),) * len(own), locals_, np.zeros((len(own),) * 2))
    permitted = None if found.prior is None else found.prior.permitted
    score = blend_dense(scores(judged), dense_evidence(own, models.rows), chosen.locals, own)
    return replace(
        found,
        score=_permitted(score, permitted),
        log_p=log_p_values(judged, permitted),
        evidence=judged,
        ordered=chosen,
        features=own,
        tables=tables,
        offers=offers,
        drivers=drivers,
    )


def _models(own: list[Features], config: ScreenConfig, competing: list[int]) -> Scores:
    """Models of every sensor; `competing` features pay the multiplicity, however few of them are at hand."""
    rows = np.array([float(max(f.rows, 2)) for f in own])

    def price(j: int) -> FloatArray:
        cost = penalty(own[j], rows[j], config.gamma, competing[j])
        cost[own[j].required] = 0.0
        return cost

    return Scores(own, rows, price, config.max_features)


def _joint(bank: Moments, keep: BoolArray, offers: list[Offer], scores: Scores, config: ScreenConfig, picks: Picks) -> Joint:
    """(i, j) -> models of both on the rows in which both were read, each from the features that any of its models has used."""
    tables = bank.tables
    always = linear_columns(tables)
    now = np.arange(tables.sensors * tables.width)

    @cache
    def models(i: int, j: int) -> Scores:
        both = keep[:, i] & keep[:, j]
        mine = list(scores.features)
        for t in (i, j):
            used = [one for (target, _), local in scores.cache.items() if target == t for one in (local.chosen, local.forced)]
            columns = np.concatenate([always, *(offers[t].absolute(one) for one in used)])
            same_step = now[np.isin(now % tables.sensors, (i, j))]
            if offers[t].columns is None:
                columns = np.append(columns, same_step)
            mine[t] = hide(bank.features(both, replace(offers[t], columns=np.unique(columns))), t, known_to(config))
        return _models(insist(mine, picks), config, [len(f.lag) for f in scores.features])

    return models


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


def sparse_support(moment: FloatArray, observed: FloatArray, prior: Prior | None = None) -> BoolArray:
    """[N, N L] coefficients of a sparse linear autoregression: the strict search (gamma = 2) that EM uses between passes."""
    sensors = len(observed)
    lags = len(moment) // sensors - 1
    everything = feature_room.from_moment(moment, sensors, int(observed.max()))
    keep = np.zeros((sensors, sensors * lags), bool)
    for j in range(sensors):
        features = hide(everything, j, prior)
        base = start(features, j)
        cost = penalty(features, observed[j], 2.0)
        grown = grow(base, features.lag > 0, rows=float(max(observed[j], 2.0)), penalty=cost, most=MOST_SOURCES * lags)
        keep[j, np.concatenate([grown.chosen, base.forced]) - sensors] = True
    return keep
