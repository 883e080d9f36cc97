"""Frames per second and leaked face-frames of a video of moving faces, searched every n-th frame and every frame.

    python -m benchmarks.video [--faces FOLDER] [--seconds N] [--rate N] [--every N ...]

The video is rendered when this is run: heads cut from real photographs (of installed packages, or of a labelled set in
--faces, with `labels.json`) walk, run, come nearer, bob, pass behind poles and out of the picture, before a street that
moves, with one cut between two scenes. It lies in a temporary folder and is removed. A face-frame is one face in one
frame, at least 14 px, 60 % within the picture and not behind a pole; it is leaked if less than 60 % of its pixels are
changed in the finished file. All runs use the shipped model and the same pipeline.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from components.dataset.labels import read_labels
from components.dataset.rendered_streets import background
from components.detection.bundle import Bundle, load_cascade
from components.detection.cascade import Cascade
from components.detection.shipped import peer_files, shipped_files
from components.detections import CLASS_IDS, heights, widths
from components.imaging.reading import Pixels, decode
from components.packages import package_folder
from components.settings import Params, load_params
from components.video.pipeline import VideoSummary, Wishes, blur_video
from components.video.stream import Source, opened, source_of
from components.video.writing import target_of

WIDTH, HEIGHT = 960, 540
_SEED, _MIN_CROP_PX, _CONTEXT, _HEADS = 29, 70, 0.55, 24
_MIN_FACE_PX, _MIN_INSIDE, _MAX_BEHIND, _HIDDEN_SHARE = 14, 0.6, 0.4, 0.6
_CODEC_LEVELS = 8  # so much may the two encoders change a pixel that nobody has hidden
_POLES, _POLE_PX = 5, 36


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A head cut from a photograph, with soft edges, and where its face is."""

    pixels: Pixels
    alpha: NDArray[np.float32]
    face: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Walk:
    """How a head moves: where it begins, how fast it goes, px per frame, how it grows and bobs."""

    head: int
    first: int
    last: int
    x: float
    y: float
    speed: float
    face_px: tuple[float, float]
    bob_px: float
    bob_frames: float

    def place(self, frame: int) -> tuple[float, float, float]:
        """Centre and height of the face in a frame, px."""
        share = (frame - self.first) / (self.last - self.first)
        bob = self.bob_px * np.sin(2 * np.pi * frame / self.bob_frames)
        low, high = self.face_px
        return self.x + self.speed * (frame - self.first), self.y + bob, low * (high / low) ** share


def heads_of_packages(params: Params) -> Iterator[Head]:
    """Heads of the demo's photographs, found by CenterFace."""
    peers = load_cascade(Bundle("peers", "1", peer_files()), params.detection)
    photographs = package_folder("ultralytics") / "assets"
    for path in (photographs / "bus.jpg", photographs / "zidane.jpg", package_folder("skimage") / "data/astronaut.png"):
        pixels = decode(path.read_bytes(), params.reading).pixels
        found = peers.propose(pixels, params.region(None)[1]).of_class(CLASS_IDS["face"])
        yield from _heads(pixels, found.xyxy[found.confidence > 0.6], min_px=25)


def heads_of_set(folder: Path, params: Params) -> Iterator[Head]:
    """Heads of labelled pictures."""
    images = list(read_labels(folder / "labels.json", folder=""))
    for i in np.random.default_rng(_SEED).permutation(len(images)):
        image = images[i]
        pixels = decode((folder / image.path).read_bytes(), params.reading).pixels
        yield from _heads(pixels, image.objects.of_class(CLASS_IDS["face"]).xyxy, _MIN_CROP_PX)


def _heads(pixels: Pixels, boxes: NDArray[np.float32], min_px: int) -> Iterator[Head]:
    height, width = pixels.shape[:2]
    large = np.minimum(widths(boxes), heights(boxes)) >= min_px
    for x1, y1, x2, y2 in boxes[large]:
        grown_x, grown_y = _CONTEXT * (x2 - x1), _CONTEXT * (y2 - y1)
        left, top = int(max(0, x1 - grown_x)), int(max(0, y1 - grown_y))
        right, bottom = int(min(width, x2 + grown_x)), int(min(height, y2 + grown_y))
        crop = pixels[top:bottom, left:right]
        across, down = np.linspace(-1, 1, crop.shape[1]), np.linspace(-1, 1, crop.shape[0])
        alpha = np.clip((1 - np.hypot(across[None], down[:, None])) * 5, 0, 1).astype(np.float32)
        yield Head(crop, alpha[..., None], np.array([x1 - left, y1 - top, x2 - left, y2 - top], np.float32))


def walks(frames: int, heads: int, rng: np.random.Generator) -> list[Walk]:
    """People who pass: slow and fast, near and far, from both sides and suddenly there."""
    found = []
    for number in range(max(6, frames // 28)):
        first = int(rng.integers(-40, frames - 25))
        speed = float(rng.choice([0, 1.5, 3, 5, 8, 12])) * (1 if rng.random() < 0.5 else -1)
        enters = abs(speed) > 2 and rng.random() < 0.7
        x = (-30.0 if speed > 0 else WIDTH + 30.0) if enters else float(rng.uniform(80, WIDTH - 80))
        low = float(rng.uniform(18, 90))
        sizes = (low, low * float(rng.choice([0.7, 1, 1.5, 2])))
        last = first + int(rng.integers(50, 160))
        y, bob = float(rng.uniform(150, HEIGHT - 150)), float(rng.uniform(0, 8))
        found.append(Walk(number % heads, first, last, x, y, speed, sizes, bob, float(rng.uniform(10, 30))))
    return found


def rendered(heads: Sequence[Head], frames: int) -> Iterator[tuple[Pixels, NDArray[np.float32]]]:
    """Frames, and the faces [n, 4] that are to be seen in each."""
    rng = np.random.default_rng(_SEED)
    streets = [background(rng, (WIDTH + frames // 2 + 1, HEIGHT)) for _ in range(2)]
    half = frames // 2
    scenes = [walks(half, len(heads), rng), walks(frames - half, len(heads), rng)]
    poles = np.sort(rng.integers(0, WIDTH + half, _POLES))
    for frame in range(frames):
        scene, at = divmod(frame, half) if frame < 2 * half else (1, frame - half)
        picture = streets[scene][:, at : at + WIDTH].copy()
        there = [walk for walk in scenes[scene] if walk.first <= at <= walk.last]
        faces = [_paste(picture, heads[walk.head], *walk.place(at)) for walk in there]
        for pole in poles - at:
            picture[:, max(0, pole) : max(0, pole + _POLE_PX)] = 60
        yield picture, np.array([face for face in faces if _is_seen(face, poles - at)], np.float32).reshape(-1, 4)


def _paste(picture: Pixels, head: Head, x: float, y: float, face_px: float) -> NDArray[np.float32]:
    """Draw a head whose face has its centre there; the face's box, perhaps outside of the picture."""
    scale = face_px / (head.face[3] - head.face[1])
    centre = (head.face[:2] + head.face[2:]) / 2
    shift = np.array([x, y]) - scale * centre
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    size, mode = (WIDTH, HEIGHT), cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(head.pixels, None, fx=scale, fy=scale, interpolation=mode)
    soft = cv2.resize(head.alpha, (small.shape[1], small.shape[0]))[..., None]
    left, top = round(float(matrix[0, 2])), round(float(matrix[1, 2]))
    x1, y1 = max(0, left), max(0, top)
    x2, y2 = min(size[0], left + small.shape[1]), min(size[1], top + small.shape[0])
    if x1 < x2 and y1 < y2:
        part = (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
        place = picture[y1:y2, x1:x2]
        place[:] = place + (small[part].astype(np.float32) - place) * soft[part]
    return np.tile([left, top], 2) + scale * head.face


def _is_seen(face: NDArray[np.float32], poles: NDArray[np.int64]) -> bool:
    x1, y1, x2, y2 = face
    inside = max(0, min(x2, WIDTH) - max(x1, 0)) * max(0, min(y2, HEIGHT) - max(y1, 0))
    behind = sum(max(0, min(x2, pole + _POLE_PX) - max(x1, pole)) for pole in poles)
    large = min(x2 - x1, y2 - y1) >= _MIN_FACE_PX
    return bool(large and inside >= _MIN_INSIDE * (x2 - x1) * (y2 - y1) and behind <= _MAX_BEHIND * (x2 - x1))


def write_video(file: Path, heads: Sequence[Head], frames: int, rate: int) -> list[NDArray[np.float32]]:
    """Render into a file; the faces of each frame."""
    import av

    truth = []
    with av.open(str(file), "w") as container:
        track = container.add_stream("libx264", rate=rate, options={"crf": "12", "preset": "veryfast"})
        track.width, track.height, track.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture, faces in rendered(heads, frames):
            truth.append(faces)
            container.mux(track.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(track.encode())
    return truth


def leaks(before: Path, after: Path, truth: Sequence[NDArray[np.float32]], params: Params) -> tuple[int, float]:
    """How many face-frames are leaked, and the share of all pixels that was changed."""
    leaked, changed_share = 0, 0.0
    with (
        opened(Source(str(before)), params.video, params.reading) as one,
        opened(Source(str(after)), params.video, params.reading) as other,
    ):
        pairs = zip(*(reader.frames(lambda: False, None) for reader in (one, other)), truth, strict=True)
        for a, b, faces in pairs:
            changed = cv2.absdiff(a.pixels(), b.pixels()).max(axis=2) > _CODEC_LEVELS
            changed_share += float(changed.mean()) / len(truth)
            for face in faces:
                x1, y1, x2, y2 = np.clip(face, 0, [WIDTH, HEIGHT] * 2).round().astype(int)
                leaked += changed[y1:y2, x1:x2].mean() < _HIDDEN_SHARE
    return leaked, changed_share


def variants(params: Params, every: Sequence[int]) -> Iterator[tuple[str, Params]]:
    """The runs: each frame by itself, each frame and followed, and every n-th frame."""
    alone = {
        "detect_every_frames": 1, "lookahead_frames": 1, "hold_frames": 0, "backfill_frames": 0, "match_buffer": 0,
        "match_min_iou": 0.999,
    }  # fmt: skip
    yield "every frame, by itself", _with(params, alone)
    for n in every:
        yield (
            f"every {n} frames, followed" if n > 1 else "every frame, followed",
            _with(params, {"detect_every_frames": n}),
        )


def _with(params: Params, changes: dict[str, float]) -> Params:
    return params.model_copy(update={"video": params.video.model_copy(update=changes)})


def measured(
    video: Path, folder: Path, cascade: Cascade, params: Params, number: int
) -> tuple[VideoSummary, float, Path]:
    """One run: its summary, CPU seconds, and its output."""
    source, out = source_of(str(video), params.video), folder / f"{number}.mp4"
    cpu = time.process_time()
    summary = blur_video(source, target_of(str(out), source), cascade, params, params.region(None)[1], Wishes())
    return summary, time.process_time() - cpu, out


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, help="a labelled set: labels.json and its pictures")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--rate", type=int, default=25, help="frames per second of the video")
    parser.add_argument("--every", type=int, nargs="*", default=[1, 3, 5])
    given = parser.parse_args()
    cv2.setNumThreads(1)
    params = load_params()
    found = heads_of_set(given.faces, params) if given.faces else heads_of_packages(params)
    heads = [head for head, _ in zip(found, range(_HEADS), strict=False)]
    cascade = load_cascade(Bundle("own", "1", shipped_files()), params.detection)
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "faces.mp4"
        truth = write_video(video, heads, given.seconds * given.rate, given.rate)
        faces = sum(map(len, truth))
        print(f"{len(truth)} frames of {WIDTH}×{HEIGHT} px, {len(heads)} heads, {faces} face-frames")
        head = (
            "run", "CPU-s", "times fewer", "frames/s, wall", "searched", "leaked face-frames", "leaked",
            "pixels changed",
        )  # fmt: skip
        print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        first = None
        for number, (name, changed) in enumerate(variants(params, given.every)):
            summary, cpu_s, out = measured(video, Path(folder), cascade, changed, number)
            first = first or cpu_s
            leaked, share = leaks(video, out, truth, params)
            print(
                f"| {name} | {cpu_s:.0f} | {first / cpu_s:.1f} | {summary.frames_per_s:.2f} | {summary.searched} "
                f"| {leaked} | {leaked / max(1, faces):.2%} | {share:.2%} |"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
