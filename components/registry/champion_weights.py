"""The weights that a monthly training goes on from: they travel with each version, and the champion's are taken.

python -m components.registry.champion_weights FOLDER
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from components.detection.shipped import TRAINABLE, WEIGHTS
from components.registry.models import CHAMPION, Registry
from components.settings import load_params


def attach_weights(registry: Registry, version: str, chain: Path) -> None:
    """Let what a training can go on from travel with the version that was made of it.

    Args:
        registry: where the version is.
        version: its number.
        chain: the folder that `dvc repro` has filled.

    Raises:
        StreetveilError: there is no such version, or the registry does not take the files.
        OSError: a stage has left no weights.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, place in TRAINABLE.items():
            registry.attach(version, Path(shutil.copy(chain / place, Path(folder, name))))


def fetch_weights(registry: Registry, folder: Path) -> str:
    """Put the champion's weights into a folder; those that come with the installation, where it has none of its own.

    Args:
        registry: where the champion is; it may be empty.
        folder: gets `street.npz` and `verifier.npz`.

    Returns:
        Whose they are, for people.

    Raises:
        StreetveilError: the registry does not answer, or the champion's weights are listed and cannot be fetched.
    """
    champion = registry.aliases().get(CHAMPION)
    own = {name: registry.fetch(champion, name) if champion else None for name in TRAINABLE}
    # Never half of each: the verifier knows what its own stage 1 proposes.
    found = {name: file for name, file in own.items() if file is not None}
    whole = len(found) == len(TRAINABLE)
    folder.mkdir(parents=True, exist_ok=True)
    for name in TRAINABLE:
        shutil.copyfile(found[name] if whole else WEIGHTS / name, folder / name)
    return f"version {champion}, the champion" if whole else "those that come with the installation"


if __name__ == "__main__":
    print("The training goes on from", fetch_weights(Registry.of(load_params().registry.model_name), Path(sys.argv[1])))
