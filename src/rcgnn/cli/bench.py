"""`rcgnn bench`: methods over a suite of tables with a known graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rcgnn.cli.engines import AddressOption, EngineName, EngineOption, engine_of
from rcgnn.cli.values import CellsOption

SHOWN = ("runs", "failed", "AUPRC", "chance", "F1", "precision", "recall", "FDR", "s")


def bench(  # noqa: PLR0913 - one parameter an option
    suite: Annotated[Path, typer.Argument(metavar="SUITE", help="Suite file, e.g. benchmarks/suites/smoke.yaml.")],
    *,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of results [default: bench/NAME].")] = None,
    methods: Annotated[str | None, typer.Option(metavar="A,B", help="rcgnn, baselines, module:function, or all [suite's].")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="FIRST:LAST", help="9000:9005 (9005 is not run) or 1,2,5 [suite's].")] = None,
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting of rcgnn.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at a time, each on one thread.")] = 2,
    engine: EngineOption = EngineName.LOCAL,
    address: AddressOption = None,
    limit: Annotated[float, typer.Option(min=0, help="Seconds that one fit may take; 0: no limit.")] = 600,
    data: Annotated[Path | None, typer.Option(metavar="DIR", envvar="RCGNN_DATA", help="Folder of the real tables.")] = None,
    max_cells: CellsOption = None,
    resume: Annotated[bool, typer.Option("--resume/--fresh", help="Keep finished runs of the same code, or run all again.")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Compare methods over a suite of tables with a known graph.

    Interrupted? The same command goes on where it stopped.
    """
    import shlex
    import sys

    from rcgnn.bench.conduct import Plan, conduct, files
    from rcgnn.bench.markdown import means_row, short
    from rcgnn.bench.runner import Limits
    from rcgnn.bench.suite import choose_methods, parse_seeds, read_suite
    from rcgnn.cli.console import console, print_table, safe

    what = read_suite(suite)
    plan = Plan(
        choose_methods(methods.split(",")) if methods else (),
        parse_seeds(seeds) if seeds else (),
        tuple(sets or ()),
        data,
        Limits(jobs, limit or None, fresh=not resume, engine=engine_of(engine, address)),
        shlex.join(["rcgnn", *sys.argv[1:]]),
        max_cells,
    )
    folder, errors = out or Path("bench") / what.name, console(stderr=True)
    done = conduct(what, plan, folder, tell=lambda *told: None if quiet else errors.print(safe(short(*told))))
    print_table(console(), ("method", *SHOWN), ([m, *means_row(done.of(m), SHOWN)] for m in done.methods))
    for skipped in done.skipped:
        console().print(safe(f"skipped {skipped.what}: {skipped.why}"))
    for file in files(folder):
        console().print(f"wrote {safe(file)}")
