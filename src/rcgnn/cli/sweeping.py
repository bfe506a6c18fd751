"""One sweep from the command line: what is asked, who runs it, what is printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rcgnn.cli.engines import EngineName, engine_of

if TYPE_CHECKING:
    from rcgnn.sweep.conduct import Tell
    from rcgnn.sweep.page import Swept

TRIALS, SEED = 20, 1337
"""Of a search that does not say otherwise."""


class Search(StrEnum):
    """Where the trials come from."""

    GRID = "grid"
    RANDOM = "random"
    TPE = "tpe"


class Stop(StrEnum):
    """Who may end a trial early."""

    ASHA = "asha"


@dataclass(frozen=True)
class Asked:
    """What is swept, and how.

    Attributes:
        settings: as `--set` takes them.
        base: `config`, `fixed` and `prior` of `make_grid`.
        search: where the trials come from.
        trials, seed: of a search; None where they were not given.
        stop: who may end a trial early.
        jobs: trials at a time.
        most: trials of a grid.
        engine: who does the work.
        address: of a cluster.
    """

    settings: Sequence[str]
    base: Mapping[str, Any]
    search: Search
    trials: int | None
    seed: int | None
    stop: Stop | None
    jobs: int
    most: int
    engine: EngineName
    address: str | None


def sweep_tables(tables: Sequence[Path], reading: Mapping[str, Any], asked: Asked, out: Path, *, quiet: bool) -> None:
    """Sweep over the tables and print the trials.

    Args:
        tables: recordings of one system.
        reading: `time`, `regime`, `na`, `max_cells`, `drop` of `read_tables`.
        asked: what is swept, and how.
        out: folder of the sweep.
        quiet: no progress.
    """
    from rcgnn.cli.console import console, print_table, safe
    from rcgnn.data.readers import read_tables
    from rcgnn.sweep.conduct import files, silent
    from rcgnn.sweep.page import HEADS, cells, trial_line, verdict_line

    _check(asked)
    errors = console(stderr=True)
    tell = silent if quiet else (lambda *told: errors.print(safe(trial_line(*told))))
    done = _swept(lambda: read_tables(tables, **reading), asked, out, tell)
    head = (*done.grid.swept, *(HEADS[name] for name in done.shown))
    rows = (cells(row, [*done.grid.swept, *done.shown]) for row in done.ranked)
    print_table(console(), head, rows, text_columns=len(done.grid.swept) + 1)
    for row in done.rows:
        if row["error"] is not None:
            console().print(safe(f"failed: {row['trial']}: {row['error']}"))
    console().print(safe(verdict_line(done)))
    for file in files(out):
        console().print(f"wrote {safe(file)}")


def _check(asked: Asked) -> None:
    from rcgnn.errors import InputError

    if asked.search == Search.GRID and (asked.trials is not None or asked.seed is not None):
        name = "--trials" if asked.trials is not None else "--seed"
        raise InputError(f"{name}: a grid runs every combination; add --search random or --search tpe, or leave {name} out.")
    wanted = [f"--stop {asked.stop}"] if asked.stop else [f"--search {asked.search}"] if asked.search == Search.TPE else []
    if wanted and asked.engine != EngineName.RAY:
        raise InputError(f"{wanted[0]}: works through Ray Tune; add --engine ray, which needs no cluster.")


def _swept(read: Any, asked: Asked, out: Path, tell: Tell) -> Swept:
    """The finished sweep; everything that can be refused is refused before the folder is made."""
    import shlex
    import sys

    from rcgnn.sweep.conduct import by_crew, conduct
    from rcgnn.sweep.grid import fitting, make_grid
    from rcgnn.sweep.space import drawn, make_space

    told: dict[str, Any] = {"command": shlex.join(["rcgnn", *sys.argv[1:]]), "tell": tell}
    count, seed = asked.trials or TRIALS, SEED if asked.seed is None else asked.seed
    if asked.search == Search.TPE:
        from rcgnn.sweep.hunt import Hunt, search

        space = make_space(asked.settings, **asked.base)
        series = fitting(read(), space.corners())
        engine_of(asked.engine, asked.address)
        return search(series, Hunt(space, count, seed, asked.jobs, asked.address, stop=asked.stop is not None), out, **told)
    if asked.search == Search.RANDOM:
        grid = drawn(make_space(asked.settings, **asked.base), count, seed)
    else:
        grid = make_grid(asked.settings, **asked.base, most=asked.most)
    series = fitting(read(), grid.trials)
    runner = by_crew(engine_of(asked.engine, asked.address))
    if asked.stop is not None:
        from rcgnn.sweep.tune import by_tune, comparable

        comparable(grid.swept)
        runner = by_tune(asked.address)
    return conduct(series, grid, out, jobs=asked.jobs, runner=runner, stopping=asked.stop is not None, **told)
