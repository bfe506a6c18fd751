"""One run: what identifies it, what it gives, and how it fails."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from rcgnn.bench import job as job_module
from rcgnn.bench.job import Case, Job, run_job, source_digest, table
from rcgnn.bench.rows import LINK, RESULT, counted, link_rows, result_rows
from rcgnn.bench.runner import LOST, TIME, Limits, run_all
from rcgnn.bench.store import Store
from rcgnn.errors import InputError
from rcgnn.graph import CausalGraph

SMALL = Case("linear", "clean", 1, 120, 4)


def test_what_a_result_belongs_to(monkeypatch):
    base = Job(SMALL, "rcgnn", ("select.refine=off",), label="a")
    assert base.key == dataclasses.replace(base, label="b", suite="s", block="t").key
    other = [
        dataclasses.replace(base, settings=()),
        dataclasses.replace(base, method="granger"),
        *(dataclasses.replace(base, case=dataclasses.replace(SMALL, **{name: 2})) for name in ("seed", "rows", "sensors", "max_lag")),
        *(dataclasses.replace(base, case=dataclasses.replace(SMALL, **{name: 2})) for name in ("regimes", "recordings")),
        dataclasses.replace(base, case=dataclasses.replace(SMALL, cell="drift")),
        dataclasses.replace(base, case=dataclasses.replace(SMALL, content="other")),
    ]
    assert len({base.key, *(job.key for job in other)}) == 1 + len(other)
    before = base.key
    monkeypatch.setattr(job_module, "source_digest", lambda: "another")
    assert base.key != before


def test_source_digest_is_of_the_code_that_can_change_a_result(tmp_path, monkeypatch):
    for name in ("screen/score.py", "bench/job.py", "bench/report.py", "cli/app.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1", encoding="utf-8")
    monkeypatch.setattr(job_module, "PACKAGE", tmp_path)

    def digest():
        source_digest.cache_clear()
        return source_digest()

    try:
        before = digest()
        for name in ("bench/report.py", "cli/app.py"):
            (tmp_path / name).write_text("2", encoding="utf-8")
        assert digest() == before
        for name in ("screen/score.py", "bench/job.py"):
            (tmp_path / name).write_text("3", encoding="utf-8")
            assert digest() != before
            before = digest()
    finally:
        source_digest.cache_clear()


def test_a_run_is_plain_data_with_scores_of_every_target():
    told = []
    line = run_job(Job(SMALL, "granger"), tell=told.append)
    assert json.loads(json.dumps(line))["error"] is None
    assert set(line["scores"]) == {"window", "summary", "instantaneous"}
    assert told[0]["empty"]["summary"]["links_found"] == 0
    assert (line["shape"], line["max_lag"]) == ((120, 4), 3)
    assert line["links"] == []


def raises(error):
    def fit(_):
        raise error

    return lambda *_: fit


def test_a_method_that_fails_is_a_result_with_what_is_known_of_its_table(monkeypatch):
    monkeypatch.setattr(job_module, "method", raises(ValueError("no good")))
    job = Job(SMALL, "granger")
    line = run_job(job)
    assert line["error"] == "ValueError: no good"
    assert [(row["error"], row["sensors"], row["auprc"], row["true"] is None) for row in result_rows([(job, line)])] == [
        ("ValueError: no good", 4, None, False)
    ] * 3


def test_a_package_that_is_not_installed_is_no_failure(monkeypatch):
    error = InputError("install it with: pip install x")
    error.__cause__ = ModuleNotFoundError("x")
    monkeypatch.setattr(job_module, "method", raises(error))
    assert run_job(Job(SMALL, "pcmci+")) == {"skipped": "install it with: pip install x"}


def test_a_failed_run_counts_as_the_graph_without_links():
    empty = run_job(Job(SMALL, "empty"))
    failure = {**empty, "error": "E: no", "scores": None}
    [tried], [known] = (
        [row for row in result_rows([(Job(SMALL, "granger"), line)]) if row["target"] == "summary"] for line in (failure, empty)
    )
    assert tried["auprc"] is tried["f1"] is None
    assert tried["true"] == known["true"] > 0
    for column in ("auprc", "auroc", "f1", "recall", "fdr", "shd", "found", "undecided", "random_f1", "random_shd", "prevalence"):
        assert counted(tried)[column] == pytest.approx(known[column]), column


def test_a_case_that_cannot_be_made_is_a_failed_run():
    line = run_job(Job(Case("lorenz96", "clean", 1, 60, 3), "granger"))
    assert "sensors must be at least 4" in line["error"]
    assert line["empty"] is None


def test_max_lag_left_open_is_the_longest_delay_of_the_system_and_at_least_three():
    assert [table(Case(system, "clean", 0, 60, 13, None))[2] for system in ("long_lags", "lorenz96", "linear")] == [8, 3, 3]


def test_default_cell_brings_the_faults_of_the_system():
    assert not table(Case("station", "default", 1, 60))[0].mask.all()
    assert table(Case("station", "clean", 1, 60))[0].mask.all()


def test_links_are_candidates_with_a_confidence_and_their_truth(monkeypatch):
    series, truth, _ = table(SMALL)
    k, i, j = (int(n) for n in np.argwhere(truth.window)[0])
    score = np.zeros((4, 4, 4))
    score[k, i, j], score[k - 1, i, j] = 2.0, 5.0
    graph = CausalGraph.of(series.names, score, (score > 3).astype(np.int8), confidence=np.where(score > 0, 0.75, 0.0) + np.eye(4))
    monkeypatch.setattr(job_module, "method", lambda *_: lambda _: graph)
    job = Job(SMALL, "rcgnn")
    rows = link_rows([(job, run_job(job))])
    assert [tuple(row) for row in rows] == [tuple(LINK)] * 2
    shown = [(row["lag"], row["score"], row["rank"], row["verdict"], row["confidence"], row["true"], row["pair_true"]) for row in rows]
    assert shown == [((k - 1) % 4, 5.0, 1, 1, 0.75, False, True), (k, 2.0, 2, 0, 0.75, True, True)]


def test_false_discoveries_are_of_what_was_found():
    wrong, nothing = run_job(Job(SMALL, "correlation")), run_job(Job(SMALL, "empty"))
    [one], [none] = ([r for r in result_rows([(Job(SMALL, "x"), line)]) if r["target"] == "summary"] for line in (wrong, nothing))
    hits = one["recall"] * one["true"]
    assert one["found"] > hits > 0
    assert one["fdr"] == pytest.approx((one["found"] - hits) / one["found"])
    assert (none["fdr"], none["precision"]) == (0.0, None)


def test_rows_have_the_columns_of_the_schema():
    job = Job(SMALL, "granger", suite="s", block="b")
    rows = result_rows([(job, run_job(job))])
    assert [tuple(row) for row in rows] == [tuple(RESULT)] * 3
    assert (rows[0]["severity"], rows[0]["fault"]) == (0.0, None)


class TestStore:
    def test_a_line_that_was_cut_off_is_lost_alone(self, tmp_path):
        path = tmp_path / "deep" / "runs.jsonl"
        Store(path).append("a", {"n": 1})
        with path.open("a", encoding="utf-8") as file:
            file.write('{"key": "b", "n"')
        Store(path).append("c", {"n": 3})
        Store(path).append("a", {"n": 4})
        assert Store(path).read() == {"a": {"n": 4}, "c": {"n": 3}}

    def test_nothing_is_kept_without_a_path(self):
        Store(None).append("a", {})
        assert Store(None).read() == {}


@pytest.mark.parametrize(
    ("stored", "limit", "reused"),
    [
        ({"ended": None, "error": "ValueError: no"}, 5.0, True),
        ({"ended": TIME, "limit": 5.0}, 5.0, True),
        ({"ended": TIME, "limit": 5.0}, 2.0, True),
        ({"ended": TIME, "limit": 5.0}, 9.0, False),
        ({"ended": TIME, "limit": 5.0}, None, False),
        ({"ended": LOST}, 5.0, False),
    ],
)
def test_which_failures_are_not_tried_again(tmp_path, stored, limit, reused):
    store, job = Store(tmp_path / "runs.jsonl"), Job(SMALL, "empty")
    store.append(job.key, {**run_job(job), "error": "E", **stored})
    found = run_all([job], limits=Limits(1, limit), store=store)
    assert found.reused == int(reused)
    assert (found.lines[0][1]["error"] is not None) == reused


def test_a_table_that_is_too_large_is_a_failed_run(tmp_path):
    limited = dataclasses.replace(SMALL, max_cells=479)
    assert "expected at most 479 cells, got 120 rows x 4 columns = 480" in run_job(Job(limited, "empty"))["error"]
    assert run_job(Job(dataclasses.replace(SMALL, max_cells=480), "empty"))["error"] is None
    assert "got 3,000 rows" in run_job(Job(dataclasses.replace(limited, rows=None, recordings=2), "empty"))["error"]
    assert Job(SMALL, "empty").key != Job(limited, "empty").key, "a run that failed on the limit holds for that limit alone"
    (tmp_path / "data.csv").write_text("a,b\n1,2\n3,4\n", encoding="utf-8")
    (tmp_path / "truth.csv").write_text("cause,effect\na,b\n", encoding="utf-8")
    real = Case("real", "clean", 1, folder=tmp_path, content="x", max_cells=3)
    assert "expected at most 3 cells" in run_job(Job(real, "empty"))["error"]
