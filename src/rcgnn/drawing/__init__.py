"""A graph as a picture: where sensors stand, and a card of plain HTML for notebooks."""
