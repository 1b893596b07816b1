"""The venues: one module each, and the table of what a venue declares in `_base`."""
