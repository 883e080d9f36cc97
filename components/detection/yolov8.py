"""YOLOv8-style detectors with one class, such as `platedet.onnx`: a fixed square input and boxes as cxcywh."""

from __future__ import annotations

import cv2
import numpy as np

from components.detection.detector import checked
from components.detection.onnx_runtime import Device, Session
from components.detections import Detections, clip
from components.imaging.reading import Pixels

_INPUT_PX = 640
_PADDING_GREY = 114  # what the network saw around its pictures in training
_OUTPUT = "output0"


class YoloV8:
    """A single-class YOLOv8 network, with or without a mask head.

    Args:
        model_bytes: the verified file.
        class_id: what it finds.
        device: where it runs.
        name: under which `detection.tile_px` knows it.
    """

    def __init__(self, model_bytes: bytes, class_id: int, device: Device = "cpu", name: str = "platedet") -> None:
        self.name = name
        self._class_id = class_id
        self._session = Session(name, model_bytes, device)

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """Find plates; see `Detector.detect`. Pictures of any size are fitted into the network's square."""
        height, width = pixels.shape[:2]
        scale = _INPUT_PX / max(height, width)
        fitted = cv2.resize(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))
        square = np.full((_INPUT_PX, _INPUT_PX, 3), _PADDING_GREY, np.uint8)
        square[: fitted.shape[0], : fitted.shape[1]] = fitted
        blob = square.transpose(2, 0, 1)[None].astype(np.float32) / 255
        (raw,) = self._session.run(blob, (_OUTPUT,))
        # Rows: centre x, centre y, width, height, confidence, then the mask coefficients that a mask head adds.
        rows = checked(self.name, raw, (1, None, None))[0]
        checked(self.name, rows[:5], (5, None))
        centre_x, centre_y, box_width, box_height, confidence = rows[:5, rows[4] >= threshold]
        boxes = np.stack(
            [
                centre_x - box_width / 2,
                centre_y - box_height / 2,
                centre_x + box_width / 2,
                centre_y + box_height / 2,
            ],
            axis=1,
        )
        return Detections.of(clip(boxes / scale, width, height), confidence, self._class_id)
