"""The page of one run: figures and text from its folder."""
