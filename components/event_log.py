"""What a program did, as lines of JSON for machines that collect logs, with nothing in them that tells of anybody.

Only events of ours are told in full, and of them only the fields below, whose values come from fixed lists, counters
and clocks. Of what libraries say, and of errors, the place in the code is told and not the words: these may name a
file, and a file's name may name a person.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TextIO

_LOGGER = logging.getLogger("streetveil")
# Numbers are told as they are; a word that could be somebody's is withheld.
FIELDS = frozenset(
    {
        "run", "day", "region", "model_version", "state", "reason", "error", "where", "remedy",
        "workers", "images", "finished_before", "published", "quarantined", "faces", "license_plates", "shards",
        "images_per_s", "duration_s", "exit_status", "needs",
    }
)  # fmt: skip
_WORD = re.compile(r"[A-Za-z0-9_.:+-]{1,60}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SENTENCES = frozenset({"remedy"})  # written in our source, never made of data
REMEDY = "run the command without --log-json to read why, or see `streetveil status`"


def start_json_log(stream: TextIO | None = None) -> None:
    """From now on, this process writes its log as lines of JSON, and nothing else of it.

    Args:
        stream: where to; standard error by default.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    _LOGGER.setLevel(logging.INFO)
    logging.captureWarnings(True)
    sys.excepthook = _log_crash


def is_json() -> bool:
    """Whether this process writes its log as JSON."""
    return any(isinstance(handler.formatter, JsonLines) for handler in logging.getLogger().handlers)


def log_event(event: str, severity: str = "info", **fields: float | str | None) -> None:
    """Tell that something has happened; without a JSON log, nobody is told.

    Args:
        event: a name of ours, such as "run.started".
        severity: info, warning or error.
        fields: some of `FIELDS`; what is None is left out.

    Raises:
        ValueError: a field is none of them.
    """
    if unknown := fields.keys() - FIELDS:
        raise ValueError(f"{', '.join(sorted(unknown))}: no fields of the log; see components/event_log.py")
    _LOGGER.info(event, extra={"severity": severity, "fields": fields})


def log_failure(event: str, error: BaseException, **fields: float | str | None) -> None:
    """Tell that something has failed: the kind of error and the line that raised it, not its words."""
    log_event(event, "error", error=type(error).__name__, where=_place(error.__traceback__), **fields)


class JsonLines(logging.Formatter):
    """One JSON object a line: `time`, `severity`, `event`, and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        if record.name == _LOGGER.name and hasattr(record, "fields"):
            told = {key: _told(key, value) for key, value in record.fields.items() if value is not None}
            head = {"time": at, "severity": getattr(record, "severity", "info"), "event": record.msg}
            return json.dumps({**head, **told})
        error = _error_of(record)
        told = {"logger": record.name, "where": f"{record.module}:{record.lineno}"}
        if error is not None:
            told = {**told, "error": type(error).__name__, "where": _place(error.__traceback__) or told["where"]}
        return json.dumps({"time": at, "severity": record.levelname.lower(), "event": "library", **told})


def _told(key: str, value: float | str) -> float | str:
    if not isinstance(value, str):
        return round(value, 3)
    if key in _SENTENCES:
        return value
    allowed = _DAY if key == "day" else _WORD
    return value if allowed.fullmatch(value) else "withheld"


def _error_of(record: logging.LogRecord) -> BaseException | None:
    if record.exc_info and record.exc_info[1] is not None:
        return record.exc_info[1]
    arguments = record.args if isinstance(record.args, tuple) else ()
    return next((value for value in arguments if isinstance(value, BaseException)), None)


def _place(raised: TracebackType | None) -> str | None:
    """The innermost line that is known, as module:line."""
    frames = traceback.extract_tb(raised)
    return f"{Path(frames[-1].filename).stem}:{frames[-1].lineno}" if frames else None


def _log_crash(kind: type[BaseException], error: BaseException, raised: TracebackType | None) -> None:
    log_failure("program.crashed", error.with_traceback(raised))
