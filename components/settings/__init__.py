"""`params.yaml` and the environment, each read once into frozen models.

Tunable numbers stand in `params.yaml`, and the hash of those that decide a blur goes into every manifest. Addresses,
folders and secrets come from the environment (`STREETVEIL_*`, `MLFLOW_TRACKING_URI`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path

import yaml
from pydantic import AliasChoices, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from components.errors import StreetveilError
from components.settings.base import Count, Frozen, NotNegative, Positive, Share
from components.settings.blurring import ClassRule, Encoding, Obfuscation, Reading, Region, Verification
from components.settings.capacity import Capacity
from components.settings.dataset import Dataset, LabelledSet
from components.settings.detection import Detection, Panorama, PerClass, PixelsPerClass, SafetyCheck, Scales
from components.settings.drift import Drift, LeastDistance
from components.settings.gate import SLICES, Gate, Gates, Metric, bound_of
from components.settings.gpu import Gpu
from components.settings.labelling import Budgets, Labelling
from components.settings.monitoring import Monitoring
from components.settings.policies import Box, ExemptionLimits, Policies, PolicyRule
from components.settings.retraining import Backfill, Retraining, Shadow
from components.settings.running import Batch, Daily, Registration
from components.settings.service import ServiceLimits, UserReports
from components.settings.training import (
    CheckpointChoice,
    Light,
    Optimisation,
    PositiveWeight,
    Profile,
    Sweep,
    Teachers,
    Training,
    Views,
)
from components.settings.verifier import FAMILIES, Continued, CropVariation, Family, ProposalExamples, VerifierTraining
from components.settings.video import Encoder, Video

__all__ = [
    "FAMILIES",
    "PROJECT_ROOT",
    "SLICES",
    "Backfill",
    "Batch",
    "Box",
    "Budgets",
    "Capacity",
    "CheckpointChoice",
    "ClassRule",
    "Continued",
    "Count",
    "CropVariation",
    "Daily",
    "Dataset",
    "Detection",
    "Drift",
    "Encoder",
    "Encoding",
    "Environment",
    "ExemptionLimits",
    "Family",
    "Frozen",
    "Gate",
    "Gates",
    "Gpu",
    "LabelledSet",
    "Labelling",
    "LeastDistance",
    "Light",
    "Metric",
    "Monitoring",
    "NotNegative",
    "Obfuscation",
    "Optimisation",
    "Panorama",
    "Params",
    "PerClass",
    "PixelsPerClass",
    "Policies",
    "PolicyRule",
    "Positive",
    "PositiveWeight",
    "Profile",
    "ProposalExamples",
    "Reading",
    "Region",
    "Registration",
    "Retraining",
    "SafetyCheck",
    "Scales",
    "ServiceLimits",
    "Shadow",
    "Share",
    "Sweep",
    "Teachers",
    "Training",
    "UserReports",
    "Verification",
    "VerifierTraining",
    "Video",
    "Views",
    "bound_of",
    "load_params",
]

PROJECT_ROOT = Path(__file__).resolve().parents[2]

# They decide which model there is, who is served, how fast a machine is, or what becomes of videos, which have no
# manifest; not what a model and a region do to a picture: a manifest names the model's version beside them.
_OF_TRAINING = {
    "training", "verifier", "optimisation", "sweep", "profiles", "dataset", "labelling", "gate", "retraining",
    "shadow", "backfill", "drift", "monitoring", "video", "service", "reports", "capacity", "gpu",
}  # fmt: skip


class Params(Frozen):
    """All of `params.yaml`."""

    default_region: str
    regions: dict[str, Region]
    policies: Policies
    exemptions: ExemptionLimits
    reading: Reading
    encoding: Encoding
    verification: Verification
    detection: Detection
    batch: Batch
    gpu: Gpu
    training: Training
    verifier: VerifierTraining
    optimisation: Optimisation
    sweep: Sweep
    profiles: dict[str, Profile]
    registry: Registration
    dataset: Dataset
    labelling: Labelling
    gate: Gates
    daily: Daily
    retraining: Retraining
    shadow: Shadow
    backfill: Backfill
    drift: Drift
    monitoring: Monitoring
    video: Video
    service: ServiceLimits
    reports: UserReports
    capacity: Capacity

    @model_validator(mode="after")
    def _regions_exist(self) -> Params:
        named = {"default_region": self.default_region, "daily.region": self.daily.region or self.default_region}
        named |= {f"labelling.region_retention_days.{name}": name for name in self.labelling.region_retention_days}
        named |= {f"policies.rules.{i}.region": rule.region for i, rule in enumerate(self.policies.rules)}
        for key, name in named.items():
            if name not in self.regions:
                raise ValueError(f"{key}: no region {name!r}; there are {', '.join(sorted(self.regions))}")
        for name, region in self.regions.items():
            for class_name, rule in (("face", region.face), ("license_plate", region.license_plate)):
                if rule.threshold < self.detection.proposal_threshold:
                    raise ValueError(
                        f"regions.{name}.{class_name}.threshold: {rule.threshold} is below "
                        f"detection.proposal_threshold ({self.detection.proposal_threshold}); lower that first"
                    )
        return self

    @model_validator(mode="after")
    def _doubt_has_a_region(self) -> Params:
        """Checked here, so that no picture of a night can meet it."""
        possible = {self.default_region, *(rule.region for rule in self.policies.rules)}
        if self.policies.ask_for_places and self._as_strict_as_all(possible) is None:
            raise ValueError(
                f"policies.rules: no region is as strict as each of {', '.join(sorted(possible))} in every key, so a "
                "picture whose place is unknown has none; add such a region to regions, or make one of them so"
            )
        return self

    def region_words(self, given: str | None) -> str:
        """Whose rules apply where a run or the service was given a region, or none."""
        return given or ("by the policies" if self.policies.rules else self.default_region)

    def strictest(self, names: Collection[str]) -> str:
        """The region for a picture that may belong to any of these.

        One of them if it is as strict as the others; else the first of all regions that is.

        Raises:
            StreetveilError: there is no such region; never for regions that the policies name.
        """
        found = self._as_strict_as_all(names)
        if found is None:
            raise StreetveilError(f"no region is as strict as each of {', '.join(sorted(names))}: add one to regions")
        return found

    def _as_strict_as_all(self, names: Collection[str]) -> str | None:
        ordered = [*(name for name in self.regions if name in names), *self.regions]
        return next(
            (
                name
                for name in ordered
                if all(self.regions[name].is_as_strict_as(self.regions[other]) for other in names)
            ),
            None,
        )

    def of_profile(self, name: str) -> Params:
        """The settings with what a profile changes.

        Raises:
            StreetveilError: there is no such profile.
        """
        if name not in self.profiles:
            raise StreetveilError(f"no profile {name!r} in params.yaml; there are {', '.join(self.profiles)}")
        profile = self.profiles[name]
        training = {"epochs": profile.epochs, "canvas_px": profile.canvas_px}
        changes = {
            "training": self.training.model_copy(update=training),
            "sweep": self.sweep.model_copy(update={"images": profile.short_images}),
            "optimisation": self.optimisation.model_copy(update={"images": profile.short_images}),
            "dataset": self.dataset.model_copy(update={"folder": None}) if profile.stand_in else self.dataset,
        }
        return self.model_copy(update=changes)

    def region(self, name: str | None) -> tuple[str, Region]:
        """A region and its name; `None` is the default one.

        Raises:
            StreetveilError: there is no such region.
        """
        chosen = name or self.default_region
        if chosen not in self.regions:
            raise StreetveilError(
                f"no region {chosen!r} in params.yaml: choose one of {', '.join(sorted(self.regions))}"
            )
        return chosen, self.regions[chosen]

    def sha256(self) -> str:
        """Hash of every value that decides what becomes of a picture, whatever the order or comments of the file."""
        values = self.model_dump(mode="json", exclude=_OF_TRAINING)
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class Environment(BaseSettings):
    """What differs between machines, from environment variables."""

    model_config = SettingsConfigDict(env_prefix="STREETVEIL_", frozen=True, extra="ignore")

    params: Path = PROJECT_ROOT / "params.yaml"
    keys_dir: Path = Path.home() / ".local" / "state" / "streetveil" / "keys"
    mlflow_tracking_uri: str = Field(
        default=f"sqlite:///{PROJECT_ROOT / 'mlruns' / 'mlflow.db'}", validation_alias="MLFLOW_TRACKING_URI"
    )
    aws_endpoint_url: str = Field(default="", validation_alias=AliasChoices("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    api_tokens: SecretStr = SecretStr("")
    api_tokens_file: Path | None = None
    reports: Path = PROJECT_ROOT / "data" / "user_reports.sqlite"
    metrics_dir: Path | None = None
    log_json: bool = False
    exemptions: Path = PROJECT_ROOT / "data" / "exemptions.jsonl"
    mlflow_artifacts: str = Field(default=str(PROJECT_ROOT / "mlruns"), validation_alias="STREETVEIL_MLFLOW_ARTIFACTS")


def load_params(path: Path | None = None) -> Params:
    """Read `params.yaml`.

    Raises:
        StreetveilError: the file is missing, is not YAML, or has an unknown or impossible value; the message names it.
    """
    path = path or Environment().params
    try:
        return Params.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise StreetveilError(
            f"cannot read {path}: {error.strerror}; set STREETVEIL_PARAMS to a params.yaml"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StreetveilError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise StreetveilError(f"{path.name}: {_explain(error)}") from error


def _explain(error: ValidationError) -> str:
    """Each wrong key with what is wrong about it, in one line."""
    return "; ".join(
        ": ".join(part for part in (".".join(str(step) for step in fault["loc"]), fault["msg"]) if part)
        for fault in error.errors(include_url=False)
    )
