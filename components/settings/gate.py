"""What a model must reach before it may be promoted."""

from __future__ import annotations

from components.settings.base import Frozen, Share


class LeastRecall(Frozen):
    """The recalls that a class must reach."""

    pixel_recall: Share
    object_recall: Share


class Gate(Frozen):
    """The bounds of the evaluation.

    Attributes:
        face, license_plate: the least recalls.
        max_pixel_fpr: of the background, so much may be hidden.
        max_false_blur_share: of what is hidden, so much may lie on no face and no plate.
        max_gap_between_people: so much lower may a group's object recall be than that of all others together.
    """

    face: LeastRecall
    license_plate: LeastRecall
    max_pixel_fpr: Share
    max_false_blur_share: Share
    max_gap_between_people: Share

    def least(self, class_name: str) -> LeastRecall:
        """The least recalls of a class by its name."""
        return {"face": self.face, "license_plate": self.license_plate}[class_name]
