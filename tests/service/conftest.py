"""What the service's tests share: one start of it with the toy model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient

from components.blurring import Blurring
from components.detection.bundle import Bundle
from components.monitoring.user_reports import ReportBook
from components.service.app import Service, service_app
from components.service.tokens import Tokens
from components.service.worker import ServiceOrder, limited, load_service_blurring
from components.settings import Params
from tests.conftest import encoded
from tests.toy_model import scene

TOKEN = "a-token-of-the-tests-and-of-nobody-else"
KEY = b"k" * 32


@pytest.fixture(scope="package")
def service(toy: Bundle, params: Params, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A service with one worker, small limits, and answers that can be repeated."""
    limits = params.service.model_copy(update={"max_file_mib": 4, "max_megapixels": 1, "max_regions": 3})
    own = params.model_copy(update={"service": limits})
    folder = tmp_path_factory.mktemp("service")
    order = ServiceOrder(toy, limited(own), "eu", "cpu", KEY)
    book = ReportBook(folder / "reports.sqlite", 0.5)
    return Service(order, 1, limits, Tokens.of([f"tests:{TOKEN}"]), book, folder / "published", "0")


@pytest.fixture(scope="package")
def blurring(service: Service) -> Blurring:
    """The library, told what the service's workers are told."""
    return load_service_blurring(service.order)


@pytest.fixture(scope="package")
def client(service: Service) -> Iterator[TestClient]:
    """A client of the running application."""
    with TestClient(service_app(service), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


@pytest.fixture(scope="package")
def street() -> bytes:
    """A JPEG with a face and a plate that the toy model finds."""
    return encoded(scene(np.random.default_rng(7))[0], "JPEG", quality=95)
