"""docs/schemas are those of the code, and hold for files written just now and for those of earlier versions."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from rcgnn.config import Config
from rcgnn.pipeline import fit_series
from rcgnn.rundir import RunDir
from rcgnn.store import Store, identity
from rcgnn.synth import corrupt, simulate

ROOT = Path(__file__).parents[2]
STORED = sorted(run for run in (ROOT / "tests" / "data" / "runs").iterdir() if (run / "graph.json").is_file())
spec = importlib.util.spec_from_file_location("schemas", ROOT / "scripts" / "schemas.py")
schemas = importlib.util.module_from_spec(spec)
spec.loader.exec_module(schemas)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A run with operating modes, missing cells and a trained network, written by the code as it stands."""
    made = simulate("linear", seed=9, rows=300, sensors=3, regimes=2)
    readings, config = (
        corrupt(made.series, {"missing": 0.1}, seed=1),
        Config().override(["select.refine=on", "train.epochs=2", "data.max_lag=2"]),
    )
    run = RunDir(tmp_path_factory.mktemp("run") / "run")
    run.write_config(config)
    run.write_answer(fit_series(readings, config, on_record=run.append), readings, config)
    return run.path


def values(run: Path, name: str) -> list[object]:
    text = (run / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if name == "health.jsonl" else [json.loads(text)]


def schema(name: str) -> Draft202012Validator:
    made = json.loads((schemas.FOLDER / f"{name.partition('.')[0]}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


def test_they_are_those_of_the_code():
    stored = {path.name: path.read_text(encoding="utf-8") for path in schemas.FOLDER.iterdir()}
    made = schemas.texts()
    assert set(stored) == set(made)
    assert {name: json.loads(text).get("required") for name, text in stored.items()} == {
        name: json.loads(text).get("required") for name, text in made.items()
    }
    assert {name: sorted(json.loads(text).get("properties", json.loads(text))) for name, text in stored.items()} == {
        name: sorted(json.loads(text).get("properties", json.loads(text))) for name, text in made.items()
    }


@pytest.mark.parametrize("name", ["graph.json", "findings.json", "summary.json", "health.jsonl"])
def test_files_written_now_are_valid(name, fresh):
    told = values(fresh, name)
    assert told
    for value in told:
        assert value["schema_version"] == 1
        schema(name).validate(value)


@pytest.mark.parametrize("run", STORED, ids=lambda run: run.name)
@pytest.mark.parametrize("name", ["graph.json", "findings.json", "summary.json", "health.jsonl"])
def test_files_of_earlier_versions_are_valid(name, run):
    for value in values(run, name):
        schema(name).validate(value)


@pytest.mark.parametrize("name", ["graph.json", "findings.json", "summary.json", "health.jsonl"])
def test_a_newer_file_is_not(name, fresh):
    assert not schema(name).is_valid({**values(fresh, name)[0], "schema_version": 2})


def test_a_manifest_of_checkpoints_is_valid(tmp_path):
    series = simulate("linear", seed=1, rows=50, sensors=2).series
    store = Store.begin(tmp_path, identity(series, Config()))
    store.put("smooth", b"content", {"seconds": 1.0})
    schema("manifest.json").validate(json.loads((store.folder / "manifest.json").read_text(encoding="utf-8")))


def test_arrays_and_columns_are_as_listed(fresh):
    arrays = json.loads((schemas.FOLDER / "arrays.json").read_text(encoding="utf-8"))
    for file in ("scores.npz", "mechanism.npz"):
        with np.load(fresh / file, allow_pickle=False) as held:
            assert set(arrays[file]) <= set(held.files)
            assert int(held["schema_version"]) == arrays["schema_version"]
    columns = json.loads((schemas.FOLDER / "columns.json").read_text(encoding="utf-8"))
    for file in ("edges.csv", "regimes.csv"):
        head = (fresh / file).read_text(encoding="utf-8").splitlines()[0]
        assert head.replace('"', "").split(",") == columns[file]
