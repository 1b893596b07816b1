"""Telemetry: what happened, sampled from shared memory, in files and over HTTP."""
