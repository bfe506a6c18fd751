"""Training of the network with `torch.compile` against eager torch, on the processor: seconds to compile, a step, a whole training.

    python benchmarks/compiled.py                    # 13, 50 and 200 sensors; half an hour
    python benchmarks/compiled.py --tables 13x3000   # a first look
    python benchmarks/compiled.py --device cuda      # on a CUDA device, by the clock

The forward pass is compiled, and with it its backward pass; losses, guard and optimiser stay as they are. Every training has a process of
its own and an empty cache, then another one that finds the cache filled. Seconds are those of the processor, this process and the
compilers that it starts, on one thread, so that what else runs on the machine counts little.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from statistics import median

WAYS = {"eager": "", "compile": "default", "reduce-overhead": "reduce-overhead"}
"""The mode of `torch.compile`; eager has none."""
SKIPPED = 2
"""Epochs left out of the seconds of a step: in them torch compiles."""


def spent() -> float:
    """Seconds of the processor so far, compilers included."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in times)


def measure(sensors: int, rows: int, way: str, epochs: int, device: str) -> None:
    """One training, in this process; prints its numbers."""
    import torch
    from devices import MAX_LAG, material
    from torch._functorch import config as functorch

    from rcgnn.config import Config
    from rcgnn.model.network import CausalNet
    from rcgnn.numerics import generator, one_thread
    from rcgnn.train.trainer import train

    functorch.donated_buffer = False  # several gradients are taken of one forecast
    config = Config().override([f"data.max_lag={MAX_LAG}", f"train.epochs={epochs}", f"train.eval_every={epochs}", f"device={device}"])
    given = material(sensors, rows, config)
    network = CausalNet(sensors, config.model, torch.from_numpy(given.candidates), generator=generator(config.seed, "network"))
    clock = spent if device == "cpu" else time.perf_counter
    if WAYS[way]:
        network.compile(fullgraph=True, mode=WAYS[way])
    ends = [clock()]
    with one_thread():
        began = time.perf_counter()
        done = train(network, given.fitted, given.valid, config, names=given.names, on_record=lambda _: ends.append(clock()))
        wall = time.perf_counter() - began
    epochs_of = [after - before for before, after in pairwise(ends)][SKIPPED:-1]  # the last one has an evaluation
    steps = -(-len(given.fitted.start) // config.train.batch)
    loss = [record.loss.val for record in done.records if record.loss.val is not None][-1]
    print(f"{ends[-1] - ends[0]:.1f} {wall:.0f} {1000 * median(epochs_of) / steps:.0f} {steps} {loss:.6f}")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument(
        "--tables", type=lambda text: text.split(","), default=["13x3000", "50x3000", "200x6000"], metavar="SENSORSxROWS,..."
    )
    asked.add_argument("--epochs", type=int, default=20)
    asked.add_argument("--device", default="cpu", help="cpu: seconds of the processor; cuda: seconds on the clock")
    asked.add_argument("--one", metavar="WAY", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.one:
        measure(*map(int, given.tables[0].split("x")), given.one, given.epochs, given.device)
        return
    print(
        "| table | way | cache | whole training, s | wall s | ms a step | steps an epoch | held-out loss |\n|" + "---|" * 8,
        flush=True,
    )
    for shape in given.tables:
        for way, mode in WAYS.items():
            with tempfile.TemporaryDirectory() as cache:
                env = os.environ | {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_CACHE_DIR": cache, "TORCHINDUCTOR_COMPILE_THREADS": "1"}
                for state in ("empty", "filled") if mode else ("-",):
                    command = [
                        sys.executable,
                        __file__,
                        "--tables",
                        shape,
                        "--epochs",
                        str(given.epochs),
                        "--device",
                        given.device,
                        "--one",
                        way,
                    ]
                    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
                    told = done.stdout.split() if done.returncode == 0 else [done.stderr.strip().splitlines()[-1]]
                    print("| " + " | ".join([shape, way, state, *told]) + " |", flush=True)


if __name__ == "__main__":
    main()
