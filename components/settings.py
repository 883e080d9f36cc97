"""`params.yaml` and the environment, each read once into frozen models.

Tunable numbers stand in `params.yaml`, and their hash goes into every manifest. Addresses, folders and secrets come
from the environment (`STREETVEIL_*`, `MLFLOW_TRACKING_URI`).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from components.errors import StreetveilError

PROJECT_ROOT = Path(__file__).resolve().parents[1]

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class Frozen(BaseModel):
    """A model that cannot be changed and knows no other keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ClassRule(Frozen):
    """When an object of one class is blurred, and how far beyond its box."""

    threshold: Share
    min_px: NotNegative
    dilation: Share


class Obfuscation(Frozen):
    """How an area is hidden. The bounds are the safety floor; `docs/privacy.md` has what was measured for them."""

    method: Literal["gaussian", "mosaic", "solid"]
    base: Literal["neutral", "surroundings"]
    cells: Annotated[int, Field(ge=1, le=5)]
    cell_contrast: Share = 0
    accept_reidentification: bool = False
    cell_noise_std: Annotated[float, Field(ge=25, le=128)]
    blur_sigma_px: NotNegative
    blur_sigma_at_px: Count
    blur_sigma_share: Annotated[float, Field(ge=0.1, le=1)]
    pixel_noise_std: Annotated[float, Field(ge=0, le=32)]
    ramp_share: Annotated[float, Field(ge=0, le=0.5)]

    @model_validator(mode="after")
    def _nothing_is_left_by_accident(self) -> Obfuscation:
        if self.cell_contrast and not self.accept_reidentification:
            raise ValueError(
                f"cell_contrast: {self.cell_contrast} leaves enough of an object to tell it from 200 others; set it "
                "to 0, or set accept_reidentification: true"
            )
        return self


class Region(Frozen):
    """The rules of one jurisdiction: which objects are blurred, from which confidence, how strongly."""

    classes: Annotated[tuple[Literal["face", "license_plate"], ...], Field(min_length=1)]
    face: ClassRule
    license_plate: ClassRule
    obfuscation: Obfuscation

    def rule(self, class_name: str) -> ClassRule:
        """The rule for a class by its name."""
        rules = {"face": self.face, "license_plate": self.license_plate}
        return rules[class_name]


class Reading(Frozen):
    """Bounds on what is decoded at all."""

    max_file_mib: Positive
    max_megapixels: Positive
    max_side_px: Count
    treat_2_to_1_as_panorama: bool


class Verification(Frozen):
    """How outputs are looked at again before they are published."""

    redetect_share: Share


class Encoding(Frozen):
    """How outputs are written. A TIFF gets no thumbnail."""

    thumbnail_px: Annotated[int, Field(ge=0, le=512)]


class Panorama(Frozen):
    """How a picture of 360° is continued over its seam, and how it is looked at towards the poles."""

    seam_overlap_share: Share
    views_per_pole: Annotated[int, Field(ge=3)]
    pitch_deg: Annotated[float, Field(gt=0, lt=90)]
    fov_deg: Annotated[float, Field(gt=0, le=120)]

    @model_validator(mode="after")
    def _views_leave_no_gap(self) -> Panorama:
        if self.pitch_deg + self.fov_deg / 2 < 90:
            raise ValueError("pitch_deg plus half of fov_deg must reach the pole, 90")
        # Half of the longitude that a view's side next to the horizon spans; see components/detection/panorama.py.
        pitch, half_side = math.radians(self.pitch_deg), math.tan(math.radians(self.fov_deg / 2))
        half_deg = math.degrees(math.atan2(half_side, math.cos(pitch) + half_side * math.sin(pitch)))
        if self.views_per_pole * half_deg < 180:
            raise ValueError("views_per_pole must be more, or fov_deg larger: neighbouring views leave a gap")
        return self


class Detection(Frozen):
    """How pictures are shown to the detectors."""

    proposal_threshold: Share
    merge_iou: Annotated[float, Field(gt=0, le=1)]
    tile_px: dict[str, Annotated[int, Field(ge=64)]]
    tile_overlap_px: Annotated[int, Field(ge=0)]
    panorama: Panorama

    @model_validator(mode="after")
    def _tiles_move_on(self) -> Detection:
        if any(self.tile_overlap_px * 2 > px for px in self.tile_px.values()):
            raise ValueError("tile_overlap_px must be at most half of every tile_px")
        return self


class Batch(Frozen):
    """How a day is cut up, and how patient a run is with one image."""

    shard_size: Count
    max_attempts: Count
    image_timeout_s: Positive
    shard_timeout_s: Positive
    worker_memory_mib: Count
    min_published_share: Share


class PositiveWeight(Frozen):
    """How many times more a missed object of each class costs than a false one."""

    face: Positive
    license_plate: Positive


class Augmentation(Frozen):
    """How training pictures are varied; every epoch's variations follow from the seed."""

    mosaic_share: Share
    last_epochs_without_mosaic: Annotated[int, Field(ge=0)]
    scale_share: Annotated[float, Field(ge=0, lt=1)]
    translate_share: Share
    rotation_deg: Annotated[float, Field(ge=0, le=180)]
    shear_deg: Annotated[float, Field(ge=0, le=60)]
    perspective: Annotated[float, Field(ge=0, le=0.001)]
    mirrored_share: Share
    hue_share: Share
    saturation_share: Share
    brightness_share: Share


class CheckpointChoice(Frozen):
    """Which epoch's weights are kept."""

    lowest_threshold: Share
    max_pixel_fpr: Share


class Training(Frozen):
    """How stage 1 is trained. Numbers of the network's own kind are in the training library's units."""

    architecture: str
    image_px: Annotated[int, Field(ge=64)]
    epochs: Count
    batch_size: Count
    seed: Annotated[int, Field(ge=0)]
    learning_rate: Positive
    last_learning_rate_share: Annotated[float, Field(gt=0, le=1)]
    weight_decay: NotNegative
    warmup_epochs: NotNegative
    positive_weight: PositiveWeight
    focal_gamma: NotNegative
    focal_floor: Share
    ignore_unlabelled: bool
    augmentation: Augmentation
    choice: CheckpointChoice


class Registration(Frozen):
    """The name under which models are registered."""

    model_name: str


class LabelledSet(Frozen):
    """A set of labelled pictures, and what its labels do not say of themselves. Paths start at the project's folder."""

    name: Annotated[str, Field(min_length=1)]
    format: Literal["ccpd", "coco", "labels_json", "open_images", "voc", "wider_face", "yolo"]
    pictures: str
    labels: str | None = None
    classes: dict[str, Literal["face", "license_plate"] | None] = {}
    exhaustive: tuple[Literal["face", "license_plate"], ...] = ()
    mostly_is_exhaustive: bool = False
    region: str | None = None
    part: Literal["test"] | None = None
    video_pattern: str | None = None
    compare_looks: bool = True

    @model_validator(mode="after")
    def _video_pattern_names_a_video(self) -> LabelledSet:
        if self.video_pattern is not None:
            try:
                names = re.compile(self.video_pattern).groupindex
            except re.error as error:
                raise ValueError(f"video_pattern: {error}") from error
            if "video" not in names:
                raise ValueError("video_pattern: needs a group (?P<video>…)")
        return self


class Dataset(Frozen):
    """Which labelled pictures there are, and how they are split."""

    folder: str | None
    sets: tuple[LabelledSet, ...]
    stand_in_sets: tuple[LabelledSet, ...]
    test_share: Share
    val_share: Share
    duplicate_bits: Annotated[int, Field(ge=0, le=31)]
    dark_luma: Annotated[float, Field(ge=0, le=255)]

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Dataset:
        if self.test_share + self.val_share >= 1:
            raise ValueError("test_share and val_share must leave something to train on")
        return self


class Daily(Frozen):
    """What the nightly run reads and writes when it is started without parameters."""

    source: str
    destination: str
    region: str


class Params(Frozen):
    """All of `params.yaml`."""

    default_region: str
    regions: dict[str, Region]
    reading: Reading
    encoding: Encoding
    verification: Verification
    detection: Detection
    batch: Batch
    training: Training
    registry: Registration
    dataset: Dataset
    daily: Daily

    @model_validator(mode="after")
    def _regions_exist(self) -> Params:
        for key, name in (("default_region", self.default_region), ("daily.region", self.daily.region)):
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
        """Hash of every value, whatever the order or comments of the file."""
        canonical = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class Environment(BaseSettings):
    """What differs between machines, from environment variables."""

    model_config = SettingsConfigDict(env_prefix="STREETVEIL_", frozen=True, extra="ignore")

    params: Path = PROJECT_ROOT / "params.yaml"
    keys_dir: Path = Path.home() / ".local" / "state" / "streetveil" / "keys"
    mlflow_tracking_uri: str = Field(
        default=f"sqlite:///{PROJECT_ROOT / 'mlruns' / 'mlflow.db'}", validation_alias="MLFLOW_TRACKING_URI"
    )
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
