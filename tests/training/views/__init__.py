"""Tests of what the trainer shows the network."""
