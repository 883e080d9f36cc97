"""Stage 2: a small network that looks at each proposal of stage 1 and says how sure it is of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from components.detection.detector import checked
from components.detection.onnx_runtime import Device
from components.detection.proposal_features import Features, features, rows_of
from components.detection.runtime import Sharing, session_for
from components.detections import CLASS_NAMES, Detections
from components.errors import ModelError
from components.imaging.reading import Pixels

OUTPUT = "probability"
_BATCH = 64  # proposals; more do not fit into the processor's caches


class Verifier:
    """The network that `components.training.stage2` exports.

    Args:
        model_bytes: the verified file.
        device: where it runs.
        name: for error messages.
        sharing: with other threads.
    """

    def __init__(
        self, model_bytes: bytes, device: Device = "cpu", name: str = "verifier", sharing: Sharing | None = None
    ) -> None:
        self.name = name
        shared = sharing and sharing.of(rows=_BATCH)
        self._session = session_for(name, model_bytes, device, sharing=shared)

    def verify(self, pixels: Pixels, proposals: Detections, wraps: bool = False) -> NDArray[np.float32]:
        """How sure it is that each proposal is an object of its class.

        Args:
            pixels: uint8 [h, w, 3] RGB, upright, the whole picture in which the proposals were found.
            proposals: all of them, since each is judged beside the others.
            wraps: it is a panorama whose left and right border are one place.

        Returns:
            float32 [n], 0 to 1.

        Raises:
            ModelError: the network's output has the wrong shape, is not finite, or is no probability.
        """
        if not len(proposals):
            return np.zeros(0, np.float32)
        told = features(pixels, proposals, wraps=wraps)
        parts = [
            self._probabilities(told.select(slice(start, start + _BATCH))) for start in range(0, len(told), _BATCH)
        ]
        return np.concatenate(parts)[np.arange(len(told)), proposals.class_id]

    def _probabilities(self, told: Features) -> NDArray[np.float32]:
        rows = rows_of(told.geometry, told.colour, told.close_up(), told.context)
        (output,) = self._session.run(rows, (OUTPUT,))
        output = checked(self.name, output, (len(rows), len(CLASS_NAMES)))
        if output.min() < 0 or output.max() > 1:
            raise ModelError(f"{self.name}: output is no probability; the file is not the registered model")
        return output
