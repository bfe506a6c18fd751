"""The graph in the forms of other tools. `FORMATS` are files, `objects` are things in memory."""

from __future__ import annotations

from rcgnn.export.files import FORMATS, Format, written
from rcgnn.export.objects import Marks, to_causallearn, to_dowhy, to_tigramite
from rcgnn.export.unroll import Moment, unrolled

__all__ = ["FORMATS", "Format", "Marks", "Moment", "to_causallearn", "to_dowhy", "to_tigramite", "unrolled", "written"]
