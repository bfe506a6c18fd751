"""Systems whose causal graph is known, and the ways in which readings go wrong."""

from rcgnn.synth.corruption import CELLS, CORRUPTIONS, Corruption, corrupt, parse_corruption
from rcgnn.synth.registry import DEFAULT_CORRUPTION, NULL_SYSTEMS, SEMS, simulate
from rcgnn.synth.simulated import Plan, Simulated
from rcgnn.synth.station import STATION_CORRUPTION, STATION_ROWS, STATION_SEED
from rcgnn.synth.write import write_simulated

__all__ = [
    "CELLS",
    "CORRUPTIONS",
    "DEFAULT_CORRUPTION",
    "NULL_SYSTEMS",
    "SEMS",
    "STATION_CORRUPTION",
    "STATION_ROWS",
    "STATION_SEED",
    "Corruption",
    "Plan",
    "Simulated",
    "corrupt",
    "parse_corruption",
    "simulate",
    "write_simulated",
]
