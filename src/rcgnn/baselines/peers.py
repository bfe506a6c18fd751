"""Published methods of others, behind the one signature. Their packages come with `pip install 'rcgnn[peers]'` and load when used."""

from __future__ import annotations

import warnings
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcgnn.baselines.lagged import TOO_FEW_ROWS, Lagged
from rcgnn.data.marks import unit_size
from rcgnn.errors import InputError
from rcgnn.graph import LINK, NONE, UNDECIDED, CausalGraph, Key
from rcgnn.series import FloatArray, IntArray, Series
from rcgnn.signal.interpolate import interpolate

LEAST_P = 1e-300
"""Smaller p values underflow; below it the size of the partial correlation orders the links."""
MISSING = 1e9
"""What tigramite is told to take for a missing reading; readings are standardised, none comes near."""
OPEN_MARKS = {"o-o": "the contemporaneous link has no direction (o-o)", "x-x": "orientation rules contradict each other (x-x)"}
"""Marks of PCMCI+ that say that there is a link, and not which way."""
NO_PAIR = "Undecidable: fewer than two sensors vary."
NO_SAMPLES = "No valid samples"
"""How tigramite says that a test is left without a row."""


def pcmci_plus(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - no chance in it
    """PCMCI+ with the partial correlation test: momentary conditional independence, lags 0 ... K.

    Score: -log10 of the largest p of any test of the link, at each lag; 0 against the direction of an oriented link at lag 0.
    Links are those of the graph at the level alpha, without a correction for many tests. A link at lag 0 without a direction
    (o-o, x-x) is undecided both ways. The partial correlation is no effect size, so strength stays 0.

    Missing readings: flagged (`missing_flag`), so each test leaves out the rows that lack a reading it needs. Rows of different
    segments are kept apart by 2 K flagged rows. `remove_missing_upto_maxlag` stays off: it guards against readings that are
    missing because of their value, leaves no row when a fifth of the cells is missing, and ends in an IndexError in
    tigramite 5.2.10 when a reading is missing in the last rows.

    Source: Runge 2020, "Discovering contemporaneous and lagged causal relations in autocorrelated nonlinear time series
    datasets"; package tigramite (GPL-3.0).

    Args:
        series: readings.
        max_lag: K.
        alpha: level of every single test (`pc_alpha`).
        seed: not used.

    Raises:
        InputError: tigramite is not installed.
        ConfigError: max_lag below 1.

    Example:
        >>> from rcgnn.synth import simulate
        >>> s = simulate("linear", seed=1, rows=200, sensors=4)
        >>> pcmci_plus(s.series, max_lag=3).score.shape  # doctest: +SKIP
        (4, 4, 4)
    """
    return _pcmci(series, max_lag, alpha, ("pcmci+", "parcorr", "ParCorr"))


def pcmci_plus_robust(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - as above
    """`pcmci_plus` with the robust partial correlation test: every margin is mapped to a normal one by its ranks first.

    Source: as `pcmci_plus`; Liu, Lafferty and Wasserman 2009, "The nonparanormal".

    Args:
        series: readings.
        max_lag: K.
        alpha: level of every single test (`pc_alpha`).
        seed: not used.

    Raises:
        InputError: tigramite is not installed.
        ConfigError: max_lag below 1.
    """
    return _pcmci(series, max_lag, alpha, ("pcmci+robust", "robust_parcorr", "RobustParCorr"))


def varlingam(series: Series, *, max_lag: int, alpha: float = 0.05, seed: int = 1337) -> CausalGraph:  # noqa: ARG001 - has no level
    """VAR-LiNGAM: a vector autoregression whose residuals, not normal, give the order within one step.

    Formula:
        x(t) = B_0 x(t) + B_1 x(t-1) + ... + B_K x(t-K) + e(t),  B_0 acyclic, e independent and not normal

    Score and strength: |b| and b on standardised sensors; link: b survives the adaptive lasso of the package (`prune`), which has
    no level. All K lags are in the model, as in every other method here: the package's own choice by BIC often stops below the
    longest delay when a table has many sensors and few rows. With normal noise the order within a step is a guess.

    Missing readings: the method knows none and takes one unbroken table, so gaps are filled by linear interpolation, and only
    the longest segment is used.

    Source: Hyvärinen, Zhang, Shimizu and Hoyer 2010, "Estimation of a structural vector autoregression model using
    non-Gaussianity"; package lingam (MIT).

    Args:
        series: readings; gaps are filled linearly.
        max_lag: K.
        alpha: not used.
        seed: handed to the package.

    Raises:
        InputError: lingam is not installed.
        ConfigError: max_lag below 1.
    """
    lingam = _load("varlingam", "lingam")
    longest = max(series.segments(), key=lambda s: s.stop - s.start)
    part = series.rows(longest)
    table = Lagged.of(part, max_lag)
    rows, lags, sensors = table.shape
    if sensors < 2:
        return replace(table.undecidable(), conclusion=NO_PAIR)
    if rows <= (lags + 1) * sensors + 1:
        return table.undecidable()
    x = _standardised(part, table.active)
    x = interpolate(x, np.isfinite(x), part.segments())
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        model = lingam.VARLiNGAM(lags=max_lag, criterion=None, random_state=seed).fit(x - x.mean(axis=0))
    effect = np.nan_to_num(np.swapaxes(np.asarray(model.adjacency_matrices_), 1, 2), posinf=0.0, neginf=0.0)
    return table.graph(np.abs(effect), np.where(effect != 0, LINK, NONE).astype(np.int8), strength=effect)


def _load(method: str, name: str) -> Any:
    """The module of a peer.

    Raises:
        InputError: it, or something it needs, is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return import_module(name)
        except ImportError as error:
            package = name.partition(".")[0]
            raise InputError(
                f"baseline {method}: expected the package {package}, got {error}; install it with: pip install 'rcgnn[peers]'."
            ) from error


def _standardised(series: Series, active: IntArray) -> FloatArray:
    """[T, m] the sensors that vary, mean 0 and standard deviation 1 over what was observed; NaN where not observed."""
    x = unit_size(series)[0][:, active]
    x = x - np.nanmean(x, axis=0)
    return np.asarray(x / np.nanstd(x, axis=0))


def _pcmci(series: Series, max_lag: int, alpha: float, form: tuple[str, str, str]) -> CausalGraph:
    """PCMCI+ with one of tigramite's tests; `form` is (row of BASELINES, module, class)."""
    method, module, test = form
    frames, pcmci = _load(method, "tigramite.data_processing"), _load(method, "tigramite.pcmci")
    independence = getattr(_load(method, f"tigramite.independence_tests.{module}"), test)()
    table = Lagged.of(series, max_lag)
    if len(table.active) < 2:
        return replace(table.undecidable(), conclusion=NO_PAIR)
    if len(series.values) <= 2 * max_lag + 2:
        return table.undecidable()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            frame = frames.DataFrame(_apart(series, table.active, 2 * max_lag), missing_flag=MISSING)
            found = pcmci.PCMCI(frame, independence, verbosity=0).run_pcmciplus(tau_max=max_lag, pc_alpha=alpha)
        except ValueError as error:
            if NO_SAMPLES not in str(error):
                raise
            return table.undecidable()
    mark, p, size = (np.moveaxis(np.asarray(found[what]), 2, 0) for what in ("graph", "p_matrix", "val_matrix"))
    return _with_open_questions(table, mark, p, np.abs(size))


def _apart(series: Series, active: IntArray, gap: int) -> FloatArray:
    """[T', m] standardised readings, `gap` missing rows between any two segments, `MISSING` where there is no reading."""
    x = _standardised(series, active)
    space = np.full((gap, x.shape[1]), np.nan)
    parts = [rows for segment in series.segments() for rows in (space, x[segment])][1:]
    return np.nan_to_num(np.concatenate(parts), nan=MISSING)


def _with_open_questions(table: Lagged, mark: NDArray[np.str_], p: FloatArray, size: FloatArray) -> CausalGraph:
    """The graph of marks, p values and |partial correlations| [K+1, m, m].

    A pair with a p that is not a number had too few rows for its test. With no p at all nothing can be said.
    """
    untested = ~np.isfinite(p)
    untested[:, np.eye(p.shape[1], dtype=bool)] = False
    score = -np.log10(np.clip(np.nan_to_num(p, nan=1.0), LEAST_P, 1.0)) + np.where(p <= LEAST_P, np.nan_to_num(size), 0.0)
    score[mark == "<--"] = 0.0
    verdict = np.where(mark == "-->", LINK, NONE).astype(np.int8)
    verdict[np.isin(mark, list(OPEN_MARKS)) | untested] = UNDECIDED
    names, active = table.series.names, table.active
    why: dict[Key, str] = {
        (int(k), int(active[i]), int(active[j])): OPEN_MARKS.get(str(mark[k, i, j]), TOO_FEW_ROWS)
        for k, i, j in np.argwhere(verdict == UNDECIDED)
    }
    plain = table.graph(score, verdict)
    return CausalGraph.of(names, plain.score, plain.verdict, reasons=why, quarantined=plain.quarantined)
