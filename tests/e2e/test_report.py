"""`rcgnn report`: what `fit` left, written again from the folder alone."""

from __future__ import annotations

import subprocess
import sys


def test_fit_writes_the_page_and_report_writes_it_again(rcgnn, table, tmp_path):
    assert "run/report.html" in rcgnn("fit", table, "--out", tmp_path / "run").out
    page = tmp_path / "run" / "report.html"
    first = page.read_bytes()
    page.unlink()
    table.unlink()
    done = rcgnn("report", tmp_path / "run")
    assert (done.code, done.err) == (0, "")
    assert done.out == f"wrote {page}\n"
    assert page.read_bytes() == first


def test_elsewhere(rcgnn, table, tmp_path):
    rcgnn("fit", table, "--out", tmp_path / "run")
    assert rcgnn("report", tmp_path / "run", "--out", tmp_path / "a" / "page.html").code == 0
    assert (tmp_path / "a" / "page.html").read_bytes() == (tmp_path / "run" / "report.html").read_bytes()


def test_no_such_run_is_one_sentence(rcgnn, tmp_path):
    done = rcgnn("report", tmp_path / "nowhere")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "there is no such run folder" in done.err


def test_a_damaged_file_is_one_sentence(rcgnn, table, tmp_path):
    rcgnn("fit", table, "--out", tmp_path / "run")
    (tmp_path / "run" / "traces.npz").write_bytes(b"PK")
    done = rcgnn("report", tmp_path / "run")
    assert done.code == 2
    assert "traces.npz: damaged" in done.err


def test_the_page_needs_no_torch(rcgnn, table, tmp_path):
    rcgnn("fit", table, "--out", tmp_path / "run")
    code = "import sys; from pathlib import Path; from rcgnn.report.page import page; from rcgnn.rundir import RunDir\n"
    code += "page(RunDir.open(Path(sys.argv[1]))); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code, tmp_path / "run"], check=False).returncode == 0
