"""Nothing that learns, selects or decides can see a true graph: no name for it, no door to it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from rcgnn import RCGNN
from rcgnn.errors import TableError
from rcgnn.synth import simulate

SRC = Path(__file__).parents[2] / "src" / "rcgnn"
ROOMS = ["estimator", "pipeline", "refine", "answer", "verdict", "train", "select", "screen", "signal", "model", "losses"]
FILES = sorted(path for path in SRC.rglob("*.py") if path.relative_to(SRC).parts[0].removesuffix(".py") in ROOMS)
FORBIDDEN = re.compile(r"(^|_)(truth|oracle|ground_truth|true_(graph|links|edges|adjacency)|val_f1|val_shd)($|_)")
DOORS = ("rcgnn.evaluate", "rcgnn.synth")


def names(tree: ast.AST) -> set[str]:
    """Every identifier: parameters, variables, attributes, keywords, functions, imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        found |= {
            value for field in ("id", "arg", "attr", "name", "module", "asname") if isinstance(value := getattr(node, field, None), str)
        }
    return found


def offends(code: str) -> bool:
    """Does the code name a true graph, or open a door to one?"""
    tree = ast.parse(code)
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {
        f"rcgnn.{a.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "rcgnn" for a in node.names
    }
    return any(FORBIDDEN.search(name) for name in names(tree)) or any(module.startswith(DOORS) for module in modules)


def test_the_rooms_exist():
    assert {path.relative_to(SRC).parts[0].removesuffix(".py") for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_no_name_for_a_true_graph(path):
    assert not offends(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "code",
    [
        "def fit(x, truth=None): ...",
        "score(graph, truth=t)",
        "truth = load()",
        "data.truth.sum()",
        "from rcgnn.evaluate import metrics",
        "import rcgnn.evaluate.truth",
        "from rcgnn import evaluate",
        "def f(*, true_graph): ...",
        "best = val_f1",
    ],
)
def test_the_wall_would_notice(code):
    assert offends(code)


@pytest.mark.parametrize(
    "code", ["from rcgnn.errors import TruthRefusedError", "x = True", "stop.evaluate(model)", "from rcgnn.numerics import rng"]
)
def test_the_wall_lets_other_names_pass(code):
    assert not offends(code)


FIT_WITHOUT_EVALUATE = textwrap.dedent(
    """
    import sys
    for name in ("rcgnn.evaluate", "rcgnn.evaluate.metrics", "rcgnn.evaluate.oracle", "rcgnn.evaluate.truth", "rcgnn.synth"):
        sys.modules[name] = None  # any import of it fails from here on
    import numpy as np
    from rcgnn import RCGNN
    x = np.random.default_rng(0).standard_normal((200, 3))
    x[1:, 1] += 1.5 * x[:-1, 0]
    done = RCGNN(max_lag=1, device="cpu", select__refine="on", select__halves=2, train__epochs=2).fit(x)
    assert done.graph_.links() == [(1, 0, 1)], done.graph_.links()
    assert len(done.health_) == 2
    """
)


def test_a_fit_needs_nothing_that_knows_truth():
    done = subprocess.run([sys.executable, "-c", FIT_WITHOUT_EVALUATE], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_simulated_system_is_no_table_and_brings_no_truth_in():
    with pytest.raises(TableError):
        RCGNN(select__refine="off").fit(simulate("linear", seed=0, rows=60, sensors=3))


def test_the_answer_depends_on_the_readings_alone():
    system = simulate("linear", seed=0, rows=200, sensors=4)
    model = RCGNN(max_lag=2, select__refine="off", select__halves=2)
    known = model.fit(system.series).scores_
    unknown = model.fit(np.array(system.series.values)).scores_
    np.testing.assert_array_equal(known, unknown)
