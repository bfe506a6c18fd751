"""`rcgnn compare`: stored runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SHOWN_PAIRS = 20


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders that fit wrote, two or more.")],
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="PAGE.md", help="Write the comparison as a page, with the curves of training.")
    ] = None,
) -> None:
    """Compare stored runs: how training went, what was set differently, which links they share.

    Nothing is fitted again.
    """
    import shlex
    import sys

    from rcgnn.cli.console import console, print_table, safe
    from rcgnn.report import picture
    from rcgnn.report.compare import differing, measured, overlaps, read_runs, warnings, who_has
    from rcgnn.report.compare_page import draw_curves, page, write_page

    found = read_runs(runs)
    names, to = [run.name for run in found], console()
    for said in warnings(found):
        to.print(said)
    print_table(to, ("", *names), measured(found))
    if settings := differing(found):
        to.print("\nSettings that differ:")
        print_table(to, ("setting", *names), settings)
    to.print("\nLinked pairs shared (Jaccard):")
    print_table(to, ("", *names), overlaps(found))
    if pairs := who_has(found):
        to.print("\nLinked pairs:")
        print_table(to, ("cause", "effect", *names), pairs[:SHOWN_PAIRS], text_columns=2)
        if len(pairs) > SHOWN_PAIRS:
            to.print(f"... and {len(pairs) - SHOWN_PAIRS} more; --out PAGE.md has them.")
    if out is None:
        return
    curves = out.with_suffix(".svg") if picture.available() else None
    if curves is not None:
        draw_curves(curves, found)
    else:
        to.print(f"No curves: {picture.INSTALL}")
    write_page(out, page(found, curves.name if curves else None, shlex.join(["rcgnn", *sys.argv[1:]])))
    for file in filter(None, (out, curves)):
        to.print(f"wrote {safe(file)}")
