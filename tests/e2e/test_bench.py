"""`rcgnn bench` from suite to report: runs, resumes after any end, kills what takes too long, hides no failure."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyarrow import parquet

from rcgnn.baselines import BASELINES
from rcgnn.bench.job import _own_digest
from rcgnn.bench.rows import LINK, RESULT, where
from rcgnn.bench.statistics import average
from rcgnn.report import picture

SUITE = """
about: "What is asked."
seeds: "0:2"
blocks:
  - name: small
    systems: [linear, lorenz96]
    cells: [clean, missing=0.1, missing=0.3]
    rows: 120
    sensors: 5
    max_lag: 1
  - name: no links
    systems: ar1
    rows: 120
    sensors: 5
    max_lag: 1
"""
TABLES = 2 * 3 * 2 + 2
SHORT = SUITE.replace("clean, missing=0.1, missing=0.3", "clean").replace(", lorenz96", "")
"""Two tables a seed."""
METHODS = """
import os, time
from pathlib import Path
import numpy as np
from rcgnn.baselines import BASELINES
from rcgnn.graph import CausalGraph
from rcgnn.report import picture

HERE = Path(__file__).parent

def fast(series, *, max_lag, alpha=0.05, seed=1337):
    with (HERE / "calls").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    print("noise on standard output", flush=True)
    while seed == 1 and (HERE / "wait").exists():
        time.sleep(0.05)
    return BASELINES["granger"](series, max_lag=max_lag, seed=seed)

def sure(series, *, max_lag, alpha=0.05, seed=1337):
    found = BASELINES["granger"](series, max_lag=max_lag, seed=seed)
    return CausalGraph.of(found.names, found.score, found.verdict, confidence=np.clip(found.score / 20, 0, 1))

def slow(series, *, max_lag, alpha=0.05, seed=1337):
    time.sleep(600)

def wrong(series, *, max_lag, alpha=0.05, seed=1337):
    raise ValueError("no | good")

def mistaken(series, *, max_lag, alpha=0.05, seed=1337):
    return {}[max_lag]

def dies(series, *, max_lag, alpha=0.05, seed=1337):
    os._exit(7)

def absent(series, *, max_lag, alpha=0.05, seed=1337):
    from nowhere_to_be_found import anything
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a suite and a module of methods that Python can import, here and in the workers."""
    (tmp_path / "suite.yaml").write_text(SUITE, encoding="utf-8")
    (tmp_path / "bench_methods.py").write_text(METHODS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("RCGNN_DATA", raising=False)
    monkeypatch.delitem(sys.modules, "bench_methods", raising=False)
    return tmp_path


def own(*names):
    return ",".join(name if name in BASELINES else f"bench_methods:{name}" for name in names)


def rows(out, name="results"):
    return parquet.read_table(out / f"{name}.parquet").to_pylist()


def calls(place):
    return len((place / "calls").read_text(encoding="utf-8").splitlines())


def test_from_suite_to_report(rcgnn, place):
    out = place / "out"
    done = rcgnn("bench", place / "suite.yaml", "--out", out, "--methods", own("sure", "granger", "empty"), "--jobs", 2)
    assert done.code == 0, done.err
    assert len(re.findall(r"^\[\d+/42\] ", done.err, re.MULTILINE)) == 3 * TABLES
    schema = parquet.read_schema(out / "results.parquet")
    assert dict(zip(schema.names, map(str, schema.types), strict=True)) == RESULT
    schema = parquet.read_schema(out / "links.parquet")
    assert dict(zip(schema.names, map(str, schema.types), strict=True)) == LINK
    found = rows(out)
    assert len(found) == 3 * 3 * TABLES
    assert {row["target"] for row in found} == {"summary", "window", "instantaneous"}
    assert {row["severity"] for row in found if row["fault"] == "missing"} == {0.1, 0.3}
    [one] = where(found, method="empty", target="summary", system="linear", cell="clean", seed=0)
    assert (one["f1"], one["found"], one["precision"], one["shd"], one["auprc"]) == (0.0, 0, None, one["true"], one["prevalence"])
    links = rows(out, "links")
    assert {link["method"] for link in links} == {"bench_methods:sure"}
    assert all(0 < link["confidence"] <= 1 and link["i"] != link["j"] for link in links)
    assert {link["key"] for link in links} <= {row["key"] for row in found}


def test_the_limit_of_cells_holds_for_every_table(rcgnn, place):
    (place / "suite.yaml").write_text(SHORT, encoding="utf-8")
    done = rcgnn("bench", place / "suite.yaml", "--out", place / "out", "--methods", "empty", "--max-cells", 599)
    assert done.code == 0, done.err
    assert {row["error"] for row in rows(place / "out")} == {
        f"{name}: expected at most 599 cells, got 120 rows x 5 columns = 600; leave out columns or rows, or raise --max-cells."
        for name in ("linear", "ar1")
    }


def test_the_report_says_what_the_rows_say(rcgnn, place):
    out = place / "out"
    assert rcgnn("bench", place / "suite.yaml", "--out", out, "--methods", own("sure", "granger", "empty")).code == 0
    text = (out / "report.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == [
        "Window graph, all tables",
        "Summary graph, all tables",
        "Instantaneous graph, all tables",
        "Mean ranks",
        "small: AUPRC against severity",
        "small: AUROC against severity",
        "small: AUPRC of the summary graph",
        "small: F1 of the summary graph",
        "Tables without links: false links a table (share of tables with any)",
        "False-discovery rate, summary graph",
        "Reliability of the confidence: bench_methods:sure",
    ]
    cell = where(rows(out), target="summary", system="lorenz96", cell="clean")
    means = [average(where(cell, method=name), "auprc") for name in ("bench_methods:sure", "granger", "empty")]
    part = text.split("## small: AUPRC of the summary graph")[1].split("## ")[0]
    assert part.splitlines()[2] == "| system | cell | T | N | tables | bench_methods:sure | granger | empty | chance |"
    [line] = [line for line in part.splitlines() if line.startswith("| lorenz96 | clean |")]
    cells = [f"**{value:.3f}**" if value == max(means) else f"{value:.3f}" for value in means]
    assert line == f"| lorenz96 | clean | 120 | 5 | 2 | {' | '.join(cells)} | {cell[0]['prevalence']:.3f} |"
    assert "critical difference" in text
    assert "What is asked." in text
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(pictures) == 5
    assert all((out / picture).read_text(encoding="utf-8").startswith("<?xml") for picture in pictures)
    assert {f"figures/{file.name}" for file in (out / "figures").iterdir()} == set(pictures)


def test_without_matplotlib_the_tables_still_come(rcgnn, place, monkeypatch):
    monkeypatch.setattr(picture, "available", lambda: False)
    out = place / "out"
    assert rcgnn("bench", place / "suite.yaml", "--out", out, "--methods", "granger,empty", "--seeds", 0).code == 0
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "pip install 'rcgnn[plots]'" in text
    assert "![" not in text
    assert "## Mean ranks" in text
    assert not (out / "figures").exists()


def test_our_own_method_with_a_setting_beside_its_best_peer(rcgnn, place):
    out = place / "out"
    options = ("--methods", "rcgnn,empty", "--seeds", 0, "--set", "select.refine=off")
    assert rcgnn("bench", place / "suite.yaml", "--out", out, *options).code == 0
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "rcgnn: select.refine=off" in text
    assert "rcgnn is best or equal in 6 of 6 cells" in text
    assert "## Reliability of the confidence: rcgnn" in text
    assert {row["settings"] for row in rows(out)} == {"select.refine=off", ""}


def test_finished_runs_are_not_run_again(rcgnn, place):
    (place / "suite.yaml").write_text(SHORT, encoding="utf-8")
    out, command = place / "out", ("bench", place / "suite.yaml", "--methods", own("fast"), "--jobs", 1, "--seeds")
    assert rcgnn(*command, 0, "--out", out).code == 0
    assert calls(place) == 2
    before = rows(out)
    assert rcgnn(*command, 0, "--out", out).err == ""
    assert calls(place) == 2
    assert rows(out) == before
    assert "2 runs (2 of them from before)" in (out / "report.md").read_text(encoding="utf-8")
    assert rcgnn(*command, "0:2", "--out", out).code == 0
    assert calls(place) == 4
    assert len(rows(out)) == 4 * 3


def test_other_code_or_a_fresh_start_runs_again(rcgnn, place):
    (place / "suite.yaml").write_text(SHORT, encoding="utf-8")
    command = ("bench", place / "suite.yaml", "--methods", own("fast"), "--jobs", 1, "--seeds", 0, "--out", place / "out")
    assert rcgnn(*command).code == 0
    assert rcgnn(*command, "--fresh").code == 0
    assert calls(place) == 4
    (place / "bench_methods.py").write_text(METHODS + "\n# other code\n", encoding="utf-8")
    _own_digest.cache_clear()
    assert rcgnn(*command).code == 0
    assert calls(place) == 6


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="POSIX signals")
@pytest.mark.parametrize(("end", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_end_in_the_middle_loses_nothing_and_leaves_no_process(place, end, code):
    out = place / "out"
    (place / "wait").touch()
    (place / "suite.yaml").write_text(SHORT, encoding="utf-8")
    command = [sys.executable, "-m", "rcgnn", "bench", place / "suite.yaml", "--out", out, "--methods", own("fast"), "--jobs", "1"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        patient(lambda: (out / "runs.jsonl").exists() and (place / "calls").exists() and calls(place) >= 2)
        process.send_signal(end)
        _, said = process.communicate(timeout=20)
    assert process.returncode == code
    if end == signal.SIGINT:
        assert said.splitlines()[-1] == "rcgnn: Interrupted. What is on disk so far is whole."
    workers = {int(pid) for pid in (place / "calls").read_text(encoding="utf-8").split()}
    patient(lambda: not any(alive(pid) for pid in workers))
    kept = len((out / "runs.jsonl").read_text(encoding="utf-8").splitlines())
    before = calls(place)
    assert kept == 1
    (place / "wait").unlink()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "noise on standard output" not in done.stdout
    assert calls(place) - before == 4 - kept
    assert len(rows(out)) == 3 * 4
    assert not [row for row in rows(out) if row["error"]]


def patient(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail("it did not come to pass in 30 seconds")


def alive(pid):
    status = Path(f"/proc/{pid}/status")
    try:
        return "\nState:\tZ" not in status.read_text(encoding="utf-8") if Path("/proc/self").exists() else os.kill(pid, 0) is None
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_no_failure_is_hidden(rcgnn, place):
    out = place / "out"
    (place / "suite.yaml").write_text(SHORT, encoding="utf-8")
    methods = own("slow", "wrong", "mistaken", "dies", "absent", "granger")
    done = rcgnn("bench", place / "suite.yaml", "--out", out, "--methods", methods, "--seeds", 0, "--limit", 0.3)
    assert done.code == 0, done.err
    errors = {row["method"]: row["error"] for row in rows(out)}
    assert errors == {
        "bench_methods:slow": "time limit: more than 0.3 s",
        "bench_methods:wrong": "ValueError: no | good",
        "bench_methods:mistaken": "KeyError: 1",
        "bench_methods:dies": "the process ended (exit code 7), 3 times; is there enough memory?",
        "granger": None,
    }
    failed = [row for row in rows(out) if row["error"]]
    assert all(row["auprc"] is row["f1"] is row["found"] is None and row["true"] is not None for row in failed)
    assert all(0.3 <= row["seconds"] < 30 for row in failed if row["method"].endswith("slow"))
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "## Failed runs: 8" in text
    assert "* bench_methods:wrong, 2 runs (linear clean seed 0, ar1 default seed 0): ValueError: no" in text
    assert "* bench_methods:absent: No module named 'nowhere_to_be_found'" in text
    assert "| bench_methods:wrong | 2 | 2 | " in text
    assert "0.000\\*" in text
    assert "AUPRC: there is no table that two methods or more finished." in text
    assert done.out.count("skipped bench_methods:absent: ") == 1


def test_a_real_table(rcgnn, place):
    folder = place / "data" / "plant"
    assert rcgnn("simulate", "--out", folder, "--system", "linear", "--rows", 200, "--sensors", 4).code == 0
    (place / "real.yaml").write_text("blocks: [{name: real, data: [plant, other]}]\nseeds: 1\nmethods: granger\n", encoding="utf-8")
    done = rcgnn("bench", place / "real.yaml", "--out", place / "out", "--data", place / "data")
    assert done.code == 0, done.err
    assert "skipped other: there is no folder 'other' in the data folder" in done.out
    [row] = [row for row in rows(place / "out") if row["target"] == "summary"]
    assert (row["system"], row["rows"], row["sensors"], row["error"]) == ("plant", 200, 4, None)
    assert row["auprc"] > 0.5
    nothing = rcgnn("bench", place / "real.yaml", "--out", place / "none")
    assert nothing.code == 2
    assert "there is no table to run on (plant: no data folder; give it with --data DIR" in nothing.err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--methods", "grangr"), "unknown method 'grangr'. Did you mean 'granger'?"),
        (("--set", "select.refin=off"), "unknown setting 'select.refin'. Did you mean 'refine'?"),
        (("--seeds", "x"), "seeds: expected first:last"),
    ],
)
def test_a_wrong_option_is_one_sentence(rcgnn, place, options, sentence):
    done = rcgnn("bench", place / "suite.yaml", "--out", place / "out", *options)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.count("\n") == 1
    assert not (place / "out").exists()
