"""The house's rules: which way imports run, one adapter for each outside system, pinned requirements."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from components.settings import PROJECT_ROOT

LOCK = PROJECT_ROOT / "requirements.lock"
_REQUIREMENT = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)(\[[a-z0-9,_-]+\])?==(?P<version>[^\s;]+)(\s*;[^\\]*?)?"
    r"(?P<hashes>(\s+--hash=sha256:[0-9a-f]{64})+)"
)


def modules(package: str) -> list[Path]:
    """Every Python file of a package."""
    found = sorted((PROJECT_ROOT / package).rglob("*.py"))
    assert len(found) > 5
    return found


def imported(source: str) -> Iterator[str]:
    """Every module that a file imports, at any depth: at the top, in functions, for type checkers, by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            function = node.func
            called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if called in ("import_module", "__import__"):
                yield str(node.args[0].value)


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Every module that a file imports."""
    return frozenset(imported(path.read_text(encoding="utf-8")))


def importers(package: str, library: str) -> set[str]:
    """The files of a package that import a library, as paths in the project."""
    return {
        path.relative_to(PROJECT_ROOT).as_posix()
        for path in modules(package)
        if any(name == library or name.startswith(f"{library}.") for name in imports_of(path))
    }


def requirements() -> dict[str, str]:
    """Name and version of everything in the lock; fails on any line that is not pinned with a hash."""
    text = LOCK.read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    pinned = {}
    for requirement in lines.replace("\\\n", " ").splitlines():
        if requirement.strip():
            match = _REQUIREMENT.fullmatch(requirement.strip())
            assert match, f"not pinned with a hash: {requirement[:80]}"
            pinned[match["name"]] = match["version"]
    return pinned


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import prefect", ["prefect"]),
        ("from prefect.deployments import run", ["prefect.deployments"]),
        ("def f():\n    if x:\n        import a, b.c", ["a", "b.c"]),
        ("import importlib\nimportlib.import_module('prefect')", ["importlib", "prefect"]),
        ("x = __import__('prefect')", ["prefect"]),
        ("'import prefect'", []),
    ],
)
def test_the_search_finds_every_kind_of_import(source: str, found: list[str]) -> None:
    """Lazy imports and imports by name are seen by the tests below, and words in a text are not."""
    assert list(imported(source)) == found


def test_imports_run_one_way() -> None:
    """The contracts in pyproject.toml hold."""
    lint = Path(sys.executable).parent / "lint-imports"
    outcome = subprocess.run([lint, "--no-cache"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", outcome.stdout)


def test_components_know_nothing_of_when() -> None:
    """No component imports Prefect or the flows, not even in a function."""
    assert importers("components", "prefect") == set()
    assert importers("components", "flows") == set()
    assert importers("flows", "prefect")


def test_mlflow_has_one_adapter() -> None:
    """Only the registry's adapter and the model file that MLflow itself runs import MLflow."""
    assert importers("components", "mlflow") == {
        "components/registry/models.py",
        "components/registry/pyfunc_model.py",
    }
    assert importers("flows", "mlflow") == set()


def test_onnx_has_one_adapter() -> None:
    """Networks are run, on a CPU or on a GPU, and their graphs read and written, in one module each."""
    adapter = "components/detection/onnx_runtime.py"
    graph = "components/detection/onnx_graph.py"
    assert importers("components", "onnxruntime") == {adapter, "components/training/optimise/gpu.py"}
    assert importers("components", "onnx") == {graph, "components/training/optimise/quantise.py"}
    assert importers("components", "openvino") == {"components/detection/openvino_runtime.py"}
    assert importers("components", "nncf") == {"components/training/optimise/quantise.py"}
    assert importers("flows", "onnxruntime") == importers("flows", "onnx") == set()


def test_charts_and_pages_have_one_adapter() -> None:
    """Charts are drawn, and templates filled, in one module each."""
    assert importers("components", "matplotlib") == {"components/evaluation/report/charts.py"}
    assert importers("components", "jinja2") == {"components/evaluation/report/page.py"}
    assert importers("flows", "matplotlib") == importers("flows", "jinja2") == set()


def test_dvc_has_one_adapter() -> None:
    """No module imports DVC, and one calls its command line."""
    assert importers("components", "dvc") == importers("flows", "dvc") == set()
    callers = [
        path for package in ("components", "flows") for path in modules(package) if '"-m", "dvc"' in path.read_text()
    ]
    assert [path.relative_to(PROJECT_ROOT).as_posix() for path in callers] == ["components/dataset/versions.py"]


def test_evidently_has_one_adapter() -> None:
    """Only the page that shows a day beside its reference is made by Evidently."""
    assert importers("components", "evidently") == {"components/monitoring/drift_report.py"}
    assert importers("flows", "evidently") == set()


def test_object_stores_and_clusters_have_one_adapter() -> None:
    """Pictures on an object store are read and written, and Ray is called, in one module each."""
    assert importers("components", "boto3") | importers("components", "botocore") == {
        "components/batch/object_store.py"
    }
    assert importers("components", "ray") == {"components/batch/engines/ray.py"}
    assert importers("flows", "boto3") == importers("flows", "botocore") == importers("flows", "ray") == set()


def test_prometheus_and_the_databases_have_one_adapter() -> None:
    """Metrics are counted, reports kept, and the rows of a destination indexed, in one module each."""
    assert importers("components", "prometheus_client") == {"components/monitoring/prometheus.py"}
    assert importers("components", "sqlite3") == {"components/batch/index.py", "components/monitoring/user_reports.py"}
    assert importers("flows", "prometheus_client") == importers("flows", "sqlite3") == set()


def test_ultralytics_has_one_adapter() -> None:
    """Only the package that wraps the training library imports it, and the adapter of its tracker."""
    others = {
        file for file in importers("components", "ultralytics") if not file.startswith("components/training/yolo/")
    }
    assert others == {"components/video/tracking.py"}
    assert importers("flows", "ultralytics") == set()


def test_videos_have_one_adapter() -> None:
    """Videos are decoded and encoded in one module each."""
    assert importers("components", "av") == {"components/video/stream.py", "components/video/writing.py"}
    assert importers("flows", "av") == set()


def test_other_libraries_stay_as_they_were() -> None:
    """Importing the trainer changes no function of Pillow, OpenCV or torch for the rest of the process."""
    script = """
import cv2, torch
from PIL import Image
names = [(Image, "open"), (cv2, "imread"), (cv2, "imwrite"), (cv2, "imdecode"), (torch, "load"), (torch, "save")]
before = [getattr(library, name) for library, name in names]
import components.training.stage1
changed = [name for (library, name), old in zip(names, before) if getattr(library, name) is not old]
assert not changed, changed
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=PROJECT_ROOT)


def test_foreign_memory_is_touched_in_one_place() -> None:
    """Only the adapter of libjpeg-turbo calls a shared library by hand."""
    assert importers("components", "ctypes") == {"components/imaging/turbojpeg.py"}
    assert importers("flows", "ctypes") == set()


@pytest.mark.parametrize("library", ["pickle", "dill", "cloudpickle", "joblib", "shelve"])
def test_nothing_is_unpickled(library: str) -> None:
    """No module imports a library whose files can run code when they are read."""
    assert importers("components", library) == importers("flows", library) == set()


def test_every_requirement_is_pinned_with_a_hash() -> None:
    """Each entry of the lock has one exact version and at least one sha256."""
    assert len(requirements()) > 100


def test_the_lock_holds_what_the_project_asks_for() -> None:
    """Every dependency of the project and of its development is in the lock."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[^A-Za-z0-9._-]", wish)[0].lower().replace("_", "-") for wish in asked}
    assert names - set(requirements()) == set()
    assert len(names) > 30


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml", "Makefile"])
@pytest.mark.parametrize(
    "trace",
    [
        r"[a-z]+\+?(https?|ssh)://",
        r"https?://(?!127\.0\.0\.1|localhost)",
        r"\b(pypi\.org|pythonhosted\.org|download\.pytorch\.org|anaconda\.org|huggingface\.co)",
        r"--?(extra-|default-)?index(-url)?\b",
        r"--find-links|--trusted-host",
        r"\[\[?tool\.uv\.(index|sources)",
        r"@ (file|git)",
    ],
)
def test_no_place_to_download_from_is_written_down(name: str, trace: str) -> None:
    """Where packages come from is the installer's setting: no address, index or link stands in these files."""
    assert not re.search(trace, (PROJECT_ROOT / name).read_text(encoding="utf-8"))


def test_the_lock_without_torch_lacks_torch_and_its_cuda_libraries_alone() -> None:
    """`make env TORCH=cpu` takes every other requirement, with its hashes, from the same lock."""
    lock = (PROJECT_ROOT / "requirements.lock").read_text(encoding="utf-8")
    command = [PROJECT_ROOT / "scripts" / "lock-without-torch", PROJECT_ROOT / "requirements.lock"]
    kept = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = [set(re.findall(r"^([a-z0-9][a-z0-9._-]*)==", text, re.MULTILINE)) for text in (lock, kept)]
    removed = names[0] - names[1]
    assert {"torch", "torchvision"} <= removed
    assert all(re.match(r"(torch|torchvision|triton|nvidia-.*|cuda-.*)$", name) for name in removed), removed
    assert not {name for name in names[1] if name.startswith(("nvidia-c", "cuda-")) or name == "triton"}
    assert kept.count("--hash=") > 1000
