"""The evaluation as one page for people, and as tables for `dvc metrics` and `dvc plots`."""
