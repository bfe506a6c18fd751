"""rcgnn: which sensor drives which, how strongly, after how long, and how sure.

`from rcgnn import RCGNN` loads the estimator (and torch) only when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rcgnn.config import Config
    from rcgnn.estimator import RCGNN
    from rcgnn.graph import CausalGraph
    from rcgnn.health import Finding, HealthRecord
    from rcgnn.series import Series

_HOME = {
    "RCGNN": "rcgnn.estimator",
    "CausalGraph": "rcgnn.graph",
    "Config": "rcgnn.config",
    "Finding": "rcgnn.health",
    "HealthRecord": "rcgnn.health",
    "Series": "rcgnn.series",
}

__all__ = ["RCGNN", "CausalGraph", "Config", "Finding", "HealthRecord", "Series"]

__version__ = version("rcgnn")


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'rcgnn' has no attribute {name!r}")
