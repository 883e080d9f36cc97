"""A registry with the shipped detectors, made once for all flow tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from components.detection.sanity import SANITY_PICTURES
from components.registry.champion import bootstrap
from components.registry.models import Registry
from components.settings import PROJECT_ROOT
from flows import terminal


@pytest.fixture(scope="session")
def registry_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bootstrapped registry."""
    folder = tmp_path_factory.mktemp("flows-registry")
    bootstrap(Registry("streetveil-detector", f"sqlite:///{folder}/mlflow.db", str(folder)))
    return folder


@pytest.fixture(autouse=True)
def _registry(registry_folder: Path, _own_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{registry_folder}/mlflow.db")
    monkeypatch.setenv("STREETVEIL_MLFLOW_ARTIFACTS", str(registry_folder))


@pytest.fixture
def day(tmp_path: Path) -> Path:
    """A day with one face, one plate, and one broken file."""
    folder = tmp_path / "in"
    folder.mkdir()
    for picture in SANITY_PICTURES:
        content = (PROJECT_ROOT / "components/detection/sanity_pictures" / picture.file).read_bytes()
        (folder / picture.file).write_bytes(content)
    (folder / "broken.jpg").write_bytes(content[:3000])
    return folder


@pytest.fixture
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal in which no line of a table is broken; rich asks for the width once, and test workers say 80."""
    for console in (terminal.out, terminal.err):
        monkeypatch.setattr(console, "width", 200)
