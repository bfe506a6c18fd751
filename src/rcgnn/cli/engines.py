"""`--engine` and `--address`: who does the work of a command that has many tasks."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rcgnn.crew import Engine
    from rcgnn.looks import Spread


class EngineName(StrEnum):
    """Processes of this machine, or Ray: here, or on a cluster."""

    LOCAL = "local"
    RAY = "ray"


EngineOption = Annotated[EngineName, typer.Option(help="Processes of this machine, or Ray.")]
AddressOption = Annotated[str | None, typer.Option(metavar="WHERE", help="Ray cluster: auto or host:port [default: starts one here].")]


def engine_of(name: EngineName, address: str | None) -> Engine:
    """The engine of that name.

    Raises:
        InputError: an address without Ray; Ray is not installed, or no cluster answers at the address.
    """
    from rcgnn.cluster import ray_engine
    from rcgnn.crew import processes
    from rcgnn.errors import InputError

    if name == EngineName.RAY:
        return ray_engine(address)
    if address is not None:
        raise InputError(f"--address {address}: only --engine ray has an address; add it, or leave --address out.")
    return processes


def spread_of(name: EngineName, address: str | None, jobs: int) -> Spread[Any]:
    """Who does the second looks of a fit: this process where nobody else is asked for.

    Raises:
        InputError: as `engine_of`.
    """
    from rcgnn.looks import by_crew, here

    engine = engine_of(name, address)
    return here if name == EngineName.LOCAL and jobs == 1 else by_crew(engine, jobs)
