"""JPEG without collateral damage: blocks that hide something are replaced, all others keep their coefficients.

A region's new pixels become coefficients here (colour, subsampling, forward DCT, the file's own quantisation tables);
everything else of the file passes through one lossless transform.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.imaging import turbojpeg
from components.imaging.jpeg_segments import DQT, SOS, START_OF_FRAME, walk

Pixels = NDArray[np.uint8]
Areas = NDArray[np.int32]  # [n, 4], xyxy px
BLOCK_PX = 8

# Columns of each row's coefficient in the order of the file's zigzag: ITU-T T.81, figure 5, built rather than listed.
_ZIGZAG = np.array(
    sorted(range(64), key=lambda i: (sum(divmod(i, 8)), i // 8 if sum(divmod(i, 8)) % 2 else i % 8)), np.intp
)
_PLANES: dict[str, int] = {"YCbCr": 3, "RGB": 3, "Gray": 1}  # the colour spaces that can be edited, and their planes


@dataclass(frozen=True, slots=True, eq=False)
class Component:
    """One colour plane.

    Attributes:
        step_x, step_y: pixels of the picture for one sample of the plane.
        columns, rows: blocks that carry picture; a file may hold filling beyond them.
        quantisation: float32 [64], natural order.
    """

    step_x: int
    step_y: int
    columns: int
    rows: int
    quantisation: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """How a JPEG file holds its picture, in the stored order (not turned by any orientation)."""

    width: int
    height: int
    progressive: bool
    components: tuple[Component, ...]

    def touched(self, component: Component, area: NDArray[np.int32]) -> tuple[int, int, int, int]:
        """The blocks of a plane that an area (xyxy px) reaches: first column, first row, and the ones after the last.

        Decoders may interpolate colour between neighbouring samples; what shows inside an area is made of these blocks
        and of colour at its rim.
        """
        wide, high = BLOCK_PX * component.step_x, BLOCK_PX * component.step_y
        x1, y1, x2, y2 = (int(side) for side in area)
        right, below = math.ceil(x2 / wide), math.ceil(y2 / high)
        return x1 // wide, y1 // high, min(right, component.columns), min(below, component.rows)


def read_layout(jpeg_bytes: bytes) -> Layout:
    """Read frame and tables.

    Raises:
        ValueError: the file cannot be edited in place: more than 8 bits, arithmetic or lossless coding, tables that
            change between scans, samplings that are no whole steps, or a broken chain of segments.
    """
    tables: dict[int, NDArray[np.float32]] = {}
    frame, frame_marker, scans = b"", 0, 0
    for segment in walk(jpeg_bytes):
        if segment.marker == DQT:
            if scans:
                raise ValueError("quantisation tables change between scans")
            tables |= _quantisation_tables(bytes(segment.payload))
        elif segment.marker in START_OF_FRAME:
            frame, frame_marker = bytes(segment.payload), segment.marker
        elif segment.marker == SOS:
            scans += 1
    if frame_marker not in (0xC0, 0xC1, 0xC2) or frame[0] != BLOCK_PX:
        raise ValueError(f"frame 0x{frame_marker:02X} is not 8-bit Huffman-coded")
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    components = _components(frame, width, height, tables)
    return Layout(width, height, frame_marker == 0xC2, components)


def _quantisation_tables(payload: bytes) -> dict[int, NDArray[np.float32]]:
    tables = {}
    while payload:
        is_wide, number = divmod(payload[0], 16)
        size = 128 if is_wide else 64
        if len(payload) < 1 + size:
            raise ValueError("a quantisation table is cut off")
        natural = np.empty(64, np.float32)
        natural[_ZIGZAG] = np.frombuffer(payload[1 : 1 + size], ">u2" if is_wide else "u1")
        tables[number] = natural
        payload = payload[1 + size :]
    return tables


def _components(frame: bytes, width: int, height: int, tables: dict[int, NDArray[np.float32]]) -> tuple[Component, ...]:
    count = frame[5]
    entries = [frame[6 + 3 * i : 9 + 3 * i] for i in range(count)]
    if len(entries[-1]) != 3:
        raise ValueError("the frame is cut off")
    factors = [divmod(entry[1], 16) for entry in entries]
    if count == 1:
        factors = [(1, 1)]  # T.81 A.2.2: a single component is not interleaved, whatever factors it names
    max_h, max_v = max(h for h, _ in factors), max(v for _, v in factors)
    planes = []
    for (h, v), entry in zip(factors, entries, strict=True):
        if not h or not v or max_h % h or max_v % v or entry[2] not in tables:
            raise ValueError("a component's sampling is no whole step, or its table is missing")
        columns = math.ceil(math.ceil(width * h / max_h) / BLOCK_PX)
        rows = math.ceil(math.ceil(height * v / max_v) / BLOCK_PX)
        planes.append(Component(max_h // h, max_v // v, columns, rows, tables[entry[2]]))
    return tuple(planes)


def replace_areas(jpeg_bytes: bytes, layout: Layout, colorspace: str, pixels: Pixels, areas: Areas) -> bytes:
    """Write a file again in which the blocks that areas reach show other pixels.

    Args:
        jpeg_bytes: the file.
        layout: of the file.
        colorspace: of the file: YCbCr, RGB or Gray.
        pixels: uint8 [h, w, 3] RGB in stored order, of which only the surroundings of the areas are looked at.
        areas: int32 [n, 4] xyxy px, within the picture.

    Returns:
        The file without metadata and without restart markers. Every other block has the coefficients it had.

    Raises:
        ValueError: the file is damaged, or its colour space is none of these.
    """
    if _PLANES.get(colorspace) != len(layout.components):
        raise ValueError(f"the colour space {colorspace} cannot be edited in place")
    rows = _new_rows(layout, colorspace, pixels, areas)
    missing = set(rows)

    def put(component: int, row: int, blocks: turbojpeg.Blocks) -> None:
        for first, new in rows.get((component, row), ()):
            blocks[first : first + len(new)] = new
            missing.discard((component, row))

    output = turbojpeg.rewrite(jpeg_bytes, put, layout.progressive)
    if missing:
        raise ValueError(f"{len(missing)} rows of blocks did not come by")
    return output


_Rows = dict[tuple[int, int], list[tuple[int, turbojpeg.Blocks]]]


def _new_rows(layout: Layout, colorspace: str, pixels: Pixels, areas: Areas) -> _Rows:
    """For each component and row of blocks: the first column of each run of new blocks, and the run, int16 [n, 64]."""
    wide = BLOCK_PX * max(component.step_x for component in layout.components)
    high = BLOCK_PX * max(component.step_y for component in layout.components)
    windows = [_window(pixels, area, wide, high) for area in areas]
    planes = [_planes(window, colorspace) for _, _, window in windows]
    rows: _Rows = defaultdict(list)
    for index, component in enumerate(layout.components):
        places, blocks = [], []
        for area, (x, y, _), plane in zip(areas, windows, planes, strict=True):
            left, top, right, below = layout.touched(component, area)
            across, down = x // (BLOCK_PX * component.step_x), y // (BLOCK_PX * component.step_y)
            all_blocks = _blocks(_subsampled(plane[index], component))
            places.append((left, top))
            blocks.append(all_blocks[top - down : below - down, left - across : right - across])
        for (left, top), new in zip(places, _quantised(blocks, component), strict=True):
            for row, run in enumerate(new, start=top):
                rows[index, row].append((left, run))
    return rows


def _window(pixels: Pixels, area: NDArray[np.int32], wide: int, high: int) -> tuple[int, int, Pixels]:
    """An area grown to whole units of the file, with its corner; beyond the picture its last pixels go on."""
    x1, y1 = int(area[0]) // wide * wide, int(area[1]) // high * high
    x2, y2 = math.ceil(area[2] / wide) * wide, math.ceil(area[3] / high) * high
    window = pixels[y1:y2, x1:x2]
    below, right = y2 - y1 - window.shape[0], x2 - x1 - window.shape[1]
    if below or right:
        window = np.pad(window, ((0, below), (0, right), (0, 0)), mode="edge")
    return x1, y1, np.ascontiguousarray(window)


def _planes(window: Pixels, colorspace: str) -> list[Pixels]:
    """RGB as the file's own colour planes (JFIF 1.02, as OpenCV has it)."""
    if colorspace == "Gray":
        return [np.asarray(cv2.cvtColor(window, cv2.COLOR_RGB2GRAY), np.uint8)]
    order = (0, 1, 2)
    if colorspace == "YCbCr":
        window, order = np.asarray(cv2.cvtColor(window, cv2.COLOR_RGB2YCrCb), np.uint8), (0, 2, 1)
    return [np.ascontiguousarray(window[:, :, channel]) for channel in order]


def _subsampled(plane: Pixels, component: Component) -> Pixels:
    if component.step_x == component.step_y == 1:
        return plane
    size = plane.shape[1] // component.step_x, plane.shape[0] // component.step_y
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.uint8)


def _blocks(plane: Pixels) -> NDArray[np.float32]:
    """[h, w] as [h / 8, w / 8, 64], level-shifted."""
    high, wide = plane.shape[0] // 8, plane.shape[1] // 8
    return plane.reshape(high, 8, wide, 8).swapaxes(1, 2).reshape(high, wide, 64).astype(np.float32) - 128


def _quantised(blocks: list[NDArray[np.float32]], component: Component) -> list[turbojpeg.Blocks]:
    """Forward DCT (T.81 A.3.3) and division by the quantisation table, as one multiplication for all blocks."""
    if not blocks:
        return []
    samples = np.concatenate([part.reshape(-1, 64) for part in blocks])
    levels = np.rint(samples @ (_DCT / component.quantisation)).astype(np.int16)
    ends = np.cumsum([part.shape[0] * part.shape[1] for part in blocks])
    return [part.reshape(old.shape) for part, old in zip(np.split(levels, ends[:-1]), blocks, strict=True)]


def _dct_matrix() -> NDArray[np.float32]:
    frequency, place = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
    one = np.cos((2 * place + 1) * frequency * np.pi / 16) / 2
    one[0] /= np.sqrt(2)
    return np.kron(one, one).T.astype(np.float32)


_DCT = _dct_matrix()


def coefficients(jpeg_bytes: bytes, layout: Layout) -> list[NDArray[np.int16]]:
    """All quantised coefficients, for each component int16 [rows, columns, 64].

    Raises:
        ValueError: the file is damaged.
    """
    planes = [np.zeros((c.rows, c.columns, 64), np.int16) for c in layout.components]

    def keep(component: int, row: int, blocks: turbojpeg.Blocks) -> None:
        plane = planes[component]
        if row < len(plane):
            plane[row] = blocks[: plane.shape[1]]

    turbojpeg.read_rows(jpeg_bytes, keep)
    return planes
