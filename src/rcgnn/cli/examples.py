"""`EXAMPLES`: what stands at the end of every `--help`. Two or three lines a command, each a whole command line."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "fit": (
        "rcgnn fit plant.csv --out run --live --time timestamp --na -200",
        "rcgnn fit day1.csv day2.csv --out run --max-lag auto --set train.lr=1e-3 --overwrite",
        "rcgnn fit plant.csv --out run --resume",
    ),
    "watch": ("rcgnn watch run", "rcgnn watch run --text --give-up 600"),
    "predict": (
        "rcgnn predict run new.csv",
        "rcgnn predict run new.csv --time timestamp --out forecast.csv",
    ),
    "intervene": (
        "rcgnn intervene run --set pump=3.0 --horizon 10",
        "rcgnn intervene run --set pump=3.0 --set valve=50 --start today.csv --out held.csv",
    ),
    "simulate": (
        "rcgnn simulate --out station",
        "rcgnn simulate --out plain --system linear --rows 3000 --sensors 20 --seed 7",
        "rcgnn simulate --out hard --system nonlinear --corrupt drift=1,missing=0.3",
    ),
    "score": (
        "rcgnn score run --truth station/truth.csv",
        "rcgnn score run --truth station/truth.csv --json",
    ),
    "show": ("rcgnn show run", "rcgnn show run > answer.txt"),
    "export": (
        "rcgnn export run --format dot | dot -Tsvg > graph.svg",
        "rcgnn export run --format graphml --out graph.graphml",
        "rcgnn export run --format tigramite --out links.npz",
    ),
    "report": ("rcgnn report run", "rcgnn report run --out station.html"),
    "compare": (
        "rcgnn compare before after auto",
        "rcgnn compare runs/a runs/b --out compared.md",
    ),
    "diagnose": (
        "rcgnn diagnose run",
        "rcgnn diagnose artifacts/training_log_stable.json",
        "rcgnn diagnose their_training.csv --json",
    ),
    "sweep": (
        "rcgnn sweep plant.csv --out sweep --set losses.sparse=0.3,1,3 --set select.refine=on",
        "rcgnn sweep plant.csv --recipe origin-after --out sweep --set losses.sparse=1e-4,1e-5,1e-6 --jobs 2",
        "rcgnn sweep plant.csv --out sweep --set losses.sparse=0.1..10 --search tpe --engine ray --stop asha",
    ),
    "bench": (
        "rcgnn bench benchmarks/suites/smoke.yaml",
        "rcgnn bench benchmarks/suites/traits.yaml --methods rcgnn,granger --seeds 0:2",
        "rcgnn bench benchmarks/suites/real.yaml --data ../shared/data --methods all --limit 120",
    ),
}


def epilog(command: str) -> str:
    r"""The examples as the end of a help text, one a line, never wrapped.

    Example:
        >>> epilog("report")
        '\x08\nExamples:\n  rcgnn report run\n  rcgnn report run --out station.html'
    """
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in EXAMPLES[command])
