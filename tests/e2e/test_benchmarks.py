"""The benchmark scripts run, write what they say, and do not compute a result twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script, *args, code=0):
    done = subprocess.run([sys.executable, BENCHMARKS / script, *map(str, args)], check=False, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def test_floor_writes_its_table_and_goes_on_where_it_stopped(tmp_path):
    out, cache = tmp_path / "floor.md", tmp_path / "cache.jsonl"
    small = ("--families", "linear", "--cells", "clean", "--rows", 300, "--sensors", 4, "--seeds", "1:2", "--jobs", 1, "--cache", cache)
    first = run("floor.py", *small, "--methods", "granger,empty", "--out", out)
    assert "0 of 2 results" in first.stderr
    text = out.read_text(encoding="utf-8")
    assert "| granger | 1 |" in text
    assert "torch" in text
    assert "--rows 300" in text
    with cache.open("a", encoding="utf-8") as file:
        file.write('{"key": "cut off')
        file.write("\n")
    second = run("floor.py", *small, "--methods", "granger,empty,rcgnn", "--refine", "off", "--out", out)
    assert "2 of 3 results" in second.stderr
    assert "mean AUPRC" in out.read_text(encoding="utf-8")


def test_ablation_changes_one_thing_at_a_time(tmp_path):
    out = tmp_path / "ablation.md"
    run("ablation.py", "--seeds", "1:2", "--rows", 120, "--variants", "basis linear", "--jobs", 1, "--out", out)
    rows = [line for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("| basis linear |")]
    assert len(rows) == 2


def test_real_table_is_skipped_with_a_reason(tmp_path):
    assert run("air_quality.py", "--data", tmp_path / "absent.csv").stdout.startswith("skipped: absent.csv is not there")


def test_effects_writes_a_row_a_cell(tmp_path):
    out = tmp_path / "effects.md"
    run("effects.py", "--seeds", "1:2", "--rows", 300, "--sensors", 4, "--cells", "clean", "--out", out)
    rows = [line for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("| clean |")]
    assert len(rows) == 1
    assert "-" not in rows[0].replace("e-", "")


def test_accuracy_reads_finished_benchmarks(tmp_path):
    folder = tmp_path / "smoke"
    command = [sys.executable, "-m", "rcgnn", "bench", str(BENCHMARKS / "suites" / "smoke.yaml"), "--out", str(folder)]
    subprocess.run([*command, "--seeds", "1:2", "--methods", "rcgnn,granger", "--set", "select.refine=off", "--quiet"], check=True)
    out = tmp_path / "accuracy.md"
    run("accuracy.py", folder, "--out", out)
    text = out.read_text(encoding="utf-8")
    cells = [line for line in text.splitlines() if line.startswith("| linear |")]
    assert len(cells) == 3
    assert all("granger" in line for line in cells)
    assert all(0.5 <= float(line.split(" | ")[4]) <= 1.0 for line in cells)  # AUROC
    assert "| ar1 | clean | 0 | 12 |" in text
    assert "expected calibration error" in text


def test_steadiness_compares_links_under_three_changes(tmp_path):
    out = tmp_path / "steadiness.md"
    run("steadiness.py", "--systems", "linear", "--cells", "clean", "--seeds", "1:2", "--rows", 300, "--jobs", 1, "--out", out)
    rows = [line for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("| linear | clean | 1 |")]
    assert rows == ["| linear | clean | 1 | 1.00 / 1.00 | 1.00 / 1.00 | 1.00 / 1.00 |"]


def test_devices_trains_on_what_is_there(tmp_path):
    out = tmp_path / "devices.md"
    run("devices.py", "--tables", "5x400", "--epochs", 2, "--out", out)
    text = out.read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| 400 x 5 |")]
    assert rows[0][1] == "cpu"
    assert rows[0][2] == "float32"
    assert int(rows[0][3]) > 0
    assert int(rows[0][6]) > 0
    assert "Self-check: " in text


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_soak_counts_memory_files_and_threads(tmp_path):
    out = tmp_path / "soak.md"
    run("soak.py", "--fits", 12, "--together", 2, "--rows", 150, "--out", out)
    text = out.read_text(encoding="utf-8")
    assert "open files +0, threads +0: lasts" in text
    assert "2 of 2 ended with exit code 0" in text
