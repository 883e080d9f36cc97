"""A small night: originals, and the manifest that says what became of them, without a detector."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from components.batch.manifest import PUBLISHED, ImageRow, Proposal, commit_manifest
from components.batch.storage import LocalStorage
from components.dataset.labelling.sample import Sample
from components.dataset.labelling.sampling import draw_sample
from components.settings import Labelling, Params
from tests.conftest import encoded

DRAWN_AT = datetime(2026, 3, 1, tzinfo=UTC)
SURE = Proposal("face", 5, 5, 25, 30, 2, 0.9, 0.95, None, "blurred")
NEAR = Proposal("face", 5, 5, 25, 30, 2, 0.3, 0.26, None, "blurred")
REJECTED = Proposal("face", 5, 5, 25, 30, 1, 0.9, 0.02, None, "below_threshold")
PUT_BACK = Proposal("license_plate", 8, 20, 40, 30, 3, 0.02, 0.01, 0.8, "blurred")
CONFIRMED = Proposal("license_plate", 8, 20, 40, 30, 3, 0.9, 0.9, 0.95, "blurred")


def settings(params: Params, **changes: object) -> Labelling:
    """Labelling that draws half of the pictures blindly, and up to `budgets` of each other kind."""
    budgets = params.labelling.budgets.model_copy(update={"random": 8, **changes.pop("budgets", {})})  # type: ignore[dict-item]
    values = {"random_share": 0.5, "few_labels": 1, "budgets": budgets, **changes}
    return params.labelling.model_copy(update=values)


def row(path: str, content: bytes, proposals: tuple[Proposal, ...] = (), **changes: object) -> ImageRow:
    """A published image's row."""
    sha256 = hashlib.sha256(content).hexdigest()
    made = ImageRow(
        path, PUBLISHED, None, None, 1, "eu", "toy", "1", "", "", len(content), 1, sha256, "0" * 64, image_format="PNG",
        width=64, height=48, orientation=1, brightness=90.0, proposals=proposals,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def night(folder: Path, kinds: dict[str, tuple[Proposal, ...]], day: str = "2026-02-01") -> tuple[Path, Path]:
    """Publish a picture a name, and keep the originals; the published folder, and the pattern of the originals."""
    rows = []
    for name, proposals in kinds.items():
        seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
        coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
        content = encoded(coarse.repeat(8, axis=0).repeat(8, axis=1))
        path = f"camera/{name}.png"
        original = folder / "incoming" / day / path
        original.parent.mkdir(parents=True, exist_ok=True)
        original.write_bytes(content)
        rows.append(row(path, content, proposals))
    commit_manifest(LocalStorage(folder / "published" / day), "shard", rows)
    return folder / "published" / day, folder / "incoming" / "{day}"


def drawn(folder: Path, params: Params, count: int = 6, seed: str = "s") -> tuple[Sample, Path, Labelling]:
    """A sample of sure pictures, laid out, with its desk and settings."""
    own = settings(params, random_share=1.0)
    published, originals = night(folder, {f"n{i}": (SURE,) for i in range(count)})
    sample = draw_sample([published], originals, own, seed, params=params, project=folder, now=DRAWN_AT)
    return sample, folder / own.folder / sample.sample_id, own
