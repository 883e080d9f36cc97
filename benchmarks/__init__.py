"""Measurements, one command each. None of them is a test: no test depends on time."""
