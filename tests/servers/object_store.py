"""SeaweedFS with its S3 gateway, as its unit file starts it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.servers.machine import Machine
from tests.servers.units import settings_of, started

BUCKETS = ("streetveil-mlflow", "streetveil-dvc")


def client(machine: Machine, who: str) -> Any:
    """The store as somebody with the keys in a file of secrets sees it."""
    keys = settings_of(machine.secrets / f"{who}.env")
    return boto3.client(
        "s3",
        endpoint_url=machine.environment["AWS_ENDPOINT_URL"],
        region_name=machine.environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture(scope="session")
def object_store(machine: Machine) -> Iterator[Any]:
    """The running store with both buckets, as its administrator sees it."""
    (machine.folder / "objects").mkdir()
    health = f"http://127.0.0.1:{machine.environment['S3_PORT']}/healthz"
    with started("streetveil-s3.service", machine.environment, machine.secrets, health, machine.folder / "s3.log"):
        admin = client(machine, "admin")
        for bucket in BUCKETS:
            _make(admin, bucket)
        yield admin


def _make(admin: Any, bucket: str, attempts: int = 30) -> None:
    """Make a bucket; the gateway answers a moment before the volumes behind it do."""
    for left in reversed(range(attempts)):
        try:
            admin.create_bucket(Bucket=bucket)
            admin.put_object(Bucket=bucket, Key=".streetveil", Body=b"")
            return
        except (ClientError, BotoCoreError) as error:
            if not left:
                raise
            if getattr(error, "response", {}).get("Error", {}).get("Code") == "BucketAlreadyExists":
                continue
            time.sleep(1)
