"""Sparse structural search: candidate links with evidence, in closed form, before any gradient."""
