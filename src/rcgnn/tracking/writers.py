"""`TRACKERS`: tools that can hold the log of a run. A new one: a class with `scalars` and `end`, and a row.

The tools are imported where they are used; what they write lies in the run folder.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from rcgnn.config import Config
from rcgnn.errors import InputError, did_you_mean
from rcgnn.rundir import RunDir
from rcgnn.tracking.names import settings

ARTIFACTS = ("graph.json", "report.html")
"""Files of the finished run that a tool with a place for files gets."""


class Writer(Protocol):
    """One tool's log of one run, made by calling its class with the run folder and the settings."""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """The figures of one epoch; `step` counts 1, 2, ... over all attempts."""

    def end(self, verdict: str, files: Sequence[Path]) -> None:
        """The run is over: its verdict and files, or `failed` and none."""


class TensorBoard:
    """Event files in `RUN/tensorboard`."""

    def __init__(self, run: RunDir, config: Config) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run.path / "tensorboard"), purge_step=1)
        self._writer.add_text("settings", "\n".join(f"    {line}" for line in config.to_yaml().splitlines()))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Written through, so that the curves grow while the run goes on."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, verdict: str, files: Sequence[Path]) -> None:
        """The verdict as text; there is no place for files."""
        del files
        self._writer.add_text("verdict", verdict)
        self._writer.close()


class MLflow:
    """One run of the experiment `rcgnn` in `RUN/mlruns`, or where `MLFLOW_TRACKING_URI` says; parameters are the settings."""

    PARAMS, FIGURES, LONGEST = 100, 1000, 500
    """What MLflow takes at a time, and characters of a parameter."""

    def __init__(self, run: RunDir, config: Config) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing is sent to anybody who was not named
        given = os.environ.get("MLFLOW_TRACKING_URI")
        if given is None:
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # from 3.17 a folder is refused without it
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self._metric = Metric
        self._client: Any = MlflowClient(tracking_uri=given or (run.path / "mlruns").resolve().as_uri())
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "rcgnn")
        known = self._client.get_experiment_by_name(name)
        number = known.experiment_id if known else self._client.create_experiment(name)
        self._run: str = self._client.create_run(number, run_name=run.path.resolve().name).info.run_id
        for some in in_parts(list(settings(config).items()), self.PARAMS):
            self._client.log_batch(self._run, params=[Param(key, value[: self.LONGEST]) for key, value in some])

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """All figures of an epoch with one time."""
        now = int(time.time() * 1000)
        for some in in_parts(list(values.items()), self.FIGURES):
            self._client.log_batch(self._run, metrics=[self._metric(name, value, now, step) for name, value in some])

    def end(self, verdict: str, files: Sequence[Path]) -> None:
        """Graph and report as artifacts, the verdict as a tag."""
        self._client.set_tag(self._run, "verdict", verdict)
        for file in files:
            self._client.log_artifact(self._run, str(file))
        self._client.set_terminated(self._run, "FINISHED" if files else "FAILED")


@dataclass(frozen=True)
class Tracker:
    """A row of `TRACKERS`.

    Attributes:
        module: must be installed.
        make: opens a writer.
    """

    module: str
    make: Callable[[RunDir, Config], Writer]


TRACKERS: dict[str, Tracker] = {
    "tensorboard": Tracker("tensorboard", TensorBoard),
    "mlflow": Tracker("mlflow", MLflow),
}


def check(names: Sequence[str]) -> None:
    """Are there such trackers, and are they installed? Imports none.

    Raises:
        InputError: no; says what to install, or the nearest name there is.
    """
    for name in names:
        if name not in TRACKERS:
            raise InputError(f"--log {name}: there is no such log.{did_you_mean(name, list(TRACKERS))}")
        if find_spec(TRACKERS[name].module) is None:
            raise InputError(f"--log {name}: {TRACKERS[name].module} is not installed; pip install 'rcgnn[tracking]' brings it.")


def open_writer(name: str, run: RunDir, config: Config) -> Writer:
    """The writer of one tracker for one run."""
    return TRACKERS[name].make(run, config)


def in_parts(items: Sequence[tuple[str, Any]], most: int) -> list[Sequence[tuple[str, Any]]]:
    """The items in parts of at most `most`.

    Example:
        >>> in_parts([("a", 1), ("b", 2), ("c", 3)], 2)
        [[('a', 1), ('b', 2)], [('c', 3)]]
    """
    return [items[start : start + most] for start in range(0, len(items), most)]
