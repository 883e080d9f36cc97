"""Object stores that speak S3, as places for originals and outputs. The only module that speaks with them.

Credentials, region and endpoint are those that every tool of AWS looks up: the environment (`AWS_ENDPOINT_URL`,
`AWS_ACCESS_KEY_ID`, ...) or its configuration files. A PUT is whole or not at all, so nothing is ever renamed, and a
PUT whose answer is lost can be sent again. What concerns one object is an `OSError`; a store that does not answer is
a `StreetveilError`, because nothing can then be said of any image.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from components.errors import StreetveilError
from components.settings import Environment

# Together well below batch.image_timeout_s: a store that hangs must not look like a hostile image.
_CONFIG = {
    "connect_timeout": 10,
    "read_timeout": 30,
    "max_pool_connections": 64,  # one for each of a process's threads
    "retries": {"mode": "standard", "total_max_attempts": 4},
    # Outputs are read again and compared, and older stores do not know the checksums that newer clients send.
    "request_checksum_calculation": "when_required",
    "response_checksum_validation": "when_required",
}
_READ_ATTEMPTS = 3  # a body that breaks off is not asked for again by the client itself
_ABSENT, _CONDITION_FAILED = ("NoSuchKey", "404"), (404, 409, 412)

Answer = TypeVar("Answer")


@cache
def client() -> Any:
    """This process's connection to the store; threads may share it."""
    # By path, not by host name: a store of one's own has one name.
    style = {"s3": {"addressing_style": "path"}} if Environment().aws_endpoint_url else {}
    return boto3.session.Session().client("s3", config=Config(**_CONFIG, **style))


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One entry of a listing: path below the prefix, size, and time of the last change, ns since the epoch."""

    path: str
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """What lies below a prefix of a bucket; a `Storage`.

    Attributes:
        bucket: its name.
        prefix: empty, or with a `/` at its end.
    """

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def read(self, path: str) -> bytes:
        """See `Storage.read`."""
        return self.read_bounded(path, None)

    def read_bounded(self, path: str, max_bytes: int | None) -> bytes:
        """The whole content, unless it is larger than allowed; its size is known before its bytes are sent.

        Raises:
            OSError: as in `Storage.read`; with `errno.EFBIG` if it is larger.
            StreetveilError: the store does not answer.
        """

        def get() -> bytes:
            for attempts_left in reversed(range(_READ_ATTEMPTS)):
                answer = client().get_object(Bucket=self.bucket, Key=self.prefix + path)
                with contextlib.closing(answer["Body"]) as body:
                    if max_bytes is not None and answer["ContentLength"] > max_bytes:
                        raise OSError(errno.EFBIG, f"{answer['ContentLength'] / 2**20:.0f} MiB")
                    try:
                        return bytes(body.read())
                    except BotoCoreError:
                        if not attempts_left:
                            raise
            raise ValueError("no attempt was allowed")

        return self._asked("read", path, get)

    def write(self, path: str, content: bytes, durable: bool = True) -> None:
        """See `Storage.write`: one PUT."""
        self.put(path, content)

    def put(self, path: str, content: bytes, **conditions: str) -> str | None:
        """Write under a condition, as `IfNoneMatch="*"` or `IfMatch=tag`.

        Returns:
            The new content's tag; None if the condition does not hold.
        """

        def put() -> str | None:
            try:
                answer = client().put_object(Bucket=self.bucket, Key=self.prefix + path, Body=content, **conditions)
            except ClientError as error:
                if conditions and _status(error) in _CONDITION_FAILED:
                    return None
                raise
            return str(answer["ETag"])

        return self._asked("write", path, put)

    def tag(self, path: str) -> str | None:
        """What changes with every write of an object; None if there is none."""
        try:
            key = self.prefix + path
            return self._asked("find", path, lambda: str(client().head_object(Bucket=self.bucket, Key=key)["ETag"]))
        except FileNotFoundError:
            return None

    def delete(self, path: str) -> None:
        """See `Storage.delete`."""
        self._asked("delete", path, lambda: client().delete_object(Bucket=self.bucket, Key=self.prefix + path))

    def exists(self, path: str) -> bool:
        """See `Storage.exists`."""
        return self.tag(path) is not None

    def list(self, prefix: str) -> Iterator[str]:
        """See `Storage.list`; a thousand names are in memory at a time."""
        return (found.path for found in self.objects(prefix))

    def objects(self, folder: str = "") -> Iterator[StoredObject]:
        """Every object below a folder, a page at a time, in the store's own order, which never changes.

        Marks of folders, which some tools leave, are passed over.
        """
        below = f"{self.prefix}{folder}/" if folder else self.prefix
        page: dict[str, Any] = {"IsTruncated": True}
        while page.get("IsTruncated"):
            page = self._page(below, page.get("NextContinuationToken"))
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):
                    modified_ns = round(entry["LastModified"].timestamp() * 1000) * 10**6
                    yield StoredObject(entry["Key"].removeprefix(self.prefix), entry["Size"], modified_ns)

    def _page(self, below: str, token: str | None) -> dict[str, Any]:
        after = {"ContinuationToken": token} if token else {}
        list_page = partial(client().list_objects_v2, Bucket=self.bucket, Prefix=below, **after)
        return self._asked("list", below.removeprefix(self.prefix), list_page)

    def remove_leftovers(self) -> None:
        """See `Storage.remove_leftovers`: a PUT that broke off has left nothing."""

    def _asked(self, doing: str, path: str, ask: Callable[[], Answer]) -> Answer:
        """An answer of the store; errors of its client become those that a `Storage` promises."""
        try:
            return ask()
        except ClientError as error:
            raise self._told(error, doing, path) from error
        except BotoCoreError as error:
            said = " ".join(str(error).split())
            raise StreetveilError(
                f"cannot {doing} {self}/{path}: {said}; check the store and AWS_ENDPOINT_URL, then run again"
            ) from error

    def _told(self, error: ClientError, doing: str, path: str) -> Exception:
        code, status = error.response.get("Error", {}).get("Code", "unknown error"), _status(error)
        where = f"{self}/{path}".rstrip("/")
        if status == 404 and code in _ABSENT:
            return FileNotFoundError(errno.ENOENT, "no such object", where)
        if code == "KeyTooLongError":
            return OSError(errno.ENAMETOOLONG, "the name is too long for the store", where)
        if code in ("AccessDenied", "403") and path:
            return PermissionError(errno.EACCES, "the store denies access", where)
        what = "check bucket, region and credentials" if status in range(400, 500) else "the store fails"
        return StreetveilError(f"cannot {doing} {where}: {code}; {what}, then run again")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
