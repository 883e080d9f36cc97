"""Everything in a folder is an input, in the same order always, and nothing that is read can hang."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.batch.sources import ImageRef, list_images, read_image
from components.errors import ImageFault, Reason, StreetveilError


def test_every_file_is_listed_once_sorted_and_state_is_not(tmp_path: Path) -> None:
    """Files of any kind at any depth are inputs; the destination inside and state folders are not."""
    source, destination = tmp_path / "in", tmp_path / "in" / "out"
    for name in ("b.jpg", "a/z.png", "a/notes.txt", ".hidden", ".streetveil/x", "out/b.jpg"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x")
    assert [image.path for image in list_images(source, destination)] == [".hidden", "a/notes.txt", "a/z.png", "b.jpg"]


def test_links_to_folders_are_not_followed_and_links_to_files_are(tmp_path: Path) -> None:
    """A link that leads back up does not make the listing endless."""
    source = tmp_path / "in"
    source.mkdir()
    (source / "real.jpg").write_text("x")
    (source / "link.jpg").symlink_to(source / "real.jpg")
    (source / "loop").symlink_to(source, target_is_directory=True)
    assert [image.path for image in list_images(source, tmp_path / "out")] == ["link.jpg", "real.jpg"]


@pytest.mark.parametrize(("source", "destination"), [("a", "a"), ("a/b", "a"), ("missing", "out")])
def test_entangled_or_missing_folders_are_refused(tmp_path: Path, source: str, destination: str) -> None:
    """Outputs never land among the originals, and a source that is not there is an error, not an empty day."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(StreetveilError):
        list(list_images(tmp_path / source, tmp_path / destination))


def test_what_is_no_file_is_a_fault_and_does_not_hang(tmp_path: Path) -> None:
    """Pipes, sockets, broken links and oversized files are refused by kind, without being opened."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "nowhere")
    with (tmp_path / "big.jpg").open("wb") as file:
        file.truncate(3 * 2**20)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s.jpg"))
        reasons = {}
        for image in list_images(tmp_path, tmp_path / "out"):
            with pytest.raises(ImageFault) as fault:
                read_image(tmp_path, image, max_file_mib=2)
            reasons[image.path] = fault.value.reason
    assert reasons == {
        "pipe.jpg": Reason.NOT_A_FILE,
        "s.jpg": Reason.NOT_A_FILE,
        "broken.jpg": Reason.UNREADABLE,
        "big.jpg": Reason.TOO_LARGE,
    }


def test_a_name_that_is_not_utf8_is_listed_and_refused(tmp_path: Path) -> None:
    """A file whose name cannot stand in a manifest is not lost: it is listed with escapes and has a reason."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.jpg")).write_bytes(b"x")
    (image,) = list_images(tmp_path, tmp_path / "out")
    assert image.path == "bad\\xff.jpg"
    with pytest.raises(ImageFault) as fault:
        read_image(tmp_path, image, max_file_mib=1)
    assert fault.value.reason is Reason.BAD_NAME


@settings(max_examples=30, deadline=None)
@given(names=st.sets(st.from_regex(r"[a-z]{1,3}(/[a-z]{4}){0,2}\.jpg", fullmatch=True), max_size=12))
def test_the_order_does_not_depend_on_the_order_of_creation(
    names: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two folders with the same files are listed alike, however they came to be."""
    listings = []
    for order in (sorted(names), sorted(names, reverse=True)):
        folder = tmp_path_factory.mktemp("order")
        for name in order:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"x")
        listings.append([image.path for image in list_images(folder, folder / "out")])
    assert listings[0] == listings[1]
    assert set(listings[0]) == names


def test_an_image_that_vanished_has_a_fault(tmp_path: Path) -> None:
    """A file that goes between listing and reading is quarantined, not fatal."""
    with pytest.raises(ImageFault) as fault:
        read_image(tmp_path, ImageRef("gone.jpg", 1, 1), max_file_mib=1)
    assert fault.value.reason is Reason.UNREADABLE
