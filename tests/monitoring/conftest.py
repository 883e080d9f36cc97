"""Days of the benchmark's model, made once."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from benchmarks.drift import days
from components.monitoring.distributions import DayProfile
from components.monitoring.reference import Reference, reference_of
from components.settings import Drift, load_params

IMAGES = 500


@pytest.fixture(scope="session")
def settings() -> Drift:
    """As shipped."""
    return load_params().drift


@pytest.fixture(scope="session")
def undisturbed(settings: Drift) -> list[DayProfile]:
    """The days of a reference and 60 more."""
    return list(islice(days(np.random.default_rng(7), IMAGES), settings.reference_days + 60))


@pytest.fixture(scope="session")
def reference(undisturbed: list[DayProfile], settings: Drift) -> Reference:
    """Of the first days."""
    return reference_of(undisturbed[: settings.reference_days])
