"""The price in looks: every way of hiding on one photograph that belongs to everybody."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import skimage.data

from benchmarks.privacy.methods import CLEAR
from components.evaluation.reidentification.hiding import Method, fresh_noise
from components.imaging.reading import Pixels

_FACE = np.array([172, 64, 272, 196], np.int32)  # of the astronaut, on 512 × 512 px
_SCALE = 2  # so that the face is some 250 px high
_SHOWN = (80, 0, 364, 284)
_COLUMNS = 4


def draw_looks(methods: Sequence[Method], file: Path, seed: int = 1) -> None:
    """A sheet with the astronaut, clear and hidden (NASA, public domain, from scikit-image)."""
    clear = cv2.resize(skimage.data.astronaut(), None, fx=_SCALE, fy=_SCALE, interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(seed)
    panels: list[tuple[str, Pixels]] = []
    for method in sorted(methods, key=lambda method: method.name != CLEAR):
        area = method.area(_FACE * _SCALE)
        panels.append((method.name, method.hide(clear, area, fresh_noise(rng))))
    rows = -(-len(panels) // _COLUMNS)
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(2.4 * _COLUMNS, 2.65 * rows), facecolor="white")
    for axis in axes.flat:
        axis.axis("off")
    x1, y1, x2, y2 = (side * _SCALE for side in _SHOWN)
    for axis, (name, pixels) in zip(axes.flat, panels, strict=False):
        axis.imshow(pixels[y1:y2, x1:x2])
        axis.set_title(name, fontsize=10, color="#1b1b1b")
    figure.tight_layout(pad=0.8)
    figure.savefig(file, dpi=100, facecolor="white", pil_kwargs={"quality": 88})
    plt.close(figure)
