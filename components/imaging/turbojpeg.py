"""libjpeg-turbo's lossless transform, called through its TurboJPEG API: one pass over a file, row of blocks by row.

The library hands each row of DCT blocks to a callback before it writes it out again. So a file can be read as
coefficients, or be changed in a few blocks, at the cost of Huffman decoding and encoding alone.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, files

import numpy as np
from numpy.typing import NDArray

from components.errors import StreetveilError

Blocks = NDArray[np.int16]  # [n, 64], natural order
RowOfBlocks = Callable[[], Blocks]
OnRow = Callable[[int, int, RowOfBlocks], None]
_OnMemory = Callable[[int, int, int, int], None]  # component, row, address, number of blocks
_BLOCK_BYTES = 128

# turbojpeg.h of libjpeg-turbo 3.0
_INIT_TRANSFORM = 2
_STOP_ON_WARNING, _SCAN_LIMIT = 0, 13
_NO_OUTPUT, _PROGRESSIVE, _COPY_NONE = 16, 32, 64
_MAX_SCANS = 500  # a progressive file has about ten; thousands are an attack on the decoder's time


class _Region(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int) for name in ("x", "y", "w", "h")]


_Filter = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, _Region, _Region, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)


class _Transform(ctypes.Structure):
    _fields_ = [
        ("region", _Region),
        ("operation", ctypes.c_int),
        ("options", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("filter", _Filter),
    ]


def read_planes(jpeg_bytes: bytes, planes: Sequence[Blocks]) -> None:
    """Read a file's coefficients.

    Args:
        jpeg_bytes: the file.
        planes: where they go, for each component int16 [rows, columns, 64] without gaps; what the file holds beyond
            is filling, and is left out.

    Raises:
        ValueError: the library refuses the file, or warns about it.
    """
    places = [(plane.ctypes.data, len(plane), plane.shape[1]) for plane in planes]

    def keep(component: int, row: int, address: int, count: int) -> None:
        start, rows, columns = places[component]
        if row < rows:
            ctypes.memmove(start + row * columns * _BLOCK_BYTES, address, min(columns, count) * _BLOCK_BYTES)

    _transform(jpeg_bytes, keep, _NO_OUTPUT)


def read_rows(jpeg_bytes: bytes, on_row: OnRow) -> None:
    """Show every row of blocks to a callback, and write nothing.

    Args:
        jpeg_bytes: the file.
        on_row: as in `rewrite`.

    Raises:
        ValueError: the library refuses the file, or warns about it.
    """
    _transform(jpeg_bytes, _as_blocks(on_row), _NO_OUTPUT)


def rewrite(jpeg_bytes: bytes, on_row: OnRow, progressive: bool) -> bytes:
    """Write a file again as it is, without any of its metadata, after a callback has changed rows in place.

    Args:
        jpeg_bytes: the file.
        on_row: takes the component's index, the row's index, and a function that gives its blocks, int16 [n, 64];
            these are the library's own memory, gone when the callback returns. What it changes in them is what will be
            written. The last row may be one of filling.
        progressive: whether the output is progressive.

    Raises:
        ValueError: the library refuses the file, or warns about it.
    """
    return _transform(jpeg_bytes, _as_blocks(on_row), _COPY_NONE | (_PROGRESSIVE if progressive else 0))


def _as_blocks(on_row: OnRow) -> _OnMemory:
    def show(component: int, row: int, address: int, count: int) -> None:
        on_row(component, row, lambda: _blocks_at(address, count))

    return show


def _transform(jpeg_bytes: bytes, on_memory: _OnMemory, options: int) -> bytes:
    library = _library()
    failures: list[BaseException] = []

    def callback(address: int, row: _Region, _plane: _Region, component: int, _index: int, _data: int) -> int:
        try:  # an exception must not get lost in the library: the row would be written as it was
            on_memory(component, row.y // 8, address, row.w // 8)
        except BaseException as error:  # raised again below
            failures.append(error)
            return -1
        return 0

    handle = library.tj3Init(_INIT_TRANSFORM)
    if not handle:
        raise MemoryError("libjpeg-turbo cannot be started")
    output, size = ctypes.c_void_p(None), ctypes.c_size_t(0)
    try:
        library.tj3Set(handle, _STOP_ON_WARNING, 1)
        library.tj3Set(handle, _SCAN_LIMIT, _MAX_SCANS)
        order = _Transform(options=options, filter=_Filter(callback))
        refused = library.tj3Transform(
            handle, jpeg_bytes, len(jpeg_bytes), 1, ctypes.byref(output), ctypes.byref(size), ctypes.byref(order)
        )
        if failures:
            raise failures[0]
        if refused:
            raise ValueError(library.tj3GetErrorStr(handle).decode(errors="replace"))
        return ctypes.string_at(output, size.value) if output.value else b""
    finally:
        library.tj3Free(output)
        library.tj3Destroy(handle)


def _blocks_at(address: int, count: int) -> Blocks:
    """The library's own memory as an array; a fifth of the time that numpy's own way from a pointer takes."""
    memory = (ctypes.c_short * (64 * count)).from_address(address)
    return np.frombuffer(memoryview(memory), np.int16).reshape(-1, 64)


@functools.cache
def _library() -> ctypes.CDLL:
    """The library inside the wheel, else the system's own.

    Raises:
        StreetveilError: there is none, or it is older than 3.0.
    """
    try:
        inside = [str(file.locate()) for file in files("turbojpeg") or () if "libturbojpeg" in file.name]
    except PackageNotFoundError:
        inside = []
    for path in (*inside, ctypes.util.find_library("turbojpeg")):
        library = path and ctypes.CDLL(path)
        if library and hasattr(library, "tj3Transform"):
            return _typed(library)
    raise StreetveilError(
        "no libjpeg-turbo 3.0 or newer: install the turbojpeg wheel of requirements.lock, or the system's libturbojpeg"
    )


def _typed(library: ctypes.CDLL) -> ctypes.CDLL:
    pointer, integer, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t
    library.tj3Init.argtypes, library.tj3Init.restype = [integer], pointer
    library.tj3Set.argtypes = [pointer, integer, integer]
    library.tj3GetErrorStr.argtypes, library.tj3GetErrorStr.restype = [pointer], ctypes.c_char_p
    library.tj3Free.argtypes, library.tj3Free.restype = [pointer], None
    library.tj3Destroy.argtypes, library.tj3Destroy.restype = [pointer], None
    library.tj3Transform.argtypes = [pointer, ctypes.c_char_p, size, integer, pointer, pointer, pointer]
    return library
