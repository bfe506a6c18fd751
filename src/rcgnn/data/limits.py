"""How large a table may be. It is asked before memory is filled, whatever a small file claims or expands to."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rcgnn.errors import InputError, TableError

MOST_CELLS = 1_000_000_000
"""Rows times columns, where there is memory for so many."""
MOST_COLUMNS = 20_000
"""Columns of any table. The graph of so many sensors has 400,000,000 pairs at each delay."""
BYTES_A_CELL = 64
"""What a fit takes of memory for one cell at its peak, and some air."""
TEXT_SHARE = 8
"""A text table may take this part of the memory: to read it takes several times its length."""
TEXT_BYTES_A_CELL = 24
"""A number with all its digits, its sign and a separator."""
SHORT_TEXT = 2**26
"""A text of so many bytes is always read, and its cells are counted then."""
_GROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


@cache
def memory() -> int:
    """Bytes of memory of this machine, or of the container it is; 8 GB where the system does not say."""
    found = [8 * 10**9]
    with suppress(AttributeError, ValueError, OSError):
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in _GROUPS:
        with suppress(OSError, ValueError):
            found.append(int(Path(file).read_text(encoding="ascii")))
    return min(found)


@dataclass(frozen=True)
class Limit:
    """Cells that may still be read.

    Attributes:
        cells: rows times columns of all tables together.
        taken: those of the tables that were read before.

    Example:
        >>> Limit(100).check("a.csv", 10, 10)
        >>> Limit(100).check("a.csv", 10, 11)
        Traceback (most recent call last):
        rcgnn.errors.TableError: a.csv: expected at most 100 cells, got 10 rows x 11 columns = 110; leave out ... or raise --max-cells.
    """

    cells: int
    taken: int = 0

    @classmethod
    def of(cls, max_cells: int | None) -> Limit:
        """What the user allows; None: what memory has room for, at most `MOST_CELLS`.

        Raises:
            InputError: below 1.
        """
        if max_cells is None:
            return cls(min(MOST_CELLS, memory() // BYTES_A_CELL))
        if isinstance(max_cells, bool) or not isinstance(max_cells, int) or max_cells < 1:
            raise InputError(f"max_cells: expected a whole number of at least 1, got {max_cells!r}.")
        return cls(max_cells)

    def after(self, cells: int) -> Limit:
        """The same limit with so many cells more taken."""
        return Limit(self.cells, self.taken + cells)

    def check(self, source: str, rows: int, columns: int) -> None:
        """Is there room for a table of this size?

        Raises:
            TableError: no.
        """
        if columns > MOST_COLUMNS:
            raise TableError(
                f"{source}: expected at most {MOST_COLUMNS:,} columns, got {columns:,}; rows are time steps and columns sensors: "
                "is the table the other way round, or the separator another?"
            )
        if rows * columns > self.cells - self.taken:
            before = f" in all tables together, of which {self.taken:,} are taken" if self.taken else ""
            raise TableError(
                f"{source}: expected at most {self.cells:,} cells{before}, got {rows:,} rows x {columns:,} columns = {rows * columns:,}; "
                "leave out columns or rows, or raise --max-cells."
            )

    def check_count(self, source: str, cells: int) -> None:
        """Is there room for so many cells and more?

        Raises:
            TableError: no.
        """
        if cells > self.cells - self.taken:
            raise TableError(
                f"{source}: expected at most {self.cells:,} cells, got more than {self.taken + cells:,}; leave out columns or rows, "
                "or raise --max-cells."
            )

    def text_bytes(self) -> int:
        """Length of a text table at most, decompressed."""
        return max(SHORT_TEXT, min(TEXT_BYTES_A_CELL * (self.cells - self.taken), memory() // TEXT_SHARE))

    def check_text(self, source: str, length: int) -> None:
        """Is there room for a text of so many bytes?

        Raises:
            TableError: no.
        """
        most = self.text_bytes()
        if length > most:
            raise TableError(
                f"{source}: expected at most {self.cells:,} cells, in a text of at most {most / 1e6:,.0f} MB, got a longer one; "
                "write large tables as Parquet, leave out columns or rows, or raise --max-cells."
            )
