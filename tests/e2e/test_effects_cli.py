"""`rcgnn predict` and `rcgnn intervene` from a stored run, as a user gives them; every refusal in one sentence."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.graph import CausalGraph
from rcgnn.pipeline import fit_series
from rcgnn.rundir import RunDir
from rcgnn.series import Series

NAMES = ("pump 🚰", "flow=x", "[bold]level[/bold]", "dead")


@pytest.fixture(scope="module")
def plant(tmp_path_factory) -> Path:
    """A folder with `run`, and `rest.csv` of rows that the fit has not seen."""
    folder = tmp_path_factory.mktemp("effects")
    x = np.random.default_rng(0).standard_normal((700, 3)) * [110, 3, 1] + [900, 42, 0]
    x[1:, 1] += 0.025 * x[:-1, 0]
    x[2:, 2] += 0.3 * x[:-2, 1]
    values = np.column_stack([x, np.full(700, 7.0)])
    config = Config().override(["select.refine=off", "data.max_lag=2"])
    series = Series.of(values[:500], names=NAMES)
    run = RunDir(folder / "run")
    run.write_config(config)
    run.write_answer(fit_series(series, config), series, config)
    with (folder / "rest.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow([*reversed(NAMES), "new"])
        out.writerows([*reversed(row), 1.5] for row in values[500:].round(6).tolist())
    return folder


@pytest.fixture
def rcgnn(monkeypatch, capsys):
    def run(*args: object) -> tuple[int, str, str]:
        from rcgnn.cli import main

        monkeypatch.setattr(sys, "argv", ["rcgnn", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        return (left.value.code or 0, *capsys.readouterr())

    return run


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_predict(rcgnn, plant, tmp_path):
    code, out, err = rcgnn("predict", plant / "run", plant / "rest.csv", "--out", tmp_path / "deep" / "forecast.csv")
    assert (code, err) == (0, "")
    lines = {line.split("  ")[0]: line.split() for line in out.splitlines() if line}
    assert "dead" not in lines
    r2 = {name: float(lines[name][-3]) for name in NAMES[:3]}
    assert r2["flow=x"] > 0.3
    assert abs(r2["pump 🚰"]) < 0.1
    assert 0.88 < float(lines["flow=x"][-1]) < 0.995
    written = rows(tmp_path / "deep" / "forecast.csv")
    assert len(written) == 3 * 198
    assert set(written[0]) == {"row", "sensor", "observed", "predicted", "low", "high"}
    assert all(float(row["low"]) < float(row["predicted"]) < float(row["high"]) for row in written)


def test_predict_takes_markers_of_missing_cells(rcgnn, plant, tmp_path):
    table = tmp_path / "marked.csv"
    lines = (plant / "rest.csv").read_text(encoding="utf-8").splitlines()
    parts = lines[20].split(",")
    lines[20] = ",".join([*parts[:-2], "-200", parts[-1]])
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = tmp_path / "forecast.csv"
    assert rcgnn("predict", plant / "run", table, "--na", "-200", "--out", out)[0] == 0
    empty = [row for row in rows(out) if row["observed"] == ""]
    assert [(row["row"], row["sensor"]) for row in empty] == [("19", "pump 🚰")]


def test_intervene(rcgnn, plant, tmp_path):
    code, out, err = rcgnn("intervene", plant / "run", "--set", "pump 🚰=1000", "--horizon", 4, "--out", tmp_path / "x.csv")
    assert (code, err) == (0, "")
    written = rows(tmp_path / "x.csv")
    assert len(written) == 4 * 3
    last = {row["sensor"]: float(row["path"]) for row in written if row["step"] == "4"}
    assert last["pump 🚰"] == 1000.0
    assert last["flow=x"] == pytest.approx(42 + 25, abs=0.6)
    assert last["[bold]level[/bold]"] == pytest.approx(0.3 * 67, abs=0.4)
    assert "After 4 steps; 0 of 3 sensors do not move." in out
    assert rcgnn("intervene", plant / "run", "--set", "pump 🚰=1000", "--horizon", 4)[1] in out


def test_intervene_splits_at_the_last_equals_sign_and_takes_a_start(rcgnn, plant):
    code, out, _ = rcgnn("intervene", plant / "run", "--set", "flow=x=500", "--horizon", 1, "--start", plant / "rest.csv")
    assert code == 0
    assert "After 1 step;" in out
    assert "flow=x = 500 lies outside its readings" in out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--set", "pmup 🚰=3"], "no sensor 'pmup 🚰'. Did you mean 'pump 🚰'?"),
        (["--set", "dead=3"], "took no part in the fit"),
        (["--set", "pump 🚰=high"], "expected SENSOR=VALUE with a number"),
        (["--set", "pump 🚰"], "expected SENSOR=VALUE with a number"),
        (["--set", "pump 🚰=nan"], "finite number"),
        (["--set", "flow=x=1", "--set", "flow=x=2"], "set twice"),
        (["--set", "flow=x=1", "--horizon", 0], "horizon must be a whole number"),
        (["--set", "flow=x=1", "--start", "nowhere.csv"], "no such file"),
    ],
)
def test_intervene_refuses_in_one_sentence(rcgnn, plant, args, words):
    code, out, err = rcgnn("intervene", plant / "run", *args)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_file_that_cannot_be_written(rcgnn, plant, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = rcgnn("predict", plant / "run", plant / "rest.csv", "--out", tmp_path / "file" / "x.csv")
    assert code == 2
    assert "cannot be written" in err


def test_a_table_without_the_sensors(rcgnn, plant, tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n2,3\n")
    code, _, err = rcgnn("predict", plant / "run", tmp_path / "other.csv")
    assert code == 2
    assert "no column 'pump 🚰'" in err


@pytest.mark.parametrize(("content", "words"), [(None, "holds no equations"), (b"PK nonsense", "damaged"), (b"", "damaged")])
def test_a_run_without_equations(rcgnn, plant, tmp_path, content, words):
    old = tmp_path / "old"
    old.mkdir()
    for file in (plant / "run").iterdir():
        if file.name != "mechanism.npz":
            (old / file.name).write_bytes(file.read_bytes())
    if content is not None:
        (old / "mechanism.npz").write_bytes(content)
    code, _, err = rcgnn("intervene", old, "--set", "flow=x=1")
    assert code == 2
    assert words in err


def test_a_run_of_an_older_version_still_loads(rcgnn, plant, tmp_path):
    old = tmp_path / "old"
    old.mkdir()
    for file in (plant / "run").iterdir():
        (old / file.name).write_bytes(file.read_bytes())
    raw = json.loads((old / "graph.json").read_text(encoding="utf-8"))
    del raw["effects"]
    (old / "graph.json").write_text(json.dumps(raw), encoding="utf-8")
    graph = RunDir.open(old).graph()
    assert graph.effects == {}
    assert graph.links() == RunDir.open(plant / "run").graph().links()
    code, out, _ = rcgnn("show", old)
    assert code == 0
    assert "95 %" not in out
    assert "95 %" in rcgnn("show", plant / "run")[1]


def test_effects_are_the_same_in_every_file(plant):
    run = RunDir.open(plant / "run")
    graph = run.graph()
    assert len(graph.effects) == len(graph.links()) >= 2
    assert CausalGraph.from_json(graph.to_json()).to_json() == graph.to_json()
    by_name = {(row["cause"], row["effect"], row["lag"]): row for row in graph.rows()}
    for row in rows(run.path / "edges.csv"):
        expected = by_name[row["cause"], row["effect"], int(row["lag"])]
        if row["verdict"] != "link":
            assert (row["low"], row["in_units"], expected["swing"]) == ("", "", None)
            continue
        assert all(float(row[name]) == expected[name] for name in ("low", "high", "in_units", "swing"))
    with np.load(run.path / "scores.npz") as scores:
        for key, effect in graph.effects.items():
            assert scores["interval"][key]
            assert scores["in_units_high"][key] == effect.in_units_high
        assert scores["interval"].sum() == len(graph.effects)


def test_new_tables_are_binned_as_the_fit_was(rcgnn, tmp_path):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((300, 2))
    x[1:, 1] += x[:-1, 0]
    table, late = tmp_path / "late.csv", np.arange(300) * 60 + rng.uniform(0, 59, 300)
    with table.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["time", "pump", "flow"])
        out.writerows([moment, *row] for moment, row in zip(late.tolist(), x.tolist(), strict=True))
    options = ("--max-lag", 2, "--set", "select.refine=off", "--set", "data.resample=2min", "--quiet")
    assert rcgnn("fit", table, "--out", tmp_path / "run", *options)[0] == 0
    findings = json.loads((tmp_path / "run" / "findings.json").read_text(encoding="utf-8"))["findings"]
    assert findings[0]["evidence"]["kind"] == "resampled"
    with np.load(tmp_path / "run" / "traces.npz") as traces:
        assert traces["row"].max() == 149
    assert rcgnn("predict", tmp_path / "run", table, "--out", tmp_path / "forecast.csv")[0] == 0
    assert len(rows(tmp_path / "forecast.csv")) == 2 * 148
    assert rcgnn("intervene", tmp_path / "run", "--set", "pump=1", "--start", table)[0] == 0

    untimed = tmp_path / "untimed.csv"
    untimed.write_text("pump,flow\n" + "".join(f"{a},{b}\n" for a, b in x.tolist()), encoding="utf-8")
    for command in (("fit", untimed, "--out", tmp_path / "other", *options), ("predict", tmp_path / "run", untimed)):
        code, _, err = rcgnn(*command)
        assert code == 2
        assert "data.resample=2min needs a time" in err
    assert not (tmp_path / "other").exists()


def test_max_cells_holds_for_the_tables_of_predict_and_intervene(rcgnn, plant):
    rest = plant / "rest.csv"
    for words in (("predict", plant / "run", rest), ("intervene", plant / "run", "--set", "dead=1", "--start", rest)):
        code, _, err = rcgnn(*words, "--max-cells", 999)
        assert code == 2
        assert "rest.csv: expected at most 999 cells, got 200 rows x 5 columns = 1,000" in err
