"""The chain of dvc.yaml: what its stages depend on, and what they go on from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from dvc.repo import Repo
from dvc.stage import Stage

from components.detection.shipped import TRAINABLE
from components.settings import PROJECT_ROOT

CHAMPION = "data/training/champion"


@pytest.fixture(scope="module")
def stages() -> dict[str, Stage]:
    """Every stage by its name, with its variables filled in."""
    with Repo(str(PROJECT_ROOT)) as repo:
        return {str(stage.addressing): stage for stage in repo.index.stages}


def deps(stage: Stage) -> set[str]:
    """A stage's files and folders, from the project's folder."""
    return {os.path.relpath(dep.fs_path, PROJECT_ROOT) for dep in stage.deps if dep.protocol == "local"}


def test_what_decides_no_result_makes_nothing_stale() -> None:
    """Compiled sources, the counting page and what is written about the model are ignored; nothing that is run is."""
    with Repo(str(PROJECT_ROOT)) as repo:

        def ignored(path: str) -> bool:
            return bool(repo.dvcignore.is_ignored_file(str(PROJECT_ROOT / path)))

        assert ignored("components/evaluation/__pycache__/evaluate.cpython-311.pyc")
        assert ignored("components/evaluation/hand_count/browser/page.js")
        assert ignored("components/detection/weights/MODEL_CARD.md")
        run = [path for path in (PROJECT_ROOT / "components").rglob("*.py") if "hand_count" not in path.parts]
        assert len(run) > 100
        assert [path for path in run if ignored(os.path.relpath(path, PROJECT_ROOT))] == []


def test_the_code_that_stages_depend_on_exists(stages: dict[str, Stage]) -> None:
    """A source that was renamed or removed would be missed by nobody until the chain is run."""
    code = {path for stage in stages.values() for path in deps(stage) if path.startswith("components/")}
    assert len(code) > 20
    assert [path for path in code if not Path(PROJECT_ROOT, path).exists()] == []


def test_the_month_goes_on_from_the_champion(stages: dict[str, Stage]) -> None:
    """Both trainings of the monthly profile are given the champion's weights, which a stage fetches anew every time."""
    fetched = stages["champion"]
    assert fetched.always_changed
    assert [os.path.relpath(out.fs_path, PROJECT_ROOT) for out in fetched.outs] == [CHAMPION]
    for name, file in zip(("train_stage1", "train_stage2"), TRAINABLE, strict=True):
        stage = stages[f"{name}@monthly"]
        assert f"--weights {CHAMPION}/{file}" in " ".join(str(stage.cmd).split())
        assert f"{CHAMPION}/{file}" in deps(stage)


def test_the_shipped_verifier_was_made_from_nothing(stages: dict[str, Stage]) -> None:
    """The full profile's verifier begins with no weights, and depends on none that were shipped."""
    stage = stages["train_stage2@full"]
    assert "--weights" not in str(stage.cmd)
    assert not any(path.startswith("components/detection/weights") for path in deps(stage))
