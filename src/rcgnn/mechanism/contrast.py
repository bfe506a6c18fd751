"""From the comparison of operating modes to the graph and to a sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rcgnn.graph import CausalGraph, Contrast, Key, Slope
from rcgnn.health import Finding
from rcgnn.mechanism.equations import Mechanism
from rcgnn.mechanism.modes import Modes

NAMED = 5
"""The finding names at most this many links; all are in its evidence."""


def contrasted(graph: CausalGraph, mechanism: Mechanism, modes: Modes | None) -> CausalGraph:
    """The same graph with the strength of each link in each mode.

        strength = b_r s_i / s_j,     in units = b_r u_j / u_i

    s is the standard deviation over the whole table in every mode, so that a difference is one of the mechanism and not of how much a
    sensor moves. A link that does not differ has no slopes: the one strength of the graph serves all modes.

    Args:
        graph: with the links that were compared.
        mechanism: their pooled equations, with the units.
        modes: the comparison; None: one mode, the graph stays as it is.
    """
    if modes is None:
        return graph
    own = mechanism.sensors
    place = [graph.names.index(name) for name in own.names]
    contrasts: dict[Key, Contrast] = {}
    for at, (k, i, j) in enumerate(modes.links.tolist()):
        ratio, unit = float(own.spread[i] / own.spread[j]) if own.spread[j] > 0 else 0.0, _ratio(own.unit[j], own.unit[i])
        slopes = {
            name: Slope(b * ratio, (b - half) * ratio, (b + half) * ratio, b * unit)
            for name, b, half in zip(modes.names, modes.coefficient[at].tolist(), modes.margin[at].tolist(), strict=True)
            if np.isfinite(b * unit) and np.isfinite(half * ratio)
        }
        p = float(modes.p[at])
        contrasts[k, place[i], place[j]] = Contrast(p if np.isfinite(p) else None, slopes if modes.differs[at] else {})
    return replace(graph, regimes=modes.names, contrasts=contrasts)


def _ratio(above: float, below: float) -> float:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return float(np.float64(above) / np.float64(below))


def about(graph: CausalGraph, mechanism: Mechanism, modes: Modes | None) -> list[Finding]:
    """One sentence on the modes; none where there is one mode or no link to compare."""
    if modes is None or not graph.contrasts:
        return []
    words = {key: f"{graph.names[key[1]]} -> {graph.names[key[2]]} at lag {key[0]}" for key in graph.links()}
    tested = [key for key in words if key in graph.contrasts and graph.contrasts[key].p is not None]
    differ = [words[key] for key in words if key in graph.contrasts and graph.contrasts[key].differs]
    several = f"{len(modes.names)} operating modes"
    if not tested:
        said, todo = f"no link could be compared between the {several}: too few rows in them.", "Give more rows of each mode."
    elif differ:
        more = f" and {len(differ) - NAMED} more" if len(differ) > NAMED else ""
        said = f"{len(differ)} of {len(tested)} links differ between the {several}: {', '.join(differ[:NAMED])}{more}."
        todo = "Read regimes.csv for the strength in each mode; forecasts and interventions use the common one."
    else:
        said, todo = f"no link differs between the {several}: one graph serves all modes.", ""
    sensors = {name: float(p) for name, p in zip(mechanism.sensors.names, modes.sensor_p, strict=True) if np.isfinite(p)}
    evidence = {"kind": "regimes", "tested": len(tested), "differ": differ, "sensors": sensors}
    return [Finding(code="INPUT", severity="info", message=said, remedy=todo, evidence=evidence)]
