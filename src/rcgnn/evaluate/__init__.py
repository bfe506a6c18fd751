"""Graphs against a known truth: only benchmarks, `rcgnn score` and the origin's display come here."""

from rcgnn.evaluate.metrics import METRICS, TARGETS, Scores, score
from rcgnn.evaluate.oracle import tune_threshold
from rcgnn.evaluate.truth import Truth, read_truth, write_truth

__all__ = ["METRICS", "TARGETS", "Scores", "Truth", "read_truth", "score", "tune_threshold", "write_truth"]
