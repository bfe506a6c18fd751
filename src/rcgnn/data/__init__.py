"""From a table to cleaned, scaled windows: readers, frames, quality, cleaning, scaling, windows."""
