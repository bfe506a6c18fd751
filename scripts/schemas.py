"""docs/schemas: the files of a run as JSON Schemas, from the models that read them; arrays and columns as `arrays.json` and `columns.json`.

`python scripts/schemas.py` writes them; a test says whether they are as they should be.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from rcgnn.formats import ARRAYS, VERSION, FindingsFile, GraphFile, ManifestFile, SummaryFile
from rcgnn.graph import REGIME_COLUMNS
from rcgnn.health import Finding, HealthRecord
from rcgnn.rundir import EDGE_COLUMNS

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILES: dict[str, type[BaseModel]] = {
    "graph.json": GraphFile,
    "findings.json": FindingsFile,
    "summary.json": SummaryFile,
    "health.jsonl": HealthRecord,
    "manifest.json": ManifestFile,
}
"""Model by file; of `health.jsonl` each line."""
KINDS = {"f": "float", "i": "int", "b": "bool", "U": "text", "iu": "int"}


def schema(name: str) -> dict[str, Any]:
    """The schema of one JSON file."""
    made = FILES[name].model_json_schema()
    if name == "findings.json":
        made["properties"]["findings"]["items"] = Finding.model_json_schema()
    return {"$schema": DIALECT, **made, "title": name}


def texts() -> dict[str, str]:
    """Content by file name."""
    found: dict[str, Any] = {f"{name.partition('.')[0]}.schema.json": schema(name) for name in FILES}
    arrays = {file: {name: {"type": KINDS[kind], "shape": shape} for name, (kind, shape) in held.items()} for file, held in ARRAYS.items()}
    found["arrays.json"] = {"schema_version": VERSION, **arrays}
    found["columns.json"] = {"schema_version": VERSION, "edges.csv": list(EDGE_COLUMNS), "regimes.csv": list(REGIME_COLUMNS)}
    return {name: json.dumps(value, indent=1, ensure_ascii=False) + "\n" for name, value in found.items()}


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
