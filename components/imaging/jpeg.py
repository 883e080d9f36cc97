"""JPEG without collateral damage: blocks that hide something are replaced, all others keep their coefficients.

A region's new pixels become coefficients here (colour, subsampling, forward DCT, the file's own quantisation tables);
everything else of the file passes through one lossless transform.
"""

from __future__ import annotations

import math
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

    def touched(self, component: Component, areas: Areas) -> NDArray[np.bool_]:
        """The blocks of a plane that areas (xyxy px) reach, bool [rows, columns].

        Decoders may interpolate colour between neighbouring samples; what shows inside an area is made of these blocks
        and of colour at its rim.
        """
        wide, high = BLOCK_PX * component.step_x, BLOCK_PX * component.step_y
        blocks = np.zeros((component.rows, component.columns), bool)
        for x1, y1, x2, y2 in areas.tolist():
            blocks[y1 // high : -(-y2 // high), x1 // wide : -(-x2 // wide)] = True
        return blocks


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
        if not natural.all():
            raise ValueError("a quantisation table has a step of zero")
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

    def put(component: int, row: int, blocks: turbojpeg.RowOfBlocks) -> None:
        if (component, row) in rows:
            columns, new = rows[component, row]
            blocks()[columns] = new
            missing.discard((component, row))

    output = turbojpeg.rewrite(jpeg_bytes, put, layout.progressive)
    if missing:
        raise ValueError(f"{len(missing)} rows of blocks did not come by")
    return output


_Rows = dict[tuple[int, int], tuple[NDArray[np.intp], turbojpeg.Blocks]]


def _new_rows(layout: Layout, colorspace: str, pixels: Pixels, areas: Areas) -> _Rows:
    """For each component and row of blocks that areas reach: the columns of the new blocks, and the blocks [n, 64].

    All blocks of a plane are made at once, however many areas there are.
    """
    new: _Rows = {}
    planes: dict[tuple[int, int], list[Pixels]] = {}
    for index, component in enumerate(layout.components):
        rows, columns = np.nonzero(layout.touched(component, areas))
        if not len(rows):
            continue
        step = component.step_x, component.step_y
        if step not in planes:
            planes[step] = _planes(_tiles(pixels, rows, columns, component), colorspace)
        levels = _quantised(_subsampled(planes[step][index], component), component)
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        for first, last in zip(starts, [*starts[1:], len(rows)], strict=True):
            new[index, int(rows[first])] = columns[first:last], levels[first:last]
    return new


def _tiles(pixels: Pixels, rows: NDArray[np.intp], columns: NDArray[np.intp], component: Component) -> Pixels:
    """The pixels under some blocks of a plane, uint8 [n, h, w, 3]; beyond the picture its last pixels go on."""
    high, wide = BLOCK_PX * component.step_y, BLOCK_PX * component.step_x
    whole_rows, whole_columns = pixels.shape[0] // high, pixels.shape[1] // wide
    grid = pixels[: whole_rows * high, : whole_columns * wide].reshape(whole_rows, high, whole_columns, wide, 3)
    is_whole = (rows < whole_rows) & (columns < whole_columns)
    tiles = np.empty((len(rows), high, wide, 3), np.uint8)
    tiles[is_whole] = grid[rows[is_whole], :, columns[is_whole]]
    for i in np.flatnonzero(~is_whole):
        y, x = rows[i] * high, columns[i] * wide
        part = pixels[y : y + high, x : x + wide]
        tiles[i] = np.pad(part, ((0, high - part.shape[0]), (0, wide - part.shape[1]), (0, 0)), mode="edge")
    return tiles


def _planes(tiles: Pixels, colorspace: str) -> list[Pixels]:
    """RGB tiles as the file's own colour planes (JFIF 1.02, as OpenCV has it), each uint8 [n, h, w]."""
    flat = tiles.reshape(1, -1, 3)
    if colorspace == "Gray":
        return [np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2GRAY), np.uint8).reshape(tiles.shape[:3])]
    order = (0, 1, 2)
    if colorspace == "YCbCr":
        flat, order = np.asarray(cv2.cvtColor(flat, cv2.COLOR_RGB2YCrCb), np.uint8), (0, 2, 1)
    return [np.asarray(cv2.extractChannel(flat, channel), np.uint8).reshape(tiles.shape[:3]) for channel in order]


def _subsampled(plane: Pixels, component: Component) -> Pixels:
    """Samples of the plane's own resolution, uint8 [n, 64]."""
    if component.step_x > 1 or component.step_y > 1:
        upright = plane.reshape(-1, plane.shape[2])  # tiles one above the other; none borrows from the next
        plane = np.asarray(cv2.resize(upright, (BLOCK_PX, BLOCK_PX * len(plane)), interpolation=cv2.INTER_AREA))
    return plane.reshape(-1, 64)


def _quantised(samples: Pixels, component: Component) -> turbojpeg.Blocks:
    """Forward DCT (T.81 A.3.3) and division by the quantisation table, as one multiplication for all blocks."""
    levels = samples.astype(np.float32) @ (_DCT / component.quantisation)
    levels[:, 0] -= 128 * BLOCK_PX / component.quantisation[0]  # the level shift, which only the mean knows
    return np.rint(levels, out=levels).astype(np.int16)


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
    turbojpeg.read_planes(jpeg_bytes, planes)
    return planes


def changed_blocks(before: bytes, after: bytes, layout: Layout) -> list[NDArray[np.bool_]]:
    """Which blocks of two files of the same layout have other coefficients, for each component bool [rows, columns].

    Raises:
        ValueError: one of the files is damaged.
    """
    planes = coefficients(before, layout)
    changed = [np.ones(plane.shape[:2], bool) for plane in planes]  # until it is shown to be the same

    def compare(component: int, row: int, blocks: turbojpeg.RowOfBlocks) -> None:
        plane = planes[component]
        if row < len(plane):
            old, new = plane[row], blocks()[: plane.shape[1]]
            is_same = old.shape == new.shape and old.tobytes() == new.tobytes()
            changed[component][row] = False if is_same else _differ(old, new)

    turbojpeg.read_rows(after, compare)
    return changed


def _differ(old: turbojpeg.Blocks, new: turbojpeg.Blocks) -> NDArray[np.bool_] | bool:
    if old.shape != new.shape:
        return True
    differ: NDArray[np.bool_] = (old.view(np.uint64) != new.view(np.uint64)).any(axis=1)  # four coefficients at a time
    return differ
