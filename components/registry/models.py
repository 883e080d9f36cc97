"""The adapter to MLflow: registered versions of the detector, their tags and aliases."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.detection.bundle import Bundle, ModelFile
from components.errors import ModelError, StreetveilError
from components.settings import Environment

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION, PREVIOUS, CHALLENGER = "champion", "previous", "challenger"
REPORT_FOLDER = "evaluation"  # of a run's artifacts
_ATTACHED_FOLDER = "attached"
_EXPERIMENT = "streetveil"
_PYFUNC_CODE = Path(__file__).with_name("pyfunc_model.py")
_FILE_TAGS = ("detector", "architecture", "classes", "role", "sha256", "source", "licence")


class AlreadyThereError(StreetveilError):
    """Something of the name is in the registry already."""


@dataclass(frozen=True, slots=True)
class Registry:
    """Where models are registered.

    Attributes:
        name: the registered model's name.
        tracking_uri: MLflow's store, such as "sqlite:///mlruns/mlflow.db" or a server's address.
        artifacts: where a new experiment puts its files; None leaves it to the server.
    """

    name: str
    tracking_uri: str
    artifacts: str | None = None

    @classmethod
    def of(cls, name: str, environment: Environment | None = None) -> Registry:
        """The registry that the environment names."""
        environment = environment or Environment()
        remote = environment.mlflow_tracking_uri.startswith("http")
        return cls(name, environment.mlflow_tracking_uri, None if remote else environment.mlflow_artifacts)

    def is_empty(self) -> bool:
        """Whether nothing was ever registered under the name."""
        with _answering(self.tracking_uri):
            return not self._client().search_registered_models(filter_string=f"name = '{self.name}'")

    def register(
        self, files: Sequence[ModelFile], alias: str | None = None, description: str = "",
        tags: Mapping[str, str] | None = None, artifacts: Sequence[tuple[Path, str]] = (),
    ) -> str:  # fmt: skip
        """Store files as a new version, which is there as a whole or not at all.

        Args:
            files: the networks; each is verified against its hash and copied.
            alias: an alias for the new version, such as "champion".
            description: what a reviewer reads first.
            tags: what else is to be known of the version.
            artifacts: files or folders that are kept beside it, each with the folder that they go to.

        Returns:
            The new version.

        Raises:
            ModelError: a file is missing or differs from its hash, or two have one name.
        """
        names = [file.path.name for file in files]
        if len(set(names)) < len(names):
            raise ModelError(f"two of the files {', '.join(names)} have one name, by which they are stored; rename one")
        mlflow = _mlflow(self.tracking_uri)
        client = self._client()
        for file in files:
            file.read()
        with mlflow.start_run(experiment_id=self._experiment(client), run_name=f"register {self.name}") as run:
            info = self._log(files)
            for path, folder in artifacts:
                (client.log_artifacts if path.is_dir() else client.log_artifact)(run.info.run_id, str(path), folder)
        if self.is_empty():
            client.create_registered_model(self.name, description="Finds faces and licence plates in street imagery.")
        of_files = {f"{file.path.name}.{tag}": getattr(file, tag) for file in files for tag in _FILE_TAGS}
        version = client.create_model_version(
            self.name,
            info.model_uri,
            run.info.run_id,
            tags={**of_files, **(tags or {})},
            description=description,
            model_id=info.model_id,
        ).version
        if alias:
            client.set_registered_model_alias(self.name, alias, version)
        return str(version)

    def bundle(self, wanted: str) -> Bundle:
        """The files of a version, on this machine.

        Args:
            wanted: an alias, or the version's number.

        Raises:
            StreetveilError: there is no such version, or the registry cannot be reached.
            ModelError: the version's files cannot be fetched, or its tags do not describe them.
        """
        mlflow = _mlflow(self.tracking_uri)
        version = self._version(wanted)
        try:
            folder = Path(mlflow.artifacts.download_artifacts(f"models:/{self.name}/{version.version}"))
        except (mlflow.exceptions.MlflowException, OSError) as error:
            raise ModelError(
                f"the files of {self.name} version {version.version} cannot be fetched ({error})"
            ) from error
        return Bundle(self.name, str(version.version), _files_of(version.tags, folder))

    def set_alias(self, alias: str, version: str) -> None:
        """Point an alias at a version."""
        self._client().set_registered_model_alias(self.name, alias, version)

    def aliases(self) -> dict[str, str]:
        """Every alias with the number of the version that it points at; none where nothing is registered."""
        with self.connected(f"the aliases of {self.name} cannot be read") as client:
            models = client.search_registered_models(filter_string=f"name = '{self.name}'")
            return {alias: str(version) for model in models for alias, version in model.aliases.items()}

    @contextlib.contextmanager
    def connected(self, doing: str) -> Iterator[MlflowClient]:
        """MLflow's client, whose errors are told in one line.

        Args:
            doing: what is done with it, such as "version 3 cannot be read".

        Raises:
            AlreadyThereError: what is to be made has been made already.
            StreetveilError: anything else that MLflow cannot do.
        """
        mlflow = _mlflow(self.tracking_uri)
        try:
            yield self._client()
        except (mlflow.exceptions.MlflowException, OSError) as error:
            kind = (
                AlreadyThereError if getattr(error, "error_code", "") == "RESOURCE_ALREADY_EXISTS" else StreetveilError
            )
            cause = (str(error).splitlines() or [type(error).__name__])[0]
            raise kind(f"{doing} ({cause}); see whether the registry answers, then try again") from error

    def log_report(self, version: str, folder: Path, names: Sequence[str], figures: Mapping[str, float]) -> None:
        """Put an evaluation's files and figures beside a version, into the run that it was registered by.

        Args:
            version: its number.
            folder: where the files lie.
            names: of the files; they must show nobody.
            figures: by name, for MLflow's own tables and charts.

        Raises:
            StreetveilError: the registry does not take them.
        """
        mlflow, client = _mlflow(self.tracking_uri), self._client()
        try:
            run_id = self._version(version).run_id
            for name in names:
                client.log_artifact(run_id, str(folder / name), REPORT_FOLDER)
            for key, value in figures.items():
                client.log_metric(run_id, key, value)
        except (mlflow.exceptions.MlflowException, OSError) as error:
            raise StreetveilError(
                f"the report cannot be logged to version {version} of {self.name} ({error}); "
                "it lies in its folder, use --no-log-to-mlflow to leave it there"
            ) from error

    def version_of(self, wanted: str) -> str:
        """The number of the version that an alias or a number names.

        Raises:
            StreetveilError: there is no such version.
        """
        return str(self._version(wanted).version)

    def attach(self, version: str, file: Path) -> None:
        """Let a file travel with a version, by its name; one of the same name is replaced.

        Args:
            version: its number, or an alias.
            file: it must show nobody.

        Raises:
            StreetveilError: there is no such version, or the registry does not take the file.
        """
        mlflow, client = _mlflow(self.tracking_uri), self._client()
        entry = self._version(version)
        try:
            client.log_artifact(entry.run_id, str(file), _ATTACHED_FOLDER)
        except (mlflow.exceptions.MlflowException, OSError) as error:
            raise StreetveilError(
                f"{file.name} cannot be attached to version {version} of {self.name} ({error}); "
                "see whether the registry can be written to, then try again"
            ) from error

    def fetch(self, version: str, name: str) -> Path | None:
        """A file that travels with a version, on this machine; None if there is none of the name.

        Args:
            version: its number, or an alias.
            name: as it was attached.

        Raises:
            StreetveilError: there is no such version, or the file is listed and cannot be fetched.
        """
        mlflow, client = _mlflow(self.tracking_uri), self._client()
        run_id, path = self._version(version).run_id, f"{_ATTACHED_FOLDER}/{name}"
        try:
            if path not in {entry.path for entry in client.list_artifacts(run_id, _ATTACHED_FOLDER)}:
                return None
            return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path))
        except (mlflow.exceptions.MlflowException, OSError) as error:
            raise StreetveilError(
                f"{name} of version {version} of {self.name} cannot be fetched ({error}); attach it again"
            ) from error

    def _version(self, wanted: str) -> Any:
        """MLflow's entry of a version, by alias or number."""
        mlflow, client = _mlflow(self.tracking_uri), self._client()
        try:
            with _answering(self.tracking_uri):
                if wanted.isdecimal():
                    return client.get_model_version(self.name, wanted)
                return client.get_model_version_by_alias(self.name, wanted)
        except mlflow.exceptions.MlflowException as error:
            what = f"version {wanted}" if wanted.isdecimal() else f"@{wanted}"
            raise StreetveilError(
                f"no {what} of {self.name} in {self.tracking_uri}: run `streetveil bootstrap` or promote a version"
            ) from error

    def _client(self) -> MlflowClient:
        if self.tracking_uri.startswith("sqlite:///"):
            Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        return _mlflow(self.tracking_uri).MlflowClient(self.tracking_uri)

    def _experiment(self, client: MlflowClient) -> str:
        experiment = client.get_experiment_by_name(_EXPERIMENT)
        return experiment.experiment_id if experiment else client.create_experiment(_EXPERIMENT, self.artifacts)

    def _log(self, files: Sequence[ModelFile]) -> Any:
        mlflow = _mlflow(self.tracking_uri)
        import numpy as np
        from mlflow.types import Schema, TensorSpec

        signature = mlflow.models.ModelSignature(
            inputs=Schema([TensorSpec(np.dtype(np.uint8), (-1, -1, 3))]),
            outputs=Schema([TensorSpec(np.dtype(np.float32), (-1, 6))]),
        )
        # MLflow advises on stderr, past all warning filters, to infer a signature; it is given above.
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            # Copies: MLflow would otherwise keep the installed packages' paths in the version.
            copies = {file.path.name: shutil.copy(file.path, folder) for file in files}
            return mlflow.pyfunc.log_model(
                name="detector",
                python_model=str(_PYFUNC_CODE),
                artifacts=copies,
                signature=signature,
                pip_requirements=[],
                model_config={
                    file.path.name: [file.detector, file.architecture, file.classes, file.role] for file in files
                },
            )


@contextlib.contextmanager
def _answering(tracking_uri: str) -> Iterator[None]:
    """A server that does not let us in, or is not there, is told as such and not as a model that is missing."""
    mlflow = _mlflow(tracking_uri)
    try:
        yield
    except mlflow.exceptions.MlflowException as error:
        code = error.error_code
        if code in ("UNAUTHENTICATED", "PERMISSION_DENIED"):
            raise StreetveilError(
                f"the registry at {tracking_uri} does not let us in ({code.lower()}): set MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD of a user who may read and write its models, see docs/deploy.md"
            ) from error
        if code == "INTERNAL_ERROR" and tracking_uri.startswith("http"):
            cause = str(error).splitlines()[0]
            raise StreetveilError(
                f"the registry at {tracking_uri} does not answer ({cause}): start its server, or set "
                "MLFLOW_TRACKING_URI to another"
            ) from error
        raise


def _files_of(tags: dict[str, str], folder: Path) -> tuple[ModelFile, ...]:
    names = sorted(key.removesuffix(".sha256") for key in tags if key.endswith(".sha256"))
    if not names:
        raise ModelError(f"the version's tags name no file with a sha256 (in {folder}); register it with streetveil")
    try:
        told = [(name, {tag: tags[f"{name}.{tag}"] for tag in _FILE_TAGS}) for name in names]
        return tuple(ModelFile(path=_find(folder, name), **values) for name, values in told)  # type: ignore[arg-type]
    except KeyError as error:
        raise ModelError(f"the version lacks the tag {error}; register it with streetveil") from error


def _find(folder: Path, name: str) -> Path:
    return next(folder.rglob(name), folder / "artifacts" / name)


def _mlflow(tracking_uri: str) -> Any:
    """MLflow, imported when it is first needed (seconds), silent and without telemetry."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import logging

    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_registry_uri(tracking_uri)
    return mlflow
