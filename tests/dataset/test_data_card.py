"""The data card counts every picture and every box once a topic."""

from __future__ import annotations

import pytest

from components.dataset.data_card import data_card, markdown, size_names
from components.dataset.labels import LabelledBox, LabelledImage, labelled_image


def plate(shorter_px: float, **marks: object) -> LabelledBox:
    """A plate three times as wide as high."""
    return LabelledBox((0, 0, shorter_px * 3, shorter_px), "license_plate", marks=marks)


def image_of(*boxes: LabelledBox, **more: object) -> LabelledImage:
    """A picture of 600×400 px."""
    return labelled_image("a.jpg", (600, 400), more.pop("source", "here"), boxes, **more)


FACE = LabelledBox((10, 10, 50, 60), "face", marks={"mask": "with"})
UNCLEAR = LabelledBox((10, 10, 50, 60), "face", ignored=True)


@pytest.mark.parametrize(
    ("shorter_px", "name"),
    [
        (1, "<16 px"),
        (15.9, "<16 px"),
        (16, "16–32 px"),
        (31.9, "16–32 px"),
        (32, "32–64 px"),
        (64, "≥64 px"),
        (130, "≥64 px"),
    ],
)
def test_a_bucket_holds_its_lower_edge(shorter_px: float, name: str) -> None:
    """Objects are put into size buckets by their shorter side, 16 px into the second one."""
    assert size_names(image_of(plate(shorter_px))) == [name]


def test_every_topic_is_counted() -> None:
    """Pictures, objects and ignored boxes are counted by part and by all that is known of them."""
    train = [
        image_of(FACE, plate(20, tilt_deg=[5, -31]), UNCLEAR, region="br", night=True, mean_luma=59.9),
        image_of(FACE, source="there", video="v", mean_luma=60, exhaustive=frozenset({"face"})),
    ]
    card = data_card({"train": train, "test": [image_of()], "val": []}, dark_luma=60)
    one = {"face": 1, "ignored": 0, "license_plate": 0, "pictures": 1}
    assert card["all"]["all"]["train"] == {"face": 2, "ignored": 1, "license_plate": 1, "pictures": 2}
    assert card["all"]["all"]["test"] == {"face": 0, "ignored": 0, "license_plate": 0, "pictures": 1}
    assert card["source"]["there"] == {"train": one}
    assert card["region"]["br"]["train"]["license_plate"] == 1
    assert card["region"]["not said"]["train"] == one
    assert card["night"]["yes"]["train"]["pictures"] == 1
    assert card["dark"]["yes"]["train"]["pictures"] == 1
    assert card["dark"]["no"]["train"] == one
    assert card["exhaustive"]["face"]["train"] == one
    assert card["exhaustive"]["nothing"]["train"]["pictures"] == 1
    assert card["video"]["a video"]["train"] == one
    assert card["size"]["32–64 px"]["train"] == {"face": 2}
    assert card["size at night"]["16–32 px, night yes"]["train"] == {"license_plate": 1}
    assert card["mask"] == {"not said": {"train": {"license_plate": 1}}, "with": {"train": {"face": 2}}}
    assert card["tilt"] == {"30–90°": {"train": {"license_plate": 1}}}
    assert card["groups"]["all"] == {"train": {"groups": 1}, "test": {"groups": 1}, "val": {"groups": 0}}


def test_sizes_stand_in_their_order() -> None:
    """Size buckets go from small to large, other values by the alphabet."""
    card = data_card({"train": [image_of(plate(70), plate(40), plate(20), plate(3))]}, 60)
    assert list(card["size"]) == ["<16 px", "16–32 px", "32–64 px", "≥64 px"]


def test_the_page_shows_the_numbers() -> None:
    """Each topic is a table with a column for each part and count, without columns that hold nothing."""
    page = markdown(data_card({"train": [image_of(FACE)], "test": [image_of(source="a|b")]}, 60), "Card")
    assert page.startswith("# Card\n")
    assert "| source | train: pictures | train: face | test: pictures |\n|---|---:|---:|---:|\n" in page
    assert "| a¦b | 0 | 0 | 1 |\n" in page
    assert "license plate" not in page
