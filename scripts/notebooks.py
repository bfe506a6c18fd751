#!/usr/bin/env python3
"""Run the notebooks of the documentation: docs/notebooks/NAME.py (cells marked `# %%`) -> NAME.ipynb beside it, with its outputs.

    python scripts/notebooks.py                  # all; `make docs` does this
    python scripts/notebooks.py station

A notebook whose data are not there is left as it was last run.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "notebooks"
NEEDS = {"air_quality": Path("air_quality_uci") / "data.csv"}
"""Files below the data folder (RCGNN_DATA, ../shared/data) without which a notebook is not run."""
SECONDS = 300
KEPT = ("image/svg+xml", "text/html", "text/plain")
"""Forms of an output, the best first; one is kept."""


def cells(source: str) -> list[tuple[str, str]]:
    r"""(kind, text) of the cells of a source in percent form; kind is `markdown` or `code`.

    Example:
        >>> cells("# %% [markdown]\n# Hello\n\n# %%\n1 + 1\n")
        [('markdown', 'Hello'), ('code', '1 + 1')]
    """
    parts = re.split(r"^# %%(.*)\n", source, flags=re.MULTILINE)[1:]
    found = []
    for head, body in zip(parts[::2], parts[1::2], strict=True):
        if "[markdown]" in head:
            found.append(("markdown", re.sub(r"^# ?", "", body.strip(), flags=re.MULTILINE)))
        else:
            found.append(("code", body.strip()))
    return found


def notebook(source: str) -> Any:
    """The notebook of a source, not yet run; cells are numbered, so that equal sources give equal files."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    made = [
        new_markdown_cell(text, id=f"cell-{number}") if kind == "markdown" else new_code_cell(text, id=f"cell-{number}")
        for number, (kind, text) in enumerate(cells(source))
    ]
    return new_notebook(cells=made, metadata={"language_info": {"name": "python"}})


def run(path: Path) -> Path:
    """Run one source and write the notebook beside it."""
    import nbformat
    from nbclient import NotebookClient
    from traitlets.config import Config

    page = notebook(path.read_text(encoding="utf-8"))
    where = {"metadata": {"path": str(ROOT)}}
    with tempfile.TemporaryDirectory() as sockets:  # of this machine; no port is opened
        local = Config({"ConnectionFileMixin": {"transport": "ipc", "ip": str(Path(sockets) / "kernel")}})
        NotebookClient(page, config=local, kernel_name="python3", timeout=SECONDS, record_timing=False, resources=where).execute()
    for cell in page.cells:
        for output in cell.get("outputs", []):
            best = next((form for form in KEPT if form in output.get("data", {})), None)
            if best is not None:
                output["data"] = {best: output["data"][best]}
    page.metadata = {"language_info": {"name": "python"}}
    target = path.with_suffix(".ipynb")
    nbformat.write(page, target)
    return target


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description="Run the notebooks of the documentation.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="without .py; all of them where none is given")
    names = parser.parse_args().names or sorted(path.stem for path in FOLDER.glob("*.py"))
    data = Path(os.environ.get("RCGNN_DATA", ROOT.parent / "shared" / "data"))
    for name in names:
        needed = NEEDS.get(name)
        if needed is not None and not (data / needed).is_file():
            print(f"{name}: kept as it was last run, since {needed} is not in the data folder (RCGNN_DATA, ../shared/data).")
            continue
        began = time.perf_counter()
        target = run(FOLDER / f"{name}.py")
        print(f"{target.relative_to(ROOT)}: {time.perf_counter() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
