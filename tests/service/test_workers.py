"""The pool: a picture that kills its worker costs itself only, and one that takes too long is stopped."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from components.detections import Detections
from components.errors import ImageFault, Reason
from components.service import workers as workers_module
from components.service.app import Service
from components.service.worker import Answer, work
from components.service.workers import Workers


def work_that_may_end_badly(source_bytes: bytes, drawn: Detections) -> Answer:
    """Die or sleep if the picture says so."""
    if source_bytes == b"die":
        os._exit(1)
    if source_bytes == b"sleep":
        time.sleep(3600)
    return work(source_bytes, drawn)


def test_a_picture_that_kills_or_holds_its_worker_costs_nobody_else(
    service: Service, street: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each ends in its own fault, and the picture behind them is blurred."""
    monkeypatch.setattr(workers_module, "work", work_that_may_end_badly)

    async def scenario() -> list[Answer | ImageFault]:
        workers = Workers(service.order, 1)
        try:
            await workers.start()
            told: list[Answer | ImageFault] = []
            for picture, image_s in ((b"die", 600), (b"sleep", 1), (street, 600)):
                workers._image_s = image_s
                try:
                    told.append(await workers.blur(picture, Detections.empty()))
                except ImageFault as fault:
                    told.append(fault)
            return told
        finally:
            await asyncio.to_thread(workers.stop, 30)

    died, slept, blurred = asyncio.run(scenario())
    assert isinstance(died, ImageFault)
    assert died.reason == Reason.DECODER_CRASH
    assert isinstance(slept, ImageFault)
    assert slept.reason == Reason.TIMEOUT
    assert isinstance(blurred, Answer)
    assert len(blurred.hidden) >= 2
