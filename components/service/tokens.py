"""Who may ask: tokens with names, from the environment or a file; only their hashes are held."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.errors import StreetveilError

_MIN_LENGTH = 24  # characters; `openssl rand -hex 32` gives 64
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Names of clients, and the SHA-256 of each one's token."""

    digests: tuple[tuple[str, bytes], ...]

    def client(self, authorization: str | None) -> str | None:
        """The name behind an Authorization header, or None.

        `Bearer TOKEN`, or `Basic` with the token as password, as clients send that know nothing but an address
        (`http://any:TOKEN@host/`). Every token is compared, each in constant time.
        """
        given = hashlib.sha256(_token_of(authorization or "").encode()).digest()
        found = None
        for name, digest in self.digests:
            if hmac.compare_digest(given, digest):
                found = name
        return found

    @classmethod
    def read(cls, told: str, file: Path | None) -> Tokens:
        """The tokens of the environment and of a file: `name:token`, with commas or line ends between.

        Raises:
            StreetveilError: the file cannot be read or lies where others can read it, or an entry is malformed.
        """
        entries = told.replace(",", "\n").splitlines()
        if file is not None:
            entries += _read(file).splitlines()
        return cls.of(entry.strip() for entry in entries if entry.strip() and not entry.lstrip().startswith("#"))

    @classmethod
    def of(cls, entries: Iterable[str]) -> Tokens:
        """Tokens from `name:token`."""
        digests: dict[str, bytes] = {}
        for entry in entries:
            name, _, token = (part.strip() for part in entry.partition(":"))
            if not _NAME.fullmatch(name) or len(token) < _MIN_LENGTH or name in digests:
                raise StreetveilError(
                    f"a token is not `name:token` with a name of its own and {_MIN_LENGTH} characters or more: "
                    "make one with `openssl rand -hex 32`"
                )
            digests[name] = hashlib.sha256(token.encode()).digest()
        return cls(tuple(digests.items()))

    @classmethod
    def made(cls) -> tuple[Tokens, str]:
        """One token, made now, and its text, which nothing holds but the caller."""
        token = secrets.token_urlsafe(32)
        return cls.of([f"page:{token}"]), token


def _token_of(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return value.strip() if scheme.lower() == "bearer" else ""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


def _read(file: Path) -> str:
    try:
        mode = file.stat().st_mode & 0o777
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StreetveilError(f"cannot read the tokens in {file}: {error}; mend STREETVEIL_API_TOKENS_FILE") from error
    if mode & 0o077:
        raise StreetveilError(f"the tokens in {file} can be read by others (mode {mode:04o}): chmod 600 {file}")
    return text
