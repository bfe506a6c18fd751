"""Rules about the graph as the network has it: lost, bypassed, dense, unsettled. They are our own."""

from __future__ import annotations

from statistics import median

from rcgnn.config import Config
from rcgnn.diagnosis.records import TAIL, Records, since_remedy
from rcgnn.health import Finding

BYPASS_SHARE, BYPASS_GAIN = 0.1, 1e-3
DENSE_FACTOR = 3
UNSTABLE_OVERLAP = 0.8


def collapse(records: Records, _config: Config) -> Finding | None:
    """COLLAPSE: no link left although the screen handed candidates over."""
    last = since_remedy(records, "COLLAPSE")[-1:]
    if not last or last[0].graph is None or last[0].graph.edges > 0:
        return None
    given = last[0].data.get("screened", last[0].data.get("candidates", 0.0))
    if not given:
        return None
    return Finding(
        code="COLLAPSE",
        severity="act",
        message=f"no link is left of the {given:.0f} that the screen handed over.",
        remedy="Restarted once with half the threshold; if it happens again, trained again with a tenth of the lambdas (train.reruns).",
        evidence={"screen": given, "threshold": last[0].graph.threshold},
    )


def bypass(records: Records, _config: Config) -> Finding | None:
    """BYPASS: with every link closed the network keeps its gain over own history, so the gain is not the graph's.

    `(J(A=0) - J) / (J_self - J) < .1` while `J_self - J > 0`.
    """
    last = next((r for r in reversed(records) if r.ablation_gap is not None and r.gain_over_self is not None), None)
    if last is None or last.ablation_gap is None or last.gain_over_self is None:
        return None
    if last.gain_over_self <= max(BYPASS_GAIN, last.loss.val_stderr or 0.0) or last.ablation_gap / last.gain_over_self >= BYPASS_SHARE:
        return None
    return Finding(
        code="BYPASS",
        severity="stop",
        message="closing every link does not cost the network its gain: information passes beside the graph.",
        remedy="The network's graph is not published; the screen's graph is the answer.",
        evidence={"ablation_gap": last.ablation_gap, "gain_over_self": last.gain_over_self},
    )


def dense(records: Records, _config: Config) -> Finding | None:
    """DENSE: more than 3 times the screen's links (`data.screened`)."""
    last = records[-1] if records else None
    if last is None or last.graph is None or not last.data.get("screened") or last.graph.edges <= DENSE_FACTOR * last.data["screened"]:
        return None
    return Finding(
        code="DENSE",
        severity="warn",
        message=f"{last.graph.edges} links where the screen has {last.data['screened']:.0f}.",
        remedy="Look for a trend, a common season or a hidden driver; raise losses.sparse.",
        evidence={"edges": last.graph.edges, "screen": last.data["screened"], "density": last.graph.density},
    )


def unstable_graph(records: Records, _config: Config) -> Finding | None:
    """UNSTABLE_GRAPH: links of neighbouring evaluations overlap (Jaccard) by less than .8 in the median of the last 3."""
    overlaps = [r.graph.jaccard for r in records if r.graph is not None and r.graph.jaccard is not None]
    if len(overlaps) < 2 * TAIL or median(overlaps[-TAIL:]) >= UNSTABLE_OVERLAP:
        return None
    return Finding(
        code="UNSTABLE_GRAPH",
        severity="warn",
        message=f"the links still change from evaluation to evaluation (overlap {median(overlaps[-TAIL:]):.2f}).",
        remedy="Links that come and go are undecided; more epochs or more rows may settle them.",
        evidence={"jaccard": overlaps[-TAIL:]},
    )
