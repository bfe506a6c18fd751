"""Many settings on one table: the grid, a run folder a trial, one table of results. Nothing here sees a true graph."""
