"""The service under load: `python -m benchmarks.service --model shipped --requests 10000 --clients 16 --minutes 10`.

Each answer is compared with what the library makes of the same picture, byte for byte. Answers of the service's own
limits (429, 503) are counted apart, and the client waits as long as they ask for. All the while, a hostile client
sends malformed, huge, slow and aborted requests; they are counted apart. It prints the table of docs/service.md.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import cv2
import httpx
import numpy as np
import psutil
from skimage import data

from components.detection.bundle import Bundle
from components.detections import Detections
from components.monitoring.user_reports import ReportBook
from components.service.app import Service
from components.service.server import listen, run_service
from components.service.tokens import Tokens
from components.service.worker import ServiceOrder, answer, limited, load_service_blurring
from components.settings import load_params
from tests.conftest import encoded
from tests.toy_model import scene, toy_bundle

TOKEN = "only-for-this-measurement-on-loopback"  # noqa: S105
KEY = b"k" * 32
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
PICTURES = 24
LIMITS = {"429", "503"}


def order_of(model: str, folder: Path) -> ServiceOrder:
    """What the service's workers are told; the library is told the same."""
    from components.detection.shipped import shipped_files

    bundle = toy_bundle(folder) if model == "toy" else Bundle("shipped", "1", tuple(shipped_files()))
    params = load_params()
    limits = params.service.model_copy(update={"max_requests_per_token": params.service.max_requests})
    return ServiceOrder(bundle, limited(params.model_copy(update={"service": limits})), "strict", "cpu", KEY)


def pictures(model: str, width: int, height: int) -> list[bytes]:
    """Different small street-like pictures, as JPEG."""
    rng = np.random.default_rng(11)
    if model == "toy":
        return [encoded(scene(rng, width, height, i % 3, i % 2)[0], "JPEG", quality=90) for i in range(PICTURES)]
    photographs = [
        _larger(whole, width, height) for whole in (data.astronaut(), data.stereo_motorcycle()[0], data.coffee())
    ]
    made = []
    for i in range(PICTURES):
        whole = photographs[i % len(photographs)]
        y, x = (int(rng.integers(0, side - part)) for side, part in zip(whole.shape, (height, width), strict=False))
        made.append(encoded(np.ascontiguousarray(whole[y : y + height, x : x + width]), "JPEG", quality=90))
    return made


def _larger(whole: np.ndarray, width: int, height: int) -> np.ndarray:
    """A photograph from which many different windows of a size can be cut."""
    factor = max(1.0, 1.25 * max(width / whole.shape[1], height / whole.shape[0]))
    return cv2.resize(whole, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)


def serve(model: str, folder: Path, workers: int) -> None:
    """The service, in a process of its own."""
    order = order_of(model, folder)
    book = ReportBook(folder / "reports.sqlite", 0.5)
    with listen("127.0.0.1", 0) as listener:
        print(listener.getsockname()[1], flush=True)
        tokens = Tokens.of([f"load:{TOKEN}"])
        run_service(Service(order, workers, order.params.service, tokens, book, None, "0"), listener)


@contextmanager
def served(model: str, folder: Path, workers: int) -> Iterator[tuple[int, psutil.Process]]:
    """A service under way: its port and its process."""
    command = [sys.executable, "-m", "benchmarks.service", "--serve", str(folder)]
    command += ["--model", model, "--workers", str(workers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        print(f"the service ended with status {process.wait(timeout=120)}")


def memory_mib(process: psutil.Process) -> float:
    """Resident memory of the service and its workers."""
    family = [process, *process.children(recursive=True)]
    return sum(member.memory_info().rss for member in family if member.is_running()) / 2**20


@dataclass(slots=True)
class Tally:
    """What came back; `seconds` without the limits' own answers, which take no time."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    hostile: Counter[str] = field(default_factory=Counter)


async def client(http: httpx.AsyncClient, todo: Iterator[int], until: float, tally: Tally, sent, expected) -> None:  # type: ignore[no-untyped-def]
    """One of the clients: the next picture as soon as the last one is answered."""
    for number in todo:
        if time.monotonic() > until:
            return
        which = number % len(sent)
        start = time.perf_counter()
        got = await http.post("/blur/", files={"picture": ("street.jpg", sent[which], "image/jpeg")})
        tally.statuses[str(got.status_code)] += 1
        if str(got.status_code) in LIMITS:
            await asyncio.sleep(float(got.headers.get("Retry-After", 1)))
            continue
        tally.seconds.append(time.perf_counter() - start)
        tally.wrong += got.status_code == 200 and got.content != expected[which]


async def hostile(http: httpx.AsyncClient, port: int, tally: Tally, picture: bytes, pause_s: float) -> None:
    """Malformed, huge, aborted and slow requests, one after another, until it is cancelled."""
    head = f"POST /blur/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(picture) + 200}\r\n\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a"\r\n\r\n' + picture[:200]
    slow: list[asyncio.StreamWriter] = []
    try:
        for number in count():
            got = await http.post("/blur/", files={"picture": picture[: len(picture) // 2]})
            tally.hostile[f"malformed: {got.status_code}"] += 1
            got = await http.post("/blur/", files={"picture": bytes(33 * 2**20)})
            tally.hostile[f"huge: {got.status_code}"] += 1
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head.encode() + part)
            await writer.drain()
            if number % 8 or len(slow) >= 4:
                writer.close()
                tally.hostile["aborted"] += 1
            else:
                slow.append(writer)  # it never sends the rest
                tally.hostile["slow"] += 1
            await asyncio.sleep(pause_s)
    finally:
        for writer in slow:
            writer.close()


async def load(port: int, process: psutil.Process, told: argparse.Namespace, sent, expected) -> Tally:  # type: ignore[no-untyped-def]
    """All clients at once; prints the memory on the way."""
    tally, until = Tally(), time.monotonic() + told.minutes * 60
    limits = httpx.Limits(max_connections=told.clients + 2)
    base = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=base, headers=HEADERS, timeout=300, limits=limits) as http:
        for _ in range(2 * PICTURES):
            await http.post("/blur/", files={"picture": sent[0]})
        before, peak = memory_mib(process), 0.0
        todo, start = iter(range(told.requests)), time.monotonic()
        enemy = asyncio.ensure_future(hostile(http, port, tally, sent[0], told.pause_s))
        clients = [client(http, todo, until, tally, sent, expected) for _ in range(told.clients)]
        working = asyncio.gather(*clients)
        while not working.done():
            await asyncio.wait([working], timeout=2)
            peak = max(peak, memory_mib(process))
        took = time.monotonic() - start
        enemy.cancel()
        await asyncio.gather(working, enemy, return_exceptions=True)
        health = (await http.get("/health")).json()["status"]
        last = await http.post("/blur/", files={"picture": sent[0]})
        assert last.content == expected[0]
    table(told, tally, took, (before, peak, memory_mib(process)), health)
    return tally


def table(told: argparse.Namespace, tally: Tally, took: float, memory: tuple[float, ...], health: str) -> None:
    """What docs/service.md shows."""
    p50, p95, p99 = (1000 * float(np.quantile(tally.seconds, share)) for share in (0.5, 0.95, 0.99))
    size = f"{told.width}×{told.height}"
    refused = sum(tally.statuses[status] for status in LIMITS)
    rows = {
        "model, workers": f"{told.model}, {told.workers}",
        "pictures": f"JPEG {size} px ({told.width * told.height / 1e6:.3f} MP), {PICTURES} different ones",
        "requests, clients": f"{tally.statuses.total()}, {told.clients}",
        "answers by status": ", ".join(f"{status}: {number}" for status, number in sorted(tally.statuses.items())),
        "answers of the limits (429, 503)": str(refused),
        "wrong answers": str(tally.wrong),
        "requests/s": f"{len(tally.seconds) / took:.1f} over {took:.0f} s",
        "latency p50, p95, p99": f"{p50:.0f}, {p95:.0f}, {p99:.0f} ms",
        "memory before, highest, after": ", ".join(f"{mib:.0f}" for mib in memory) + " MiB",
        "hostile requests beside them": ", ".join(f"{what} ×{n}" for what, n in sorted(tally.hostile.items())),
        "health afterwards": health,
    }
    print("| | |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


def main() -> None:
    """Measure, or serve for the measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=("shipped", "toy"), default="shipped")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--pause-s", type=float, default=1.0, help="between hostile requests")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.serve:
        serve(told.model, told.serve, told.workers)
        return
    with tempfile.TemporaryDirectory() as folder:
        sent = pictures(told.model, told.width, told.height)
        order = order_of(told.model, Path(folder))
        blurring = load_service_blurring(order)
        expected = [answer(blurring, picture, Detections.empty(), keeps_key=True).output for picture in sent]
        with served(told.model, Path(folder), told.workers) as (port, process):
            _wait_for(port)
            tally = asyncio.run(load(port, process, told, sent, expected))
    sys.exit(1 if tally.wrong or set(tally.statuses) - {"200"} - LIMITS else 0)


def _wait_for(port: int) -> None:
    for _ in range(600):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200:
                return
        except (OSError, httpx.HTTPError):
            time.sleep(0.5)
    raise SystemExit("the service did not come up")


if __name__ == "__main__":
    main()
