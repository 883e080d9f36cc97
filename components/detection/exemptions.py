"""What somebody has decided to leave visible: a place in one picture, or in the pictures of one fixed camera.

An exemption says who granted it, why, and until when. It knows places, never faces: nobody is recognised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase

from components.detection.region_rules import Outcome
from components.detections import CLASS_IDS, Detections
from components.settings import ExemptionLimits

Sides = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Exemption:
    """One decision to leave something visible.

    Attributes:
        id: its name in manifests.
        pattern: a picture's path, or its folder with a pattern for the names in it, such as `camera-7/*.jpg`.
        input_sha256: of the one file that is meant; None for a camera.
        width, height: px of the upright pictures; those of other sizes are of other cameras.
        box: x1, y1, x2, y2, px; what lies wholly in it stays visible.
        class_name: what is meant, face or license_plate.
        by, why: who has granted it, and for what reason.
        granted_at: when.
        until: the last day (UTC) on which it holds.
    """

    id: str
    pattern: str
    input_sha256: str | None
    width: int
    height: int
    box: Sides
    class_name: str
    by: str
    why: str
    granted_at: datetime
    until: date

    @property
    def area_share(self) -> float:
        """The share of its pictures that it covers."""
        x1, y1, x2, y2 = self.box
        return (x2 - x1) * (y2 - y1) / (self.width * self.height)

    def holds(self, now: datetime) -> bool:
        """Whether it is in force; what was granted in the future is not yet."""
        return self.granted_at <= now and now.astimezone(UTC).date() <= self.until

    def fault(self, limits: ExemptionLimits) -> str | None:
        """What is wrong with it by itself, or None."""
        x1, y1, x2, y2 = self.box
        days = (self.until - self.granted_at.astimezone(UTC).date()).days
        if not (0 <= x1 < x2 <= self.width and 0 <= y1 < y2 <= self.height):
            return f"the box holds nothing of a picture of {self.width}×{self.height} px: x1 < x2, y1 < y2"
        if self.area_share > limits.max_area_share:
            return (
                f"the box is {self.area_share:.1%} of the picture; exemptions.max_area_share allows "
                f"{limits.max_area_share:.1%}: name the one place that is meant"
            )
        if not 0 <= days <= limits.max_days:
            return f"holds for {days} days; exemptions.max_days allows 0 to {limits.max_days}: name an earlier day"
        if not (self.by.strip() and self.why.strip()):
            return "names nobody or no reason: say who has decided it, and why"
        if self.class_name not in CLASS_IDS:
            return f"is about {self.class_name!r}: name one of {', '.join(CLASS_IDS)}"
        return self._pattern_fault()

    def _pattern_fault(self) -> str | None:
        *folders, name = self.pattern.split("/")
        if not all(part not in ("", ".", "..") for part in (*folders, name)):
            return f"{self.pattern!r} is no path below the source: name it as the manifest does"
        if self.input_sha256 is not None:
            return None  # one file; whatever signs its name has
        if any(character in part for part in folders for character in "*?["):
            return f"{self.pattern!r} leaves the folder open: name the folder of one camera"
        if not folders:
            return f"{self.pattern!r} names no folder: pictures of any camera could bear such a name"
        return None

    def is_for(self, path: str, input_sha256: str) -> bool:
        """Whether it speaks of a picture."""
        if self.input_sha256 is not None:
            return (self.pattern, self.input_sha256) == (path, input_sha256)
        wanted, folder = self.pattern.rpartition("/"), path.rpartition("/")
        return wanted[0] == folder[0] and fnmatchcase(folder[2], wanted[2])


def in_force(
    exemptions: Iterable[Exemption], path: str, input_sha256: str, now: datetime, limits: ExemptionLimits
) -> list[Exemption]:
    """Those that hold for a picture; none that is beyond the limits.

    Together they must be within them, too, or none holds: many small ones could un-blur a picture.
    """
    held = [
        one for one in exemptions if one.is_for(path, input_sha256) and one.holds(now) and one.fault(limits) is None
    ]
    return held if sum(one.area_share for one in held) <= limits.max_area_share else []


def spare(
    found: Detections, outcomes: Sequence[Outcome], exemptions: Sequence[Exemption], width: int, height: int
) -> tuple[list[Outcome], list[str | None]]:
    """Leave visible what the exemptions for a picture say.

    Args:
        found: all proposals.
        outcomes: what the region makes of each.
        exemptions: those that hold for this picture.
        width, height: of the upright picture, px; an exemption for pictures of another size is for another camera.

    Returns:
        The outcomes, and for each proposal the id of the exemption that has spared it.
    """
    sound = [one for one in exemptions if (one.width, one.height) == (width, height)]
    told, by = list(outcomes), [None] * len(outcomes)  # type: list[Outcome], list[str | None]
    for i, outcome in enumerate(outcomes):
        if outcome is Outcome.BLURRED:
            by[i] = next((one.id for one in sound if _lies_in(found, i, one)), None)
            told[i] = outcome if by[i] is None else Outcome.EXEMPT
    return told, by


def _lies_in(found: Detections, index: int, exemption: Exemption) -> bool:
    x1, y1, x2, y2 = found.xyxy[index].tolist()
    left, top, right, bottom = exemption.box
    is_within = left <= x1 and top <= y1 and x2 <= right and y2 <= bottom
    return is_within and found.class_id[index] == CLASS_IDS[exemption.class_name]
