"""Each labelled object has a row that says what counting its pixels says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.dataset.labels import LabelledImage
from components.detections import CLASS_NAMES, FACE, LICENSE_PLATE, Detections
from components.evaluation.object_table import hidden_areas, measured, size_bucket, with_threshold
from components.evaluation.pixel_metrics import count_pixels
from components.settings import PROJECT_ROOT, Region, load_params

REGION = load_params(PROJECT_ROOT / "params.yaml").regions["eu"]
NOTHING = np.zeros((0, 4), np.float32)
W, H = 24, 18


def plain(threshold: float = 0.5, dilation: float = 0.0, min_px: float = 0.0, region: Region = REGION) -> Region:
    """A region with the same rule for both classes."""
    rule = region.face.model_copy(update={"threshold": threshold, "dilation": dilation, "min_px": min_px})
    return region.model_copy(update={"face": rule, "license_plate": rule})


def labelled(objects: Detections, path: str = "a", **more: object) -> LabelledImage:
    """A small picture that is labelled completely."""
    values = {"ignored": NOTHING, "exhaustive": frozenset(CLASS_NAMES), **more}
    return LabelledImage(path, W, H, "s", objects, **values)  # type: ignore[arg-type]


def box() -> st.SearchStrategy[tuple[float, float, float, float]]:
    """A box that may reach over the border, in half px."""
    side = st.integers(-6, 56)
    corners = st.tuples(side, side, st.integers(1, 30), st.integers(1, 30))
    return corners.map(lambda c: (c[0] / 2, c[1] / 2, (c[0] + c[2]) / 2, (c[1] + c[3]) / 2))


def by_hand(target: tuple[float, ...], areas: list[tuple[float, ...]]) -> tuple[int, int]:
    """A box's pixels, and how many of them any area reaches into."""
    pixels = covered = 0
    for y in range(max(0, math.floor(target[1])), min(H, math.ceil(target[3]))):
        for x in range(max(0, math.floor(target[0])), min(W, math.ceil(target[2]))):
            pixels += 1
            covered += any(a[0] < x + 1 and a[2] > x and a[1] < y + 1 and a[3] > y for a in areas)
    return pixels, covered


@settings(max_examples=80, deadline=None)
@given(st.lists(box(), max_size=4), st.lists(box(), max_size=4))
def test_shares_are_those_of_a_loop_over_pixels(
    objects: list[tuple[float, ...]], found: list[tuple[float, ...]]
) -> None:
    """Pixels, covered pixels and the verdict of every object on random boxes are those of plain counting."""
    image = labelled(Detections.of(objects, 1.0, [i % 2 for i in range(len(objects))]))
    rows = measured([image], {"a": Detections.of(found, 0.9, FACE)}, plain()).objects
    wanted = [(i, *by_hand(target, found)) for i, target in enumerate(objects)]
    wanted = [row for row in wanted if row[1]]
    assert rows["px"].tolist() == [pixels for _, pixels, _ in wanted]
    assert rows["covered_px"].tolist() == [covered for _, _, covered in wanted]
    assert rows["hidden"].tolist() == [covered / pixels >= 0.75 for _, pixels, covered in wanted]
    assert rows["class"].tolist() == [CLASS_NAMES[i % 2] for i, _, _ in wanted]


@pytest.mark.parametrize(
    ("short_px", "name"),
    [
        (0.0, "0–8 px"),
        (7.999, "0–8 px"),
        (8.0, "8–16 px"),
        (15.99, "8–16 px"),
        (16.0, "16–32 px"),
        (32.0, "32–64 px"),
        (63.9, "32–64 px"),
        (64.0, "from 64 px"),
        (9999.0, "from 64 px"),
    ],
)
def test_sizes_at_their_borders(short_px: float, name: str) -> None:
    """Each bucket begins with its lower border, and ends before its upper one."""
    assert size_bucket(short_px) == name


def test_the_shorter_side_is_the_labels_own() -> None:
    """An object's size is that of its box as it was drawn, the shorter of both sides."""
    rows = measured([labelled(Detections.of([[2, 2, 22, 9.5]], 1.0, FACE))], {"a": Detections.empty()}, plain())
    assert rows.objects["short_px"].tolist() == [7.5]
    assert rows.objects["size"].tolist() == ["0–8 px"]


def test_marks_and_origin_stand_in_the_row() -> None:
    """What labels say of an object and its picture is there to slice by; what they do not say is missing."""
    marked = labelled(
        Detections.of([[0, 0, 5, 5], [8, 8, 14, 14]], 1.0, [FACE, LICENSE_PLATE]),
        marks=({"mask": "with"}, {"tilt_deg": 12.5}),
        region="ro",
    )
    rows = measured([marked, labelled(Detections.of([[1, 1, 6, 6]], 1.0, FACE), "b")], nothing("a", "b"), plain())
    told = rows.objects
    assert told["mask"].fillna("").tolist() == ["with", "", ""]
    assert told["tilt_deg"].fillna(0).tolist() == [0, 12.5, 0]
    assert told["region"].fillna("").tolist() == ["ro", "ro", ""]
    assert told["path"].tolist() == ["a", "a", "b"]


def nothing(*paths: str) -> dict[str, Detections]:
    """A model that is blind."""
    return dict.fromkeys(paths, Detections.empty())


def test_what_belongs_together_has_one_group() -> None:
    """The group of the split comes first, then the video, then the picture itself."""
    one = Detections.of([[0, 0, 5, 5]], 1.0, FACE)
    images = [
        labelled(one, "a", attributes={"group": "g"}, video="v"),
        labelled(one, "b", video="v"),
        labelled(one, "c"),
    ]
    told = measured(images, nothing("a", "b", "c"), plain())
    assert told.objects["group"].tolist() == ["g", "v", "c"]
    assert told.images["group"].tolist() == ["g", "g", "v", "v", "c", "c"]


def test_pictures_are_counted_as_pixel_metrics_count_them() -> None:
    """The row of a picture and class holds the counts of `count_pixels` at the areas that are hidden."""
    image = labelled(Detections.of([[2, 2, 10, 10], [12, 4, 20, 9]], 1.0, [FACE, LICENSE_PLATE]))
    found = Detections.of([[3, 3, 12, 8], [0, 12, 6, 18]], [0.9, 0.6], [FACE, LICENSE_PLATE])
    rows = measured([image], {"a": found}, plain()).images
    for name in CLASS_NAMES:
        counts = count_pixels(image, found.xyxy, name)
        row = rows[rows["class"] == name].iloc[0]
        assert {field: row[field] for field in counts.__slots__} == {
            field: getattr(counts, field) for field in counts.__slots__
        }


def test_hidden_is_what_production_hides() -> None:
    """Below the threshold, too small, or of a class that the region leaves alone: nothing is hidden; else, dilated."""
    image = labelled(Detections.empty())
    found = Detections.of([[4, 4, 8, 8], [10, 4, 20, 8], [4, 12, 7, 17]], [0.5, 0.49, 0.9], [FACE, FACE, LICENSE_PLATE])
    assert hidden_areas(found, plain(0.5, 0.25), image).tolist() == [[3, 3, 9, 9], [3, 10, 8, 18]]
    assert hidden_areas(found, plain(0.5, 0.25, min_px=4), image).tolist() == [[3, 3, 9, 9]]
    faces = plain(0.5).model_copy(update={"classes": ("face",)})
    assert hidden_areas(found, faces, image).tolist() == [[4, 4, 8, 8]]


def test_thresholds_change_and_nothing_else() -> None:
    """Each class gets its own threshold; other rules, and the region that was given, stay."""
    other = with_threshold(REGION, {"face": 0.7, "license_plate": 0.3})
    assert (other.face.threshold, other.license_plate.threshold) == (0.7, 0.3)
    back = {name: REGION.rule(name).threshold for name in CLASS_NAMES}
    assert with_threshold(other, back) == REGION
    assert REGION.face.threshold == back["face"] != 0.7


def test_without_objects_or_pictures_the_columns_stay() -> None:
    """Tables of pictures without objects, and of no pictures, can still be asked for their columns."""
    for told in (measured([labelled(Detections.empty())], nothing("a"), plain()), measured([], {}, plain())):
        assert not len(told.objects)
        assert {"class", "hidden", "covered_px", "px", "short_px"} <= set(told.objects.columns)
        assert {"class", "background", "labelled"} <= set(told.images.columns)
