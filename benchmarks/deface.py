"""Streetveil beside deface, from file to file: images per second on one core, and which faces are hidden.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.deface --prepared FOLDER [--images N] [--street N] [--large N]

All take turns on each picture, in one process: Streetveil's whole way of an image (decode, search, hide, write,
verify, journal), and deface's (`image_detect` of its command line, at the settings it comes with) on ONNX Runtime,
which it takes by itself where it is installed, and on OpenCV. Faces alone are compared, since deface looks for nothing
else; Streetveil looks for plates meanwhile. A face counts as found if 75 % of its labelled box is hidden: of deface by
its ellipse, of Streetveil by its area without the soft edge.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from benchmarks.detection import composites
from benchmarks.machine import machine
from components.batch.journal import Journal
from components.batch.manifest import PUBLISHED
from components.batch.sources import ImageRef
from components.batch.storage import open_destination
from components.batch.work_order import WorkOrder
from components.batch.worker import load_blurring, process_image
from components.dataset.labels import LabelledImage, read_labels
from components.detection.bundle import Bundle
from components.detection.shipped import shipped_files
from components.detections import CLASS_NAMES, FACE, pixel_mask
from components.errors import StreetveilError
from components.imaging.reading import decode
from components.settings import PROJECT_ROOT, load_params

TARGET = 5.0
_SEED = 7
_FOUND_SHARE = 0.75
_QUALITY = 90
_THRESHOLD, _MASK_SCALE = 0.2, 1.3  # deface's own defaults
_STREETVEIL = "Streetveil"
_BACKENDS = {"deface, ONNX Runtime": "onnxrt", "deface, OpenCV": "opencv"}

Hidden = NDArray[np.bool_]
Way = Callable[[Path], Hidden]  # a file to its published form; what is hidden in it, [h, w]


@dataclass(slots=True)
class Score:
    """What one way has done on some pictures.

    Attributes:
        cpu_s: processor time of each picture.
        found, faces: objects.
        covered_px, labelled_px: pixels of faces.
    """

    cpu_s: list[float] = field(default_factory=list)
    found: int = 0
    faces: int = 0
    covered_px: int = 0
    labelled_px: int = 0

    def add(self, cpu_s: float, hidden: Hidden, truth: LabelledImage) -> None:
        """Count one picture."""
        self.cpu_s.append(cpu_s)
        boxes = truth.objects.of_class(FACE).xyxy
        labelled = pixel_mask(boxes, truth.width, truth.height)
        self.labelled_px += int(labelled.sum())
        self.covered_px += int((labelled & hidden).sum())
        for x1, y1, x2, y2 in np.rint(boxes).astype(int).tolist():
            inside = hidden[max(0, y1) : y2, max(0, x1) : x2]
            self.faces += 1
            self.found += bool(inside.size) and float(inside.mean()) >= _FOUND_SHARE

    @property
    def images_per_s(self) -> float:
        """Of one core."""
        return len(self.cpu_s) / sum(self.cpu_s)


def load_deface() -> ModuleType:
    """The other program.

    Raises:
        StreetveilError: it is not installed.
    """
    try:
        import deface.centerface
        import deface.deface
    except ImportError as error:
        raise StreetveilError(
            f"deface cannot be run here ({error}): install it with what it needs, imageio, imageio-ffmpeg, "
            "scikit-image and tqdm, beside Streetveil"
        ) from error
    return deface


def deface_way(backend: str, out: Path) -> Way:
    """Deface's own way of a picture, with its network loaded."""
    package = load_deface()
    with contextlib.redirect_stdout(io.StringIO()):  # it says on what it runs
        network = package.centerface.CenterFace(backend=backend)
    seen: list[NDArray] = []

    def watched(frame: NDArray, threshold: float) -> tuple[NDArray, NDArray]:
        boxes, marks = network(frame, threshold=threshold)
        seen[:] = [frame.shape, boxes]
        return boxes, marks

    def way(file: Path) -> Hidden:
        package.deface.image_detect(
            str(file), str(out / f"{backend}.jpg"), watched, _THRESHOLD, "blur", _MASK_SCALE, True, False, False, False
        )  # fmt: skip
        return ellipses(package, *seen)

    return way


def ellipses(package: ModuleType, shape: tuple[int, ...], boxes: NDArray) -> Hidden:
    """What deface hides of a picture: an ellipse in each box, grown as it grows them."""
    from skimage.draw import ellipse

    hidden = np.zeros(shape[:2], bool)
    for box in boxes[:, :4]:
        x1, y1, x2, y2 = package.deface.scale_bb(*box.astype(int), _MASK_SCALE).tolist()
        y1, y2, x1, x2 = max(0, y1), min(shape[0] - 1, y2), max(0, x1), min(shape[1] - 1, x2)
        rows, columns = ellipse((y2 - y1) // 2, (x2 - x1) // 2, (y2 - y1) // 2, (x2 - x1) // 2)
        hidden[y1:y2, x1:x2][rows, columns] = True
    return hidden


def streetveil_way(folder: Path, region_name: str | None) -> Way:
    """Our own way of a picture, as a worker of a run takes it."""
    params = load_params()
    bundle = Bundle("streetveil-detector", "shipped", shipped_files())
    order = WorkOrder(
        folder / "in", open_destination(folder / "out"), region_name, params, bundle, b"k" * 32, "benchmark"
    )
    blurring = load_blurring(order)
    region = params.region(region_name)[1]

    def way(file: Path) -> Hidden:
        status = file.stat()
        image = ImageRef(file.name, status.st_size, status.st_mtime_ns)
        row = process_image(order, blurring, Journal(order.destination, "benchmark"), image)
        if row.state != PUBLISHED:
            raise StreetveilError(f"nothing was measured: {file.name} came to {row.reason} ({row.detail})")
        boxes = [
            grown((one.x1, one.y1, one.x2, one.y2), region.rule(one.class_name).dilation)
            for one in row.proposals or ()
            if one.outcome == "blurred"
        ]
        return pixel_mask(np.array(boxes, np.float32).reshape(-1, 4), row.width or 0, row.height or 0)

    return way


def grown(box: tuple[float, float, float, float], share: float) -> tuple[float, float, float, float]:
    """A box with a share of its sides more on each of them."""
    x1, y1, x2, y2 = box
    dx, dy = share * (x2 - x1), share * (y2 - y1)
    return x1 - dx, y1 - dy, x2 + dx, y2 + dy


def race(ways: dict[str, Way], files: Sequence[tuple[Path, LabelledImage]]) -> dict[str, Score]:
    """All ways in turns on each picture; the first picture is done once more before, to warm up."""
    scores = {name: Score() for name in ways}
    for way in ways.values():
        way(files[0][0])
    for file, truth in files:
        for name, way in ways.items():
            start_s = time.process_time()
            hidden = way(file)
            scores[name].add(time.process_time() - start_s, hidden, truth)
    return scores


def lines(name: str, scores: dict[str, Score]) -> list[str]:
    """A block of the table."""
    ours = scores[_STREETVEIL].images_per_s
    told = []
    for way, score in scores.items():
        p5, median, p95 = np.percentile(score.cpu_s, [5, 50, 95]) * 1000
        ratio = "1" if way == _STREETVEIL else f"{ours / score.images_per_s:.2f}"
        object_recall = f"{score.found / score.faces:.3f}" if score.faces else "–"
        pixel_recall = f"{score.covered_px / score.labelled_px:.3f}" if score.labelled_px else "–"
        told.append(
            f"| {name} | {way} | {len(score.cpu_s)} | {score.images_per_s:.2f} | {ratio} "
            f"| {p5:.0f} / {median:.0f} / {p95:.0f} | {score.faces} | {object_recall} | {pixel_recall} |"
        )
    return told


HEAD = (
    "| pictures | program | n | images/s per core | Streetveil is × as fast | CPU-ms, 5 % / median / 95 % | faces "
    "| object recall | pixel recall |\n" + "|---" * 9 + "|"
)  # fmt: skip


def written(folder: Path, images: Sequence[LabelledImage], name: str) -> list[tuple[Path, LabelledImage]]:
    """Labelled pictures as JPEG files of their own; turned upright, since deface does not look at the orientation."""
    told = []
    for number, image in enumerate(images):
        pixels = decode((PROJECT_ROOT / image.path).read_bytes(), load_params().reading).pixels
        told.append((folder / f"{name}-{number:04d}.jpg", image))
        told[-1][0].write_bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), _QUALITY, colorsubsampling="420"))
    return told


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--images", type=int, default=40, help="Pictures with labelled faces.")
    parser.add_argument("--street", type=int, default=40, help="Street pictures in which every face is labelled.")
    parser.add_argument("--large", type=int, default=3, help="Pictures of 5 MP, put together from the others.")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    try:
        load_deface()
    except StreetveilError as error:
        raise SystemExit(str(error)) from error
    print(machine("deface"), flush=True)
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").mkdir()
        ways = {_STREETVEIL: streetveil_way(folder, None)}
        ways |= {way: deface_way(backend, folder) for way, backend in _BACKENDS.items()}
        print(HEAD)
        for block, files in pictures(folder / "in", given.prepared, given.images, given.street, given.large).items():
            if files:
                print("\n".join(lines(block, race(ways, files))), flush=True)
    print(f"\nTarget: {TARGET:g} times deface's images/s per core, at a higher recall of faces.")


def pictures(
    folder: Path, prepared: Path, images: int, street: int, large: int
) -> dict[str, list[tuple[Path, LabelledImage]]]:
    """The three kinds of pictures, all of the test part, at random."""
    test = list(read_labels(prepared / "test.json", folder=""))
    rng = np.random.default_rng(_SEED)
    shuffled = [test[i] for i in rng.permutation(len(test))]
    with_faces = [image for image in shuffled if len(image.objects.of_class(FACE))]
    complete = [image for image in with_faces if image.exhaustive >= set(CLASS_NAMES)]
    close = [image for image in with_faces if not image.exhaustive >= set(CLASS_NAMES)]
    made = {
        "faces": written(folder, close[:images], "face"),
        "streets": written(folder, complete[:street], "street"),
    }
    made["5 MP composites"] = []
    for number, one in enumerate(composites(test, large, load_params())):
        file = folder / f"large-{number:02d}.jpg"
        file.write_bytes(simplejpeg.encode_jpeg(one.pixels, _QUALITY, colorsubsampling="420"))
        made["5 MP composites"].append((file, one.truth))
    return made


if __name__ == "__main__":
    main()
