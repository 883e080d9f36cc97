"""One worker process: untrusted files are decoded here and nowhere else, because it may die of them.

A worker holds the model and takes one image after another; its memory is bounded. Where it has a GPU, many of its
threads do so at the same time, on the same model.
"""

from __future__ import annotations

import errno
import hashlib
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from components.batch.journal import Journal
from components.batch.manifest import PUBLISHED, ImageRow
from components.batch.proposal_rows import listed, listed_drawn
from components.batch.sources import ImageRef, read_image
from components.batch.storage import Storage
from components.batch.work_order import ByHand, WorkOrder
from components.blurring import BlurredImage, Blurring, blur_image
from components.detection.bundle import Bundle, load_cascade
from components.detection.onnx_runtime import Device
from components.detection.policies import Choice
from components.detection.runtime import Sharing
from components.detections import Detections, pixel_boxes
from components.errors import ImageFault, Reason, StreetveilError
from components.imaging.publication import Recipe
from components.imaging.reading import Picture
from components.settings import Params


def load_blurring(order: WorkOrder, sharing: Sharing | None = None) -> Blurring:
    """The model and the recipe of a run, ready to work; for one thread at a time, unless they are shared."""
    return blurring_of(order.bundle, order.params, order.region_name, order.run_key, order.device, sharing)


def blurring_of(
    bundle: Bundle,
    params: Params,
    region_name: str | None,
    run_key: bytes,
    device: Device,
    sharing: Sharing | None = None,
) -> Blurring:
    """A model and a recipe, ready to work, of whatever takes pictures: a run or the service.

    Without a region they are those of the default one, until each picture has its own.
    """
    region = params.region(region_name)[1]
    recipe = Recipe(region.obfuscation, params.encoding, params.reading, run_key)
    cascade = load_cascade(bundle, params.detection, device, sharing)
    sample_share = params.detection.safety_check.sample_share
    return Blurring(cascade, region, recipe, params.verification.redetect_share, sample_share)


def process_image(
    order: WorkOrder,
    blurring: Blurring,
    journal: Journal,
    image: ImageRef,
    by_hand: ByHand | None = None,
    is_alone: bool = True,
) -> ImageRow:
    """Bring one image to its end state and note it in the journal.

    Args:
        order: what to do.
        blurring: how.
        journal: of the image's shard.
        image: which one.
        by_hand: what a person has decided about it.
        is_alone: nothing else is in this process's hands.

    Raises:
        MemoryError: memory was short, which may be another image's fault; it is noted as begun and has no end state.
        StreetveilError: source or destination cannot be used, or a person's word is about another picture; the image
            has no end state yet, and nothing is held against it.
    """
    attempts = journal.begin(image.path)
    try:
        if attempts > order.params.batch.max_attempts:
            row = order.quarantined(image, attempts - 1, crash_fault(attempts - 1))
        else:
            row = _attempt(order, blurring, image, attempts, by_hand)
        if row.reason == Reason.OUT_OF_MEMORY and not is_alone:
            raise MemoryError(row.detail)
        journal.end(row)
    except StreetveilError:
        with suppress(StreetveilError, OSError):  # then it has one attempt less
            journal.take_back(image.path, attempts)
        raise
    return row


def crash_fault(attempts: int) -> ImageFault:
    """The fault of an image that killed its worker each time."""
    return ImageFault(Reason.DECODER_CRASH, f"the worker died on it {attempts} times; the file is damaged or hostile")


def _attempt(order: WorkOrder, blurring: Blurring, image: ImageRef, attempts: int, by_hand: ByHand | None) -> ImageRow:
    input_sha256 = choice = None
    drawn = by_hand.drawn if by_hand else None
    try:
        with faults_of_one_image():
            start = time.perf_counter()
            source_bytes = read_image(order.source, image, order.params.reading.max_file_mib)
            read_ms = (time.perf_counter() - start) * 1000
            input_sha256 = hashlib.sha256(source_bytes).hexdigest()
            choice = order.choice(image.path, source_bytes)
            own = blurring.of_region(order.params.regions[choice.region])
            if by_hand and by_hand.input_sha256 != input_sha256:
                raise StreetveilError(f"{image.path} has changed since it was looked at: look at it again")
            blurred = blur_image(source_bytes, own, drawn, order.exemptions_for(image.path, input_sha256))
            _check_inside(image, blurred.picture, drawn)
            write_ms = _write(order.destination, image.path, blurred.output)
    except ImageFault as fault:
        return order.quarantined(image, attempts, fault, input_sha256, choice)
    row = _published(order, image, attempts, choice, blurred, read_ms, write_ms)
    if by_hand is None:
        return row
    return replace(row, detail=by_hand.note, proposals=(*row.proposals, *listed_drawn(by_hand.drawn)))


def _check_inside(image: ImageRef, picture: Picture, drawn: Detections | None) -> None:
    if drawn is not None and len(pixel_boxes(drawn.xyxy, picture.width, picture.height)) < len(drawn):
        size = f"{picture.width}×{picture.height} px"
        raise StreetveilError(f"a region lies outside of {image.path}, which is {size}: remove it")


@contextmanager
def faults_of_one_image() -> Iterator[None]:
    """Whatever goes wrong with an image becomes its fault: a bug costs it its publication, and nobody else anything.

    Raises:
        ImageFault: the image must not be published.
        StreetveilError: it is not the image's fault.
    """
    try:
        yield
    except StreetveilError:
        raise
    except MemoryError as error:
        detail = "needs more than batch.worker_memory_mib; raise it, then retry"
        raise ImageFault(Reason.OUT_OF_MEMORY, detail) from error
    except Exception as error:
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}; please report"
        raise ImageFault(Reason.INTERNAL_ERROR, detail) from error


def _write(destination: Storage, path: str, output: bytes) -> float:
    """Write an output, read it back, and compare; returns ms."""
    start = time.perf_counter()
    try:
        destination.write(path, output)
        stands = destination.read(path) == output
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise ImageFault(
            Reason.NAME_TAKEN, "the destination has a folder or file in its place; move it away"
        ) from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ImageFault(Reason.BAD_NAME, "its name is too long for the destination; rename it") from error
        raise StreetveilError(
            f"cannot write to the destination: {error.strerror}; make room or mend it, then run again"
        ) from error
    if not stands:
        destination.delete(path)
        raise ImageFault(Reason.VERIFICATION_FAILED, "the destination did not keep what was written; check the disk")
    return (time.perf_counter() - start) * 1000


def _published(
    order: WorkOrder,
    image: ImageRef,
    attempts: int,
    choice: Choice,
    blurred: BlurredImage,
    read_ms: float,
    write_ms: float,
) -> ImageRow:
    picture = blurred.picture
    return order.row(
        image,
        attempts,
        PUBLISHED,
        choice,
        input_sha256=picture.sha256,
        output_sha256=hashlib.sha256(blurred.output).hexdigest(),
        output_size_bytes=len(blurred.output),
        blurring_id=blurred.blurring_id,
        image_format=picture.format,
        width=picture.width,
        height=picture.height,
        orientation=picture.orientation,
        is_panorama=picture.is_panorama,
        written=str(blurred.way),
        redetected=blurred.redetected,
        brightness=float(f"{picture.brightness():.3f}"),
        proposals=listed(blurred.proposals, blurred.outcomes, blurred.exemptions),
        read_ms=read_ms,
        write_ms=write_ms,
        **{f"{stage}_ms": ms for stage, ms in blurred.stage_ms.items()},
    )


# What a worker process holds between images. Set once by `start_worker`, in the worker only.
_held: tuple[WorkOrder, Blurring] | None = None


def start_worker(order: WorkOrder, sharing: Sharing | None = None, threads: int = 1) -> None:
    """Prepare this process for a run.

    Args:
        order: what to do.
        sharing: how its threads share the model.
        threads: how many of them there will be, each with one image.
    """
    global _held
    memory_mib = order.params.batch.worker_memory_mib * threads
    _held = order, prepared(lambda: load_blurring(order, sharing), memory_mib)


def prepared(load: Callable[[], Blurring], memory_mib: int) -> Blurring:
    """Prepare this process: leave Ctrl-C to whoever started it, load the model, bound the memory."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    blurring = load()
    _bound_memory(memory_mib)
    return blurring


def work(shard_id: str, image: ImageRef, is_alone: bool = True) -> ImageRow:
    """Process one image in a started worker; see `process_image`."""
    order, blurring = held()
    return process_image(order, blurring, Journal(order.destination, shard_id), image, is_alone=is_alone)


def held() -> tuple[WorkOrder, Blurring]:
    """What this worker was started with."""
    if _held is None:
        raise RuntimeError("start_worker was not called in this process")
    return _held


def _bound_memory(extra_mib: int) -> None:
    """Allow this process so much more address space than it has now; a bomb then fails here and not on the host."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (ImportError, OSError):
        return  # no such bound on this system; the limits on declared sizes still hold
    limit = pages * resource.getpagesize() + extra_mib * 2**20
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
