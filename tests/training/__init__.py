"""Training tests; ultralytics' environment is set before any of them imports it."""

import components.training.yolo  # noqa: F401
