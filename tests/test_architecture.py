"""The shape of the house: floors, the truth wall, torch-free rooms, sizes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "rcgnn"

FLOORS = {
    "errors": 0, "files": 0, "formats": 0, "encode": 0, "delay": 0, "recipes": 0, "crew": 1, "cluster": 2, "markdown": 0, "drawing": 0,
    "processors": 0, "pack": 0, "mapped": 0,
    "config": 1, "series": 1, "graph": 1, "health": 1, "numerics": 1, "whole": 1, "lock": 2, "looks": 2, "store": 3,
    "data": 2, "synth": 2, "evaluate": 2, "diagnosis": 2, "rundir": 2, "verdict": 2, "prior": 2, "rerun": 2, "refined": 2,
    "budget": 3, "remarks": 3, "signal": 3, "screen": 3, "model": 3, "export": 3, "tracking": 3,
    "losses": 4, "mechanism": 4, "prepared": 4, "keeper": 4,
    "train": 5, "select": 5, "origin": 5, "candidates": 5,
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
    "rcgnn.candidates",
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


def test_whatever_comes_is_caught_at_the_command_line_alone():
    broad = [path for path in FILES for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if catches_all(node)]
    assert {room(path) for path in broad} == {"cli"}


def catches_all(node: ast.AST) -> bool:
    """`except:`, `except Exception` or `except BaseException`, alone or among others."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    named = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(one is None or (isinstance(one, ast.Name) and one.id in {"Exception", "BaseException"}) for one in named)


@pytest.mark.parametrize("path", [p for p in FILES if room(p) not in MAY_SEE_TRUTH | {"__init__"}], ids=lambda p: str(p.relative_to(SRC)))
def test_truth_wall(path):
    assert "evaluate" not in imports(path)


@pytest.mark.parametrize("module", TORCH_FREE)
def test_torch_free_rooms(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SLOW_TO_LOAD = ("scipy.stats", "scipy.optimize", "sklearn", "torch._dynamo", "sympy")
"""Together three seconds, and no fit asks them for anything."""
FIT = """
import sys, contextlib
from rcgnn.cli import main
sys.argv = ["rcgnn", "fit", {table!r}, "--out", {out!r}, "--quiet", "--set", "select.refine=on", "--set", "train.epochs=1"]
with contextlib.suppress(SystemExit):
    main()
sys.exit(" ".join(name for name in {names!r} if name in sys.modules) or 0)
"""


def test_a_fit_loads_nothing_that_is_slow_to_load(tmp_path):
    from rcgnn.synth import corrupt, simulate, write_simulated

    made = simulate("nonlinear", seed=1, rows=300, sensors=4)
    write_simulated(tmp_path / "made", made, corrupt(made.series, {"missing": 0.1}, seed=1))
    code = FIT.format(table=str(tmp_path / "made" / "data.csv"), out=str(tmp_path / "run"), names=SLOW_TO_LOAD)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, ""), done.stderr
    assert (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_one_screen(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            doc = ast.get_docstring(node, clean=False)
            assert lines - (doc.count("\n") + 1 if doc else 0) <= 60, f"{node.name} is {lines} lines"
