"""What a book must be to be believed: its top, its order in time, its repeats."""
