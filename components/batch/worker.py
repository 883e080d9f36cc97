"""One worker process: untrusted files are decoded here and nowhere else, because it may die of them.

A worker holds the model and takes one image after another; its memory is bounded. Where it has a GPU, many of its
threads do so at the same time, on the same model.
"""

from __future__ import annotations

import errno
import hashlib
import math
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from components.batch.journal import Journal
from components.batch.manifest import PUBLISHED, QUARANTINED, ImageRow, Proposal
from components.batch.places import Place
from components.batch.sources import ImageRef, read_image
from components.batch.storage import Storage
from components.blurring import BlurredImage, Blurring, blur_image
from components.detection.bundle import Bundle, load_cascade
from components.detection.cascade import Proposals
from components.detection.exemptions import Exemption, in_force
from components.detection.onnx_runtime import Device
from components.detection.policies import Choice, ChosenBy, choose
from components.detection.region_rules import Outcome
from components.detection.runtime import Sharing
from components.detections import CLASS_NAMES, STAGE_PERSON, Detections, pixel_boxes
from components.errors import ImageFault, Reason, StreetveilError
from components.imaging.metadata.location import location_of
from components.imaging.publication import Recipe
from components.imaging.reading import Picture
from components.settings import Params


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """All that a worker must know; the same for every image of a run.

    Attributes:
        source: where the originals are.
        destination: where outputs and journals go.
        region_name: whose rules apply to every image; None leaves that to the policies.
        params: all settings.
        bundle: the run's one model.
        run_key: the secret of the noise.
        code_revision: of the code that runs.
        device: where the model runs.
        exemptions: what may stay visible.
    """

    source: Place
    destination: Storage
    region_name: str | None
    params: Params
    bundle: Bundle
    run_key: bytes
    code_revision: str
    device: Device = "cpu"
    exemptions: tuple[Exemption, ...] = ()

    def __repr__(self) -> str:
        return f"WorkOrder({str(self.source)!r}, {self.region_name!r}, version {self.bundle.version}, run_key=<secret>)"

    def choice(self, path: str, source_bytes: bytes = b"") -> Choice:
        """The region of an image; of one that could not be read, that of one without a place."""
        if self.region_name is not None:
            return Choice(self.region_name, ChosenBy.GIVEN)
        return choose(self.params, path, location_of(source_bytes) if self.params.policies.ask_for_places else None)

    def exemptions_for(self, path: str, input_sha256: str) -> list[Exemption]:
        """Those that speak of an image and are in force at this moment."""
        return in_force(self.exemptions, path, input_sha256, datetime.now(UTC), self.params.exemptions)

    def row(
        self, image: ImageRef, attempts: int, state: str, choice: Choice | None = None, **found: object
    ) -> ImageRow:
        """A manifest row of this run."""
        choice = choice or self.choice(image.path)
        values = {"reason": None, "detail": None, **found}
        return ImageRow(
            path=image.path,
            state=state,
            attempts=attempts,
            region=choice.region,
            region_by=str(choice.by),
            model_name=self.bundle.name,
            model_version=self.bundle.version,
            params_sha256=self.params.sha256(),
            code_revision=self.code_revision,
            input_size_bytes=image.size_bytes,
            input_modified_ns=image.modified_ns,
            **values,  # type: ignore[arg-type]
        )

    def would_write(self, row: ImageRow, image: ImageRef) -> bool:
        """Whether a row speaks of the very same file, seen by this run's model under this run's rules and settings.

        What an exemption has left visible must still be exempt.
        """
        ours = (self.region_name, self.bundle.name, self.bundle.version, self.params.sha256())
        given = row.region if row.region_by == ChosenBy.GIVEN else None
        same_work = (given, row.model_name, row.model_version, row.params_sha256) == ours
        same_file = (row.input_size_bytes, row.input_modified_ns) == (image.size_bytes, image.modified_ns)
        still_exempt = {one.id for one in self.exemptions_for(row.path, row.input_sha256 or "")}
        return same_work and same_file and row.exemptions() <= still_exempt

    def quarantined(
        self,
        image: ImageRef,
        attempts: int,
        fault: ImageFault,
        input_sha256: str | None = None,
        choice: Choice | None = None,
    ) -> ImageRow:
        """The row of an image that must not be published; whatever an earlier run published of it goes."""
        self.destination.delete(image.path)
        return self.row(
            image,
            attempts,
            QUARANTINED,
            choice,
            reason=str(fault.reason),
            detail=fault.detail,
            input_sha256=input_sha256,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ByHand:
    """What a person has decided about one picture before it is published.

    Attributes:
        input_sha256: of the file that they have looked at; no other one is published by their word.
        drawn: what is hidden whatever the detectors say.
        note: who has decided, when and why, for the manifest.
    """

    input_sha256: str
    drawn: Detections
    note: str


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


def listed(
    seen: Proposals, outcomes: Sequence[Outcome], exemptions: Sequence[str | None] | None = None
) -> tuple[Proposal, ...]:
    """Proposals as a manifest lists them."""
    found = seen.found
    exempted = exemptions or [None] * len(outcomes)
    return tuple(
        Proposal(
            class_name=CLASS_NAMES[found.class_id[i]],
            **dict(zip(("x1", "y1", "x2", "y2"), found.xyxy[i].tolist(), strict=True)),
            stage=int(found.stage[i]),
            stage1_confidence=float(seen.stage1[i]),
            stage2_confidence=_known(seen.stage2[i]),
            secondary_confidence=_known(seen.secondary[i]),
            outcome=str(outcome),
            exemption=exempted[i],
        )
        for i, outcome in enumerate(outcomes)
    )


def listed_drawn(drawn: Detections) -> tuple[Proposal, ...]:
    """What a person has drawn as a manifest lists it."""
    return tuple(
        Proposal(CLASS_NAMES[class_id], x1, y1, x2, y2, STAGE_PERSON, 0.0, None, None, str(Outcome.BLURRED))
        for (x1, y1, x2, y2), class_id in zip(drawn.xyxy.tolist(), drawn.class_id, strict=True)
    )


def _known(confidence: float) -> float | None:
    """A confidence, or None where nobody was asked."""
    return None if math.isnan(confidence) else float(confidence)


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
