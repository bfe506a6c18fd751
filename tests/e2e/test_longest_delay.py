"""`--max-lag auto` through the real command line."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from rcgnn.cli import main
from rcgnn.rundir import RunDir

QUICK = ("--set", "select.refine=off", "--set", "select.halves=4", "--quiet")


@pytest.fixture
def run(monkeypatch, capsys):
    """`run("fit", ...)` -> (exit code, stdout, stderr)."""

    def go(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rcgnn", *map(str, args)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return go


@pytest.fixture
def slow(tmp_path):
    """600 rows; pump drives flow after five rows."""
    x = np.random.default_rng(0).standard_normal((600, 3))
    x[5:, 1] += 0.8 * x[:-5, 0]
    np.savetxt(tmp_path / "slow.csv", x, delimiter=",", header="pump,flow,level", comments="", fmt="%.6f")
    return tmp_path / "slow.csv"


def test_the_slow_link_is_found_shown_and_kept(run, slow, tmp_path):
    code, out, err = run("fit", slow, "--out", tmp_path / "run", "--max-lag", "auto", *QUICK)
    assert (code, err) == (0, "")
    assert "pump drives flow after 5 steps" in out
    assert "Longest delay looked at: 6 rows, chosen from the table.\n" in out
    stored = RunDir.open(tmp_path / "run")
    assert stored.config().data.max_lag == "auto"
    assert stored.graph().max_lag == stored.summary()["max_lag"] == 6
    assert run("show", tmp_path / "run")[1] == out
    assert run("predict", tmp_path / "run", slow)[0] == 0

    assert run("fit", slow, "--out", tmp_path / "again", "--config", tmp_path / "run" / "config.yaml", "--quiet")[0] == 0
    assert RunDir.open(tmp_path / "again").graph().to_json() == stored.graph().to_json()

    _, out, _ = run("fit", slow, "--out", tmp_path / "default", *QUICK)
    assert "No links found" in out
    assert "Longest delay" not in out


@pytest.mark.parametrize("value", ["0", "-1", "far", "1.5"])
def test_a_wrong_delay_exits_2_and_says_what_instead(run, slow, tmp_path, value):
    code, out, err = run("fit", slow, "--out", tmp_path / "run", f"--max-lag={value}")
    assert (code, out) == (2, "")
    assert "--max-lag" in err
    assert f"expected a whole number of at least 1, or auto, got '{value}'" in " ".join(err.split())
    assert not (tmp_path / "run").exists()


def test_the_origins_recipe_has_no_delay_to_choose(run, slow, tmp_path):
    code, _, err = run("fit", slow, "--out", tmp_path / "run", "--max-lag", "auto", "--recipe", "origin-after")
    assert code == 2
    assert "auto needs the recipe 'auto'" in err
    assert not (tmp_path / "run").exists()
