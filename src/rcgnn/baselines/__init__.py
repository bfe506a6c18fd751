"""Other ways to get a graph from a table, all with one signature: what rcgnn is measured against."""

from rcgnn.baselines.registry import BASELINES, Baseline

__all__ = ["BASELINES", "Baseline"]
