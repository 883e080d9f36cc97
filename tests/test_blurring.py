"""One picture from bytes to verified bytes, and the second look of the detectors at what was hidden."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from components.blurring import Blurring, blur_image
from components.detection.bundle import Bundle, load_cascade
from components.detection.cascade import Proposals
from components.detections import FACE, LICENSE_PLATE, Detections
from components.errors import ImageFault, OutOfMemoryError, Reason
from components.imaging.publication import Recipe
from components.imaging.reading import decode
from components.settings import Params, Region
from tests.conftest import encoded
from tests.toy_model import scene


@dataclass(frozen=True)
class ScriptedCascade:
    """Finds what it is told: first in the original, then in the output."""

    first: Detections
    second: Detections
    original: NDArray[np.uint8]
    sampled: list[bool] = field(default_factory=list)

    def examine(
        self, pixels: NDArray[np.uint8], region: Region, wraps: bool = False, sampled: bool = False
    ) -> Proposals:
        self.sampled.append(sampled)
        return Proposals.of_stage1(self.first if np.array_equal(pixels, self.original) else self.second)


def blurring(params: Params, cascade: object, redetect_share: float = 1.0) -> Blurring:
    """How pictures are blurred in these tests."""
    region = params.regions["eu"]
    recipe = Recipe(region.obfuscation, params.encoding, params.reading, b"k" * 32)
    return Blurring(cascade, region, recipe, redetect_share)  # type: ignore[arg-type]


def found(x: float = 20, class_id: int = FACE, confidence: float = 0.9) -> Detections:
    """One object of 40 px."""
    return Detections.of([[x, 30, x + 40, 70]], confidence, class_id)


def test_a_network_without_memory_is_no_wrong_network(params: Params) -> None:
    """What does not fit into memory is told as that, with its remedy, and not as an output that cannot be trusted."""

    class Full:
        def examine(self, *_: object) -> Proposals:
            raise OutOfMemoryError("street: not enough memory: raise gpu.network_memory_mib")

    content = encoded(scene(np.random.default_rng(1))[0], "JPEG")
    with pytest.raises(ImageFault, match=r"out_of_memory: .*raise gpu\.network_memory_mib"):
        blur_image(content, blurring(params, Full()))


@pytest.mark.parametrize(
    ("second", "is_still_there"),
    [
        (found(), True),
        (found(x=24, confidence=0.75), True),
        (found(x=28), False),
        (found(confidence=0.6), False),
        (found(class_id=LICENSE_PLATE), False),
        (found(x=100), False),
        (Detections.empty(), False),
    ],
)
def test_what_is_still_detected_is_not_published(
    second: Detections, is_still_there: bool, params: Params, rng: np.random.Generator
) -> None:
    """The same kind of object at the same place and hardly less sure sends the picture into quarantine."""
    content = encoded(scene(rng)[0])
    made = blurring(params, ScriptedCascade(found(), second, decode(content, params.reading).pixels))
    if is_still_there:
        with pytest.raises(ImageFault) as raised:
            blur_image(content, made)
        assert raised.value.reason is Reason.STILL_DETECTED
    else:
        assert blur_image(content, made).redetected
    assert not blur_image(content, replace(made, redetect_share=0.0)).redetected


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_sample_of_the_secondary_check_takes_its_share(
    share: float, params: Params, rng: np.random.Generator
) -> None:
    """Of all or of no pictures the whole is looked at as the share says, and an output as its original was."""
    content = encoded(scene(rng)[0])
    cascade = ScriptedCascade(found(), Detections.empty(), decode(content, params.reading).pixels)
    blur_image(content, replace(blurring(params, cascade), safety_sample_share=share))
    assert cascade.sampled == [share == 1, share == 1]


def test_an_output_is_looked_at_as_its_original_was(params: Params) -> None:
    """Where half of the pictures are in the sample, each output is in it exactly if its original is."""
    answers = set()
    for level in range(30):
        content = encoded(np.full((16, 16, 3), level, np.uint8))
        cascade = ScriptedCascade(
            Detections.of([2, 2, 14, 14], 0.9, FACE), Detections.empty(), decode(content, params.reading).pixels
        )
        blur_image(content, replace(blurring(params, cascade), safety_sample_share=0.5))
        first, second = cascade.sampled
        assert first == second
        answers.add(first)
    assert answers == {True, False}


def test_the_second_look_takes_its_share_of_all_files(params: Params, toy: Bundle) -> None:
    """About half of the files are looked at again if half are asked for, and the same ones in every run."""
    made = blurring(params, load_cascade(toy, params.detection), 0.5)
    files = [encoded(np.full((16, 16, 3), level, np.uint8)) for level in range(60)]
    looked_at = [blur_image(content, made).redetected for content in files]
    assert 15 <= sum(looked_at) <= 45
    assert [blur_image(content, made).redetected for content in files] == looked_at


def test_a_hidden_square_is_not_found_again(params: Params, toy: Bundle, rng: np.random.Generator) -> None:
    """The real detectors find the squares in the original and none of them in the output, in every format."""
    made = blurring(params, load_cascade(toy, params.detection))
    for file_format, options in (("PNG", {}), ("JPEG", {"quality": 95, "subsampling": 0})):
        blurred = blur_image(encoded(scene(rng, faces=2)[0], file_format, **options), made)
        assert blurred.redetected
        assert "blurred" in blurred.outcomes
