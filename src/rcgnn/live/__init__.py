"""A run while it goes on: what is told (`feed`), a run folder that grows (`follow`), the page (`page`) and its server (`server`)."""
