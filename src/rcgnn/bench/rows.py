"""The tidy tables: one row per run and target, and one per link with a confidence; both are written as Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from rcgnn.bench.job import DEFAULT, Job, Line
from rcgnn.errors import InputError
from rcgnn.evaluate import TARGETS
from rcgnn.whole import write_whole

Row = dict[str, Any]

RESULT: dict[str, str] = {
    "suite": "string",
    "block": "string",
    "system": "string",
    "cell": "string",
    "fault": "string",
    "severity": "double",
    "rows": "int64",
    "sensors": "int64",
    "max_lag": "int64",
    "seed": "int64",
    "method": "string",
    "target": "string",
    "auprc": "double",
    "auroc": "double",
    "f1": "double",
    "precision": "double",
    "recall": "double",
    "fdr": "double",
    "shd": "int64",
    "found": "int64",
    "true": "int64",
    "undecided": "int64",
    "prevalence": "double",
    "random_f1": "double",
    "random_shd": "double",
    "seconds": "double",
    "error": "string",
    "version": "string",
    "settings": "string",
    "label": "string",
    "key": "string",
}
"""Columns of results.parquet and their types; null where there is no value."""
LINK: dict[str, str] = {
    "key": "string",
    "block": "string",
    "system": "string",
    "cell": "string",
    "seed": "int64",
    "method": "string",
    "lag": "int64",
    "i": "int64",
    "j": "int64",
    "score": "double",
    "rank": "int64",
    "verdict": "int64",
    "confidence": "double",
    "true": "bool",
    "pair_true": "bool",
}
"""Columns of links.parquet: every candidate whose confidence is above 0, `rank` 1 for the best score of its run."""
PLAIN = ("auprc", "auroc", "f1", "precision", "recall", "shd", "undecided", "random_f1", "random_shd")
FROM_THE_TABLE = {"true": "links_true", "prevalence": "prevalence"}
"""What is known of a table although the method failed."""


def result_rows(results: Iterable[tuple[Job, Line]]) -> list[Row]:
    """One row per run and target, with the columns of `RESULT`; the scores of a failed run are null."""
    from rcgnn import __version__

    rows = []
    for job, line in results:
        fault, severity = fault_of(job.case.cell)
        shape = line["shape"] or (job.case.rows, job.case.sensors)
        common = {
            **{name: getattr(job, name) for name in ("suite", "block", "method", "label", "key")},
            **{name: getattr(job.case, name) for name in ("system", "cell", "seed")},
            "fault": fault,
            "severity": severity,
            "rows": shape[0],
            "sensors": shape[1],
            "max_lag": line["max_lag"] or job.case.max_lag,
            "seconds": line["seconds"],
            "error": line["error"],
            "version": __version__,
            "settings": " ".join(job.settings),
        }
        rows += [{**dict.fromkeys(RESULT), **common, "target": target, **_scores(line, target)} for target in TARGETS]
    return rows


def _scores(line: Line, target: str) -> Row:
    known = ((line["scores"] or line["empty"]) or {}).get(target)
    if known is None:
        return {}
    row = {name: known[source] for name, source in FROM_THE_TABLE.items()}
    if line["scores"] is None:
        return row
    precision, found = known["precision"], known["links_found"]
    return {**row, **{name: known[name] for name in PLAIN}, "found": found, "fdr": 0.0 if not found else 1.0 - precision}


def fault_of(cell: str) -> tuple[str | None, float | None]:
    """The one fault of a cell and its severity; none for clean readings (severity 0) and for mixtures of the user's.

    Example:
        >>> fault_of("mcar40"), fault_of("clean"), fault_of("drift=1,missing=0.3")
        (('missing', 0.4), (None, 0.0), (None, None))
    """
    from rcgnn.synth import parse_corruption

    spec = {} if cell == DEFAULT else parse_corruption(cell)
    if cell == DEFAULT or len(spec) > 1:
        return None, None
    return next(iter(spec.items()), (None, 0.0))


def link_rows(results: Iterable[tuple[Job, Line]]) -> list[Row]:
    """One row per candidate with a confidence, with the columns of `LINK`."""
    names = ("lag", "i", "j", "score", "rank", "verdict", "confidence", "true", "pair_true")
    return [
        {
            "key": job.key, "block": job.block, "system": job.case.system, "cell": job.case.cell, "seed": job.case.seed,
            "method": job.method, **dict(zip(names, link, strict=True)),
        }
        for job, line in results
        for link in line["links"]
    ]  # fmt: skip


def counted(row: Row) -> Row:
    """The row as every mean and rank counts it: a failed run stands for the graph without links, all scores equal.

    AUPRC is then the prevalence, AUROC .5, F1 and recall 0, SHD the number of true links. What is not defined on a table
    without links stays null, and so does everything when not even the table could be made.

    Example:
        >>> row = dict.fromkeys(RESULT) | {"error": "time limit", "true": 3, "prevalence": 0.1}
        >>> [counted(row)[name] for name in ("auprc", "f1", "shd", "found")]
        [0.1, 0.0, 3, 0]
    """
    if row["error"] is None or row["true"] is None:
        return row
    scores: Row = {"found": 0, "undecided": 0, "fdr": 0.0, "shd": row["true"], "random_shd": row["true"]}
    if row["true"]:
        scores |= {"auprc": row["prevalence"], "auroc": 0.5, "f1": 0.0, "recall": 0.0, "random_f1": 0.0}
    return {**row, **scores}


def where(rows: Iterable[Row], **equal: object) -> list[Row]:
    """The rows in which every named column has the given value.

    Example:
        >>> where([{"seed": 1}, {"seed": 2}], seed=2)
        [{'seed': 2}]
    """
    return [row for row in rows if all(row[name] == value for name, value in equal.items())]


def grouped(rows: Iterable[Row], *columns: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by the values of some columns, in the order in which those first come."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for values, some in groupby(rows, key=lambda row: tuple(row[name] for name in columns)):
        found.setdefault(values, []).extend(some)
    return found


def write_parquet(path: Path, rows: Sequence[Row], columns: dict[str, str]) -> Path:
    """The rows as one Parquet file, written beside and then moved, so that a reader never sees half of it.

    Raises:
        InputError: the file cannot be written.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([(name, {"bool": pa.bool_()}.get(kind) or pa.type_for_alias(kind)) for name, kind in columns.items()])
    content = pa.BufferOutputStream()
    parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), content)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content.getvalue().to_pybytes())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).") from error
    return path
