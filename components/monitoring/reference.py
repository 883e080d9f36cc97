"""What days look like when nothing has changed: the profiles of many days, and how far those are from each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import StreetveilError
from components.monitoring.distances import Numbers, merged_bins, psi, wasserstein
from components.monitoring.distributions import Counts, DayProfile, grid_of

REFERENCE_FILE = "reference.json"
_SCHEMA_VERSION = 1
_REDRAWS = 20  # of each reference day, where the day that is judged has fewer values


@dataclass(frozen=True, slots=True)
class Reference:
    """The days that later ones are compared with.

    Attributes:
        days: profiles of one model version, oldest first.
    """

    days: tuple[DayProfile, ...]

    @property
    def model_version(self) -> str:
        """Whose distributions they are."""
        return self.days[0].model_version

    def names(self) -> list[str]:
        """Of all distributions."""
        return sorted({name for day in self.days for name in day.counts})

    def counts(self, name: str, least_values: int) -> Counts:
        """A distribution's counts on each day that has enough values of it, int64 [days, k]."""
        found = [day.counts[name] for day in self.days if sum(day.counts.get(name, ())) >= least_values]
        return np.array(found, np.int64).reshape(len(found), len(grid_of(name).positions))

    def to_json(self) -> str:
        """The reference as the file that travels with the model."""
        content = {"schema_version": _SCHEMA_VERSION, "days": [day.to_dict() for day in self.days]}
        return json.dumps(content, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Reference:
        """The inverse of `to_json`.

        Raises:
            StreetveilError: it is no reference, or one of another release.
        """
        try:
            content = json.loads(text)
            if content["schema_version"] != _SCHEMA_VERSION:
                raise ValueError(f"schema version {content['schema_version']}, this release reads {_SCHEMA_VERSION}")
            days = [DayProfile.from_dict(day) for day in content["days"]]
        except (ValueError, KeyError, TypeError) as error:
            raise StreetveilError(
                f"no usable reference ({error}): make a new one with `streetveil drift reference`"
            ) from error
        return reference_of(days)


def reference_of(days: Sequence[DayProfile]) -> Reference:
    """The reference that days make.

    Args:
        days: their profiles, oldest first; see `profile_of`.

    Raises:
        StreetveilError: there is none, or several model versions have looked at them.
    """
    versions = {day.model_version for day in days}
    if len(versions) != 1:
        looked = f"versions {', '.join(sorted(versions))} looked at them" if versions else "there are none"
        raise StreetveilError(f"a reference is made of days that one model version looked at, and {looked}")
    return Reference(tuple(days))


@dataclass(frozen=True)
class Usual:
    """How far one distribution's days usually are from all other days of the reference.

    Attributes:
        days: its counts on each reference day, int64 [days, k], on at least two days.
        positions: of its grid's bins.
    """

    days: Counts
    positions: Numbers

    @cached_property
    def pool(self) -> Counts:
        """All days together, [k]."""
        return np.asarray(self.days.sum(axis=0))

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """Of the PSI's bins."""
        return merged_bins(self.pool)

    def distance(self, statistic: str, current: NDArray[Any], reference: NDArray[Any]) -> Numbers:
        """PSI or Wasserstein between counts [..., k]."""
        if statistic == "psi":
            return psi(current, reference, self.starts)
        return wasserstein(current, reference, self.positions)

    def distances(self, statistic: str, values: int) -> Numbers:
        """Each reference day's distance from the others (the jackknife, Quenouille 1949).

        Args:
            statistic: "psi" or "wasserstein".
            values: as many as the day has that is to be judged. Where all reference days have more, so many are drawn,
                since chance alone moves a small day farther.
        """
        others = self.pool - self.days
        return self.distance(statistic, self._redrawn(values), others).ravel()

    def _redrawn(self, values: int) -> Counts:
        sizes = self.days.sum(axis=1)
        if values >= sizes.min():
            return self.days[None]
        shares = self.days / sizes[:, None]
        rng = np.random.default_rng(values)  # the same day is judged alike whenever it is judged
        return rng.multinomial(np.minimum(values, sizes), shares, size=(_REDRAWS, len(sizes)))
