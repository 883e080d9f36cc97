"""The planner: what it promises for every load, and what its figures say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.batch.capacity import (
    DAY_S,
    Plan,
    Prices,
    Reserve,
    Speed,
    Weights,
    day_of_images,
    live_video,
    plan,
    stated_core,
    stated_gpu,
)
from components.errors import StreetveilError

WEIGHTS = Weights(1000, 1.3, 1.3, 0.0006, 47, "stated")
RESERVE = Reserve(0.7, 1, 7, 365)
rates = st.floats(0.01, 1000)
counts = st.floats(1, 1e9)
cores = st.integers(1, 256)


def day(images: float, speed: Speed, reserve: Reserve = RESERVE) -> Plan:
    """The plan for a day within 20 hours."""
    return plan(day_of_images(images, 5, 72_000), speed, WEIGHTS, reserve)


@settings(max_examples=60)
@given(counts, st.floats(1, 100), rates, cores)
def test_more_images_never_need_fewer_machines(images: float, factor: float, rate: float, per_machine: int) -> None:
    """A larger day needs as many machines and units, or more."""
    less, more = (day(count, stated_core(rate, per_machine)) for count in (images, images * factor))
    assert more.machines >= less.machines
    assert more.units >= less.units


@settings(max_examples=60)
@given(counts, rates, cores)
def test_twice_the_speed_never_needs_more(images: float, rate: float, per_machine: int) -> None:
    """A faster unit is never to anybody's loss."""
    slow, fast = (day(images, stated_core(rate * factor, per_machine)) for factor in (1, 2))
    assert fast.machines <= slow.machines
    assert fast.units <= slow.units


@settings(max_examples=60)
@given(counts, rates, cores, st.floats(0.1, 1), st.integers(1, 3))
def test_the_day_is_done_without_the_spare_machines(
    images: float, rate: float, per_machine: int, utilisation: float, spare: int
) -> None:
    """With all spare machines lost, the rest does the day within the deadline at the planned utilisation."""
    made = day(images, stated_core(rate, per_machine), replace(RESERVE, utilisation=utilisation, spare=spare))
    left = (made.machines - spare) * per_machine
    assert left * rate * utilisation * 72_000 >= images * (1 - 1e-9)


def test_a_gpu_is_no_faster_than_the_host_that_feeds_it() -> None:
    """16 cores at 47 CPU-ms an image feed 340 images/s, whatever the GPU could do; a slow GPU is its own limit."""
    assert stated_gpu(1000, WEIGHTS, 1, 16).images_per_s == pytest.approx(340.4, abs=0.1)
    assert stated_gpu(100, WEIGHTS, 1, 16).images_per_s == 100
    assert stated_gpu(1000, WEIGHTS, 4, 16).images_per_s == pytest.approx(85.1, abs=0.1)


def test_ten_million_images_by_hand() -> None:
    """The figures of a day that is small enough to reckon on paper."""
    load = day_of_images(10e6, 5, 72_000)
    made = plan(load, stated_core(2, 64), WEIGHTS, RESERVE, Prices(0.05, 20))
    assert made.value("images per second") == pytest.approx(138.9, abs=0.1)
    assert (made.units, made.machines) == (math.ceil(138.89 / 1.4), 3)
    assert made.value("network in") == pytest.approx(1.444, abs=0.001)
    assert made.value("originals kept") == pytest.approx(91)
    assert made.value("machines' cost per day") == pytest.approx(3 * 64 * 20 * 0.05)
    assert made.value("storage's cost per month") == pytest.approx((91 + 4745 + 2.19) * 20)
    assert all(figure.arithmetic and "\n" not in figure.arithmetic for figure in made.figures)


def test_live_cameras_never_stop() -> None:
    """100 cameras of 30 frames/s are 3,000 frames/s day and night, and carry their streams, not pictures."""
    load = live_video(100, 30, 2, 8)
    made = plan(load, stated_core(5, 64), WEIGHTS, RESERVE)
    assert load.images_per_day == 3000 * DAY_S
    assert made.units == math.ceil(3000 / 3.5)
    assert made.value("network in") == pytest.approx(0.8)
    assert made.value("originals per day") == pytest.approx(8.64)


@pytest.mark.parametrize(
    ("images", "deadline_s", "rate"), [(1, DAY_S + 1, 1), (1, 0, 1), (0, 10, 1), (1, 10, 0), (1, 10, float("nan"))]
)
def test_what_cannot_be_planned_is_said(images: float, deadline_s: float, rate: float) -> None:
    """A day longer than a day, no load and no speed are errors, not infinities."""
    with pytest.raises(StreetveilError):
        plan(day_of_images(images, 5, deadline_s), stated_core(rate, 1), WEIGHTS, RESERVE)
