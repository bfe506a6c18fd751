"""What the page knows about the graph: sensors with their places, links with their evidence, open questions. Plain JSON values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rcgnn.graph import CausalGraph, Key
from rcgnn.report.layout import Layout, layout

SHOWN_OPEN = 300
"""Undecided pairs listed; the others are counted."""
COVERED = (2.5, 97.5)
CURVE = 21
"""Points of a response line."""
Arrays = Mapping[str, NDArray[Any]]


def short(value: Any, digits: int = 5) -> float | None:
    """A number for the page; what is absent or not finite is absent.

    Example:
        >>> short(1 / 3), short(float("nan")), short(None)
        (0.33333, None, None)
    """
    number = math.nan if value is None else float(value)
    return float(f"{number:.{digits}g}") if math.isfinite(number) else None


def shorts(values: Any, digits: int = 5) -> list[float | None]:
    """The same for many."""
    return [short(value, digits) for value in values]


def graph_data(graph: CausalGraph, equations: Arrays) -> dict[str, Any]:
    """Everything about the graph that the page draws; `links` are `graph.links()`, in that order.

    Args:
        graph: the answer.
        equations: arrays of mechanism.npz; empty where there are none.
    """
    places = layout(len(graph.names), [(i, j) for _, i, j in graph.links()])
    links = [_link(graph, key, row, equations) for key, row in zip(graph.links(), graph.rows(), strict=False)]
    for name in ("strength", "confidence"):
        if not any(link[name] for link in links):  # the recipe gives none: absent, not nought
            links = [link | {name: None} for link in links]
    return {
        "max_lag": graph.max_lag,
        "sensors": _sensors(graph, places),
        "bends": [[i, j, points] for (i, j), points in places.bends.items()],
        "links": links,
        "regimes": _regimes(graph),
        "open": _open(graph),
    }


def _sensors(graph: CausalGraph, places: Layout) -> list[dict[str, Any]]:
    aliases = {copy: f"a near-copy of {name}" for copy, name in graph.aliases.items()}
    out = dict(graph.quarantined) | aliases
    return [{"name": name, "x": x, "y": y, "out": out.get(name)} for name, (x, y) in zip(graph.names, places.sensors, strict=True)]


def _link(graph: CausalGraph, key: Key, row: Mapping[str, Any], equations: Arrays) -> dict[str, Any]:
    k, i, j = key
    numbers = {name: short(row[name]) for name in ("strength", "low", "high", "in_units", "swing", "in_units_low", "in_units_high")}
    profile = {"forward": shorts(graph.score[:, i, j]), "backward": shorts(graph.score[:, j, i])}
    own = {"key": list(key), "lag": k, "confidence": short(row["confidence"]), "score": short(row["score"]), "reason": row["reason"]}
    return {**own, **numbers, "profile": profile, "response": _response(graph, key, equations), "modes": _modes(graph, key)}


def _modes(graph: CausalGraph, key: Key) -> dict[str, Any] | None:
    """p-value and, by mode, strength with its interval, of a link that differs between operating modes."""
    contrast = graph.contrasts.get(key)
    if contrast is None or not contrast.differs:
        return None
    slopes = {name: shorts((s.strength, s.low, s.high)) for name, s in contrast.slopes.items()}
    return {"p": short(contrast.p), "slopes": slopes}


def _regimes(graph: CausalGraph) -> list[dict[str, Any]]:
    """Operating modes with the strength of every link in them; none where no link differs."""
    if not any(contrast.differs for contrast in graph.contrasts.values()):
        return []
    return [{"name": name, "strength": [short(strength[key]) for key in graph.links()]} for name, strength in graph.by_regime.items()]


def _response(graph: CausalGraph, key: Key, equations: Arrays) -> dict[str, Any] | None:
    """What the effect does when the cause alone moves over its range, by its equation, in sensor units, with 95 % of the resamples."""
    names = equations["sensor_names"].tolist() if "sensor_names" in equations else []
    k, i, j = key
    if graph.names[i] not in names or graph.names[j] not in names:
        return None
    a, b = names.index(graph.names[i]), names.index(graph.names[j])
    term = np.flatnonzero((equations["terms"] == (k, a, b)).all(axis=1))
    unit = equations["sensor_unit"]
    cause = np.linspace(equations["sensor_lowest"][a], equations["sensor_highest"][a], CURVE)
    if not len(term) or not np.isfinite(cause).all():
        return None
    z = (cause - equations["sensor_level"][a] - equations["sensor_offset"][a]) / unit[a]
    lines = np.outer(equations["resampled"][:, term[0]], z) * unit[b]
    band = np.percentile(lines, COVERED, axis=0) if equations["degrees"][b] > 0 and len(lines) else np.full((2, CURVE), np.nan)
    drawn = {"cause": shorts(cause), "effect": shorts(equations["coefficient"][term[0]] * z * unit[b])}
    return {**drawn, "low": shorts(band[0]), "high": shorts(band[1]), "curved": bool(equations["sensor_curved"][b])}


def _open(graph: CausalGraph) -> dict[str, Any]:
    """Undecided pairs with their lags and reasons; the first of them in full, all of them counted by reason."""
    lags: dict[tuple[int, int, str], list[int]] = {}
    for k, i, j in graph.undecided():
        lags.setdefault((i, j, graph.reasons.get((k, i, j), "no reason recorded")), []).append(k)
    reasons = Counter({reason: 0 for *_, reason in lags})
    reasons.update(reason for *_, reason in lags)
    shown = [{"cause": i, "effect": j, "reason": why, "lags": sorted(found)} for (i, j, why), found in list(lags.items())[:SHOWN_OPEN]]
    return {"pairs": len({(i, j) for i, j, _ in lags}), "entries": len(lags), "reasons": dict(reasons.most_common()), "shown": shown}
