"""A search in which earlier trials say where to look next: Optuna's TPE through Ray Tune, by held-out loss alone.

Bergstra et al. 2011, algorithms for hyper-parameter optimisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rcgnn.config import Config
from rcgnn.series import Series
from rcgnn.sweep.conduct import TRIALS, Tell, claim, finish, silent
from rcgnn.sweep.grid import Grid, Trial, folder_name, shown, value_of
from rcgnn.sweep.page import Swept
from rcgnn.sweep.space import ATTEMPTS, Choice, Range, Space, grid_of
from rcgnn.sweep.trial import STOPPED_FILE, Row, failed_row, is_whole, row_of, run_trial
from rcgnn.sweep.tune import LOSS, Source, comparable, tuned


@dataclass(frozen=True)
class Hunt:
    """How TPE searches.

    Attributes:
        space: where.
        count: trials in all, those of an earlier call included.
        seed: of the search.
        jobs: trials at a time; with several, TPE proposes one before it knows what came of the others.
        address: of the cluster; None starts one on this machine.
        stop: ASHA may end trials early.
    """

    space: Space
    count: int
    seed: int
    jobs: int = 1
    address: str | None = None
    stop: bool = False


class Proposed(Source):
    """What an earlier call left unfinished, then what Optuna proposes."""

    def __init__(self, hunt: Hunt, left: Sequence[Trial], known: Sequence[tuple[Trial, float | None]]) -> None:
        super().__init__(left)
        self.space, self.count = hunt.space, hunt.count - len(known)
        self.optuna = _optuna(hunt)
        self.given = {trial.name for trial, _ in known} | {trial.name for trial in left}
        self.asked: dict[str, str] = {}
        self.first: dict[str, Trial] = {}
        for trial, loss in known:
            self._remember(trial, loss)

    def next(self, number: str) -> Trial | None:
        """The next trial; None when there were enough, or Optuna proposes nothing new."""
        if self.count <= 0:
            return None
        self.count -= 1
        trial = super().next(number)
        if trial is not None:
            self.first[number] = trial
            return trial
        for attempt in range(ATTEMPTS):
            mine = f"{number}-{attempt}"
            found = self.optuna.suggest(mine)
            trial = self.space.trial([_text(d, found[name]) for name, d in self.space.dimensions.items()])
            if trial.name not in self.given:
                self.given.add(trial.name)
                self.asked[number] = mine
                return trial
            self.optuna.on_trial_complete(mine, error=True)  # the same again, within three digits
        return None

    def over(self, number: str, loss: float | None) -> None:
        """Optuna hears the held-out loss."""
        if number in self.asked:
            self.optuna.on_trial_complete(self.asked[number], {LOSS: loss} if loss is not None else None, error=loss is None)
        elif number in self.first:
            self._remember(self.first[number], loss)

    def _remember(self, trial: Trial, loss: float | None) -> None:
        if loss is not None:
            values = zip(self.space.dimensions.items(), trial.values, strict=True)
            self.optuna.add_evaluated_point({name: _value(dimension, value) for (name, dimension), value in values}, loss)


def _optuna(hunt: Hunt) -> Any:
    """Ray Tune's door to Optuna, with the space in Optuna's words."""
    import optuna
    from ray.tune.search.optuna import OptunaSearch

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def words(dimension: Range | Choice) -> Any:
        if isinstance(dimension, Choice):
            return optuna.distributions.CategoricalDistribution(dimension.texts)
        if dimension.whole:
            return optuna.distributions.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
        return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)

    named = {name: words(dimension) for name, dimension in hunt.space.dimensions.items()}
    return OptunaSearch(space=named, metric=LOSS, mode="min", seed=hunt.seed)


def _text(dimension: Range | Choice, value: Any) -> str:
    return dimension.text(value) if isinstance(dimension, Range) else str(value)


def _value(dimension: Range | Choice, value: str) -> Any:
    """A value as it is shown, in Optuna's words."""
    if isinstance(dimension, Choice):
        return dimension.texts[dimension.values.index(value)]
    return int(value) if dimension.whole else float(value)


def earlier(space: Space, folder: Path) -> list[Trial]:
    """Trials of the space that have a folder, in the order in which they began."""
    found: list[Trial] = []
    for file in sorted(folder.glob("*/config.yaml"), key=lambda file: (file.stat().st_mtime_ns, file)):
        config = Config.load(file)
        values = tuple(shown(value_of(config, name)) for name in space.swept)
        trial = Trial(folder_name(space.swept, values), values, config)
        if trial.name == file.parent.name and space.holds(values):
            found.append(trial)
    return found


def search(series: Series, hunt: Hunt, out: Path, *, command: str = "", tell: Tell = silent) -> Swept:
    """Search, and write the tables; what an earlier call finished counts and is not run again.

    Args:
        series: the table; handed over once.
        hunt: how.
        out: folder of the sweep; on several machines all of them must see it.
        command: for the page.
        tell: told of every trial as it ends.

    Raises:
        RunDirError: the folder holds something else, or cannot be written.
        InputError: trials of different length, which ASHA cannot compare.
        FitFailedError: no trial gave an answer; the tables are written.
    """
    space = hunt.space
    if hunt.stop:
        comparable(space.swept)
    corner, _ = space.corners()
    claim(out, series, Grid(space.swept, (), (corner,)))
    folder = out.resolve() / TRIALS
    there = earlier(space, folder)
    known = [trial for trial in there if _over(folder / trial.name, stop=hunt.stop)][: hunt.count]
    rows: dict[str, Row] = {trial.name: row_of(space.swept, trial, folder) for trial in known}
    trials, reused = {trial.name: trial for trial in known}, len(known)

    def over(trial: Trial, error: str | None) -> None:
        trials[trial.name] = trial
        rows[trial.name] = row_of(space.swept, trial, folder) if error is None else failed_row(space.swept, trial, error)
        tell(len(rows) - reused, hunt.count - reused, rows[trial.name])

    if reused < hunt.count:
        left = [trial for trial in there if trial.name not in rows]
        source = Proposed(hunt, left, [(trial, rows[trial.name][LOSS]) for trial in known])
        tuned(
            partial(run_trial, series, folder),
            folder,
            source,
            over,
            jobs=hunt.jobs,
            address=hunt.address,
            stop=corner.config if hunt.stop else None,
        )
    grid = grid_of(space, list(trials.values()))
    return finish(Swept(grid, tuple(rows[trial.name] for trial in grid.trials), series.source, command, reused), out)


def _over(place: Path, *, stop: bool) -> bool:
    return is_whole(place) or (stop and (place / STOPPED_FILE).is_file())
