"""Noise that nobody can predict, and that a re-run can repeat.

Every draw comes from HMAC-SHA256(run key, purpose | image hash | area). Whoever lacks the key cannot subtract the
noise; a re-run with the same key writes the same bytes. Where `cell_contrast` is above 0, the key is as sensitive as
the originals.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Area = NDArray[np.int32]  # [4], xyxy px
_GRAIN_PX = 128


@dataclass(frozen=True, slots=True, eq=False)
class Grain:
    """A square of grain that goes on endlessly.

    Attributes:
        shifted: uint8 [2n, 2n, 3], the square of n px four times, with `reach` added so that it is not negative.
        reach: the strongest grain, in grey levels.
    """

    shifted: NDArray[np.uint8]
    reach: int

    def on(self, drawn: NDArray[np.uint8], x: int, y: int) -> NDArray[np.uint8]:
        """What is drawn from a place (px) on [h, w, 3] with the grain on it; each place has a part of its own."""
        if not self.reach:
            return drawn
        height, width = drawn.shape[:2]
        x, y = x % _GRAIN_PX, y % _GRAIN_PX
        piece = self.shifted[y : y + height, x : x + width]
        if piece.shape != drawn.shape:
            rows, columns = np.arange(y, y + height) % _GRAIN_PX, np.arange(x, x + width) % _GRAIN_PX
            piece = self.shifted[rows[:, None], columns]
        lowered = cv2.subtract(drawn, self.lowering)
        return np.asarray(cv2.add(lowered, piece), np.uint8)

    @property
    def lowering(self) -> NDArray[np.float64]:
        """What OpenCV subtracts from each channel."""
        return np.full((4, 1), self.reach, np.float64)


class Noise(Protocol):
    """Where the noise of one picture comes from."""

    def cell_noise(self, areas: NDArray[np.int32], cells: int, std: float) -> NDArray[np.float32]:
        """Normal noise for the cells of areas [n, 4], in grey levels; float32 [n, cells, cells, 3]."""
        ...

    def grain(self, std: float) -> Grain:
        """Fine noise for the whole picture."""
        ...


@dataclass(frozen=True, slots=True)
class NoiseSource:
    """All noise of one image.

    Attributes:
        run_key: at least 32 secret bytes.
        image_sha256: hash of the source file, hex.
    """

    run_key: bytes
    image_sha256: str

    def __repr__(self) -> str:
        return f"NoiseSource(run_key=<secret>, image_sha256={self.image_sha256!r})"

    def blurring_id(self) -> str:
        """32 hex digits that name this blurring and say nothing about the original."""
        return self._seed("blurring-id")[:16].hex()

    def cell_noise(self, areas: NDArray[np.int32], cells: int, std: float) -> NDArray[np.float32]:
        """Normal noise for the cells of areas [n, 4], in grey levels; float32 [n, cells, cells, 3].

        This is the noise that privacy rests on, so it comes from an extendable-output hash (SHAKE-256, FIPS 202)
        rather than from a statistical generator.
        """
        size = cells * cells * 3
        stream = b"".join(hashlib.shake_256(self._seed("cells", area)).digest(16 * size) for area in areas)
        words = np.frombuffer(stream, "<u8").reshape(len(areas), 2, size)
        uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53  # open interval (0, 1)
        # Box and Muller 1958
        normal = np.sqrt(-2 * np.log(uniform[:, 0])) * np.cos(2 * np.pi * uniform[:, 1])
        return (std * normal).reshape(len(areas), cells, cells, 3).astype(np.float32)

    def grain(self, std: float) -> Grain:
        """Fine noise for the whole image, for the looks and against banding; privacy does not rest on it."""
        seed = int.from_bytes(self._seed("pixels"), "big")
        normal = std * np.random.default_rng(seed).standard_normal((_GRAIN_PX, _GRAIN_PX), np.float32)
        reach = math.ceil(3 * std)
        shifted = (np.clip(normal, -reach, reach) + reach).round().astype(np.uint8)
        return Grain(np.repeat(np.tile(shifted, (2, 2))[:, :, None], 3, axis=2), reach)

    def _seed(self, purpose: str, area: Area | None = None) -> bytes:
        place = b"" if area is None else np.asarray(area, "<i4").tobytes()
        message = b"|".join((purpose.encode(), bytes.fromhex(self.image_sha256), place))
        return hmac.digest(self.run_key, message, "sha256")
