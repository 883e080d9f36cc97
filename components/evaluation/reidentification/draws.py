"""Hidden areas by the thousand: what an attacker finds in published pictures, and what it can make on its own."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from components.evaluation.reidentification.hiding import NO_NOISE, Method, fresh_noise
from components.evaluation.reidentification.scenes import Scenes, another_photograph
from components.imaging.reading import Pixels

Views = NDArray[np.float32]  # [people, draws, side, side, 3]: hidden areas, reduced


def hidden_views(
    scenes: Scenes, method: Method, draws: int, side_px: int, rng: np.random.Generator, other: bool = False
) -> Views:
    """Fresh draws of everybody.

    Args:
        scenes: the people.
        method: how they are hidden.
        draws: how often each.
        side_px: to which square the hidden area is reduced.
        rng: where keys, and the other photographs, come from.
        other: hide another photograph of the person and not the gallery's.
    """
    views = np.empty((len(scenes.people), draws, side_px, side_px, 3), np.float32)
    for i, person in enumerate(scenes.people):
        for j in range(draws):
            face = another_photograph(person, rng) if other else person
            views[i, j] = reduced(hidden_area(scenes, method, face, rng), side_px)
    return views


def expected_views(scenes: Scenes, method: Method, side_px: int) -> NDArray[np.float32]:
    """What everybody's hidden area would be without noise, [people, side, side, 3]."""
    return np.array([reduced(hidden_area(scenes, method, person, None), side_px) for person in scenes.people])


def clear_views(scenes: Scenes, method: Method, side_px: int) -> NDArray[np.float32]:
    """What stood in the area before, [people, side, side, 3]."""
    x1, y1, x2, y2 = method.area(scenes.box)
    return np.array([reduced(person[y1:y2, x1:x2], side_px) for person in scenes.people])


def hidden_area(scenes: Scenes, method: Method, face: Pixels, rng: np.random.Generator | None) -> Pixels:
    """The published pixels of the area, the rest of the world cut off; without noise where there is no `rng`."""
    area = method.area(scenes.box)
    x1, y1, x2, y2 = area
    shape = method.shape(int(y2 - y1), int(x2 - x1))
    noise = fresh_noise(rng) if rng else NO_NOISE
    hidden = method.hide(scenes.with_face(face, area, shape), area, noise)
    seen = scenes.surroundings[y1:y2, x1:x2].copy()
    cv2.copyTo(hidden[y1:y2, x1:x2], shape, seen)
    return seen


def reduced(pixels: Pixels, side_px: int) -> NDArray[np.float32]:
    """A square of area means."""
    means = cv2.resize(pixels.astype(np.float32), (side_px, side_px), interpolation=cv2.INTER_AREA)
    return np.asarray(means, np.float32)


def smaller(views: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    """Views reduced once more, to a divisor of their side."""
    share = views.shape[-2] // side_px
    return views.reshape(*views.shape[:-3], side_px, share, side_px, share, 3).mean(axis=(-4, -2))
