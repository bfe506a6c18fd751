"""Comparison of methods over suites of tables with a known graph. May see truth; nothing that fits imports it."""
