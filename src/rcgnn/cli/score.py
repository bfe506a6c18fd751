"""`rcgnn score`: a stored run beside the truth. The only command that may see a true graph."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

SHOWN_LINKS = 100
LABELS = {
    "links_true": "true links",
    "links_found": "links found",
    "undecided": "undecided",
    "shd": "SHD",
    "empty_shd": "  of the empty graph",
    "random_shd": "  of a random graph",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "empty_f1": "  of the empty graph",
    "random_f1": "  of a random graph",
    "auroc": "AUROC (random: 0.5)",
    "auprc": "AUPRC",
    "prevalence": "  prevalence (random)",
}
"""What each score is called, in the order of the table."""


def score(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder that fit wrote.")],
    *,
    truth: Annotated[Path, typer.Option(metavar="FILE", help="True links: columns cause, effect and, where known, lag.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of tables.")] = False,
) -> None:
    """Score a stored run against the true graph: window, summary and instantaneous graph, each by itself."""
    import json

    from rcgnn.cli.console import console, print_table
    from rcgnn.cli.values import cell
    from rcgnn.evaluate.comparison import OUTCOMES, compare
    from rcgnn.evaluate.metrics import score as score_targets
    from rcgnn.evaluate.truth import read_truth
    from rcgnn.rundir import RunDir

    graph = RunDir.open(run).graph()
    known = read_truth(truth, graph.names, graph.max_lag)
    scores = {target: scored and scored.as_dict() for target, scored in score_targets(graph, known).items()}
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, **scores}, indent=2, allow_nan=False))
        return
    to = console()
    rows = ([label, *(cell((scored or {}).get(name)) for scored in scores.values())] for name, label in LABELS.items())
    print_table(to, ("", *scores), rows)
    links = compare(graph, known)
    count = Counter(link.outcome for link in links)
    to.print("\nTrue links: {}; {} false.".format(", ".join(f"{count[o]} {o}" for o in OUTCOMES[:-1]), count["false"]))
    if len(links) <= SHOWN_LINKS:
        rows = ([m.outcome, m.cause, m.effect, "any" if m.lag is None else str(m.lag)] for m in links)
        print_table(to, ("", "cause", "effect", "lag"), rows, text_columns=3)
