"""From the screen's evidence to the one graph: verdicts, strengths, confidence, and what is said about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from rcgnn.config import Config
from rcgnn.data.quality import QualityReport
from rcgnn.errors import InputError
from rcgnn.graph import LINK, UNDECIDED, CausalGraph, Key
from rcgnn.health import Finding
from rcgnn.mapped import in_turn
from rcgnn.prior import Prior
from rcgnn.screen.drivers import Drivers
from rcgnn.screen.null import Chance
from rcgnn.screen.opinions import Opinions
from rcgnn.screen.pieces import Pieces, blend
from rcgnn.screen.rowwise import rowwise
from rcgnn.screen.search import extended_bic
from rcgnn.screen.structural import Screened
from rcgnn.screen.turning import told
from rcgnn.select.confidence import held_and_sure
from rcgnn.select.effects import strengths
from rcgnn.select.exchange import exchangeable
from rcgnn.select.known import against, obey, rule_out
from rcgnn.select.modes import Seen, revise
from rcgnn.series import BoolArray, FloatArray, IntArray, Series, slabs, taken
from rcgnn.verdict import DIRECTION, PairEvidence, decide, detectable_share, set_aside

FEW_ROWS = "too few joint rows"
QUARANTINED = "a quarantined sensor"
NEAR_COPY = "a near-copy of another sensor"
MOST_OPEN = 5_000_000
"""Questions that sensors which take no part may leave open; each is kept with its reason."""
COMPUTED = "computed from others: each follows from the rest within the row"
SPURIOUS = 0.05
"""Share of pairs that may look linked on shifted copies before a finding says so."""
ROUNDS_TO_NONE = 0.5
"""A mean over copies that is printed as no pair at all."""
REACHED = 0.2
"""Share of a sensor's innovation that hidden drivers explain before it is named among those they reach."""
Held = tuple[FloatArray, FloatArray]
SMALLEST_GROUP = 3
"""Columns that follow from each other and are no copies."""
ROWS_PER_LAG = 5
"""A sensor read in fewer rows than this many times the own lags cannot be told from its own past."""


@dataclass(frozen=True, eq=False)
class Checks:
    """The screen's second looks: on shifted copies of the table, on pieces of it (None where it is too short) and further opinions
    (None where no state space ran).
    """

    chance: Chance
    pieces: Pieces | None
    further: Opinions | None = None


@dataclass(frozen=True, eq=False)
class Decision:
    """Everything decided about the active sensors; arrays [K+1, n, n] over them.

    Attributes:
        held: share of block halves in which a link holds.
        chance: largest evidence on the median shifted copy.
    """

    score: FloatArray
    verdict: NDArray[np.int8]
    strength: FloatArray
    confidence: FloatArray
    reasons: dict[Key, str]
    findings: list[Finding]
    detectable: float
    held: FloatArray
    chance: float

    @classmethod
    def of(cls, screened: Screened, scaled: Series, checks: Checks, config: Config, held: Held | None = None) -> Decision:
        """Decide from the screen's evidence, what it finds by chance, and piece by piece.

        Args:
            screened: the screen.
            scaled: the active sensors.
            checks: its second looks.
            config: all settings.
            held: what `held_and_sure` says; None: it is asked.
        """
        found = screened.evidence
        share = None if checks.pieces is None else checks.pieces.share
        chance = checks.chance.surplus
        shares, sure = held_and_sure(screened, chance, config) if held is None else held
        agreed = None if checks.further is None else checks.further.agreed
        asked = sure if config.select.halves else None
        pairs = PairEvidence(
            found.surplus,
            screened.log_p,
            found.chosen,
            found.direction,
            screened.tests,
            found.profile,
            chance,
            share,
            asked,
            agreed,
            told(screened),
            rowwise(screened) if checks.pieces is None else None,
            exchangeable(screened, scaled),
        )
        verdict, reasons = decide(pairs, alpha=config.select.alpha)
        disagreeing = against(screened, verdict, scaled.names)
        set_aside(verdict, reasons, _too_few(scaled, screened, config), FEW_ROWS)
        obey(screened, verdict, reasons)
        strength = strengths(screened)
        decided = (verdict == LINK) | np.eye(verdict.shape[1], dtype=bool)
        rows = float(np.median([f.rows for f in screened.features]))
        penalty = extended_bic(rows, screened.tests, config.screen.gamma)
        findings = [
            *_about(reasons, scaled.names),
            *_by_chance(checks.chance, len(scaled.names)),
            *_hidden(screened.drivers, scaled.names),
            *disagreeing,
        ]
        score = screened.score if checks.further is None else checks.further.blended(screened.score)
        score = score if checks.pieces is None else blend(score, checks.pieces)
        detectable = detectable_share(rows, penalty)
        return cls(score, verdict, np.where(decided, strength, 0.0), sure, reasons, findings, detectable, shares, chance)

    def revised(self, seen: Seen, differing: IntArray) -> Decision:
        """With what single operating modes add and drop; `differing` [m, 3] are the candidates that differ between modes."""
        differs = np.zeros(self.verdict.shape, bool)
        differs[tuple(differing.T)] = True
        verdict = revise(self.verdict, self.reasons, seen, differs)
        added, dropped = (verdict == LINK) & (self.verdict != LINK), (verdict != LINK) & (self.verdict == LINK)
        lost = dropped.any(axis=0) & ~(verdict == LINK).any(axis=0)
        score = np.where(lost, np.minimum(self.score, seen.score), np.where(added, np.maximum(self.score, seen.score), self.score))
        sure = np.where(lost, 0.0, np.where(added, np.maximum(self.confidence, seen.confidence), self.confidence))
        reasons = {key: why for key, why in self.reasons.items() if not added[key]}
        strength = np.where(dropped, 0.0, self.strength)
        return replace(self, score=score, verdict=verdict, strength=strength, confidence=sure, reasons=reasons)


def assemble(
    names: tuple[str, ...], active: NDArray[np.int64], report: QualityReport, decision: Decision, prior: Prior | None = None
) -> CausalGraph:
    """The graph over all sensors of the table; what could not take part keeps its row and column, undecided unless forbidden."""
    size = (len(decision.score), len(names), len(names))
    place = np.ix_(np.arange(size[0]), active, active)

    def widened(array: NDArray) -> NDArray:
        wide = np.zeros(size, array.dtype)
        wide[place] = array
        return wide

    verdict = widened(decision.verdict)
    reasons = {(k, int(active[i]), int(active[j])): why for (k, i, j), why in decision.reasons.items()}
    _left_out(verdict, reasons, names, report)
    _computed(verdict, reasons, names, report)
    rule_out(prior, verdict, reasons)
    graph = CausalGraph(
        names,
        widened(decision.score),
        verdict,
        widened(decision.strength),
        widened(decision.confidence),
        reasons,
        dict(report.quarantined),
        dict(report.aliases),
    )
    return replace(graph, conclusion=_conclusion(names, graph, decision.detectable))


def undecidable(names: tuple[str, ...], max_lag: int, report: QualityReport, prior: Prior | None = None) -> CausalGraph:
    """The graph when fewer than two sensors can take part: every pair is open that is not forbidden."""
    size = (max_lag + 1, len(names), len(names))
    verdict, reasons = np.zeros(size, np.int8), dict[Key, str]()
    _left_out(verdict, reasons, names, report)
    rule_out(prior, verdict, reasons)
    return CausalGraph.of(
        names,
        np.zeros(size),
        verdict,
        reasons=reasons,
        quarantined=dict(report.quarantined),
        aliases=dict(report.aliases),
        conclusion="Undecidable: fewer than two sensors have readings that vary and are not copies of each other.",
    )


def _left_out(verdict: NDArray[np.int8], reasons: dict[Key, str], names: tuple[str, ...], report: QualityReport) -> None:
    """Every pair with a sensor that did not take part is an open question, in place.

    Raises:
        InputError: more of them than memory should be filled with.
    """
    why = dict.fromkeys(report.quarantined, QUARANTINED) | dict.fromkeys(report.aliases, NEAR_COPY)
    every, part = len(names), sum(name not in why for name in names)
    open_ = len(verdict) * (every * (every - 1) - part * (part - 1))
    if open_ > MOST_OPEN:
        raise InputError(
            f"table: {every - part:,} of {every:,} sensors cannot take part (too few readings, no movement, or copies), which leaves "
            f"{open_:,} questions open, expected at most {MOST_OPEN:,}; leave such columns out, or is the table the other way round?"
        )
    for i, cause in enumerate(names):
        for j, effect in enumerate(names):
            reason = why.get(cause) or why.get(effect)
            if i != j and reason:
                verdict[:, i, j] = UNDECIDED
                reasons |= {(k, i, j): reason for k in range(len(verdict))}


def _computed(verdict: NDArray[np.int8], reasons: dict[Key, str], names: tuple[str, ...], report: QualityReport) -> None:
    """Within the row nothing is decided between columns that follow from each other, in place.

    Of three such columns any past is told by the own past and one of the others, whichever: nothing is decided at any lag.
    """
    for group in report.computed:
        lags = len(verdict) if len(group) == SMALLEST_GROUP else 1
        for i, j in permutations((names.index(name) for name in group), 2):
            verdict[:lags, i, j] = UNDECIDED
            reasons |= {(k, i, j): COMPUTED for k in range(lags)}


def _conclusion(names: tuple[str, ...], graph: CausalGraph, detectable: float) -> str:
    """One or two sentences that agree with the graph's own lists."""
    links, reasons = graph.links(), set(graph.reasons.values())
    open_ = len({(i, j) for _, i, j in graph.undecided()})
    tail = f" {open_} pair{'s are' if open_ > 1 else ' is'} undecided." if open_ else ""
    if links:
        k, i, j = links[0]
        when = "within the same step" if k == 0 else f"after {k} step{'s' if k > 1 else ''}"
        found = _links(len(links), int(graph.summary.sum()))
        return f"Found {found} among {len(names)} sensors; the clearest: {names[i]} drives {names[j]} {when}.{tail}"
    if DIRECTION in reasons:
        return f"No link with a direction found; some sensors are linked within one step, either way.{tail}"
    if open_ == len(names) * (len(names) - 1):
        why = " and ".join(sorted(reasons))
        return f"Undecidable: {why} to say anything about any pair." if reasons == {FEW_ROWS} else f"Undecidable, every pair: {why}."
    share = f"{100 * detectable:.1f} %"
    return f"No links found; a link explaining {share} of a sensor's variance would have been found with 90 % probability.{tail}"


def _links(links: int, pairs: int) -> str:
    """Links are counted as they are listed, one a lag.

    Example:
        >>> _links(1, 1), _links(5, 5), _links(17, 15)
        ('1 link', '5 links', '17 links between 15 pairs')
    """
    between = f" between {pairs} pair{'s' if pairs > 1 else ''}" if links != pairs else ""
    return f"{links} link{'s' if links > 1 else ''}{between}"


def _too_few(scaled: Series, screened: Screened, config: Config) -> BoolArray:
    """[n, n] pairs that were hardly ever read together at any lag, or whose effect was hardly read at all."""
    mask = scaled.mask if screened.rows is None else taken(scaled.mask, screened.rows)
    rows = len(mask)
    joint = np.max([_read_together(mask, k) for k in range(min(config.data.lags, rows - 1) + 1)], axis=0)
    read = np.array([f.rows for f in screened.features], float)
    least = max(config.data.min_observed, ROWS_PER_LAG * config.data.lags)
    poor = (joint < config.data.min_observed) | (read < least)[None, :]
    np.fill_diagonal(poor, val=False)
    return np.asarray(poor)


def _read_together(mask: BoolArray, lag: int) -> FloatArray:
    """[n, n] rows in which j was read, and i so many rows before."""
    joint = np.zeros((mask.shape[1], mask.shape[1]))
    for part in in_turn(slabs(len(mask) - lag, mask.shape[1]), mask):
        joint += mask[part].astype(np.float64).T @ mask[part.start + lag : part.stop + lag].astype(np.float64)
    return joint


def _about(reasons: dict[Key, str], names: tuple[str, ...]) -> list[Finding]:
    findings = []
    unclear = sorted({tuple(sorted((i, j))) for (_, i, j), why in reasons.items() if why == DIRECTION})
    for i, j in unclear:
        findings.append(
            Finding(
                code="DIRECTION_UNCLEAR",
                severity="info",
                message=f"{names[i]} and {names[j]} are linked within one step, but the data do not say which way.",
                remedy="Sample faster, or say which comes first.",
                evidence={"pair": [names[i], names[j]]},
            )
        )
    few = {(i, j) for (_, i, j), why in reasons.items() if why == FEW_ROWS}
    if few:
        findings.append(
            Finding(
                code="INPUT",
                severity="warn",
                message=f"{len(few)} of {len(names) * (len(names) - 1)} pairs were hardly ever read together; they are undecided.",
                remedy="More rows, or drop the sensors that are rarely read.",
                evidence={"kind": "joint_rows", "pairs": len(few)},
            )
        )
    return findings


def _by_chance(chance: Chance, sensors: int) -> list[Finding]:
    """A warning when shifted copies of the table show links too."""
    total = sensors * (sensors - 1)
    if chance.pairs <= max(SPURIOUS * total, ROUNDS_TO_NONE):
        return []
    return [
        Finding(
            code="INPUT",
            severity="warn",
            message=(
                f"on circularly shifted copies of the table, where nothing can drive anything, {chance.pairs:.0f} of {total} pairs still "
                "look linked: the sensors share a season, a trend or a unit root."
            ),
            remedy="Only pairs with more evidence than any of these are called links; remove the season or give changes to see more.",
            evidence={"kind": "chance", "pairs": chance.pairs, "surplus": chance.surplus},
            applied=True,
        )
    ]


def _hidden(drivers: Drivers | None, names: tuple[str, ...]) -> list[Finding]:
    """What was never measured and drives several sensors at once."""
    if drivers is None:
        return []
    reach = {name: round(float(share), 2) for name, share in zip(names, drivers.reach, strict=True) if share >= REACHED}
    many = drivers.count > 1
    who, it = ("hidden drivers, never measured, act", "them") if many else ("hidden driver, never measured, acts", "it")
    return [
        Finding(
            code="INPUT",
            severity="warn",
            message=(
                f"{drivers.count} {who} on {len(reach)} sensors within the step: {_some(list(reach))}. "
                f"Links within the step cannot be told from {it} and are not looked for."
            ),
            remedy="Add a sensor for what drives them all (load, weather, operator), if there is one; or screen.hidden=off.",
            evidence={"kind": "hidden_drivers", "drivers": drivers.count, "margin": round(drivers.margin, 1), "reach": reach},
            applied=True,
        )
    ]


def _some(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
