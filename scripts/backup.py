"""Save what the servers of docs/deploy.md know into a folder, and bring it back.

The databases are dumped first and the objects copied after them: objects are only ever added, so every object that a
dumped row names is in the copy. Passwords come from PGPASSFILE, the object store's keys from the environment.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

OWNERS = {"mlflow": "mlflow", "mlflow_auth": "mlflow", "prefect": "prefect"}  # a database, and its role
BUCKETS = ("streetveil-mlflow", "streetveil-dvc")
STAMP = "%Y%m%dT%H%M%SZ"


def save(folder: Path, keep_days: int) -> Path:
    """Write a backup named after the time, whole or not at all, and remove those that are too old."""
    now = datetime.now(UTC)
    part, whole = folder / f"{now:{STAMP}}.part", folder / f"{now:{STAMP}}"
    part.mkdir(mode=0o700, parents=True)
    for database, role in OWNERS.items():
        dump = ["pg_dump", "--no-password", f"--username={role}", "--format=custom"]
        subprocess.run([*dump, f"--file={part / database}.dump", database], check=True)
    for bucket in BUCKETS:
        for key in keys_of(bucket):
            path = part / bucket / key
            path.parent.mkdir(parents=True, exist_ok=True)
            s3().download_file(bucket, key, str(path))
    part.rename(whole)
    for old in folder.glob("*Z*"):
        if made_at(old) < now - timedelta(days=keep_days):
            shutil.rmtree(old)
    return whole


def restore(folder: Path) -> None:
    """Bring a backup back into empty databases and buckets; the servers must be stopped, the object store running."""
    for database, role in OWNERS.items():
        load = ["pg_restore", "--no-password", f"--username={role}", "--no-owner", "--clean", "--if-exists"]
        subprocess.run([*load, "--single-transaction", f"--dbname={database}", folder / f"{database}.dump"], check=True)
    for bucket in BUCKETS:
        if bucket not in [known["Name"] for known in s3().list_buckets()["Buckets"]]:
            s3().create_bucket(Bucket=bucket)
        for path in sorted((folder / bucket).rglob("*")):
            if path.is_file():
                s3().upload_file(str(path), bucket, path.relative_to(folder / bucket).as_posix())


def keys_of(bucket: str) -> Iterator[str]:
    """The names of a bucket's objects."""
    for page in s3().get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from (entry["Key"] for entry in page.get("Contents", ()))


def s3() -> Any:
    """The object store that AWS_ENDPOINT_URL names."""
    import boto3

    return boto3.client("s3")


def made_at(folder: Path) -> datetime:
    """When a backup was begun."""
    return datetime.strptime(folder.name.removesuffix(".part"), STAMP).replace(tzinfo=UTC)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    saving = commands.add_parser("save")
    saving.add_argument("folder", type=Path, help="where backups lie, each in a folder of its own")
    saving.add_argument("--keep-days", type=int, default=14, help="older ones are removed; default: 14")
    commands.add_parser("restore").add_argument("folder", type=Path, help="one backup")
    asked = parser.parse_args()
    if asked.command == "save":
        print(save(asked.folder, asked.keep_days))
    else:
        restore(asked.folder)


if __name__ == "__main__":
    try:
        main()
    except (subprocess.CalledProcessError, OSError) as error:
        sys.exit(f"error: {error}; what was there before is as it was, see docs/deploy.md")
