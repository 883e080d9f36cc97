"""CenterFace: an anchor-free face detector (Xu et al. 2019, arXiv:1911.03599), fully convolutional, stride 4."""

from __future__ import annotations

import numpy as np

from components.detection.detector import checked
from components.detection.onnx_runtime import Device
from components.detection.planes import Frame
from components.detection.runtime import Sharing, frame_on, runtime_for
from components.detection.safety_check import CANVAS_PX
from components.detections import Detections, clip
from components.imaging.reading import Pixels

_STRIDE_PX = 4
_FRAME = Frame(grey=0)
_HEATMAP, _SCALE, _OFFSET = "537", "538", "539"


class CenterFace:
    """The detector behind `centerface.onnx`.

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
        name: str = "centerface",
        sharing: Sharing | None = None,
    ) -> None:
        self.name = name
        self.class_ids = (class_id,)
        self._frame = frame_on(device, _FRAME, CANVAS_PX)
        free = {"input.1": ("n", 3, "h", "w")}
        self._runtime = runtime_for(name, model_bytes, device, free, sharing, self._frame)

    def detect(self, pixels: Pixels, threshold: float) -> Detections:
        """Find faces; see `Detector.detect`. The picture is padded, never scaled."""
        height, width = pixels.shape[:2]
        raw = self._runtime.run(self._frame.around(pixels), (_HEATMAP, _SCALE, _OFFSET))
        rows, columns = (side // _STRIDE_PX for side in self._frame.sides(pixels))
        heatmap, scale, offset = (
            checked(self.name, output, (1, channels, rows, columns))[0]
            for output, channels in zip(raw, (1, 2, 2), strict=True)
        )
        y, x = np.nonzero(heatmap[0] >= threshold)
        box_height, box_width = np.exp(np.minimum(scale[:, y, x], 20)) * _STRIDE_PX
        centre_y, centre_x = (np.stack([y, x]) + offset[:, y, x] + 0.5) * _STRIDE_PX
        boxes = np.stack(
            [
                centre_x - box_width / 2,
                centre_y - box_height / 2,
                centre_x + box_width / 2,
                centre_y + box_height / 2,
            ],
            axis=1,
        )
        return Detections.of(clip(boxes, width, height), heatmap[0, y, x], *self.class_ids)
