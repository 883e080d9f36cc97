"""What the monthly loop waits for: whether it has come, and until when it is waited for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from components.dataset.labelling import desk
from components.registry import review
from components.registry.candidate import Status
from flows.monthly_loop import Loop, desk_of, version_of
from flows.monthly_steps import note_shadow


def is_over(loop: Loop, what: str, now: datetime) -> bool:
    """Whether what is waited for has come, or the time for it is over."""
    until = loop.journal.fact(f"{what}_until")
    return HAS_COME[what](loop) or (until is not None and now >= datetime.fromisoformat(until))


def begin_wait(loop: Loop, what: str, now: datetime) -> datetime:
    """Note that something is waited for; the time for it runs from the first call on.

    Returns:
        Until when.
    """
    known = loop.journal.fact(f"{what}_until")
    days = getattr(loop.params.retraining, f"{what}_wait_days")
    until = datetime.fromisoformat(known) if known else now + timedelta(days=days)
    loop.journal.note(**{f"{what}_until": until.isoformat(), "waits_for": what})
    return until


def _labels_have_come(loop: Loop) -> bool:
    place = desk_of(loop)
    return place is None or desk.state(place) != "waiting"


def _shadow_has_come(loop: Loop) -> bool:
    return note_shadow(loop)["images"] >= loop.params.retraining.least_shadow_images or _review_has_come(loop)


def _review_has_come(loop: Loop) -> bool:
    return review.show(loop.registry, version_of(loop)).review_status != Status.PENDING


HAS_COME: dict[str, Callable[[Loop], bool]] = {
    "labels": _labels_have_come,
    "shadow": _shadow_has_come,
    "review": _review_has_come,
}
