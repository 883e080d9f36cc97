"""What can go wrong, in words a person can act on.

Every error that a user may meet is a `StreetveilError`: one line that names the cause and the remedy.
`ImageFault` is the special case of a fault that belongs to one image: it becomes a quarantine entry, and the run
goes on.
"""

from __future__ import annotations

from enum import StrEnum


class StreetveilError(Exception):
    """An error that is told to the user in one line: cause, then remedy."""


class ModelError(StreetveilError):
    """A model that must not be used: wrong hash, missing file, wrong output, or blind on the sanity pictures."""


class OutOfMemoryError(ModelError):
    """A network's inputs did not fit into memory; fewer of them may."""


class DeviceError(ModelError):
    """The device has failed at a network, and not for want of memory: nothing runs on it in this process any more."""


class Reason(StrEnum):
    """Why an image stands in quarantine."""

    EMPTY = "empty"
    UNSUPPORTED_FORMAT = "unsupported_format"
    UNREADABLE = "unreadable"
    NOT_A_FILE = "not_a_file"
    BAD_NAME = "bad_name"
    TOO_LARGE = "too_large"
    DECODE_REFUSED = "decode_refused"
    DECODER_CRASH = "decoder_crash"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    MODEL_OUTPUT = "model_output"
    VERIFICATION_FAILED = "verification_failed"
    STILL_DETECTED = "still_detected"
    NAME_TAKEN = "name_taken"
    INTERNAL_ERROR = "internal_error"
    DISCARDED = "discarded"


# Faults of the file itself: no blurrer could have published it, so they do not count against the published share.
INPUT_FAULTS = frozenset(
    {
        Reason.EMPTY,
        Reason.UNSUPPORTED_FORMAT,
        Reason.UNREADABLE,
        Reason.NOT_A_FILE,
        Reason.BAD_NAME,
        Reason.TOO_LARGE,
        Reason.DECODE_REFUSED,
        Reason.DECODER_CRASH,
    }
)


class ImageFault(StreetveilError):  # noqa: N818 - a fault of the image, not an error of the program
    """A fault of one image, which sends it to quarantine.

    Args:
        reason: the machine-readable reason.
        detail: one line for a person: what was found, and what would help.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[ImageFault], tuple[Reason, str]]:
        return type(self), (self.reason, self.detail)
