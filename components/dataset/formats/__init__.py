"""Readers of other people's label formats, one module a format; each yields the project's `LabelledImage`."""
