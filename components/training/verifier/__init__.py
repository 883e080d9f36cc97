"""Stage 2's parts: its network, its examples and how they are varied, its calibration and its settings."""
