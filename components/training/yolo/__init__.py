"""The adapter to ultralytics, which has the network, its augmentations and the loop over batches.

Left out of it: its pickled checkpoints, its choice by mAP, its reports to other programs, and its downloads.
"""

import os

# Read once, when ultralytics is imported, which happens below this package only: it would install packages by itself,
# look for a network, and print its own progress.
os.environ["YOLO_AUTOINSTALL"] = "false"
os.environ["YOLO_OFFLINE"] = "true"
os.environ.setdefault("YOLO_VERBOSE", "false")

import torch
from PIL import Image

# Ultralytics puts functions of its own into Pillow and torch, for the whole process: with its `open`, broken files
# raise other errors than Pillow documents. It is imported once, here, and both get their own back.
_own = (Image, "open", Image.open), (torch, "save", torch.save)
import ultralytics.utils.patches  # noqa: E402, F401

for _library, _name, _function in _own:
    setattr(_library, _name, _function)
