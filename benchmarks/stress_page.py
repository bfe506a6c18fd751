"""The page of the stress matrix: a table by axis, every failure, and a histogram of norm / certificate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dated import RESULTS, source, write

from rcgnn.bench.markdown import table, today

Line = dict[str, Any]


def publish(lines: Sequence[Line], wanted: int, out: Path | None) -> None:
    """Write the page and the picture beside it."""
    path = out or RESULTS / f"{today()}-stress.md"
    picture = path.with_suffix(".svg")
    ratios = [line["ratio"] for line in lines if line["recipe"] == "auto" and line["ratio"] is not None]
    drawn = _draw(picture, ratios)
    write(page(lines, wanted, picture.name if drawn else None), path, "stress")


def page(lines: Sequence[Line], wanted: int, picture: str | None) -> str:
    """The text."""
    ours = [line for line in lines if line["recipe"] == "auto"]
    failed = [line for line in ours if line["wrong"]]
    alone = sum(line.get("network") == "NOT_LEARNING" for line in ours)
    text = [
        f"# Stress matrix, {today()}",
        "",
        f"{len(lines)} of {wanted} cells were run, {len(ours)} of them with recipe auto (`select.refine=on`): {len(failed)} failed.",
        *source(),
        "",
        "A cell fails on: an exception or a warning; recipe auto without an answer; a weight or moment that is not finite after a step,",
        "or a number of the answer that is not; an accepted norm above the certificate of its step; the best held-out loss above the self",
        "baseline + 1 s.e.; a verdict outside the allowed set; an injected fault that its rule does not name; other links or strengths",
        "(1e-5 relative) under other units, another order of columns, another clock. Each cell may take 8 GB.",
        "",
        f"In {alone} cells the links cost more than one standard error of held-out loss: the network went back to own",
        "histories and closed them. They count as passed; most cells train for 5 epochs on 120 to 200 rows.",
        "",
        "## Recipe auto by axis",
        "",
        *table(["axis", "cells", "failed", "trained", "largest norm / certificate", "verdicts", "s"], _by_axis(ours)),
        "",
        *([f"![Largest norm of an accepted step / certificate of that step, one count a cell]({picture})", ""] if picture else []),
        "## Failures of recipe auto",
        "",
        *(table(["cell", "what"], [[line["key"], "; ".join(line["wrong"])] for line in failed]) if failed else ["None."]),
        "",
        "## The origin's recipes: for comparison, no bar",
        "",
        "Diverged: no answer because training was not finite. Refused: the table cannot be used, said in one sentence.",
        "",
        *table(["recipe", "cells", "answers", "diverged", "refused", "exceptions"], _theirs(lines)),
    ]
    return "\n".join(text) + "\n"


def _by_axis(lines: Sequence[Line]) -> list[list[str]]:
    axes = dict.fromkeys(line["axis"] for line in lines)
    return [_row(axis, [line for line in lines if line["axis"] == axis]) for axis in axes] + [_row("all", lines)]


def _row(axis: str, lines: Sequence[Line]) -> list[str]:
    ratio = max((line["ratio"] for line in lines if line["ratio"] is not None), default=None)
    verdicts = ", ".join(f"{count} {verdict}" for verdict, count in Counter(line["verdict"] for line in lines).most_common())
    trained, failed = (sum(bool(line[what]) for line in lines) for what in ("steps", "wrong"))
    seconds = sum(line["seconds"] for line in lines)
    return [axis, str(len(lines)), str(failed), str(trained), "-" if ratio is None else f"{ratio:.3g}", verdicts, f"{seconds:.0f}"]


def _theirs(lines: Sequence[Line]) -> list[list[str]]:
    rows = []
    for recipe in ("origin-before", "origin-after"):
        some = [line for line in lines if line["recipe"] == recipe]
        error = [line for line in some if line["verdict"] == "error"]
        diverged = sum("diverged" in line["error"] for line in error)
        exceptions = sum(line["verdict"] == "exception" for line in some)
        rows.append([recipe, *map(str, (len(some), len(some) - len(error) - exceptions, diverged, len(error) - diverged, exceptions))])
    return rows


def _draw(path: Path, ratios: Sequence[float]) -> bool:
    """Histogram over cells on a logarithmic axis; False where there is nothing to draw or nothing to draw with."""
    from rcgnn.report.picture import STYLE, available

    if not ratios or not available():
        return False
    import numpy as np
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(6.0, 2.8), layout="constrained")
        axes = figure.add_subplot()
        low = min(-4.0, float(np.floor(np.log10(max(min(ratios), 1e-12)))))
        axes.hist(np.maximum(ratios, 10**low), bins=np.logspace(low, 0.5, 46), color="tab:blue")
        axes.axvline(1.0, color="tab:red", linewidth=1.2)
        axes.set(xscale="log", xlabel="largest norm of an accepted step / certificate of that step", ylabel="cells")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
    return True
