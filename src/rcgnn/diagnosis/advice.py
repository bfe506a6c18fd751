"""What to do where this program did nothing itself: the origin's recipes, and training that somebody else ran."""

from __future__ import annotations

from rcgnn.health import Finding

ADVICE: dict[str, str] = {
    "NONFINITE": "Skip such steps before the optimiser sees them; look for infinities in the inputs; lower the learning rate.",
    "SPIKE": "Look for outliers in the inputs; skip such steps, or lower the learning rate.",
    "CLIPPED_OFTEN": "Find out where the gradient comes from (rcgnn diagnose) before raising the clip level; lower the learning rate.",
    "VANISHING": "Look for saturated units and for a learning rate that has fallen too far.",
    "OSCILLATION": "Halve the learning rate, or double the batch.",
    "OVERFIT": "Stop, and take the state of the lowest held-out loss; more rows or a smaller network.",
    "AUX_DOMINATES": "Lower that term's weight, or cap its gradient at a share of the data's.",
}
"""Code -> remedy in place of the rule's own, which says what the trainer of recipe `auto` did. Other codes keep theirs."""


def advised(finding: Finding) -> Finding:
    """The finding with the remedy of `ADVICE`.

    Example:
        >>> advised(Finding(code="OSCILLATION", severity="act", message="swings.", remedy="Learning rate halved.")).remedy
        'Halve the learning rate, or double the batch.'
    """
    return finding.model_copy(update={"remedy": ADVICE.get(finding.code, finding.remedy)})
