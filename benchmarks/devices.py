"""Training of the network on the processor against a CUDA device, in one run: windows a second, seconds an epoch, the same links?

    python benchmarks/devices.py                     # writes benchmarks/results/<date>-devices.md; two minutes
    python benchmarks/devices.py --tables 13x3000    # a first look
    python benchmarks/devices.py --precisions float32,tf32,bf16 --batch 512

Two simulated tables, 13 x 3,000 and 200 x 20,000. The network is trained on the true links and as many others, so that no screen is
waited for. Without a CUDA device the page holds the processor alone. Exit code 1 where the devices do not agree.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from dated import source, write

from rcgnn.bench.markdown import number, table, today
from rcgnn.config import Config
from rcgnn.data.scaling import Scaler
from rcgnn.data.windows import Windows, split_blocks
from rcgnn.health import OPEN
from rcgnn.model.network import CausalNet
from rcgnn.numerics import generator, one_thread, repeatable, rng, rounded
from rcgnn.processors import processors
from rcgnn.series import BoolArray, FloatArray
from rcgnn.synth import simulate
from rcgnn.train.trainer import TrainResult, train

MAX_LAG = 3
SMALL = 64
"""Up to this many sensors one thread is used, as in `rcgnn.pipeline`."""
LOSS_TOLERANCE = 1e-3
"""Held-out losses (nats) of two devices that trained the same network may differ by so much."""


@dataclass(frozen=True)
class Material:
    """One table, cut into windows."""

    names: tuple[str, ...]
    fitted: Windows
    valid: Windows
    candidates: BoolArray


@dataclass(frozen=True)
class Timed:
    """One training."""

    device: str
    precision: str
    epoch: float
    """Median seconds of an epoch, the first and the last (the one with an evaluation) left out where there are others."""
    windows: int
    """Training windows; an epoch sees each once."""
    loss: float
    links: frozenset[tuple[int, int]]
    memory: float | None
    """Largest memory on the device, MB."""


def material(sensors: int, rows: int, config: Config) -> Material:
    """Windows of a simulated table, and its true links with as many others as candidates."""
    made = simulate("nonlinear", seed=0, rows=rows, sensors=sensors)
    held = split_blocks(made.series, config.data.valid_share, config.data.valid_blocks)
    scaled = Scaler.fit(made.series, ~held).transform(made.series)
    fitted, valid = (Windows.of(scaled, length=config.data.window, stride=None, max_lag=MAX_LAG, rows=side) for side in (~held, held))
    candidates = np.zeros((MAX_LAG + 1, sensors, sensors), bool)
    shared = min(MAX_LAG + 1, len(made.truth))
    candidates[:shared] = made.truth[:shared]
    others = rng(config.seed, "candidates").choice(MAX_LAG * sensors**2, int(candidates.sum()), replace=False)
    candidates[1:].flat[others] = True
    return Material(scaled.names, fitted, valid, candidates)


def trained(given: Material, config: Config, device: str, precision: str) -> Timed:
    """Train on one device from the same start."""
    sensors = len(given.names)
    network = CausalNet(sensors, config.model, torch.from_numpy(given.candidates), generator=generator(config.seed, "network"))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    where = torch.device(device)
    with one_thread() if device == "cpu" and sensors <= SMALL else repeatable(where, precision), rounded(where, precision):
        done = train(network, given.fitted, given.valid, config.override([f"device={device}"]), names=given.names)
    if done.failed is not None:
        sys.exit(f"devices: training on {device} failed: {done.failed}")
    memory = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else None
    return Timed(device, precision, _epoch(done), len(given.fitted.start), _loss(done), _links(done.weights), memory)


def _epoch(done: TrainResult) -> float:
    seconds = [record.wall_s for record in done.records if record.wall_s is not None]
    return statistics.median(seconds[1:-1] or seconds)


def _loss(done: TrainResult) -> float:
    return [record.loss.val for record in done.records if record.loss.val is not None][-1]


def _links(weights: FloatArray) -> frozenset[tuple[int, int]]:
    norms = np.sqrt(np.square(weights).sum(axis=1)).max(axis=0)
    return frozenset((int(i), int(j)) for i, j in np.argwhere(norms > OPEN))


def disagreement(found: Sequence[Timed]) -> str | None:
    """What differs between the devices; None where nothing does."""
    first = found[0]
    for other in (one for one in found[1:] if one.precision == first.precision):
        if other.links != first.links:
            return f"{len(other.links ^ first.links)} links of {other.device} are not those of {first.device}"
        if abs(other.loss - first.loss) > LOSS_TOLERANCE:
            return f"held-out loss {other.loss:.6f} on {other.device}, {first.loss:.6f} on {first.device}"
    return None


def rows_of(shape: str, found: Sequence[Timed]) -> list[list[str]]:
    """Cells of one table's rows."""
    return [
        [
            shape,
            one.device,
            one.precision,
            number(one.windows / one.epoch, 0),
            number(one.epoch, 3),
            f"{found[0].epoch / one.epoch:.2f} x",
            str(len(one.links)),
            str(len(one.links ^ found[0].links)),
            f"{one.loss:.6f}",
            number(one.memory, 0),
        ]
        for one in found
    ]


def devices() -> dict[str, str]:
    """What can be trained on here, with its name."""
    found = {"cpu": f"{processors()} cores, torch on {torch.get_num_threads()} threads (one up to {SMALL} sensors)"}
    if torch.cuda.is_available():
        found["cuda"] = f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    return found


def main() -> int:
    """Train every table on every device."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=lambda text: text.split(","), default=["13x3000", "200x20000"], metavar="SENSORSxROWS,...")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--precisions", type=lambda text: text.split(","), default=["float32"], help="of products on a CUDA device")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    settings = [f"data.max_lag={MAX_LAG}", f"train.epochs={given.epochs}", f"train.eval_every={given.epochs}", f"train.batch={given.batch}"]
    config, here, cells, wrong = Config().override(settings), devices(), [], []
    for shape in given.tables:
        sensors, rows = (int(part) for part in shape.split("x"))
        table_ = material(sensors, rows, config)
        found = []
        for device in here:
            for precision in given.precisions if device == "cuda" else ("float32",):
                print(f"{shape} on {device} in {precision} ...", file=sys.stderr, flush=True)
                found.append(trained(table_, config, device, precision))
        cells += rows_of(f"{rows:,} x {sensors}", found)
        wrong += [f"{shape}: {what}" for what in [disagreement(found)] if what]
    compared = len(here) > 1 and "float32" in given.precisions
    agree = "the same links on every device in float32" if compared else "nothing to compare with the processor in float32"
    lines = [
        f"# Devices, {today()}",
        "",
        f"nonlinear, seed 0; true links and as many others as candidates; {given.epochs} epochs, batches of {given.batch} windows.",
        *source(),
        *(f"{name}: {what}." for name, what in here.items()),
        "",
        *table(
            [
                "table",
                "device",
                "precision",
                "windows a second",
                "seconds an epoch",
                "against cpu",
                "links",
                "others than cpu's",
                "held-out loss",
                "device memory, MB",
            ],
            cells,
        ),
        "",
        f"Self-check: {'; '.join(wrong) if wrong else agree}.",
    ]
    write("\n".join(lines) + "\n", given.out, "devices")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
