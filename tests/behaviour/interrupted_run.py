"""A run in a process of its own, for tests that kill it: SOURCE DESTINATION KEY_FILE MODEL_FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from components.registry.champion import Champion
from components.settings import load_params
from flows.one_folder import blur_folder
from tests.toy_model import toy_bundle

if __name__ == "__main__":
    source, destination, key_file, models = (Path(argument) for argument in sys.argv[1:])
    shipped = load_params()
    params = shipped.model_copy(update={"batch": shipped.batch.model_copy(update={"shard_size": 60})})
    summary = blur_folder(
        source,
        destination,
        params,
        "eu",
        Champion(toy_bundle(models)),
        workers=2,
        key_file=key_file,
        on_plan=lambda left, before: print(f"left {left}", flush=True),
        on_row=lambda row: print(row.path, flush=True),
    )
    print(f"done {summary.inputs}", flush=True)
