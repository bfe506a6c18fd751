"""The origin's log and console lines."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.diagnosis.foreign import from_entry
from rcgnn.health import HealthRecord, LossHealth
from rcgnn.origin import EpochReport, fit_origin
from rcgnn.origin.record import Shown, epoch_line, graph_health, summary, to_entry
from rcgnn.series import Series


def test_records_and_entries_are_two_forms_of_one_log():
    rows = np.random.default_rng(3).normal(size=(60, 4))
    result = fit_origin(Series.of(rows), Config.parse({"recipe": "origin-after", "train": {"epochs": 2}}))
    for record, entry in zip(result.records, result.log["epochs"], strict=True):
        assert to_entry(record) == entry
        assert to_entry(from_entry(entry, sensors=4)) == entry
        assert HealthRecord.from_line(record.to_line()) == record


def test_graph_health_measures_movement():
    before, after = np.zeros((3, 3)), np.zeros((3, 3))
    before[0, 1] = after[0, 1] = after[1, 2] = after[2, 2] = 0.6
    health = graph_health(after, before)
    assert (health.edges, health.jaccard, health.density) == (2, 0.5, pytest.approx(2 / 6))
    assert graph_health(np.zeros((3, 3)), np.zeros((3, 3))).jaccard == 1.0
    assert graph_health(after, None).jaccard is None


def test_summary_takes_the_threshold_of_the_best_f1():
    record = HealthRecord(epoch=1, step=1, lr=1e-3, seed=1, loss=LossHealth(train=1.0))
    entries = [to_entry(record, Shown(0.1, 0.2, 20.0)), to_entry(record, Shown(0.4, 0.5, 25.0))]
    told = summary(entries, total_time=1.0, edges=0, true_edges=13, lr=1e-3)
    assert (told["best_f1"], told["best_threshold"], told["best_shd"]) == (0.5, 0.4, 20.0)


def test_epoch_line_without_truth():
    record = HealthRecord(epoch=7, step=1, lr=5e-4, seed=1, loss=LossHealth(train=1.0))
    report = EpochReport(record, to_entry(record), evaluated=False, best=False, stale=1)
    line = epoch_line(report, epochs=100, true_edges=None, patience=15)
    assert "| Val F1:    n/a | Val SHD:    n/a | Edges:   0/? |" in line
    assert line.endswith("| Patience: 1/15")
