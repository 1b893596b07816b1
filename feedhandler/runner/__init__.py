"""The runner: drains every ring, stamps apply, judges every instrument."""
