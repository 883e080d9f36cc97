"""YOLOv8-style detectors with one class, such as `platedet.onnx`: as they are delivered, and for any size of input."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from components.detection.detector import checked
from components.detection.onnx_runtime import Device
from components.detection.planes import Frame
from components.detection.runtime import Sharing, frame_on, session_for
from components.detection.safety_check import CANVAS_PX
from components.detections import Boxes, Detections, clip
from components.imaging.reading import Pixels

_INPUT_PX = 640
_FRAME = Frame(grey=114, divisor=255)  # what the network saw around its pictures in training
_OUTPUT = "output0"

# Where the network's three levels end, before what its export has fixed to one size; finest first, and their strides.
_LEVELS = {f"/model.22/Concat_{i + 1}_output_0": stride_px for i, stride_px in enumerate((8, 16, 32))}
_DISTANCES = 16  # to each side of a box, a distribution over 0 to 15 strides; Li et al. 2020, arXiv:2006.04388


class YoloV8:
    """A single-class YOLOv8 network as it is delivered, with or without a mask head.

    Args:
        model_bytes: the verified file.
        class_id: what it finds.
        device: where it runs.
        name: under which `detection.tile_px` knows it.
        sharing: with other threads.
    """

    def __init__(
        self,
        model_bytes: bytes,
        class_id: int,
        device: Device = "cpu",
        name: str = "platedet",
        sharing: Sharing | None = None,
    ) -> None:
        self.name = name
        self.class_ids = (class_id,)
        self._frame = frame_on(device, replace(_FRAME, multiple_px=_INPUT_PX), _INPUT_PX, by_openvino=False)
        self._session = session_for(name, model_bytes, device, sharing=sharing, frame=self._frame)

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """Find plates; see `Detector.detect`. Pictures of any size are fitted into the network's square."""
        height, width = pixels.shape[:2]
        scale = _INPUT_PX / max(height, width)
        fitted = cv2.resize(pixels, (max(1, round(width * scale)), max(1, round(height * scale))))
        (raw,) = self._session.run(self._frame.around(np.asarray(fitted, np.uint8)), (_OUTPUT,))
        # Rows: centre x, centre y, width, height, confidence, then the mask coefficients that a mask head adds.
        rows = checked(self.name, raw, (1, None, None))[0]
        checked(self.name, rows[:5], (5, None))
        centre, half, confidence = *np.split(rows[:4, rows[4] >= threshold], 2), rows[4, rows[4] >= threshold]
        boxes = np.concatenate([centre - half / 2, centre + half / 2]).T
        return Detections.of(clip(boxes / scale, width, height), confidence, *self.class_ids)


class YoloV8Levels:
    """The same network without its end, which holds for squares of 640 px only: a small canvas costs little.

    Its masks, which nobody reads, are not computed either.

    Args:
        model_bytes: the verified file, as ultralytics exports YOLOv8 with one class.
        class_id: what it finds.
        device: where it runs.
        name: under which `detection.tile_px` knows it.
        sharing: with other threads.
    """

    def __init__(
        self,
        model_bytes: bytes,
        class_id: int,
        device: Device = "cpu",
        name: str = "platedet",
        sharing: Sharing | None = None,
    ) -> None:
        self.name = name
        self.class_ids = (class_id,)
        free = {"images": ("n", 3, "h", "w")}
        self._frame = frame_on(device, _FRAME, CANVAS_PX, by_openvino=False)
        self._session = session_for(name, model_bytes, device, free, tuple(_LEVELS), sharing, self._frame)

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """Find plates; see `Detector.detect`. The picture is padded, never scaled."""
        height, width = pixels.shape[:2]
        sides = self._frame.sides(pixels)
        levels = self._session.run(self._frame.around(pixels), tuple(_LEVELS))
        parts = []
        for raw, stride_px in zip(levels, _LEVELS.values(), strict=True):
            shape = (1, 4 * _DISTANCES + 1, *(side // stride_px for side in sides))
            boxes, confidence = _decoded(checked(self.name, raw, shape)[0], stride_px, threshold)
            parts.append(Detections.of(clip(boxes, width, height), confidence, *self.class_ids))
        return Detections.concatenate(parts)


def _decoded(level: NDArray[np.float32], stride_px: int, threshold: float) -> tuple[Boxes, NDArray[np.float32]]:
    """Boxes [n, 4] and confidences [n] of a level [4 × 16 + 1, h, w] of logits, from the threshold on."""
    confidence = 1 / (1 + np.exp(-level[-1].clip(-50, 50)))
    y, x = np.nonzero(confidence >= threshold)
    logits = level[:-1, y, x].reshape(4, _DISTANCES, len(x))
    shares = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    steps = np.arange(_DISTANCES, dtype=np.float32)[None, :, None]
    sides = (shares * steps).sum(axis=1) / shares.sum(axis=1)
    middle = np.stack([x, y]) + 0.5
    boxes = np.concatenate([middle - sides[:2], middle + sides[2:]]).T * np.float32(stride_px)
    return boxes.astype(np.float32), confidence[y, x].astype(np.float32)
