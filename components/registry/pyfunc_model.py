"""The registered model as MLflow loads it (models-from-code: MLflow runs this file; nothing is unpickled).

The blur itself does not come this way: it takes the verified ONNX files. This is for whoever wants to try a version in
a notebook: `mlflow.pyfunc.load_model("models:/streetveil-detector@champion").predict(picture)`.
"""

from __future__ import annotations

from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel
from numpy.typing import NDArray

from components.detection.bundle import Bundle, ModelFile, load_cascade
from components.settings import load_params


class StreetveilDetector(PythonModel):
    """Finds faces and plates in one picture."""

    def load_context(self, context: Any) -> None:
        """Load the version's networks."""
        import hashlib
        from pathlib import Path

        params = load_params()
        files = []
        for name, (detector, architecture, classes, role) in context.model_config.items():
            path = Path(context.artifacts[name])
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            files.append(ModelFile(detector, architecture, classes, path, digest, "registry", "see tags", role))
        self._region = params.region(None)[1]
        self._cascade = load_cascade(Bundle("streetveil-detector", "?", tuple(files)), params.detection)

    def predict(self, context: Any, model_input, params=None) -> NDArray:  # type: ignore[no-untyped-def]
        """Proposals of a picture uint8 [h, w, 3]: float32 [n, 6] as x1, y1, x2, y2, confidence, class."""
        found = self._cascade.propose(np.asarray(model_input, np.uint8), self._region)
        return np.column_stack([found.xyxy, found.confidence, found.class_id]).astype(np.float32)


mlflow.models.set_model(StreetveilDetector())
