"""Streetveil's own detector: faces and plates in one network, fully convolutional, from 6 px on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from components.detection.detector import checked
from components.detection.onnx_runtime import Device
from components.detection.planes import Frame
from components.detection.runtime import Runtime, Sharing, frame_on, runtime_for
from components.detections import CLASS_NAMES, Detections, clip
from components.imaging.reading import Pixels

_FRAME = Frame(grey=114)  # what the network saw around its pictures in training
_GPU_MULTIPLE_PX = 64  # half as many shapes to each side as with 32, for 5 % more pixels at 5 MP
_OUTPUT = "found"


class Street:
    """The detector behind `street.onnx`, on OpenVINO where it is installed and the device is a CPU.

    Args:
        model_bytes: the verified file.
        device: where it runs.
        name: under which the settings know it.
        runtime: what runs it, if that is not to be chosen here.
        sharing: with other threads.
    """

    def __init__(
        self,
        model_bytes: bytes,
        device: Device = "cpu",
        name: str = "street",
        runtime: Runtime | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        self.name = name
        self.class_ids = tuple(range(len(CLASS_NAMES)))
        self._frame = _FRAME if runtime else frame_on(device, _FRAME, _GPU_MULTIPLE_PX)
        self._runtime = runtime or runtime_for(name, model_bytes, device, sharing=sharing, frame=self._frame)

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """Find faces and plates; see `Detector.detect`. The picture is padded at its right and bottom, never scaled.

        An anchor that could be both classes is returned as both.
        """
        height, width = pixels.shape[:2]
        (raw,) = self._runtime.run(self._frame.around(pixels), (_OUTPUT,))
        rows = checked(self.name, raw, (1, 4 + len(CLASS_NAMES), None))[0]
        # As np.nonzero of the table, which is seven times as slow.
        class_id, anchor = np.divmod(np.flatnonzero(rows[4:] >= threshold), rows.shape[1])
        boxes = clip(rows[:4, anchor].T, width, height)
        return Detections.of(boxes, rows[4 + class_id, anchor], class_id)


def padded(pixels: Pixels) -> NDArray[np.float32]:
    """A picture [h, w, 3] as the network takes it: float32 [3, H, W], 0 to 255, H and W the next multiples of 32."""
    return _FRAME.around(pixels)[0]
