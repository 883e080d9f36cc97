"""Weights, masks and pixels stay together from the labelled pictures to the batches, whatever is on a canvas."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from ultralytics.cfg import get_cfg
from ultralytics.data.build import seed_worker

from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE
from components.errors import StreetveilError
from components.settings import Params
from components.training.images import TrainingImage
from components.training.yolo.pictures import CanvasDataset, EpochLoader, EpochOrder, WholePictures
from tests.training.conftest import still

PX = 96
NEARLY_ALL = 0.97  # of a colour's pixels: at edges, pixels are interpolated and masks are not


@pytest.fixture
def coloured(tmp_path: Path) -> list[TrainingImage]:
    """Blue pictures, in which faces are not labelled, and red ones; each with a brighter object of its own weight."""
    images = []
    for i in range(6):
        channel, shade = (2, 100) if i % 2 else (0, 100)
        pixels = np.zeros((64, 96, 3), np.uint8)
        pixels[..., channel] = shade
        pixels[20:44, 30:66, 1] = 40 * (i + 1)
        path = tmp_path / f"{i}.png"
        Image.fromarray(pixels).save(path)
        exhaustive = ("license_plate",) if i % 2 else CLASS_NAMES
        images.append(TrainingImage.of(path, (96, 64), [[30, 20, 66, 44]], [1], [i + 1.0], exhaustive=exhaustive))
    return images


def canvases(
    params: Params, images: list[TrainingImage], ignore_unlabelled: bool = True, **views: Any
) -> CanvasDataset:
    """A data set without variation but what is asked for; pictures of 96 px are shown at their own scale."""
    wanted = {"object_px": (6, 7), **views}
    changes = {"canvas_px": PX, "views": still(params.training.views, **wanted), "ignore_unlabelled": ignore_unlabelled}
    return CanvasDataset(images, params.training.model_copy(update=changes))


def whole(images: list[TrainingImage]) -> WholePictures:
    """The validation pictures."""
    return WholePictures(images, imgsz=PX, augment=False, hyp=get_cfg(), batch_size=2, stride=32)


def batch_of(dataset: CanvasDataset) -> dict[str, Any]:
    """One batch of everything."""
    return dataset.collate_fn([dataset[i] for i in range(len(dataset))])


def test_completely_labelled_pictures_have_a_share_of_the_views(params: Params, coloured: list[TrainingImage]) -> None:
    """Of the views beside the first, the stated share is of the one complete picture; without one, all share alike."""
    marked = [replace(image, complete=i == 5) for i, image in enumerate(coloured)]
    rng = np.random.default_rng(0)
    for images, wanted in ((marked, 0.4 + 0.6 / 6), (coloured, 1 / 6)):
        dataset = canvases(params, images)
        dataset._settings = dataset._settings.model_copy(update={"complete_share": 0.4})
        drawn = [dataset._draw(rng)[0].path == coloured[5].path for _ in range(600)]
        assert np.mean(drawn) == pytest.approx(wanted, abs=0.05)


def test_weights_and_masks_follow_their_picture(params: Params, coloured: list[TrainingImage]) -> None:
    """Over canvases, perspectives and mirrors, the mask lies on the blue pictures, and a weight on its own object."""
    varied = {"rotation_deg": 10, "perspective": 0.2, "mirrored_share": 0.5, "object_px": (8, 40)}
    dataset = canvases(params, coloured, cells_shares=(0.4, 0.3, 0.3), **varied)
    parts, boxes = [], 0
    on_blue, on_red = [], []
    for epoch in range(6):
        dataset.epoch = epoch
        for i in range(len(coloured)):
            sample = dataset[i]
            red, green, blue = sample["img"].float()
            mask = sample["uncounted"]
            on_blue.append(mask[(blue == 100) & (red == 0) & (green == 0)])
            on_red.append(mask[(red == 100) & (blue == 0) & (green == 0)])
            parts.append((mask == 1).float().mean().item())
            for (x, y, *_), weight in zip(sample["bboxes"] * PX, sample["box_weight"], strict=True):
                shade = green[int(y), int(x)]
                if shade > 0 and shade % 40 == 0:
                    assert shade / 40 == weight
                    boxes += 1
    blue, red = torch.cat(on_blue), torch.cat(on_red)
    assert (blue & 1 == 1).float().mean() > NEARLY_ALL
    assert (red & 1 == 0).float().mean() > NEARLY_ALL
    assert (torch.cat([blue, red]) & 2 == 0).float().mean() > NEARLY_ALL
    assert min(len(blue), len(red)) > 10_000
    assert len({round(part, 2) for part in parts}) > 5
    assert boxes > 30


def test_an_unvaried_canvas_is_the_picture(params: Params, rng: np.random.Generator, tmp_path: Path) -> None:
    """A picture of the canvas's size comes through pixel for pixel, and its boxes as shares of the canvas."""
    pixels = rng.integers(0, 256, (PX, PX, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    image = TrainingImage.of(tmp_path / "a.png", (PX, PX), [[24, 12, 48, 24], [0, 48, 96, 96]], [0, 1], [1, 0.7])
    sample = canvases(params, [image])[0]
    np.testing.assert_array_equal(sample["img"].permute(1, 2, 0), pixels)
    torch.testing.assert_close(sample["bboxes"], torch.tensor([[0.375, 0.1875, 0.25, 0.125], [0.5, 0.75, 1, 0.5]]))
    assert sample["cls"].tolist() == [[0], [1]]
    torch.testing.assert_close(sample["box_weight"], torch.tensor([1, 0.7]))
    assert not sample["uncounted"].any()


def test_a_batch_knows_each_boxs_weight(params: Params, coloured: list[TrainingImage]) -> None:
    """In a batch, weights stand in the order of the boxes, pictures without objects included."""
    empty = TrainingImage.of(coloured[0].path, (96, 64), [], [])
    batch = batch_of(canvases(params, [coloured[3], empty, coloured[4]]))
    assert batch["box_weight"].tolist() == [4, 5]
    assert batch["batch_idx"].tolist() == [0, 2]
    assert batch["cls"].shape == (2, 1)
    assert batch["img"].shape == (3, 3, PX, PX)
    assert batch["uncounted"].shape == (3, PX, PX)


def test_masks_are_made_where_they_are_needed(params: Params, coloured: list[TrainingImage]) -> None:
    """If the settings take every picture's labels for complete, batches have no mask."""
    assert "uncounted" in batch_of(canvases(params, coloured))
    assert "uncounted" not in batch_of(canvases(params, coloured, ignore_unlabelled=False))


def test_a_rare_class_comes_up_as_often(params: Params, coloured: list[TrainingImage]) -> None:
    """Beside its first picture, a canvas shows faces and plates equally often, however few pictures have plates."""
    box = [[30, 20, 66, 44]]
    images = [TrainingImage.of(image.path, (96, 64), box, [int(i == 0)]) for i, image in enumerate(coloured)]
    dataset = canvases(params, images, cells_shares=(0, 0, 1))
    found = []
    for epoch in range(6):
        dataset.epoch = epoch
        found += [class_id for i in range(1, 6) for class_id in dataset[i]["cls"].ravel().tolist()]
    assert len(found) > 9 * 30 * 0.9
    plates = found.count(LICENSE_PLATE) / (len(found) - 30)  # each first picture shows a face
    assert 0.4 < plates < 0.6
    assert {FACE, LICENSE_PLATE} == set(found)


def test_without_any_object_canvases_are_full_of_background(params: Params, coloured: list[TrainingImage]) -> None:
    """Pictures of which none has an object are shown all the same."""
    empty = [TrainingImage.of(image.path, (96, 64), [], []) for image in coloured]
    sample = canvases(params, empty, cells_shares=(0, 1, 0))[0]
    assert sample["bboxes"].shape == (0, 4)
    assert not sample["uncounted"].any()
    assert sample["img"].float().std() > 0


def test_a_picture_of_another_size_is_refused(params: Params, coloured: list[TrainingImage]) -> None:
    """Boxes that were drawn on a picture of another size are neither trained on nor validated with."""
    wrong = [TrainingImage.of(coloured[0].path, (96, 65), [], [])]
    with pytest.raises(StreetveilError, match=r"0\.png is 96 × 64 px"):
        canvases(params, wrong)[0]
    with pytest.raises(StreetveilError, match=r"0\.png is \(96, 64\) px"):
        whole(wrong)[0]


def test_a_file_that_is_no_picture_is_named(params: Params, tmp_path: Path) -> None:
    """A file that cannot be decoded is an error that names it, and what to do."""
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    with pytest.raises(StreetveilError, match=r"broken\.jpg cannot be read: fetch"):
        canvases(params, [TrainingImage.of(tmp_path / "broken.jpg", (96, 64), [], [])])[0]


def test_a_rotated_photograph_is_seen_upright(params: Params, tmp_path: Path) -> None:
    """EXIF orientation is applied, as in the labels, in training and in validation."""
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:20, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    Image.fromarray(pixels).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    image = TrainingImage.of(tmp_path / "turned.jpg", (64, 96), [[44, 0, 64, 20]], [0])
    assert whole([image])[0]["img"][0, :20, 16 + 46 : 16 + 62].float().mean() > 0.9 * 255
    sample = canvases(params, [image])[0]
    x, y, width, height = sample["bboxes"][0] * PX
    assert (round(float(width)), round(float(height))) == (20, 20)
    left, top = round(float(x - width / 2)), round(float(y - height / 2))
    seen = sample["img"].float().mean(0)
    assert seen[top + 2 : top + 18, left + 2 : left + 18].mean() > 0.9 * 255
    assert seen.gt(200).sum() < 21**2


def test_every_epoch_has_its_own_order() -> None:
    """The order of pictures is a permutation that depends on seed and epoch alone."""
    order, twin, other = EpochOrder(50, 7), EpochOrder(50, 7), EpochOrder(50, 8)
    assert list(order) == list(twin) != list(other)
    first = list(order)
    order.epoch = 1
    assert list(order) != first
    assert sorted(order) == list(range(50))


def test_a_repeated_epoch_is_the_same_in_other_processes(params: Params, coloured: list[TrainingImage]) -> None:
    """Where pictures are read by worker processes, seed and epoch alone decide what a batch shows."""

    def epoch(number: int, workers: int) -> list[Tensor]:
        changes = {"canvas_px": PX, "views": params.training.views}
        dataset = CanvasDataset(coloured, params.training.model_copy(update=changes))
        order = EpochOrder(len(dataset), 7)
        order.epoch = dataset.epoch = number
        torch.manual_seed(workers)
        loader = EpochLoader(
            dataset, batch_size=4, sampler=order, num_workers=workers, collate_fn=dataset.collate_fn,
            worker_init_fn=seed_worker,
        )  # fmt: skip
        return [batch["img"] for batch in loader]

    first, again, here, other = epoch(3, 2), epoch(3, 2), epoch(3, 0), epoch(4, 0)
    assert [len(batch) for batch in first] == [4, 2]
    assert all(torch.equal(left, right) for left, right in zip(first, again, strict=True))
    assert all(torch.equal(left, right) for left, right in zip(first, here, strict=True))
    assert not any(torch.equal(left, right) for left, right in zip(first, other, strict=True))
