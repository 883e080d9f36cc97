"""What all tests share: settings, an environment of their own, the toy model, and files."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from components.detection.bundle import Bundle
from components.settings import PROJECT_ROOT, Params, load_params
from tests.toy_model import scene, toy_bundle


@pytest.fixture(autouse=True)
def _own_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the user's keys, registry or servers."""
    home = tmp_path_factory.mktemp("environment")
    monkeypatch.setenv("STREETVEIL_KEYS_DIR", str(home / "keys"))
    monkeypatch.setenv("STREETVEIL_PARAMS", str(PROJECT_ROOT / "params.yaml"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home / 'mlruns' / 'mlflow.db'}")
    monkeypatch.setenv("STREETVEIL_MLFLOW_ARTIFACTS", str(home / "mlruns"))


@pytest.fixture(scope="session")
def params() -> Params:
    """The settings as shipped, with small shards."""
    shipped = load_params(PROJECT_ROOT / "params.yaml")
    return shipped.model_copy(update={"batch": shipped.batch.model_copy(update={"shard_size": 20})})


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The toy model as files."""
    return toy_bundle(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def rng() -> np.random.Generator:
    """The same random numbers in every run."""
    return np.random.default_rng(20260101)


def encoded(pixels: NDArray[np.uint8], file_format: str = "PNG", **options: Any) -> bytes:
    """A picture as a file's bytes."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, file_format, **options)
    return out.getvalue()


@pytest.fixture
def fill(rng: np.random.Generator) -> Callable[..., dict[str, bytes]]:
    """Fill a folder with pictures for the toy model; returns their bytes by path."""

    def _fill(folder: Path, count: int, width: int = 160, height: int = 120) -> dict[str, bytes]:
        files = {}
        for i in range(count):
            pixels, _ = scene(rng, width, height, faces=i % 3, plates=i % 2)
            name, content = (
                (f"{i:04d}.jpg", encoded(pixels, "JPEG", quality=95)) if i % 4 else (f"{i:04d}.png", encoded(pixels))
            )
            path = folder / f"street-{i % 3}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            files[path.relative_to(folder).as_posix()] = content
        return files

    return _fill
