"""Settings that could weaken the blur are refused, in one line that names the key."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from components.errors import StreetveilError
from components.settings import PROJECT_ROOT, Environment, Params, load_params

SHIPPED: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "params.yaml").read_text(encoding="utf-8"))


def changed(key: str, value: object) -> dict[str, Any]:
    """The shipped settings with one value changed."""
    values = copy.deepcopy(SHIPPED)
    *folders, last = key.split(".")
    place = values
    for folder in folders:
        place = place[folder]
    place[last] = value
    return values


def written(folder: Path, values: object) -> Path:
    """A params.yaml of its own."""
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with its value."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def test_the_shipped_settings_are_valid() -> None:
    """The file in the repository loads, and its default region is the strictest."""
    params = load_params(PROJECT_ROOT / "params.yaml")
    name, strict = params.region(None)
    assert name == "strict"
    for region in params.regions.values():
        for class_name in ("face", "license_plate"):
            assert strict.rule(class_name).threshold <= region.rule(class_name).threshold
            assert strict.rule(class_name).min_px <= region.rule(class_name).min_px
            assert strict.rule(class_name).dilation >= region.rule(class_name).dilation
        assert region.obfuscation.cell_contrast == 0
        assert set(region.classes) <= set(strict.classes) == {"face", "license_plate"}
        assert strict.obfuscation.cells <= region.obfuscation.cells
        assert strict.obfuscation.cell_noise_std >= region.obfuscation.cell_noise_std


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("regions.eu.obfuscation.cells", 6),
        ("regions.eu.obfuscation.cells", 0),
        ("regions.eu.obfuscation.cells", 4.5),
        ("regions.eu.obfuscation.cell_noise_std", 24.9),
        ("regions.eu.obfuscation.cell_noise_std", float("nan")),
        ("regions.eu.obfuscation.blur_sigma_px", -1),
        ("regions.eu.obfuscation.blur_sigma_share", 0.09),
        ("regions.eu.obfuscation.blur_sigma_share", 1.1),
        ("regions.eu.obfuscation.pixel_noise_std", -1),
        ("regions.eu.obfuscation.method", "blur"),
        ("regions.eu.obfuscation.base", "black"),
        ("regions.eu.obfuscation.cell_contrast", -0.1),
        ("regions.eu.obfuscation.ramp_share", 0.6),
        ("regions.eu.obfuscation.blur_sigma_at_px", 0),
        ("regions.eu.classes", []),
        ("regions.eu.classes", ["face", "dog"]),
        ("regions.eu.face.threshold", 1.1),
        ("regions.eu.face.threshold", -0.1),
        ("regions.eu.face.threshold", float("nan")),
        ("regions.eu.license_plate.threshold", float("nan")),
        ("regions.eu.face.min_px", -1),
        ("regions.eu.face.min_px", float("nan")),
        ("regions.eu.face.dilation", -0.1),
        ("regions.eu.face.dilation", float("nan")),
        ("regions.eu.license_plate.dilation", 1.5),
        ("reading.max_file_mib", 0),
        ("reading.max_megapixels", -1),
        ("reading.max_megapixels", float("nan")),
        ("reading.max_side_px", 0),
        ("encoding.thumbnail_px", -1),
        ("verification.redetect_share", 1.1),
        ("detection.proposal_threshold", float("nan")),
        ("detection.merge_iou", 0),
        ("detection.merge_iou", 1.1),
        ("detection.tile_px.platedet", 63),
        ("detection.tile_overlap_px", -1),
        ("training.positive_weight.face", 0),
        ("training.focal_floor", 1.1),
        ("training.image_px", 63),
        ("training.canvas_px", 100),
        ("training.canvas_px", 32),
        ("training.views.perspective", 0.51),
        ("training.views.rotation_deg", 46),
        ("training.views.light.night_share", 1.1),
        ("training.teachers.sure_from", 1.1),
        ("training.teachers.box_weight", -0.1),
        ("sweep.positive_weights", [5]),
        ("sweep.positive_weights", [1, 0]),
        ("sweep.epochs", 0),
        ("sweep.images", 0),
        ("sweep.learning_rate", 0),
        ("optimisation.pruned_share", 0),
        ("optimisation.pruned_share", 1),
        ("optimisation.epochs", 0),
        ("optimisation.calibration_images", 0),
        ("profiles.full.canvas_px", 100),
        ("profiles.full.epochs", -1),
        ("profiles.rendered.short_images", 0),
        ("profiles.rendered.stand_in", "perhaps"),
        ("profiles.rendered.seed", 3),
        ("dataset.test_share", 1.1),
        ("dataset.duplicate_bits", 32),
        ("batch.shard_size", 0),
        ("batch.max_attempts", 0),
        ("batch.image_timeout_s", 0),
        ("batch.min_published_share", 1.01),
        ("regions.eu.face", {"threshold": 0.2}),
        ("regions.eu.face.threshold", "high"),
        ("regions.eu.face.thresold", 0.3),
        ("detection.tiles", 3),
        ("regoins", {}),
    ],
)
def test_an_impossible_value_is_refused_by_its_name(tmp_path: Path, key: str, value: object) -> None:
    """Too little hiding, numbers that are none, unknown and missing keys: one line that says where."""
    with pytest.raises(StreetveilError) as raised:
        load_params(written(tmp_path, changed(key, value)))
    message = str(raised.value)
    assert message.startswith("params.yaml: ")
    assert key in message
    assert "\n" not in message


def test_the_floor_itself_is_allowed(tmp_path: Path) -> None:
    """Five cells, noise of 25 and a blur of a tenth are the weakest hiding that loads."""
    values = changed("regions.eu.obfuscation", {**SHIPPED["regions"]["eu"]["obfuscation"], "cells": 5})
    values["regions"]["eu"]["obfuscation"].update(cell_noise_std=25, blur_sigma_share=0.1)
    hiding = load_params(written(tmp_path, values)).regions["eu"].obfuscation
    assert (hiding.cells, hiding.cell_noise_std, hiding.blur_sigma_share) == (5, 25, 0.1)


@pytest.mark.parametrize("class_name", ["face", "license_plate"])
def test_a_threshold_below_what_is_proposed_is_refused(tmp_path: Path, class_name: str) -> None:
    """A region cannot ask for objects that the detectors were told to leave out; equal is allowed."""
    key = f"regions.us.{class_name}.threshold"
    lowest = SHIPPED["detection"]["proposal_threshold"]
    assert load_params(written(tmp_path, changed(key, lowest)))
    with pytest.raises(StreetveilError, match=rf"{key}.*proposal_threshold"):
        load_params(written(tmp_path, changed(key, lowest - 0.01)))


def test_tiles_must_move_on(tmp_path: Path) -> None:
    """An overlap of half a tile is the largest that is allowed, for every detector."""
    assert load_params(written(tmp_path, changed("detection.tile_overlap_px", 320)))
    with pytest.raises(StreetveilError, match="tile_overlap_px must be at most half"):
        load_params(written(tmp_path, changed("detection.tile_overlap_px", 321)))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cells_shares", [0.5, 0.4, 0.2], "must sum to 1"),
        ("object_px", [20, 20], "the first bound must be below the second one"),
    ],
)
def test_views_that_cannot_be_drawn_are_refused(tmp_path: Path, key: str, value: object, message: str) -> None:
    """Shares of canvases that do not make up a whole, and sizes between bounds of which the lower is not lower."""
    with pytest.raises(StreetveilError, match=rf"training\.views.*{key}.*{message}"):
        load_params(written(tmp_path, changed(f"training.views.{key}", value)))


def test_retention_of_a_region_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    """A misspelt region would keep originals for longer than it asks for."""
    values = changed("labelling.region_retention_days", {"atlantis": 3})
    with pytest.raises(StreetveilError, match=r"labelling\.region_retention_days\.atlantis: no region 'atlantis'"):
        load_params(written(tmp_path, values))


@pytest.mark.parametrize("key", ["default_region", "daily.region"])
def test_a_region_that_does_not_exist_is_refused(tmp_path: Path, key: str) -> None:
    """The default and the nightly region must be among the regions, and the message lists those."""
    with pytest.raises(StreetveilError, match=rf"{key}: no region 'atlantis'; there are eu, strict, us"):
        load_params(written(tmp_path, changed(key, "atlantis")))


def test_regions_are_found_by_name(params: Params) -> None:
    """A name gives its region, no name the default, and another name a list to choose from."""
    assert params.region("eu") == ("eu", params.regions["eu"])
    assert params.region(None) == (params.default_region, params.regions[params.default_region])
    with pytest.raises(StreetveilError, match=r"no region 'mars'.*eu, strict, us"):
        params.region("mars")


def test_rules_are_found_by_class(tmp_path: Path) -> None:
    """Faces and plates have rules of their own."""
    region = load_params(written(tmp_path, changed("regions.eu.face.threshold", 0.77))).regions["eu"]
    assert region.rule("face").threshold == 0.77
    assert region.rule("license_plate").threshold == SHIPPED["regions"]["eu"]["license_plate"]["threshold"]


def test_settings_cannot_be_changed_during_a_run(params: Params) -> None:
    """A frozen model refuses assignment, at every depth."""
    with pytest.raises(ValidationError, match="frozen"):
        params.regions["eu"].face.threshold = 1.0
    with pytest.raises(ValidationError, match="frozen"):
        params.default_region = "us"


OF_TRAINING = (
    "training", "verifier", "optimisation", "sweep", "profiles", "dataset", "labelling", "gate", "retraining", "shadow",
    "backfill", "drift", "monitoring", "video", "service", "reports", "capacity", "gpu",
)  # fmt: skip


def test_the_hash_knows_every_value() -> None:
    """Each value that decides what becomes of a picture changes the hash; those that only make models do not."""
    special: dict[str, object] = {
        "safety_check": "off",
        "window_px": 128,
        "canvas_px": 256,
        "cells_shares": [0.5, 0.25, 0.25],
        "object_px": [7, 170],
        "min_view_share": 0.5,
        "preset": "slow",
        "rules": [{"region": "us", "folder": "a"}],
        "timezone": "UTC",
        "gpu_precision": "float16",
        "host_threads": 4,
        "provider": "tensorrt",
    }
    shipped = Params.model_validate(SHIPPED).sha256()
    hashes = set()
    changes = 0
    for key, value in leaves(SHIPPED):
        if key in ("default_region", "daily.region"):
            other: object = "us"
        elif key.rpartition(".")[2] in special:
            other = special[key.rpartition(".")[2]]
        elif key.endswith("method"):
            other = "mosaic"
        elif key.endswith("base"):
            other = "surroundings" if value == "neutral" else "neutral"
        elif isinstance(value, bool):
            other = not value
        elif isinstance(value, list):
            other = value[1:]
        elif isinstance(value, str):
            other = f"{value}x"
        elif key.endswith("cells"):
            other = value - 1
        else:
            other = value * 0.99 if isinstance(value, float) else value + 1
        new = Params.model_validate(changed(key, other)).sha256()
        if key.partition(".")[0] in OF_TRAINING:
            assert new == shipped
        else:
            hashes.add(new)
            changes += 1
    assert changes > 40
    assert len(hashes) == changes
    assert shipped not in hashes


def test_the_hash_ignores_order_and_comments(tmp_path: Path) -> None:
    """Two files that say the same have the same hash."""
    backwards = tmp_path / "params.yaml"

    def turned(values: Any) -> Any:
        return {key: turned(values[key]) for key in reversed(values)} if isinstance(values, dict) else values

    backwards.write_text("# another comment\n" + yaml.safe_dump(turned(SHIPPED), sort_keys=False), encoding="utf-8")
    assert load_params(backwards).sha256() == load_params(PROJECT_ROOT / "params.yaml").sha256()


def test_a_missing_file_is_named_with_a_remedy(tmp_path: Path) -> None:
    """Whoever sees the message knows which file is missing, and what to set."""
    with pytest.raises(StreetveilError, match=r"nowhere\.yaml.*STREETVEIL_PARAMS"):
        load_params(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("content", [b"a: [1, 2", b"a: b: c", b"\t- x", b"\xff\xfe\x00broken", b"caf\xe9: 1"])
def test_a_file_that_is_not_yaml_is_told_in_one_line(tmp_path: Path, content: bytes) -> None:
    """Broken YAML and bytes that are no text end in one line that names the file."""
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(StreetveilError) as raised:
        load_params(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", ["", "just words", "- a\n- list", "42"])
def test_yaml_that_is_no_settings_is_refused(tmp_path: Path, content: str) -> None:
    """An empty file, a text, a list and a number are no settings."""
    path = tmp_path / "params.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(StreetveilError, match=r"^params\.yaml: "):
        load_params(path)


def test_the_environment_says_where_things_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders and addresses come from their variables, and params.yaml from where the environment says."""
    monkeypatch.setenv("STREETVEIL_KEYS_DIR", "/secret/keys")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.test:5000")
    monkeypatch.setenv("STREETVEIL_MLFLOW_ARTIFACTS", "/artifacts")
    monkeypatch.setenv("STREETVEIL_PARAMS", str(written(tmp_path, changed("encoding.thumbnail_px", 77))))
    environment = Environment()
    assert environment.keys_dir == Path("/secret/keys")
    assert environment.mlflow_tracking_uri == "http://mlflow.test:5000"
    assert environment.mlflow_artifacts == "/artifacts"
    assert load_params().encoding.thumbnail_px == 77


def test_without_variables_the_project_itself_is_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The defaults are the repository's params.yaml and mlruns, and keys outside of the repository."""
    for name in ("STREETVEIL_PARAMS", "STREETVEIL_KEYS_DIR", "MLFLOW_TRACKING_URI", "STREETVEIL_MLFLOW_ARTIFACTS"):
        monkeypatch.delenv(name)
    environment = Environment()
    assert environment.params == PROJECT_ROOT / "params.yaml"
    assert environment.mlflow_tracking_uri == f"sqlite:///{PROJECT_ROOT}/mlruns/mlflow.db"
    assert environment.mlflow_artifacts == str(PROJECT_ROOT / "mlruns")
    assert not environment.keys_dir.is_relative_to(PROJECT_ROOT)


def test_an_infinite_size_is_refused(tmp_path: Path) -> None:
    """`min_px: .inf` would blur nothing at all, so it is no number here."""
    path = tmp_path / "params.yaml"
    shipped = (PROJECT_ROOT / "params.yaml").read_text(encoding="utf-8")
    path.write_text(shipped.replace("min_px: 4", "min_px: .inf", 1), encoding="utf-8")
    with pytest.raises(StreetveilError, match=r"regions\.eu\.face\.min_px"):
        load_params(path)


def test_what_leaves_information_must_be_accepted_by_name(tmp_path: Path) -> None:
    """Keeping a part of the original's colours takes two settings, and the refusal of one says what it means."""
    values = changed("regions.eu.obfuscation.cell_contrast", 0.5)
    with pytest.raises(StreetveilError, match="accept_reidentification"):
        load_params(written(tmp_path, values))
    values["regions"]["eu"]["obfuscation"]["accept_reidentification"] = True
    assert load_params(written(tmp_path, values)).regions["eu"].obfuscation.cell_contrast == 0.5


@pytest.mark.parametrize("name", ["rendered", "full", "monthly"])
def test_a_profile_changes_what_it_names_alone(params: Params, name: str) -> None:
    """Epochs, canvases, the numbers of pictures in short trainings and the sets are the profile's; the rest stays."""
    profile, chosen = params.profiles[name], params.of_profile(name)
    assert (chosen.training.epochs, chosen.training.canvas_px) == (profile.epochs, profile.canvas_px)
    assert chosen.sweep.images == chosen.optimisation.images == profile.short_images
    assert (chosen.dataset.folder is None) == profile.stand_in
    back = {
        "training": chosen.training.model_copy(
            update={"epochs": params.training.epochs, "canvas_px": params.training.canvas_px}
        ),
        "sweep": chosen.sweep.model_copy(update={"images": params.sweep.images}),
        "optimisation": chosen.optimisation.model_copy(update={"images": params.optimisation.images}),
        "dataset": chosen.dataset.model_copy(update={"folder": params.dataset.folder}),
    }
    assert chosen.model_copy(update=back) == params
    assert chosen.sha256() == params.sha256()


def test_a_profile_that_does_not_exist_is_refused(params: Params) -> None:
    """The message lists those that there are."""
    with pytest.raises(StreetveilError, match=r"no profile 'fast'.*rendered, full, monthly"):
        params.of_profile("fast")


def test_the_monthly_profile_says_what_training_says(params: Params) -> None:
    """Whoever reads the settings of training reads what the monthly loop trains with."""
    monthly = params.of_profile(params.retraining.profile)
    assert monthly.training == params.training
    assert monthly.dataset == params.dataset
