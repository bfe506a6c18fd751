"""`rcgnn diagnose` through the real door: every kind of input, what it prints, exit codes, no torch."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from rcgnn.config import Config
from rcgnn.health import AuxHealth, HealthRecord, LossHealth
from rcgnn.origin import fit_origin
from rcgnn.rundir import RunDir
from rcgnn.series import Series

EXPLODED = "\n".join(
    ["epoch,loss,grad_norm,clip_share,lr,input_min,input_max,term_grad_norms.recon,term_grad_norms.acyclic"]
    + [f"{e},900,3e4,1,1e-3,0,2775,2.7,3e5" for e in range(1, 7)]
)
HEALTHY = "epoch,loss,grad_norm,clip_share,lr\n" + "\n".join(f"{e},{1 / e},2,0,1e-3" for e in range(1, 7))


def origin_run(path, recipe: str, scale: float = 1.0):
    rows = np.random.default_rng(0).normal(size=(120, 4)).cumsum(0) * np.array([1, 1, 1, scale])
    config = Config.parse({"recipe": recipe, "train": {"epochs": 4}})
    run, result = RunDir(path), fit_origin(Series.of(rows), config)
    run.write_config(config)
    for record in result.records:
        run.append(record)
    return result


def test_a_run_of_the_origin_before_its_cure(rcgnn, tmp_path):
    origin_run(tmp_path / "run", "origin-before", scale=1e3)
    done = rcgnn("diagnose", tmp_path / "run")
    assert (done.code, done.err) == (3, "")
    assert done.out.startswith("Unstable: raw range ")
    for fact in ("act   CLIPPED_OFTEN", "docs/rules/CLIPPED_OFTEN.md", "warn  BYPASS", "data term", "acyclic", "x3", "learning rate never"):
        assert fact in done.out, fact
    seen = json.loads(rcgnn("diagnose", tmp_path / "run", "--json").out)
    assert next(iter(seen["sensors"])) == "x3"
    assert seen["sensors"]["x3"] > 0.99
    assert {term["name"] for term in seen["terms"]} == {"data term", "sparse", "acyclic", "disen"}
    assert next(cause["code"] for cause in seen["causes"]) == "RAW_INPUT_RANGE"
    bare = rcgnn("diagnose", tmp_path / "run" / "health.jsonl")
    assert bare.out == done.out


def test_the_origins_own_log(rcgnn, tmp_path):
    result = origin_run(tmp_path / "run", "origin-before", scale=1e3)
    file = tmp_path / "training_log_stable.json"
    file.write_text(json.dumps(result.log, indent=2), encoding="utf-8")
    done = rcgnn("diagnose", file)
    assert done.code == 3
    assert "CLIPPED_OFTEN" in done.out
    assert "Where the gradient" not in done.out, "that log holds no gradients"


def test_a_healthy_log_exits_0_and_an_exploded_one_3(rcgnn, tmp_path):
    (tmp_path / "good.csv").write_text(HEALTHY, encoding="utf-8")
    (tmp_path / "bad.csv").write_text(EXPLODED, encoding="utf-8")
    good, bad = rcgnn("diagnose", tmp_path / "good.csv"), rcgnn("diagnose", tmp_path / "bad.csv")
    assert good == (0, "Healthy: 6 epoch(s), loss 1 -> 0.1667, 0% of the last one's steps clipped.\n", "")
    assert bad.code == 3
    causes = bad.out.partition("Causes, by how far past what is healthy:\n")[2]
    assert [line.split()[2] for line in causes.splitlines()[::2]] == ["1.11e+05", "92.5", "5"]


def test_json_holds_everything_and_only_finite_numbers(rcgnn, tmp_path):
    (tmp_path / "bad.csv").write_text(EXPLODED + "\n7,nan,inf,1,1e-3,0,2775,,\n", encoding="utf-8")
    done = rcgnn("diagnose", tmp_path / "bad.csv", "--json")
    seen = json.loads(done.out, parse_constant=pytest.fail)
    assert done.code == 3
    assert set(seen) == {"schema_version", "source", "epochs", "verdict", "headline", "notes", "findings", "terms", "sensors", "causes"}
    assert (seen["verdict"], seen["epochs"]) == ("unstable", 7)
    assert seen["causes"][-1]["code"] == "NOT_FINITE"
    assert {finding["page"] for finding in seen["findings"]} >= {"docs/rules/NONFINITE.md"}


def test_a_run_without_a_network_is_called_neither_healthy_nor_ill(rcgnn, table, tmp_path):
    RunDir(tmp_path / "run").write_config(Config())
    done = rcgnn("diagnose", tmp_path / "run")
    assert done == (0, "Untrained: there is no epoch to judge.\n", "")


def test_settings_beside_a_health_log_are_read(rcgnn, tmp_path):
    loud = {"disen": AuxHealth(value=1, grad_norm=9, cos_data=0.0, share=9)}
    run = RunDir(tmp_path / "run")
    run.write_config(Config.parse({"losses": {"balance": "fixed"}}))
    run.append(HealthRecord(epoch=1, step=1, lr=1e-3, seed=1, loss=LossHealth(train=-0.5), aux=loud))
    here, copy = run.path / "health.jsonl", tmp_path / "health.jsonl"
    copy.write_bytes(here.read_bytes())
    assert "warn  AUX_DOMINATES" in rcgnn("diagnose", here).out
    assert rcgnn("diagnose", copy).code == 0, "by itself it is taken for balance hierarchy, which caps"


def test_what_cannot_be_read_exits_2_with_one_sentence(rcgnn, tmp_path):
    files = {"empty": b"", "binary": b"\xff\xfe\x00", "wrong": b'{"loss": 1}\n{"loss": "x"}\n', "other": b"name,size\na,b\n"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    for name in (*files, "folder", "absent"):
        done = rcgnn("diagnose", tmp_path / name)
        assert (done.code, done.out) == (2, ""), name
        assert str(tmp_path / name) in done.err
        assert done.err.count("\n") == 1
    assert "line 2: loss" in rcgnn("diagnose", tmp_path / "wrong").err


def test_hostile_names_are_escaped(rcgnn, tmp_path):
    sensors = {"a\x1b[2J": 9e9, "b": 1, "c": 1, "d": 1}
    rows = [json.dumps({"epoch": e, "loss": e**3, "sensors": sensors, "z\nz": 1}) for e in range(1, 8)]
    (tmp_path / "log.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    done = rcgnn("diagnose", tmp_path / "log.jsonl")
    assert r"a\x1b[2J alone carries" in done.out
    assert r"Ignored, since not known: z\nz." in done.out
    assert "\x1b" not in done.out


def test_diagnose_does_not_load_torch(tmp_path):
    (tmp_path / "good.csv").write_text(HEALTHY, encoding="utf-8")
    code = "import sys, atexit; atexit.register(lambda: print('torch' in sys.modules)); from rcgnn.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "diagnose", str(tmp_path / "good.csv")], capture_output=True, encoding="utf-8", check=False, timeout=60
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "False")
