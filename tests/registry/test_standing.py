"""A glance at the registry, whether it answers or not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from components.detection.bundle import Bundle
from components.registry.entries import set_tag
from components.registry.models import Registry
from components.registry.standing import standing_of


def test_champion_and_what_waits_are_told(tmp_path: Path, toy: Bundle) -> None:
    """The champion with the time of its promotion, @previous, and pending versions with the gate's word."""
    registry = Registry("toy", f"sqlite:///{tmp_path}/mlflow.db", str(tmp_path))
    for alias in ("previous", "champion", "challenger"):
        registry.register(toy.files, alias=alias)
    set_tag(registry, "2", "promoted_at", "2026-02-28T12:00:00+00:00")
    set_tag(registry, "3", "review_status", "pending")
    set_tag(registry, "3", "gate_verdict", "failed")
    told = standing_of(registry)
    assert (told.problem, told.champion, told.previous, told.champion_since_s) == (None, "2", "1", 1772280000.0)
    assert [(one.version, one.gate) for one in told.waiting] == [("3", "failed")]


def test_no_registry_is_told_and_not_made(tmp_path: Path) -> None:
    """A glance at a registry that is not there says how to make one, and makes none."""
    told = standing_of(Registry("toy", f"sqlite:///{tmp_path}/none/mlflow.db"))
    assert "streetveil bootstrap" in (told.problem or "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_silent", [False, True], ids=["refuses", "is silent"])
def test_a_server_that_does_not_answer_is_told_without_its_password(
    is_silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closed port, and one behind which nobody speaks, are one clear line without the password of the address."""
    monkeypatch.setattr("components.registry.standing._ANSWER_S", 0.3)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if is_silent:
            listener.listen()
        port = listener.getsockname()[1]
        told = standing_of(Registry("toy", f"http://ada:secret@127.0.0.1:{port}"))
    assert f"http://127.0.0.1:{port} does not answer" in (told.problem or "")
    assert "secret" not in (told.problem or "")
