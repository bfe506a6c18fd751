"""A tiny table with hostile sensor names, and the `rcgnn` command run in this process with a fake pipeline."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

FAKE = Path(__file__).with_name("fake_pipeline.py")
STRANGE = ("<script>alert(1)</script>", 'say "hi"', "a, b; c", "[bold]red[/bold]", "pump 🚰 👩\u200d🔬", ":smile: Ünit [°C]")


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def table(tmp_path):
    """300 rows x 6 sensors."""
    path = tmp_path / "table.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(STRANGE)
        out.writerows(np.random.default_rng(0).normal(size=(300, len(STRANGE))).round(6).tolist())
    return path


@pytest.fixture
def rcgnn(monkeypatch, capsys):
    """`rcgnn("fit", ...)` -> (exit code, stdout, stderr), through the real door."""
    spec = importlib.util.spec_from_file_location("rcgnn_fake_pipeline", FAKE)
    fake = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fake)
    monkeypatch.setitem(sys.modules, "rcgnn.pipeline", fake)

    def run(*args: object) -> Done:
        from rcgnn.cli import main

        monkeypatch.setattr(sys, "argv", ["rcgnn", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return Done(left.value.code or 0, out, err)

    return run
