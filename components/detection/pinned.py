"""Memory from which batches travel to a GPU: page-locked where torch can give that, so that no copy is made of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Staging:
    """A place where one batch at a time is put together.

    ONNX Runtime copies what it is given to the GPU. From ordinary memory, CUDA's driver does so by way of a page-locked
    buffer of its own; from page-locked memory the GPU fetches it by itself.

    Args:
        gpu_index: of the GPU.
    """

    def __init__(self, gpu_index: int = 0) -> None:
        self._gpu_index = gpu_index
        self._bytes = np.empty(0, np.uint8)

    def joined(self, blobs: Sequence[NDArray]) -> NDArray:
        """Blobs [n, ...] of one kind, one after another, and zeros up to a power of two rows.

        A GPU's libraries plan anew for every number of rows. The next call writes over it.
        """
        rows = sum(len(blob) for blob in blobs)
        first = blobs[0]
        size = _power_of_two(rows) * first[0].nbytes
        if size > len(self._bytes):
            self._bytes = _page_locked(size, self._gpu_index)
        batch = self._bytes[:size].view(first.dtype).reshape(-1, *first.shape[1:])
        np.concatenate(blobs, out=batch[:rows])
        batch[rows:] = 0
        return batch


def _power_of_two(rows: int) -> int:
    """The next one, from a number of at least 1 on."""
    return 1 << (rows - 1).bit_length()


def _page_locked(size: int, gpu_index: int) -> NDArray[np.uint8]:
    import torch

    if not torch.cuda.is_available():
        return np.empty(size, np.uint8)
    with torch.cuda.device(gpu_index):  # or the first GPU, too, would hold a context of this process
        return torch.empty(size, dtype=torch.uint8, pin_memory=True).numpy()
