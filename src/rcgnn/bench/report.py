"""The report of a benchmark in Markdown: every table is made from the rows alone, so that it can be checked against the Parquet files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rcgnn.bench import figures
from rcgnn.bench.job import OURS
from rcgnn.bench.markdown import MEANS, NOTHING, best_in_bold, machine, means_row, number, table, today
from rcgnn.bench.rows import Row, grouped, where
from rcgnn.bench.statistics import CASE, LEAST_IN_BIN, Reliability, average, distances, ranks, reliability
from rcgnn.bench.suite import Skipped
from rcgnn.evaluate import TARGETS
from rcgnn.graph import LINK
from rcgnn.report import picture

SHOWN_GAPS = 10
SHOWN_CASES = 3
ANY_LAG = "at any lag"
TRUE = {"at its lag": "true", ANY_LAG: "pair_true"}
"""When a link counts as true, and the column that says so."""
SCORES = {"AUPRC": "auprc", "F1": "f1"}
NOTES = (
    "Means over runs. Self links never count; undecided pairs count as not found. FDR is the share of false links among those",
    "found, 0 where nothing was found; precision is the mean over runs that found something. *chance*: the prevalence, AUPRC of a",
    "random ranking. *random F1*, *random SHD*: expected for as many links as the method found, put anywhere; *empty SHD*: of the",
    "graph without links, whose F1 is 0. **A failed run (error, lost process, time limit) counts as the graph without links**:",
    "AUPRC = chance, F1 = 0; in ranks its table is left out for all methods. *s*: seconds of the fit alone, on one thread.",
)


@dataclass(frozen=True)
class Benchmark:
    """What a report is made of.

    Attributes:
        title: name of the suite.
        about: what it asks.
        command: as it was given.
        rows: of results.parquet.
        links: of links.parquet.
        skipped: methods and real tables that were not run.
        reused: runs that were there before.
        images: folder of the pictures, beside the report; None for none.
    """

    title: str
    about: str
    command: str
    rows: list[Row]
    links: list[Row]
    skipped: list[Skipped] = field(default_factory=list)
    reused: int = 0
    images: Path | None = None

    @property
    def summary(self) -> list[Row]:
        """Rows of the summary graph."""
        return where(self.rows, target="summary")

    @property
    def methods(self) -> list[str]:
        """Methods that ran, in the order given."""
        return list(dict.fromkeys(row["method"] for row in self.rows))

    def of(self, method: str) -> list[Row]:
        """Rows of the summary graph of one method."""
        return where(self.summary, method=method)

    @property
    def drawn(self) -> Path | None:
        """Where pictures go; None where there are none to be drawn."""
        return self.images if picture.available() else None


def render(what: Benchmark) -> str:
    """The whole report; pictures are drawn on the way."""
    settings = "".join(f"; rcgnn: {row['settings'] or 'all defaults'}" for row in what.of(OURS)[:1])
    runs = len(what.summary)
    lines = [
        f"# Benchmark {what.title}, {today()}",
        "",
        *([what.about, ""] if what.about else []),
        f"{runs} runs ({what.reused} of them from before) of {len(what.methods)} methods{settings}.",
        machine(),
        f"Command: `{what.command}`",
        "",
        *NOTES,
    ]
    if what.drawn is None:
        lines += ["", f"Pictures: matplotlib is not installed; install it with: {picture.INSTALL}, and run the command again."]
    lines += problems(what)
    if runs:
        parts = (overall, rank_part, distance_part, *([severity_part] if severities(what) else []), cell_part, null_part, fdr_part)
        for part in (*parts, reliability_part):
            lines += part(what)
    return "\n".join(lines) + "\n"


def problems(what: Benchmark) -> list[str]:
    """What was skipped, and what failed."""
    lines = []
    if what.skipped:
        lines += ["", "## Skipped", "", *(f"* {s.what}: {s.why}" for s in what.skipped)]
    failed = [row for row in what.summary if row["error"] is not None]
    if failed:
        lines += ["", f"## Failed runs: {len(failed)}", ""]
        for (method, error), rows in grouped(failed, "method", "error").items():
            some = [f"{row['system']} {row['cell']} seed {row['seed']}" for row in rows[:SHOWN_CASES]]
            more = f" and {len(rows) - len(some)} more" if len(rows) > len(some) else ""
            lines.append(f"* {method}, {len(rows)} runs ({', '.join(some)}{more}): {error}")
    return lines


def overall(what: Benchmark) -> list[str]:
    """Means over everything, one table a target."""
    lines = []
    for target in TARGETS:
        by_method = grouped(where(what.rows, target=target), "method")
        if all(average(rows, "true") is None for rows in by_method.values()):
            lines += ["", f"## {target.capitalize()} graph, all tables", "", "The true lags are not known."]
            continue
        lines += ["", f"## {target.capitalize()} graph, all tables", ""]
        lines += table(["method", *MEANS], ([method, *means_row(rows)] for (method,), rows in by_method.items()))
    return lines


def rank_part(what: Benchmark) -> list[str]:
    """Mean ranks by AUPRC and F1, with a picture of the first."""
    lines = ["", "## Mean ranks", ""]
    for name, column in SCORES.items():
        found = ranks(what.summary, column)
        if not found.mean or found.critical is None:
            lines.append(f"{name}: there is no table that two methods or more finished.")
            continue
        p = "" if found.p is None else f", Friedman p = {found.p:.2g}"
        lines.append(
            f"{name}, {found.tables} tables that all methods finished; critical difference {found.critical:.2f} (Nemenyi, .05){p}."
        )
        lines += ["", *table(["", *found.mean], [["mean rank", *(f"{value:.2f}" for value in found.mean.values())]]), ""]
        if what.drawn is not None:
            figures.draw_ranks(what.drawn / f"ranks-{column}.svg", found)
            lines += [f"![Mean ranks by {name}]({what.drawn.name}/ranks-{column}.svg)", ""]
    return [*lines, "Tables of one system and seed are not independent: the true critical difference is larger."]


def distance_part(what: Benchmark) -> list[str]:
    """How far rcgnn is from the best peer of each cell."""
    lines = []
    for name, column in SCORES.items():
        found = distances(what.summary, column)
        if not found:
            continue
        mean = sum(d.ahead for d in found) / len(found)
        ahead = sum(d.ahead >= 0 for d in found)
        lines += ["", f"## Distance to the best peer of each cell: {name}", ""]
        lines += [f"rcgnn is best or equal in {ahead} of {len(found)} cells; mean distance {mean:+.3f}."]
        rows = [
            [*_cell_name(d.case), f"{d.ahead:+.3f}", number(d.ours), d.peer, number(d.theirs)] for d in found[:SHOWN_GAPS] if d.ahead < 0
        ]
        head = ["block", "system", "cell", "T", "N", "distance", "rcgnn", "best peer", "its score"]
        lines += ["The widest gaps:", "", *table(head, rows)] if rows else []
    return lines


def _cell_name(case: Sequence[object]) -> list[str]:
    return [str(value) for value in case[: len(CASE) - 1]]


def cell_part(what: Benchmark) -> list[str]:
    """Per block: a table per score with methods as columns, a row per cell, and means per system."""
    lines = []
    for (block,), rows in grouped(what.summary, "block").items():
        if not average(rows, "true"):
            continue
        for name, column in SCORES.items():
            head = ["system", "cell", "T", "N", "tables", *what.methods, *(["chance"] if column == "auprc" else [])]
            lines += ["", f"## {block}: {name} of the summary graph", ""]
            body = [
                [*_cell_name(case)[1:], str(len(grouped(some, "seed"))), *_by_method(what, some, column)]
                for case, some in grouped(rows, *CASE).items()
            ]
            means = [
                [f"**{system}**", "all", "", "", str(len(grouped(some, *CASE, "seed"))), *_by_method(what, some, column)]
                for (system,), some in grouped(rows, "system").items()
            ]
            lines += table(head, body + means if len(body) > len(means) else body)
    return lines


def _by_method(what: Benchmark, rows: Sequence[Row], column: str) -> list[str]:
    """A mean for every method, the best in bold; AUPRC has chance beside it, a star says that runs failed."""
    of = {method: where(rows, method=method) for method in what.methods}
    cells = best_in_bold([average(of[method], column) for method in what.methods])
    stars = ["\\*" if any(row["error"] is not None for row in of[method]) else "" for method in what.methods]
    chance = [number(average(rows, "prevalence"))] if column == "auprc" else []
    return [*(cell + star for cell, star in zip(cells, stars, strict=True)), *chance]


def severities(what: Benchmark) -> dict[tuple[str, str], list[float]]:
    """(block, fault) at two severities or more, clean apart."""
    faults = grouped([row for row in what.summary if row["fault"] is not None and average([row], "true")], "block", "fault")
    found = {(str(block), str(fault)): sorted({row["severity"] for row in rows}) for (block, fault), rows in faults.items()}
    return {key: values for key, values in found.items() if len(values) > 1}


def severity_part(what: Benchmark) -> list[str]:
    """Score against severity: a table a block, and one panel a fault."""
    lines: list[str] = []
    by_block: dict[str, dict[str, list[float]]] = {}
    for (block, fault), values in severities(what).items():
        by_block.setdefault(block, {})[fault] = values
    for block, faults in by_block.items():
        rows = where(what.summary, block=block)
        clean = [row for row in rows if row["fault"] is None and row["severity"] == 0.0]
        for name, column in (("AUPRC", "auprc"), ("AUROC", "auroc")):
            points = {
                fault: {level: where(rows, fault=fault, severity=level) for level in values} | ({0.0: clean} if clean else {})
                for fault, values in faults.items()
            }
            lines += ["", f"## {block}: {name} against severity", ""]
            body = [
                [fault, f"{level:g}", *_by_method(what, some, column)[: len(what.methods)]]
                for fault, levels in points.items()
                for level, some in sorted(levels.items())
            ]
            lines += table(["fault", "severity", *what.methods], body)
            if what.drawn is not None:
                panels = {
                    fault: {m: [(x, average(where(levels[x], method=m), column)) for x in sorted(levels)] for m in what.methods}
                    for fault, levels in points.items()
                }
                file = f"severity-{_slug(block)}-{column}.svg"
                figures.draw_severity(what.drawn / file, panels, name)
                lines += ["", f"![{name} against severity]({what.drawn.name}/{file})"]
    return lines


def _slug(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text).strip("-").lower() or "block"


def null_part(what: Benchmark) -> list[str]:
    """Systems without links: how many were claimed."""
    rows = [row for row in what.summary if row["true"] == 0]
    if not rows:
        return []
    lines = ["", "## Tables without links: false links a table (share of tables with any)", ""]
    body = []
    for case, some in grouped(rows, *CASE).items():
        cells = []
        for method in what.methods:
            of = where(some, method=method)
            share = sum(bool(row["found"]) for row in of) / len(of) if of else None
            cells.append(f"{number(average(of, 'found'), 2)} ({number(share, 2)})")
        body.append([*_cell_name(case), *cells])
    return [*lines, *table(["block", "system", "cell", "T", "N", *what.methods], body)]


def fdr_part(what: Benchmark) -> list[str]:
    """Measured false-discovery rate of every method, over all cells and by cell."""
    lines = ["", "## False-discovery rate, summary graph", ""]
    pooled = []
    for method in what.methods:
        rows = [row for row in where(what.summary, method=method) if row["found"]]
        false, found = sum(row["fdr"] * row["found"] for row in rows), sum(row["found"] for row in rows)
        pooled.append(number(false / found if found else None))
    body = [["mean over runs", *(number(average(where(what.summary, method=m), "fdr")) for m in what.methods)]]
    body += [["all links together", *pooled]]
    for (cell,), rows in grouped(what.summary, "cell").items():
        body.append([str(cell), *(number(average(where(rows, method=m), "fdr")) for m in what.methods)])
    return [*lines, *table(["", *what.methods], body)]


def reliability_part(what: Benchmark) -> list[str]:
    """Does a confidence of .8 mean true in eight of ten cases? For each method that gives confidences."""
    lines = []
    for (method,), links in grouped(what.links, "method").items():
        decided = [row for row in links if row["verdict"] == LINK]
        curves = {name: reliability(links, column) for name, column in TRUE.items()}
        every = {f"candidates, true {name}": curve for name, curve in curves.items()}
        every |= {f"links, true {name}": reliability(decided, column) for name, column in TRUE.items()}
        lines += ["", f"## Reliability of the confidence: {method}", ""]
        lines += [f"{len(links)} candidates with a confidence above 0, {len(decided)} of them links. ECE: mean gap between confidence and"]
        lines += [f"share of true ones, bins weighted by their candidates; largest gap: over bins of at least {LEAST_IN_BIN}.", ""]
        lines += table(["", "ECE", "largest gap"], [[name, number(c.ece), number(c.worst)] for name, c in every.items()])
        lines += ["", *table(["confidence", "candidates", "mean confidence", *(f"true {name} (± s.e.)" for name in TRUE)], _bins(curves))]
        if what.drawn is not None:
            file = f"reliability-{_slug(str(method))}.svg"
            figures.draw_reliability(what.drawn / file, {name: curve for name, curve in curves.items() if curve.bins})
            lines += ["", f"![Reliability of the confidence]({what.drawn.name}/{file})"]
    return lines


def _bins(curves: Mapping[str, Reliability]) -> list[list[str]]:
    """A row a bin; what is true at any lag is always known, so that its curve has every bin."""
    found = {name: {b.low: b for b in curve.bins} for name, curve in curves.items()}
    rows = []
    for b in curves[ANY_LAG].bins:
        shares = [f"{number(of[b.low].share)} ± {number(of[b.low].error)}" if b.low in of else NOTHING for of in found.values()]
        rows.append([f"{b.low:.1f} to {b.high:.1f}", str(b.candidates), number(b.confidence), *shares])
    return rows
