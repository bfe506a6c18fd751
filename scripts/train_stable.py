#!/usr/bin/env python3
"""The origin's entry point: train its network with the stable settings, without arguments or on a table of yours.

    python3 scripts/train_stable.py                                    # the built-in station, whose true graph is shown
    python3 scripts/train_stable.py data.csv --truth truth.csv         # a table; the truth is optional
    python3 scripts/train_stable.py --lambda-sparse 1e-5 --lambda-acyclic 1e-6

Writes artifacts/training_log_stable.json and artifacts/training_summary_stable.json. The graph of this network is not an
answer (see its last lines); `rcgnn fit` gives one.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

if importlib.util.find_spec("rcgnn") is None:  # started with a Python that the project is not installed in
    _PYTHON = Path(__file__).resolve().parents[1] / ".venv" / "bin" / "python"
    if not _PYTHON.exists():
        sys.exit("rcgnn is not installed for this Python; run `make setup` first, or `pip install -c constraints.txt -e .`")
    os.execv(_PYTHON, [str(_PYTHON), *sys.argv])  # noqa: S606 - the project's own interpreter, no shell

from rcgnn.config import RECIPES, Config
from rcgnn.data.readers import read_table
from rcgnn.errors import InputError, RcgnnError, RunDirError
from rcgnn.evaluate.truth import read_truth
from rcgnn.origin import EpochReport, OriginResult, fit_origin
from rcgnn.origin.record import BYPASS, batch_line, epoch_line
from rcgnn.series import BoolArray, Series

LOG, SUMMARY = "training_log_stable.json", "training_summary_stable.json"

OPTIONS: dict[str, tuple[str, type]] = {
    "--lambda-recon": ("losses.recon", float),
    "--lambda-sparse": ("losses.sparse", float),
    "--lambda-acyclic": ("losses.acyclic", float),
    "--lambda-disen": ("losses.disen", float),
    "--lr": ("train.lr", float),
    "--weight-decay": ("train.weight_decay", float),
    "--clip": ("train.clip", float),
    "--batch-size": ("train.batch", int),
    "--epochs": ("train.epochs", int),
    "--patience": ("train.patience", int),
    "--eval-every": ("train.eval_every", int),
    "--window": ("data.window", int),
    "--seed": ("seed", int),
}
"""Option -> setting; what is not given stays with the recipe."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description="Train the origin's network with the stable settings.")
    p.add_argument("table", nargs="?", type=Path, help="table or folder; empty: the built-in station")
    p.add_argument("--data", type=Path, help="the same, as an option")
    p.add_argument("--truth", type=Path, help="true graph (cause,effect or A_true.npy): shown, steers nothing")
    p.add_argument("--recipe", default="origin-after", choices=[name for name in RECIPES if name != "auto"])
    p.add_argument("--out", type=Path, default=Path("artifacts"), help="folder of the two files (default: artifacts)")
    for option, (setting, kind) in OPTIONS.items():
        p.add_argument(option, type=kind, dest=setting, metavar=kind.__name__.upper(), help=f"sets {setting}")
    return p


def settings(given: Mapping[str, Any]) -> Config:
    """The recipe with the given options on top."""
    raw: dict[str, Any] = {"recipe": given["recipe"], "losses": {}, "train": {}, "data": {}}
    for setting, _ in OPTIONS.values():
        section, _, name = setting.rpartition(".")
        if given[setting] is not None:
            (raw[section] if section else raw)[name] = given[setting]
    return Config.parse(raw, "settings")


def load(table: Path | None, truth: Path | None) -> tuple[Series, BoolArray | None]:
    """The table and, where known, its true links [N, N]."""
    if table is None and truth is not None:
        raise InputError(f"--truth {truth}: a true graph needs its table; give --data too.")
    if table is None:
        from rcgnn.synth import STATION_SEED, simulate

        station = simulate("station", seed=STATION_SEED)
        return station.series, station.truth.any(axis=0)
    series = read_table(table)
    beside = table / "A_true.npy"
    truth = beside if truth is None and beside.is_file() else truth
    return series, None if truth is None else read_truth(truth, series.names, max_lag=64).summary


def train(series: Series, truth: BoolArray | None, config: Config) -> OriginResult:
    """Fit with the origin's console lines."""
    links = None if truth is None else int(truth.sum())

    def progress(stage: str, info: Mapping[str, Any]) -> None:
        if stage == "clean":
            print(f"Inputs {'standardised' if config.data.scale else 'left as they are'}: {info['message']}\n")
        elif "batch" in info:
            print(batch_line(info["batch"]))

    def on_epoch(report: EpochReport) -> None:
        if report.evaluated and truth is not None:
            print(f"Threshold tuned: {report.entry['best_threshold']:.3f} -> F1={report.entry['val_f1']:.4f}")
        print(epoch_line(report, epochs=config.train.epochs, true_edges=links, patience=config.train.patience), flush=True)

    return fit_origin(series, config, truth=truth, progress=progress, on_epoch=on_epoch)


def write(out: Path, result: OriginResult) -> None:
    """The log and the summary."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in ((LOG, result.log), (SUMMARY, result.summary)):
            (out / name).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise RunDirError(f"{out}: cannot be written ({error.strerror or error}); give another folder with --out.") from error


def advice(summary: Mapping[str, Any], config: Config) -> str:
    """What to do when no link is left: the origin's advice, and why it seldom helps."""
    losses = config.losses
    if summary["final_edge_count"] or not losses.sparse + losses.acyclic:
        return ""
    return (
        "edge_count = 0: divide lambda_sparse and lambda_acyclic by 10 and run again:\n"
        f"  python3 scripts/train_stable.py --lambda-sparse {losses.sparse / 10:g} --lambda-acyclic {losses.acyclic / 10:g}\n"
        "(The origin's advice. It may not help: weight decay alone empties a graph that no data gradient holds.)\n"
    )


def run(arguments: list[str]) -> None:
    """Everything, from the command line to the files."""
    given = vars(parser().parse_args(arguments))
    if given["table"] and given["data"]:
        raise InputError("command line: two tables were given; name one, by position or with --data.")
    config = settings(given)
    series, truth = load(given["table"] or given["data"], given["truth"])
    print(f"{series.source}: {series.shape[0]} rows, {series.shape[1]} sensors | {config.recipe} | seed {config.seed}")
    if truth is not None:
        print("Val F1, Val SHD and the tuned threshold read the true graph (oracle): they are shown and steer nothing.")
    result = train(series, truth, config)
    write(given["out"], result)
    print(f"\n{advice(result.summary, config)}{BYPASS}\nWrote {given['out'] / LOG} and {given['out'] / SUMMARY}")


def main(arguments: list[str]) -> int:
    """Exit code: 0, or that of the error, told in one sentence."""
    try:
        run(arguments)
    except RcgnnError as error:
        print(f"train_stable.py: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
