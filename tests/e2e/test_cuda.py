"""A CUDA device gives the answer of the processor, twice the same, in files that need no device."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rcgnn.config import Config
from rcgnn.model.network import CausalNet, NetworkInput
from rcgnn.numerics import generator
from rcgnn.synth import simulate
from rcgnn.train.batches import Batches, hide

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")
SETTINGS = ("select.refine=on", "select.halves=4", "train.epochs=6", "train.eval_every=2", "data.max_lag=2")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A curved system of six sensors, a tenth of the cells empty."""
    path = tmp_path_factory.mktemp("table") / "data.csv"
    clean = simulate("nonlinear", seed=1, rows=900, sensors=6).series
    gone = np.random.default_rng(1).random(clean.shape) < 0.1
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(clean.names)
        out.writerows([["" if g else repr(float(v)) for v, g in zip(*row, strict=True)] for row in zip(clean.values, gone, strict=True)])
    return path


@pytest.fixture(scope="module")
def runs(table, tmp_path_factory):
    """The run folder of every device; CUDA twice."""
    folder = tmp_path_factory.mktemp("runs")
    for name in ("cpu", "cuda", "again"):
        device = "cuda" if name == "again" else name
        sets = [word for setting in SETTINGS for word in ("--set", setting)]
        command = [sys.executable, "-m", "rcgnn", "fit", table, "--out", folder / name, "--device", device, "--quiet", *sets]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, env=os.environ | {"RCGNN_DEBUG": "1"}, check=False)
        assert done.returncode == 0, done.stderr
    return folder


def edges(run: Path) -> dict[tuple[str, ...], dict[str, str]]:
    with (run / "edges.csv").open(encoding="utf-8", newline="") as file:
        return {(row["cause"], row["effect"], row["lag"]): row for row in csv.DictReader(file)}


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "health.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_links_are_those_of_the_processor(runs):
    cpu, cuda = edges(runs / "cpu"), edges(runs / "cuda")
    assert len(cpu) > 0
    assert cuda.keys() == cpu.keys()
    for key, row in cpu.items():
        assert cuda[key]["verdict"] == row["verdict"]
        assert float(cuda[key]["strength"]) == pytest.approx(float(row["strength"]), abs=1e-4)


def test_the_network_is_that_of_the_processor_up_to_float_noise(runs):
    """Rounding grows over some hundred steps, so the first epoch is held tighter than the last."""
    cpu, cuda = records(runs / "cpu"), records(runs / "cuda")
    assert len(cpu) == len(cuda) > 1
    assert cuda[0]["loss"]["train"] == pytest.approx(cpu[0]["loss"]["train"], abs=1e-4)
    assert cuda[-1]["loss"]["val"] == pytest.approx(cpu[-1]["loss"]["val"], abs=1e-3)
    assert cuda[-1]["graph"]["edges"] == cpu[-1]["graph"]["edges"]


def test_two_cuda_runs_are_equal_to_the_bit(runs):
    assert (runs / "again" / "model.safetensors").read_bytes() == (runs / "cuda" / "model.safetensors").read_bytes()
    assert [r["loss"] for r in records(runs / "again")] == [r["loss"] for r in records(runs / "cuda")]
    assert edges(runs / "again") == edges(runs / "cuda")


def test_the_files_need_no_device(runs, table):
    cpu, cuda = (load_file(runs / name / "model.safetensors", device="cpu") for name in ("cpu", "cuda"))
    assert {name: tensor.shape for name, tensor in cuda.items()} == {name: tensor.shape for name, tensor in cpu.items()}
    assert all(torch.isfinite(tensor).all() for tensor in cuda.values() if tensor.is_floating_point())
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-m", "rcgnn", "predict", str(runs / "cuda"), str(table)], capture_output=True, text=True, env=hidden, check=False
    )
    assert done.returncode == 0, done.stderr


def fitted(table: Path, out: Path, *more: str, script: tuple[str, ...] = ("-m", "rcgnn")) -> subprocess.CompletedProcess[str]:
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    command = [sys.executable, *script, "fit", str(table), "--out", str(out), "--device", "cuda", "--quiet", *sets, *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


KILLED = """
import os, signal
from rcgnn.cli import main
from rcgnn.train import trainer

made, records = trainer.make_record, []

def record(*given):
    records.append(made(*given))
    if len(records) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return records[-1]

trainer.make_record = record
main()
"""


def test_killed_within_training_it_goes_on_to_the_same_bytes(runs, table, tmp_path):
    script, out = tmp_path / "killed.py", tmp_path / "run"
    script.write_text(KILLED, encoding="utf-8")
    assert fitted(table, out, script=(str(script),)).returncode == -signal.SIGKILL
    assert 0 < len(records(out)) < 6
    done = fitted(table, out, "--resume")
    assert done.returncode == 0, done.stderr
    assert (out / "model.safetensors").read_bytes() == (runs / "cuda" / "model.safetensors").read_bytes()
    assert [r["loss"] for r in records(out)] == [r["loss"] for r in records(runs / "cuda")]
    assert edges(out) == edges(runs / "cuda")


def test_under_torchrun_one_process_gives_the_same_and_two_are_refused(runs, table, tmp_path):
    def torchrun(processes: int) -> tuple[str, ...]:
        return ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "rcgnn")

    one = fitted(table, tmp_path / "one", script=torchrun(1))
    assert one.returncode == 0, one.stderr
    assert edges(tmp_path / "one") == edges(runs / "cuda")
    there = torch.cuda.device_count()
    more = fitted(table, tmp_path / "more", script=torchrun(there + 1))
    assert more.returncode != 0
    assert f"cuda takes one device a process, got {there + 1} processes for {there}" in more.stderr
    assert not (tmp_path / "more" / "summary.json").exists()


@pytest.mark.parametrize(("precision", "close"), [("tf32", 1e-3), ("bf16", 0.1)])
def test_coarser_products_publish_the_same_links(runs, table, tmp_path, precision, close):
    """The network itself loses some hundredths of a nat with 8 bits, nothing with 10."""
    done = fitted(table, tmp_path / "run", "--set", f"train.precision={precision}")
    assert done.returncode == 0, done.stderr
    assert edges(tmp_path / "run").keys() == edges(runs / "cuda").keys()
    ours, exact = records(tmp_path / "run"), records(runs / "cuda")
    assert ours[-1]["loss"]["val"] == pytest.approx(exact[-1]["loss"]["val"], abs=close)
    assert ours[-1]["loss"]["val"] != exact[-1]["loss"]["val"]


def test_the_forecast_is_that_of_the_processor_to_float32():
    """TF32 would show here: it keeps 10 bits, an error of 1e-3."""
    candidates = torch.ones(4, 12, 12, dtype=torch.bool)
    candidates[0] = False
    network = CausalNet(12, Config().model, candidates, generator=generator(0, "network"))
    values = torch.randn(32, 24, 12, generator=generator(0, "values"))
    mask = torch.rand(values.shape, generator=generator(0, "mask")) < 0.9
    batch = NetworkInput(values * mask, mask, torch.zeros(32, dtype=torch.long))
    with torch.no_grad():
        here = network(batch).prediction
        network.to("cuda")
        there = network(NetworkInput(batch.values.cuda(), mask.cuda(), batch.regime.cuda())).prediction.cpu()
    assert torch.allclose(there, here, atol=2e-5)


def test_the_same_cells_are_hidden_on_every_device():
    mask = torch.ones(8, 24, 3, dtype=torch.bool)
    assert torch.equal(hide(mask.cuda(), 0.1, generator(0, "hide")).cpu(), hide(mask, 0.1, generator(0, "hide")))


def test_batches_lie_on_the_device():
    from rcgnn.data.windows import Windows
    from rcgnn.series import Series

    windows = Windows.of(Series.of(np.arange(60.0)[:, None]), length=6, stride=None, max_lag=1, rows=np.ones(60, bool))
    data = Batches.of(windows, torch.device("cuda"))
    index, batch = next(data.epoch(4, torch.ones(len(data), dtype=torch.bool), generator(0, "order"), generator(0, "hidden")))
    assert (index.device.type, batch.values.device.type, batch.hidden.device.type) == ("cpu", "cuda", "cuda")
