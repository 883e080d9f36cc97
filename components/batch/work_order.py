"""What the workers of a run are told: where from, where to, by whose rules, with which model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from components.batch.manifest import QUARANTINED, ImageRow
from components.batch.places import Place
from components.batch.sources import ImageRef
from components.batch.storage import Storage
from components.detection.bundle import Bundle
from components.detection.exemptions import Exemption, in_force
from components.detection.onnx_runtime import Device
from components.detection.policies import Choice, ChosenBy, choose
from components.detections import Detections
from components.errors import ImageFault
from components.imaging.metadata.location import location_of
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
