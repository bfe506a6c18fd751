"""Names that somebody chose - sensors, modes, suites, folders of data, settings - never decide where a file goes."""

from __future__ import annotations

import csv
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from rcgnn.bench.store import Store
from rcgnn.bench.suite import read_suite
from rcgnn.cli.values import save_table
from rcgnn.errors import ConfigError, InputError
from rcgnn.formats import not_a_name
from rcgnn.sweep.grid import folder_name
from rcgnn.tracking.names import scalars

HOSTILE = (
    "../up",
    "/etc/passwd",
    "..",
    "a/../../b",
    "C:\\boot",
    "con",
    "aux.csv",
    "new\nline",
    "bell\x07",
    "\u202egnp.exe",
    "~",
    "-rf",
    "$HOME",
    "x" * 300,
)
STORED = Path(__file__).parents[1] / "data" / "runs"
ESCAPES = tuple(name for name in HOSTILE if not_a_name(name))


@pytest.fixture
def rcgnn(monkeypatch, capsys):
    def run(*args: object) -> tuple[int, str]:
        from rcgnn.cli import main

        monkeypatch.setattr(sys, "argv", ["rcgnn", *map(str, args)])
        with pytest.raises(SystemExit) as left:
            main()
        return left.value.code or 0, capsys.readouterr().err

    return run


def everything(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "a\\b", "a\0b", "a\nb", "\u202eb", "NUL", "com1.txt", "Lpt9", " a", "a ", "a.", "a:b", "x" * 101]
)
def test_what_cannot_be_a_name(name):
    assert not_a_name(name)


@pytest.mark.parametrize("name", ["plant", "plant 3", "Wärme-2.csv", ".hidden", "console", "com10", "x" * 100, "-a", "~"])
def test_what_can(name):
    assert not not_a_name(name)


def test_hostile_sensors_and_modes_fit_into_one_folder(tmp_path, rcgnn):
    names = [*HOSTILE[:6], "nul\ufffd"]
    home = tmp_path / "home"
    home.mkdir()
    with (home / "table.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow([*names, "mode"])
        out.writerows(
            [*row, ("../one", "/two")[n % 200 > 99]]
            for n, row in enumerate(np.random.default_rng(0).normal(size=(400, len(names))).round(4).tolist())
        )
    run = home / "run"
    code, said = rcgnn("fit", home / "table.csv", "--out", run, "--regime", "mode", "--quiet")
    assert code == 0, said
    assert rcgnn("export", run, "--format", "graphml", "--out", home / "graph.graphml")[0] == 0
    assert rcgnn("predict", run, home / "table.csv", "--regime", "mode", "--out", home / "forecast.csv")[0] == 0
    assert everything(tmp_path) - {f"home/run/{path.name}" for path in run.iterdir()} == {
        "home", "home/table.csv", "home/run", "home/graph.graphml", "home/forecast.csv",
    }  # fmt: skip
    assert {path.name for path in run.iterdir()} <= {
        "config.yaml", "health.jsonl", "graph.json", "edges.csv", "regimes.csv", "scores.npz", "mechanism.npz", "traces.npz",
        "findings.json", "model.safetensors", "summary.json", "report.html",
    }  # fmt: skip


@pytest.mark.parametrize("name", ESCAPES)
def test_a_suite_cannot_choose_where_its_results_go(name, tmp_path):
    (tmp_path / "suite.yaml").write_text(f"name: {json.dumps(name)}\nblocks: [{{name: one, systems: linear}}]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="name: expected the name of a folder"):
        read_suite(tmp_path / "suite.yaml")


@pytest.mark.parametrize("name", ["../up", "/etc", "a/../b", "..", "C:\\boot", "a//b", "a\\0b"])
def test_a_suite_reads_no_folder_but_those_below_the_data_folder(name, tmp_path):
    (tmp_path / "suite.yaml").write_text(
        f'name: s\nblocks: [{{name: one, data: "{name.replace(chr(92), chr(92) * 2)}"}}]\n', encoding="utf-8"
    )
    with pytest.raises(ConfigError, match="expected a folder below the data folder"):
        read_suite(tmp_path / "suite.yaml")


@pytest.mark.parametrize("value", HOSTILE)
def test_a_trial_is_one_folder_whatever_its_values_are(value):
    made = folder_name(["prior.forbid", "seed"], [value, "1"])
    assert not not_a_name(made[:100])
    assert len(made.encode()) < 255


@pytest.mark.parametrize("name", HOSTILE)
def test_a_sensor_in_the_log_of_another_tool_is_one_part_of_a_path(name):
    from rcgnn.health import HealthRecord, LossHealth

    record = HealthRecord(epoch=1, step=1, lr=None, seed=None, loss=LossHealth(per_sensor={name: 1.0}))
    told = [key for key in scalars(record) if key.startswith("loss/per_sensor/")]
    assert len(told) == 1
    part = told[0].removeprefix("loss/per_sensor/")
    assert "/" not in part
    assert "\\" not in part
    assert part not in ("", ".", "..")


@pytest.mark.parametrize(
    "asked",
    [
        ["simulate", "--system", "linear", "--out"],
        ["fit", STORED / "table.csv", "--out"],
        ["report", STORED / "2026-11-25-report", "--out"],
        ["export", STORED / "2026-11-25-report", "--format", "dot", "--out"],
        ["predict", STORED / "2026-11-25-report", STORED / "table.csv", "--out"],
        ["compare", STORED / "2026-11-25-report", STORED / "2026-11-23-first", "--out"],
        ["sweep", STORED / "table.csv", "--set", "seed=1,2", "--out"],
        ["bench", "benchmarks/suites/smoke.yaml", "--out"],
        ["show"],
    ],
    ids=lambda asked: str(asked[0]),
)
def test_no_path_with_a_nul(asked, tmp_path, rcgnn):
    code, said = rcgnn(*asked, f"{tmp_path}/a\0b")
    assert code == 2
    assert "Error: Invalid value" in said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("where", ["table", "store"])
def test_a_link_in_the_place_of_a_draft_is_not_followed(where, tmp_path):
    import pandas as pd

    precious = tmp_path / "precious"
    precious.write_text("mine", encoding="utf-8")
    if where == "table":
        (tmp_path / f".t.csv.{os.getpid()}.tmp").symlink_to(precious)
        save_table(tmp_path / "t.csv", pd.DataFrame({"a": [1]}))
    else:
        (tmp_path / "runs.jsonl").symlink_to(precious)
        with pytest.raises(InputError, match="cannot be written"):
            Store(tmp_path / "runs.jsonl").append("a", {})
    assert precious.read_text(encoding="utf-8") == "mine"


def test_forecasts_and_paths_are_guarded_against_spreadsheets(tmp_path):
    import pandas as pd

    save_table(tmp_path / "t.csv", pd.DataFrame({"row": [-1], "sensor": ["=1+1"], "+5V": [-0.5]}))
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == "row,sensor,'+5V\n-1,'=1+1,-0.5\n"
