"""`rcgnn export`: every format from the command line, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from rcgnn.cli.export import Form
from rcgnn.export import FORMATS, written
from rcgnn.graph import CausalGraph
from rcgnn.rundir import RunDir


@pytest.fixture
def run(tmp_path) -> RunDir:
    verdict = np.zeros((3, 2, 2), np.int8)
    verdict[2, 0, 1] = 1
    stored = RunDir(tmp_path / "run")
    stored.write_graph(CausalGraph.of(('pu"mp', "[bold]flow"), verdict.astype(float), verdict, strength=-0.5 * verdict))
    return stored


def test_the_option_names_every_format():
    assert [form.value for form in Form] == list(FORMATS)


@pytest.mark.parametrize("form", FORMATS)
def test_file_holds_what_the_library_writes(rcgnn, run, tmp_path, form):
    out = tmp_path / "deep" / "er" / "graph"
    done = rcgnn("export", run.path, "--format", form, "--out", out)
    assert (done.code, done.err) == (0, "")
    assert out.read_bytes() == written(run.graph(), form)
    assert done.out == f"wrote {out}\n"


@pytest.mark.parametrize("form", [name for name, form in FORMATS.items() if form.text])
def test_text_is_printed_as_it_is(rcgnn, run, form):
    done = rcgnn("export", run.path, "--format", form)
    assert (done.code, done.err) == (0, "")
    assert done.out.encode() == written(run.graph(), form)


def test_refusals(rcgnn, run, tmp_path):
    for arguments, said in (
        ((run.path, "--format", "tigramite"), "--out FILE.npz"),
        ((run.path, "--format", "dot", "--out", tmp_path), "cannot be written"),
        ((tmp_path / "none", "--format", "dot"), "no such run folder"),
        ((run.path, "--format", "png"), "graphml"),
    ):
        done = rcgnn("export", *arguments)
        assert done.code == 2
        assert said in done.err
        assert "Traceback" not in done.err
