"""Tokens: where they come from, and what is none."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from components.errors import StreetveilError
from components.service.tokens import Tokens

ADA, BOB = "a" * 32, "b" * 32


def test_tokens_come_from_the_environment_and_a_file(tmp_path: Path) -> None:
    """Each token has its client's name, also as a Basic password; what holds them shows none."""
    file = tmp_path / "tokens"
    file.write_text(f"# the team\nbob:{BOB}\n\n")
    file.chmod(0o600)
    tokens = Tokens.read(f"ada:{ADA}", file)
    basic = "Basic " + base64.b64encode(f"any:{BOB}".encode()).decode()
    assert [tokens.client(told) for told in (f"Bearer {ADA}", f"bearer {BOB}", basic)] == ["ada", "bob", "bob"]
    wrong = (None, "", ADA, f"Bearer {ADA}x", f"Digest {ADA}", "Basic x", "Bearer " + "ä" * 32)
    assert [tokens.client(told) for told in wrong] == [None] * len(wrong)
    assert ADA not in repr(tokens)
    assert Tokens.read("", None).client(f"Bearer {ADA}") is None


@pytest.mark.parametrize("told", [f":{ADA}", "ada", "ada:short", f"ada:{ADA},ada:{BOB}", f"a b:{ADA}"])
def test_what_is_no_token_is_an_error(told: str) -> None:
    """A nameless, short or doubled token is refused at the start, without being repeated in the message."""
    with pytest.raises(StreetveilError, match="openssl rand") as error:
        Tokens.read(told, None)
    assert ADA not in str(error.value)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """Tokens in a file of mode 0644 are as good as published."""
    file = tmp_path / "tokens"
    file.write_text(f"bob:{BOB}\n")
    file.chmod(0o644)
    with pytest.raises(StreetveilError, match="chmod 600"):
        Tokens.read("", file)
