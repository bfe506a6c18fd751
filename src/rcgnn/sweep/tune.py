"""Trials through Ray Tune: Optuna's TPE proposes them, ASHA stops those that fall behind. Only held-out losses are looked at.

Ray and Optuna are an extra (`pip install 'rcgnn[cluster]'`) and load only here and in `rcgnn.cluster`.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rcgnn.cluster import joined
from rcgnn.config import Config
from rcgnn.crew import RETRIES, End
from rcgnn.encode import as_json
from rcgnn.errors import InputError, in_words
from rcgnn.health import HealthRecord
from rcgnn.series import Series
from rcgnn.sweep.conduct import Over, Runner
from rcgnn.sweep.grid import Trial
from rcgnn.sweep.trial import STOPPED_FILE, figures_of, run_trial

REDUCTION, RUNGS = 3, 2
"""ASHA: at every rung the better third goes on; the last rung is at a third of the epochs, the one before at a ninth."""
LOSS, EPOCH = "held_out_loss", "epoch"
QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
"""Ray Tune writes no logs of its own, and an interrupt ends the sweep."""


class Source:
    """Trials that are known beforehand, one after the other."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.left = list(trials)

    def next(self, _number: str) -> Trial | None:
        """The next trial; None where there are no more."""
        return self.left.pop(0) if self.left else None

    def over(self, number: str, loss: float | None) -> None:
        """What came of it."""


def rungs(config: Config) -> tuple[int, ...]:
    """Epochs after which a trial may be stopped: a ninth and a third of all, and not before the first evaluation.

    Example:
        >>> rungs(Config().override(["train.epochs=40", "train.eval_every=1"]))
        (5, 15)
        >>> rungs(Config().override(["train.epochs=1"]))
        ()
    """
    epochs = config.train.epochs
    first = max(config.train.eval_every, -(-epochs // REDUCTION**RUNGS))
    return tuple(rung for rung in (first * REDUCTION**k for k in range(RUNGS)) if rung < epochs)


def comparable(swept: Sequence[str]) -> None:
    """ASHA compares trials after equal epochs.

    Raises:
        InputError: they have different numbers of epochs.
    """
    if "train.epochs" in swept:
        raise InputError("--stop asha compares trials after equal epochs: train.epochs cannot be swept with it.")


def by_tune(address: str | None) -> Runner:
    """Trials that are known beforehand, through Ray Tune, so that ASHA may end them early."""

    def run(series: Series, folder: Path, trials: Sequence[Trial], jobs: int, over: Over) -> None:
        work, first = partial(run_trial, series, folder), trials[0].config
        tuned(work, folder, Source(trials), over, jobs=jobs, address=address, stop=first)

    return run


def tuned(  # noqa: PLR0913 - what is run, then how
    work: Callable[..., str | None], folder: Path, source: Source, over: Over, *, jobs: int, address: str | None, stop: Config | None
) -> None:
    """Run the trials of a source, `jobs` at a time, until it has no more.

    A trial whose process is killed begins anew, and so does one that ends by an error nobody named: Ray Tune does not tell them apart.

    Args:
        work: `run_trial` with the table and the folder; handed over once through the object store.
        folder: of all trials.
        source: gives the trials and is told their held-out losses.
        over: told of each trial that is over.
        jobs: trials at a time.
        address: of the cluster; None starts one on this machine.
        stop: settings that say after which epochs ASHA decides; None: every trial is whole.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    with joined(address, jobs), warnings.catch_warnings(), tempfile.TemporaryDirectory() as scratch:
        warnings.simplefilter("ignore")  # Ray Tune's own
        from ray import tune

        logging.getLogger("ray").setLevel(logging.ERROR)
        levels = rungs(stop) if stop else ()
        scheduler = _asha(stop, levels) if stop and levels else None
        tune.Tuner(
            tune.with_resources(tune.with_parameters(partial(_trainable, reports=bool(levels)), work=work, folder=folder), {"cpu": 1}),
            tune_config=tune.TuneConfig(
                search_alg=_searcher(source), scheduler=scheduler, num_samples=-1, max_concurrent_trials=jobs, reuse_actors=True
            ),
            run_config=tune.RunConfig(
                storage_path=scratch,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=RETRIES),
                callbacks=[_listener(folder, levels, over)],
            ),
        ).fit()


def _trainable(config: dict[str, Any], work: Callable[..., str | None], folder: Path, *, reports: bool) -> None:
    """In a process of Ray Tune: one trial, with news of its held-out loss where somebody decides by it."""
    from ray import tune

    warnings.simplefilter("ignore")
    trial: Trial = config["trial"]
    best: dict[int, float] = {}

    def news(record: HealthRecord) -> None:
        if record.loss.val is not None and record.epoch < trial.config.train.epochs:
            best[record.attempt] = min(record.loss.val, best.get(record.attempt, record.loss.val))
            tune.report({LOSS: best[record.attempt], EPOCH: record.epoch})

    error = work(trial, lambda _: None, *([news] if reports else []))
    loss = None if error else figures_of(folder / trial.name)[LOSS]
    tune.report({"whole": True, "error": error} | ({} if loss is None else {LOSS: loss}))


def _asha(config: Config, levels: Sequence[int]) -> Any:
    from ray.tune.schedulers import ASHAScheduler

    return ASHAScheduler(
        time_attr=EPOCH, metric=LOSS, mode="min", max_t=config.train.epochs, grace_period=levels[0], reduction_factor=REDUCTION
    )


def _searcher(source: Source) -> Any:
    """A source of trials as Ray Tune asks for them."""
    from ray.tune.search import Searcher

    class Asked(Searcher):  # a class of Ray, which loads only here
        def suggest(self, trial_id: str) -> Any:
            trial = source.next(trial_id)
            return Searcher.FINISHED if trial is None else {"trial": trial}

        def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:  # noqa: FBT001, FBT002, ARG002
            source.over(trial_id, (result or {}).get(LOSS))

    return Asked(metric=LOSS, mode="min")


def _listener(folder: Path, levels: Sequence[int], over: Over) -> Any:
    """Hears from Ray Tune what became of each trial, and writes down which were stopped."""
    from ray.tune import Callback

    class Listener(Callback):  # a class of Ray, which loads only here
        def __deepcopy__(self, _memo: dict[int, Any]) -> Listener:
            return self

        def __reduce__(self) -> tuple[type, tuple[()]]:  # Ray Tune stores its callbacks; who hears them stays here
            return Callback, ()

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_info: Any) -> None:  # noqa: ARG002
            ours, told = trial.config["trial"], trial.last_result
            if not told.get("whole"):
                rung = sum(level <= told[EPOCH] for level in levels)
                (folder / ours.name / STOPPED_FILE).write_bytes(as_json({"epoch": told[EPOCH], "rung": rung}))
            over(ours, told.get("error"))

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_info: Any) -> None:  # noqa: ARG002
            over(trial.config["trial"], _failure(trial))

    return Listener()


def _failure(trial: Any) -> str:
    """Why Ray Tune gave a trial up."""
    from ray.exceptions import RayTaskError

    error = trial.get_error()
    return in_words(error.cause) if isinstance(error, RayTaskError) else End("lost").why
