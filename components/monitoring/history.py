"""What the drift watch keeps: every day's profile and report, and when drift last started a retraining.

A folder with one sub-folder a day. It is read and written by the watch alone, but for what challengers have seen of a
day, which whoever lets them look puts there; a report in it is for people.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.batch.storage import LocalStorage
from components.errors import StreetveilError
from components.monitoring.distributions import DayProfile
from components.monitoring.drift import DriftReport, Finding
from components.monitoring.reference import REFERENCE_FILE, Reference, reference_of
from components.registry.models import Registry
from components.settings import Drift

_PROFILE, _REPORT, _PAGE, _ALARM = "profile.json", "report.json", "drift.html", "last-alarm.json"
_SHADOW = "shadow-{}.json"
_S_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class History:
    """The watch's memory.

    Attributes:
        folder: where it is; made when something is first kept.
    """

    folder: Path

    def keep(self, profile: DayProfile) -> None:
        """Remember a day; once more replaces it."""
        self._write(f"{profile.day}/{_PROFILE}", profile.to_dict())

    def days(self, model_version: str, until: str) -> list[DayProfile]:
        """The days that a model version looked at, in order of their names, up to one and with it.

        Raises:
            StreetveilError: a profile cannot be read.
        """
        profiles = [profile for profile in self._profiles(_PROFILE) if profile.day <= until]
        return [profile for profile in profiles if profile.model_version == model_version]

    def keep_night(self, profile: DayProfile) -> None:
        """Remember what a challenger has seen of a day; once more replaces it."""
        self._write(f"{profile.day}/{_SHADOW.format(profile.model_version)}", profile.to_dict())

    def nights(self, model_version: str) -> list[DayProfile]:
        """What a model version has seen as a challenger, in order of the days' names.

        Raises:
            StreetveilError: a profile cannot be read.
        """
        return self._profiles(_SHADOW.format(model_version))

    def keep_report(self, report: DriftReport) -> None:
        """Write a day's report beside its profile, for scripts."""
        self._write(f"{report.day}/{_REPORT}", asdict(report))

    def last_report(self) -> DriftReport | None:
        """The report of the last day that was compared; None if there is none, or it cannot be read."""
        for file in sorted(self.folder.glob(f"*/{_REPORT}"), reverse=True)[:1]:
            try:
                told = json.loads(file.read_bytes())
                tests = tuple(Finding(**test) for test in told.pop("tests"))
                return DriftReport(**{**told, "tests": tests, "skipped": tuple(told["skipped"])})
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                return None
        return None

    def page(self, day: str) -> Path:
        """Where a day's page for people is."""
        return self.folder / day / _PAGE

    def is_cooling(self, now_s: float, cooling_days: float) -> bool:
        """Whether drift has started a retraining within the cooling time.

        Args:
            now_s: the time, s since 1970.
            cooling_days: how long one alarm is enough.
        """
        try:
            last_s = float(json.loads((self.folder / _ALARM).read_bytes())["at_s"])
        except FileNotFoundError:
            return False
        except (OSError, ValueError, KeyError, TypeError):
            return False  # one retraining too many is better than none
        return now_s - last_s < cooling_days * _S_PER_DAY

    def keep_alarm(self, day: str, now_s: float) -> None:
        """Remember that an alarm has started a retraining."""
        self._write(_ALARM, {"day": day, "at_s": now_s})

    def _profiles(self, name: str) -> list[DayProfile]:
        return [self._profile(path) for path in sorted(self.folder.glob(f"*/{name}"))]

    def _profile(self, path: Path) -> DayProfile:
        try:
            return DayProfile.from_dict(json.loads(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise StreetveilError(f"{path} cannot be read ({error}): delete it, then watch that day again") from error

    def _write(self, path: str, content: dict[str, Any]) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            LocalStorage(self.folder).write(path, json.dumps(content).encode())
        except OSError as error:
            raise StreetveilError(f"cannot write to {self.folder}: {error.strerror}; make room, watch again") from error


def reference_for(version: str, days: list[DayProfile], history: History, registry: Registry, settings: Drift) -> (
    Reference | None
):  # fmt: skip
    """What is stored with a model version; else what its own nights and days make, stored once that is complete.

    Args:
        version: its number.
        days: all that it has looked at as the champion, oldest first, with the one that is to be judged.
        history: with what it has seen as a challenger.
        registry: where it is.
        settings: what counts.

    Returns:
        The reference; None while there are too few nights and days.

    Raises:
        StreetveilError: the registry or the history cannot be read.
    """
    stored = registry.fetch(version, REFERENCE_FILE)
    if stored:
        return Reference.from_json(stored.read_text(encoding="utf-8"))
    own, is_complete = own_reference(history.nights(version), days, settings)
    if own and is_complete:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / REFERENCE_FILE
            file.write_text(own.to_json(), encoding="utf-8")
            registry.attach(version, file)
    return own


def own_reference(nights: list[DayProfile], days: list[DayProfile], settings: Drift) -> tuple[Reference | None, bool]:
    """The reference that a model version's own nights and first days make, where none was stored with it.

    Args:
        nights: what it has seen as a challenger, oldest first; people have promoted it on these.
        days: all that it has looked at since, oldest first, with the one that is to be judged.
        settings: what counts.

    Returns:
        The reference, None while there are too few; and whether it is complete, so that it can be stored with the
        version. Before it is, it grows, without the days that an alarm would be made of.
    """
    before = [*nights, *days[: max(0, len(days) - settings.alarm_days)]]
    if len(before) < settings.least_reference_days:
        return None, False
    return reference_of(before[: settings.reference_days]), len(before) >= settings.reference_days
