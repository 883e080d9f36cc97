"""Noise that nobody can predict, and that a re-run can repeat.

Every draw comes from HMAC-SHA256(run key, purpose | image hash | area). Whoever lacks the key cannot subtract the
noise; a re-run with the same key writes the same bytes. The key is as sensitive as the originals.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Area = NDArray[np.int32]  # [4], xyxy px


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

    def cell_noise(self, area: Area, rows: int, columns: int, std: float) -> NDArray[np.float32]:
        """Normal noise [rows, columns, 3] for the cells of an area, in grey levels.

        This is the noise that privacy rests on, so it comes from an extendable-output hash (SHAKE-256, FIPS 202)
        rather than from a statistical generator.
        """
        n = rows * columns * 3
        stream = hashlib.shake_256(self._seed("cells", area)).digest(16 * n)
        words = np.frombuffer(stream, "<u8").reshape(2, n)
        uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53  # open interval (0, 1)
        normal = np.sqrt(-2 * np.log(uniform[0])) * np.cos(2 * np.pi * uniform[1])  # Box and Muller 1958
        return (std * normal).reshape(rows, columns, 3).astype(np.float32)

    def pixel_noise(self, area: Area, height: int, width: int, std: float) -> NDArray[np.float32]:
        """Normal noise [height, width, 1] over an area, in grey levels; for the looks and against banding."""
        seed = int.from_bytes(self._seed("pixels", area), "big")
        return std * np.random.default_rng(seed).standard_normal((height, width, 1), np.float32)

    def _seed(self, purpose: str, area: Area | None = None) -> bytes:
        place = b"" if area is None else np.asarray(area, "<i4").tobytes()
        message = b"|".join((purpose.encode(), bytes.fromhex(self.image_sha256), place))
        return hmac.new(self.run_key, message, hashlib.sha256).digest()
