"""The origin's two runs, repeated: its table beside ours, and our epoch time beside a plain loop's.

    python benchmarks/origin_tables.py            # needs the UCI Air Quality table; writes benchmarks/results/<date>-origin-tables.md

`plain_run` is the reference: the same network as ordinary modules, autograd, DataLoader and Adam. A test holds `fit_origin`
against it.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from rcgnn.config import Config
from rcgnn.data.readers import read_table
from rcgnn.origin import fit_origin
from rcgnn.origin.fit import EVALUATION_DRAWS
from rcgnn.origin.trainer import term_weights
from rcgnn.origin.windows import OriginData, prepare
from rcgnn.processors import processors
from rcgnn.series import Series

ROOT = Path(__file__).parents[1]
DATA = ROOT.parent / "shared" / "data" / "air_quality_uci" / "data.csv"
BLANK_ROWS = 114
"""The UCI file ends in 114 empty rows, which the table at hand has dropped and the origin's run had: 9,357 + 114 = 9,471."""

MARKS = (275, 550, 825)
STEPS = 827
ORIGIN_SECONDS = 7.8
"""The origin's code, an epoch of 827 batches, on two cores."""
ORIGIN_AFTER = [(1.0496, 0.964), (0.0628, 0.388), (0.0181, 0.040), (0.0105, 0.007)]
ORIGIN_NORMS = (2.5731, 1.8228, 1.364)
ORIGIN_BEFORE = (21444.0, 1.0, 27971.0)
CORES = processors()


@dataclass
class Epoch:
    """What is measured in one epoch; `median` and `largest` norm by `our_run` only."""

    loss: float = 0.0
    clip_share: float = 0.0
    seconds: float = 0.0
    median: float = 0.0
    largest: float = 0.0
    norms: dict[int, float] = field(default_factory=dict)


class PlainNet(nn.Module):
    """The origin's network as ordinary modules."""

    def __init__(self, sensors: int) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(nn.Sequential(nn.Linear(sensors, 32), nn.ReLU(), nn.Linear(32, 16)) for _ in range(3))
        self.graph = nn.Parameter(torch.randn(sensors, sensors) * 0.1)
        self.decoder = nn.Sequential(nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, sensors))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        latents = [encoder(x) for encoder in self.encoders]
        top, index = self.graph.reshape(-1).topk(max(1, self.graph.numel() // 10))
        kept = torch.zeros(self.graph.numel(), dtype=x.dtype).scatter(0, index, top.sigmoid()).view_as(self.graph)
        return self.decoder(torch.cat(latents, -1)), kept, latents


def plain_loss(net: PlainNet, x: Tensor, mask: Tensor, config: Config) -> Tensor:
    """The weighted loss, written for autograd."""
    rebuilt, graph, latents = net(x)
    n = len(graph)
    power = torch.eye(n, dtype=x.dtype) + graph / n
    flat = [z.reshape(-1, z.shape[-1]) for z in latents]
    terms = (
        ((rebuilt - x) * mask).square().mean(),
        graph.mean(),
        torch.relu(torch.trace(power @ power @ power) - n),
        sum(torch.corrcoef(torch.cat((flat[a], flat[b]), 1).T).abs().mean() for a, b in ((0, 1), (0, 2), (1, 2))),
    )
    return sum((w * t for w, t in zip(term_weights(config), terms, strict=True)), torch.zeros((), dtype=x.dtype))


def plain_run(data: OriginData, config: Config) -> Iterator[Epoch]:
    """Train as anyone would: modules, autograd, DataLoader, Adam. The caller's random state is left as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        net = PlainNet(data.x.shape[1])
        state = torch.get_rng_state()
    rows = data.starts[:, None] + torch.arange(data.window)
    dataset = TensorDataset(data.x[rows], data.mask[rows])
    optimizer = torch.optim.Adam(net.parameters(), lr=config.train.lr, weight_decay=config.train.weight_decay)
    level = config.train.clip or float("inf")
    for number in range(1, config.train.epochs + 1):
        began, epoch, steps = time.perf_counter(), Epoch(), 0
        with torch.random.fork_rng():
            torch.set_rng_state(state)
            for x, mask in DataLoader(dataset, batch_size=config.train.batch, shuffle=True):
                optimizer.zero_grad()
                loss = plain_loss(net, x, mask, config)
                loss.backward()
                norm = nn.utils.clip_grad_norm_(net.parameters(), level).item()
                optimizer.step()
                epoch.loss += loss.item()
                epoch.clip_share += norm > level
                epoch.norms |= {steps: norm} if steps in MARKS else {}
                steps += 1
            epoch.seconds = time.perf_counter() - began
            for _ in range(EVALUATION_DRAWS if number % config.train.eval_every == 0 else 0):
                torch.empty((), dtype=torch.int64).random_()
            state = torch.get_rng_state()
        epoch.loss, epoch.clip_share = epoch.loss / steps, epoch.clip_share / steps
        yield epoch


def our_run(series: Series, config: Config, between: Callable[[], object] = lambda: None) -> list[Epoch]:
    """The same through `fit_origin`; something else may be done after every epoch."""
    epochs: list[Epoch] = [Epoch() for _ in range(config.train.epochs)]

    def progress(stage: str, info: Any) -> None:
        if stage == "train" and "batch" in info:
            epochs[info["epoch"] - 1].norms[info["batch"].number] = info["batch"].grad_norm
        elif stage == "train":
            between()

    for epoch, record in zip(epochs, fit_origin(series, config, progress=progress).records, strict=True):
        epoch.loss, epoch.clip_share, epoch.seconds = record.loss.train, record.grad.clip_share, record.wall_s
        epoch.median, epoch.largest = record.grad.raw_median or 0.0, record.grad.raw_max or 0.0
    return epochs


def recipe(name: str, epochs: int) -> Config:
    """A recipe of the origin for some epochs."""
    return Config.parse({"recipe": name, "train": {"epochs": epochs}})


def after_table(ours: list[Epoch], plain: list[Epoch]) -> list[str]:
    lines = ["| epoch | loss: origin | ours | plain loop | clipped: origin | ours | plain loop |", "|---|---|---|---|---|---|---|"]
    for number, ((loss, share), a, b) in enumerate(zip(ORIGIN_AFTER, ours, plain, strict=False), start=1):
        lines.append(f"| {number} | {loss:.4f} | {a.loss:.4f} | {b.loss:.4f} | {share:.1%} | {a.clip_share:.1%} | {b.clip_share:.1%} |")
    lines += ["", "| gradient norm, epoch 1 | origin | ours | plain loop |", "|---|---|---|---|"]
    for mark, norm in zip(MARKS, ORIGIN_NORMS, strict=True):
        lines.append(f"| batch {mark} | {norm} | {ours[0].norms[mark]:.4f} | {plain[0].norms[mark]:.4f} |")
    return lines


def before_table(ours: list[Epoch]) -> list[str]:
    loss, share, norm = ORIGIN_BEFORE
    lines = ["| epoch | loss | clipped | norm: batch 275 | batch 550 | batch 825 | median | largest |", "|---|---|---|---|---|---|---|---|"]
    lines.append(f"| 1, origin | {loss:,.0f} | {share:.0%} | {norm:,.0f} | | | | |")
    for number, e in enumerate(ours, start=1):
        norms = " | ".join(f"{x:,.0f}" for x in (*(e.norms[m] for m in MARKS), e.median, e.largest))
        lines.append(f"| {number}, ours | {e.loss:,.1f} | {e.clip_share:.1%} | {norms} |")
    return lines


def bars(ours: list[Epoch], before: list[Epoch]) -> list[str]:
    """Each bar with what was measured."""
    off = [max(abs(e.loss / loss - 1), abs(e.clip_share / share - 1)) for e, (loss, share) in zip(ours, ORIGIN_AFTER, strict=False)]
    after = f"{max(off):.1%}: {'met' if max(off) < 0.1 else 'MISSED'}"
    exploding = before[0].median > 1e4 and all(e.clip_share > 0.9 for e in before)
    return [
        f"* `origin-after`: largest deviation of a loss or clip share below 10 %: {after} (clip shares are printed to 0.1 %).",
        f"* `origin-before`: median norm of epoch 1 above 1e4, more than 90 % clipped: {'met' if exploding else 'MISSED'}.",
    ]


def times(ours: list[Epoch], plain: list[Epoch]) -> list[str]:
    fast, slow = (statistics.median(e.seconds for e in run) for run in (ours, plain))
    turns = [b.seconds / a.seconds for a, b in zip(ours, plain, strict=True)]
    rows = [
        ("`fit_origin`", fast, 1.0),
        ("plain loop (modules, autograd, DataLoader, Adam), epoch by epoch in turns", slow, statistics.median(turns)),
        ("the origin's code, its figure, two cores", ORIGIN_SECONDS, ORIGIN_SECONDS / fast),
    ]
    lines = ["| loop | s an epoch | ms a step | `fit_origin` is faster by |", "|---|---|---|---|"]
    lines += [f"| {name} | {s:.3g} | {1e3 * s / STEPS:.2f} | {ratio:.1f} x |" for name, s, ratio in rows]
    return [*lines, "", f"By turn: {', '.join(f'{turn:.1f}' for turn in turns)}."]


def report(ours: list[Epoch], plain: list[Epoch], before: list[Epoch], today: str) -> str:
    """The dated file."""
    software = f"Python {platform.python_version()}, torch {torch.__version__}"
    lines = [
        f"# The origin's tables, {today}",
        "",
        f"UCI Air Quality and the {BLANK_ROWS} blank rows that end the original; seed 1337; 6,613 windows of 24, {STEPS} batches of 8.",
        f"{software}, {platform.machine()}, {CORES} cores, {torch.get_num_threads()} thread(s), load average {os.getloadavg()[0]:.1f}.",
        f"Command: `{' '.join(['python', f'benchmarks/{Path(__file__).name}', *sys.argv[1:]])}`",
        "",
        "## origin-after",
        *after_table(ours, plain),
        "",
        "## origin-before",
        *before_table(before),
        "",
        "## Bars",
        *bars(ours, before),
        "",
        f"## Time (medians of {len(ours)} epochs of each, in turns)",
        *times(ours, plain),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    table = read_table(given.data)
    series = Series.of(np.vstack([table.values, np.full((BLANK_ROWS, table.shape[1]), np.nan)]), names=table.names)
    config = recipe("origin-after", given.epochs)
    plain, loop = list[Epoch](), plain_run(prepare(series, config.data), config)
    ours = our_run(series, config, lambda: plain.append(next(loop)))
    before = our_run(series, recipe("origin-before", 3))
    today = datetime.now(tz=UTC).date().isoformat()
    text = report(ours, plain, before, today)
    (ROOT / "benchmarks" / "results" / f"{today}-origin-tables.md").write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
