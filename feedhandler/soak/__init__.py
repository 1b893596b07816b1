"""Soak: a run of everything that leaves its evidence in one directory."""
