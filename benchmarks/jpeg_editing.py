"""What hiding costs in a 5 MP JPEG: in place, for one region and for many, beside decoding and encoding it anew.

    python -m benchmarks.jpeg_editing

CPU time of one thread; the ways take turns, and medians and their ratios are printed.
"""

from __future__ import annotations

import io
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from components.imaging import jpeg, turbojpeg
from components.imaging.publication import Recipe, publish
from components.imaging.reading import decode
from components.settings import load_params

WIDTH, HEIGHT = 2592, 1944
ROUNDS = 21
COLUMNS = (
    "JPEG, 5 MP",
    "MB",
    "transform alone",
    "1 region",
    "25 regions",
    "decode + encode",
    "25 : 1",
    "1 : decode + encode",
    "blocks changed outside",
)


def photograph() -> NDArray[np.uint8]:
    """A photograph of 5 MP with the grain of a sensor."""
    rng = np.random.default_rng(1)
    large = cv2.resize(data.astronaut(), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    return np.clip(large + rng.normal(0, 5, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8)


def regions(count: int, side_px: int = 64) -> NDArray[np.int32]:
    """Square areas spread over the picture, at odd places."""
    corners = [(61 + 509 * (i % 5), 43 + 367 * (i // 5)) for i in range(count)]
    return np.array([(x, y, x + side_px, y + side_px) for x, y in corners], np.int32)


def medians(ways: dict[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """CPU-ms of each way, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append((time.process_time() - start) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def kinds() -> dict[str, bytes]:
    """The photograph in every kind of JPEG that is edited in place."""
    pixels = photograph()
    made = {sampling: simplejpeg.encode_jpeg(pixels, 90, "RGB", sampling) for sampling in ("444", "422", "420", "411")}
    grey = np.ascontiguousarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None])
    made["grey"] = simplejpeg.encode_jpeg(grey, 90, "GRAY", "Gray")
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=90, subsampling=2, restart_marker_rows=1)
    made["420, restart markers"] = out.getvalue()
    made["420, odd size"] = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels[:-5, :-3]), 90, "RGB", "420")
    made["420, progressive"] = turbojpeg.rewrite(made["420"], lambda *_: None, progressive=True)
    return made


def decode_and_encode(content: bytes) -> bytes:
    """The same file through pixels, with an encoder that keeps its kind."""
    _, _, colorspace, sampling = simplejpeg.decode_jpeg_header(content)
    if colorspace == "Gray":
        return simplejpeg.encode_jpeg(simplejpeg.decode_jpeg(content, "GRAY", strict=True), 90, "GRAY", "Gray")
    pixels = simplejpeg.decode_jpeg(content, "RGB", strict=True)
    if not jpeg.read_layout(content).progressive:
        return simplejpeg.encode_jpeg(pixels, 90, "RGB", sampling)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=90, subsampling=2, progressive=True)
    return out.getvalue()


def hiding(content: bytes, count: int, side_px: int = 64, region: str = "strict") -> Callable[[], object]:
    """Hiding areas in a file whose picture is decoded already, as the detectors need it anyway."""
    params = load_params()
    recipe = Recipe(params.regions[region].obfuscation, params.encoding, params.reading, b"k" * 32)
    picture = decode(content, recipe.reading)
    areas = regions(count, side_px)
    return lambda: publish(content, areas, recipe, picture)


def measure(content: bytes) -> dict[str, float]:
    """CPU-ms of one file: the transform alone, hiding one area and 25, and the way through pixels."""
    progressive = jpeg.read_layout(content).progressive
    return medians(
        {
            "transform alone": lambda: turbojpeg.rewrite(content, lambda *_: None, progressive),
            "1 region": hiding(content, 1),
            "25 regions": hiding(content, 25),
            "decode + encode": lambda: decode_and_encode(content),
        }
    )


def changed_blocks_outside(content: bytes) -> int:
    """Blocks that no region reaches and that have other coefficients than before; 25 regions."""
    layout = jpeg.read_layout(content)
    areas = regions(25)
    pixels = simplejpeg.decode_jpeg(content, "RGB").copy()
    for x1, y1, x2, y2 in areas:
        pixels[y1:y2, x1:x2] = 118
    colorspace = simplejpeg.decode_jpeg_header(content)[2]
    output = jpeg.replace_areas(content, layout, colorspace, pixels, areas)
    count = 0
    for component, before, after in zip(
        layout.components, jpeg.coefficients(content, layout), jpeg.coefficients(output, layout), strict=True
    ):
        changed = (before != after).any(axis=2) & ~layout.touched(component, areas)
        count += int(changed.sum())
    return count


def jpegtran_drop(content: bytes, count: int) -> float | None:
    """CPU-s of `jpegtran -drop`, once for each region; None where it is not installed."""
    if shutil.which("jpegtran") is None:
        return None
    with TemporaryDirectory() as folder:
        whole, patch, after = (Path(folder) / name for name in ("whole.jpg", "patch.jpg", "after.jpg"))
        patch.write_bytes(simplejpeg.encode_jpeg(np.full((96, 96, 3), 118, np.uint8), 90, "RGB", "420"))
        whole.write_bytes(content)
        start = time.perf_counter()
        for x1, y1, _, _ in regions(count).tolist():
            place = f"+{x1 // 16 * 16}+{y1 // 16 * 16}"
            subprocess.run(["jpegtran", "-drop", place, patch, "-outfile", after, whole], check=True)
            after.replace(whole)
        return time.perf_counter() - start


def main() -> None:
    """Print the tables."""
    cv2.setNumThreads(1)
    files = kinds()
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for name, content in files.items():
        ms = measure(content)
        one, many, anew = ms["1 region"], ms["25 regions"], ms["decode + encode"]
        cells = [name, f"{len(content) / 1e6:.1f}", *(f"{value:.0f}" for value in ms.values())]
        cells += [f"{many / one:.2f}", f"{one / anew:.2f}", str(changed_blocks_outside(content))]
        print("| " + " | ".join(cells) + " |")
    content = files["420"]
    print("\n| region's rule | side, px | of the picture | decode | 1 region | 25 regions | 25 : 1 | with decode |")
    print("|---" * 8 + "|")
    for region in ("strict", "eu"):
        for side_px in (24, 48, 64, 96):
            ways = {"decode": lambda: simplejpeg.decode_jpeg(content, "RGB", strict=True)}
            ways |= {str(n): hiding(content, n, side_px, region) for n in (1, 25)}
            ms = medians(ways)
            one, many, whole = ms["1"], ms["25"], ms["decode"]
            share = 25 * side_px**2 / (WIDTH * HEIGHT)
            cells = [region, str(side_px), f"{share:.1%}", *(f"{value:.0f}" for value in (whole, one, many))]
            cells += [f"{many / one:.2f}", f"{(whole + many) / (whole + one):.2f}"]
            print("| " + " | ".join(cells) + " |")
    for count in (1, 25):
        seconds = jpegtran_drop(content, count)
        print(
            f"jpegtran -drop, {count} regions: " + ("not installed" if seconds is None else f"{seconds * 1000:.0f} ms")
        )


if __name__ == "__main__":
    main()
