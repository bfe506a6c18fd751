"""Which cells may be missing because of their own value, and what the selection model found about them, in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rcgnn.config import Switch
from rcgnn.data.cleaning import Cleaned
from rcgnn.data.findings import finding
from rcgnn.data.marks import KEPT, SENTINEL
from rcgnn.data.quality import QualityReport
from rcgnn.health import Finding
from rcgnn.mapped import in_turn, spacious
from rcgnn.series import BoolArray, FloatArray, IntArray
from rcgnn.signal.statespace import Selection

REMEDY = (
    "The model assumes that a reading vanishes because of its own value, through a smooth threshold; gaps for other reasons that move "
    "with the value cannot be told apart. Find out why cells are lost; signal.mnar=off does without the model."
)


def suspects(report: QualityReport, cleaned: Cleaned, active: IntArray, switch: Switch) -> BoolArray | None:
    """[T, n] missing cells of the active sensors that may be missing because of their own value; None where there are none.

    `auto`: cells of sensors found `mnar`, and of every sensor with gaps where most of those are; `on`: of every sensor with
    gaps. Cells that cleaning took out as stuck or spike did not vanish.
    """
    lost = np.array([report.sensors[i].missing_pattern for i in active])
    found, gappy = lost == "mnar", lost != "none"
    if switch == "on" or 2 * found.sum() > gappy.sum():
        found = gappy
    if switch == "off" or not found.any():
        return None
    cells = spacious((len(cleaned.removed), len(active)), bool)
    for place, j in in_turn(enumerate(active), cells, cleaned.series.mask, cleaned.removed):
        code = cleaned.removed[:, j]
        cells[:, place] = found[place] & ~cleaned.series.mask[:, j] & ((code == KEPT) | (code == SENTINEL))
    return cells if cells.any() else None


def told(
    findings: Sequence[Finding],
    report: QualityReport,
    names: Sequence[str],
    selection: Selection | None,
    unit: FloatArray,
    offset: FloatArray,
) -> list[Finding]:
    """The findings, where a selection model is in use with what it says in place of what the gaps alone said.

    Args:
        findings: gravest first.
        report: the quality report.
        names: [n] sensors of the selection model.
        selection: how their readings vanish; None: findings stay as they are.
        unit: [n] sensor units of one unit of the model.
        offset: [n] sensor units of its zero.
    """
    if selection is None:
        return list(findings)
    ours = {names[j]: j for j in np.flatnonzero(selection.used).tolist()}
    kept = [f for f in findings if not (f.sensor in ours and str(f.evidence.get("kind")).startswith("missing_"))]
    place = next((i for i, f in enumerate(kept) if f.severity == "info"), len(kept))
    new = []
    for name, j in ours.items():
        quality, slope = report.sensor(name), float(selection.slope[j])
        threshold = float(offset[j] + unit[j] * selection.offset[j] / slope)
        width, side = float(unit[j] / abs(slope)), "high" if slope > 0 else "low"
        message = (
            f"{name}: {quality.missing_rate:.1%} missing, and {side} values vanish: half of the readings at {threshold:.4g}, "
            f"over a width of {width:.2g}. Inferred with a selection model."
        )
        made = finding(
            "missing_mnar", "warn", name, (message, REMEDY),
            rate=quality.missing_rate, z=quality.missing_z, side=side, threshold=threshold, width=width,
        )  # fmt: skip
        new.append(made.model_copy(update={"applied": True}))
    return [*kept[:place], *new, *kept[place:]]
