"""The shape of the house: floors, the truth wall, torch-free rooms, sizes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "rcgnn"

FLOORS = {
    "errors": 0, "files": 0, "formats": 0, "encode": 0, "delay": 0, "recipes": 0, "crew": 0, "cluster": 1, "markdown": 0, "drawing": 0,
    "pack": 0, "mapped": 0, "config": 1, "series": 1, "graph": 1, "health": 1, "numerics": 1, "whole": 1, "lock": 2, "looks": 2, "store": 3,
    "data": 2, "synth": 2, "evaluate": 2, "diagnosis": 2, "rundir": 2, "verdict": 2, "prior": 2, "rerun": 2, "refined": 2,
    "budget": 3, "remarks": 3, "signal": 3, "screen": 3, "model": 3, "export": 3, "tracking": 3,
    "losses": 4, "mechanism": 4, "prepared": 4, "keeper": 4,
    "train": 5, "select": 5, "origin": 5,
    "refine": 6, "answer": 6, "stages": 6, "baselines": 6, "report": 6, "figures": 6,
    "aside": 7, "live": 7,
    "pipeline": 8,
    "estimator": 9,
    "sweep": 10, "bench": 10,
    "cli": 11,
    "__init__": 12, "__main__": 12,
}  # fmt: skip
MAY_SEE_TRUTH = {"evaluate", "bench", "cli", "origin", "synth"}
"""Rooms that may import `evaluate`. `origin` shows val_f1 beside its epochs, as the origin did; tests/unit prove it never steers."""
TORCH_FREE = [
    "rcgnn",
    "rcgnn.cli",
    "rcgnn.data",
    "rcgnn.synth",
    "rcgnn.evaluate",
    "rcgnn.signal",
    "rcgnn.screen",
    "rcgnn.report",
    "rcgnn.export",
    "rcgnn.figures",
    "rcgnn.report.page",
    "rcgnn.live.server",
    "rcgnn.tracking",
    "rcgnn.diagnosis",
    "rcgnn.rundir",
    "rcgnn.mechanism.forecast",
    "rcgnn.mechanism.intervention",
]
FILES = sorted(SRC.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(SRC).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Rooms of rcgnn that the file imports while it is loaded or later."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rcgnn"):
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names if alias.name != "__version__"}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("rcgnn.")}
    return found


def test_every_module_has_a_floor():
    assert {room(path) for path in FILES} <= set(FLOORS)


@pytest.mark.parametrize("path", [p for p in FILES if room(p) != "__init__"], ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_strictly_down(path):
    here = room(path)
    up = {other for other in imports(path) if other != here and FLOORS.get(other, 99) >= FLOORS[here]}
    assert not up, f"{here} (floor {FLOORS[here]}) imports {up}"


@pytest.mark.parametrize("path", [p for p in FILES if room(p) not in MAY_SEE_TRUTH | {"__init__"}], ids=lambda p: str(p.relative_to(SRC)))
def test_truth_wall(path):
    assert "evaluate" not in imports(path)


@pytest.mark.parametrize("module", TORCH_FREE)
def test_torch_free_rooms(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_one_screen(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            doc = ast.get_docstring(node, clean=False)
            assert lines - (doc.count("\n") + 1 if doc else 0) <= 60, f"{node.name} is {lines} lines"
