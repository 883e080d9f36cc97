"""A store that fails: what concerns one object is its own fault, what concerns the store is nobody's."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.batch.object_store import ObjectStore
from components.batch.places import are_entangled, is_foreign, opened, place_of, written
from components.batch.sources import list_images, read_image
from components.errors import ImageFault, Reason, StreetveilError
from tests.batch.object_server import BUCKET, ObjectServer, Request, object_server

STORE = ObjectStore(BUCKET, "day/")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectServer]:
    """A running store."""
    with object_server(monkeypatch) as running:
        yield running


def times(count: int, method: str, fault: int | str) -> Callable[[Request], int | str | None]:
    """A fault that strikes the first requests of a kind."""
    left = [count]

    def strike(request: Request) -> int | str | None:
        if request.method != method or not left[0]:
            return None
        left[0] -= 1
        return fault

    return strike


def test_what_is_written_is_read_listed_and_deleted(server: ObjectServer) -> None:
    """An object store keeps the promises of a storage, over several pages of a listing and below its prefix alone."""
    names = [f"street-{i % 2}/{i}.jpg" for i in range(8)]
    for name in names:
        STORE.write(name, name.encode())
    server.objects.update({"other/x.jpg": b"x", "day/street-1/": b""})
    assert sorted(STORE.list("")) == sorted(names)
    assert sorted(STORE.list("street-1")) == sorted(name for name in names if name.startswith("street-1"))
    assert (STORE.read(names[0]), STORE.exists(names[0])) == (names[0].encode(), True)
    STORE.delete(names[0])
    STORE.delete(names[0])
    assert not STORE.exists(names[0])
    with pytest.raises(FileNotFoundError):
        STORE.read(names[0])


@pytest.mark.parametrize("fault", [500, 503, "lost"])
def test_a_put_that_fails_and_one_whose_answer_is_lost_are_sent_again(server: ObjectServer, fault: int | str) -> None:
    """After three failures the fourth attempt counts; the content is whole, and there once."""
    server.fault = times(3, "PUT", fault)
    STORE.write("a.jpg", b"blurred")
    assert server.objects == {"day/a.jpg": b"blurred"}


def test_an_answer_that_breaks_off_is_asked_for_again(server: ObjectServer) -> None:
    """No reader ever sees half an object."""
    STORE.write("a.jpg", bytes(range(200)))
    server.fault = times(2, "GET", "cut")
    assert STORE.read("a.jpg") == bytes(range(200))


@pytest.mark.parametrize("method", ["read", "write", "delete", "exists", "list"])
@pytest.mark.parametrize("fault", [500, "lost"])
def test_a_store_that_does_not_answer_is_an_error_of_nobody(
    server: ObjectServer, method: str, fault: int | str
) -> None:
    """It is told in one line as an error of the store, and never as one of an image."""
    server.objects["day/a.jpg"] = b"x"
    server.fault = lambda request: fault
    calls: dict[str, Callable[[], object]] = {
        "read": lambda: STORE.read("a.jpg"),
        "write": lambda: STORE.write("a.jpg", b"y"),
        "delete": lambda: STORE.delete("a.jpg"),
        "exists": lambda: STORE.exists("a.jpg"),
        "list": lambda: list(STORE.list("")),
    }
    with pytest.raises(StreetveilError, match="run again") as told:
        calls[method]()
    assert not isinstance(told.value, ImageFault)
    assert "\n" not in str(told.value)


def test_what_one_object_lacks_is_its_own_fault(server: ObjectServer) -> None:
    """An object that went away, is forbidden, or is too large is quarantined; a larger one is never downloaded."""
    server.objects.update({"day/gone.jpg": b"x", "day/secret.jpg": b"x", "day/big.jpg": bytes(3 * 2**20)})
    images = {image.path: image for image in list_images(STORE, place_of("/nowhere"))}
    del server.objects["day/gone.jpg"]
    server.fault = lambda request: 403 if request.key == "day/secret.jpg" else None
    reasons = {}
    for path, image in images.items():
        with pytest.raises(ImageFault) as fault:
            read_image(STORE, image, max_file_mib=2)
        reasons[path] = fault.value.reason
    assert reasons == {
        "gone.jpg": Reason.UNREADABLE,
        "secret.jpg": Reason.UNREADABLE,
        "big.jpg": Reason.TOO_LARGE,
    }


def test_no_name_of_an_object_leads_out_of_a_folder(server: ObjectServer) -> None:
    """Names with `..`, empty parts or a leading `/` are told with escapes and are faults; they name no file."""
    keys = ["day/../../etc/passwd", "day//a.jpg", "day/./b.jpg", "day//etc/passwd", "day/a/../c.jpg"]
    server.objects.update(dict.fromkeys(keys, b"x"))
    images = list(list_images(STORE, place_of("/nowhere")))
    assert len({image.path for image in images}) == len(keys)
    for image in images:
        assert not {"", ".", ".."} & set(image.path.split("/"))
        with pytest.raises(ImageFault) as fault:
            read_image(STORE, image, max_file_mib=2)
        assert fault.value.reason == Reason.BAD_NAME


@given(key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@settings(deadline=None, max_examples=200)
def test_every_name_is_told_as_a_path_below_the_destination(key: str) -> None:
    """Whatever an object is called, its output lies below the destination."""
    from components.batch.sources import _told

    told = _told(key)
    assert not {"", ".", ".."} & set(told.split("/"))
    assert "\0" not in told


def test_the_destination_below_the_source_is_passed_over(server: ObjectServer) -> None:
    """A run never blurs its own outputs or reads its own state."""
    names = ["a.jpg", "out/a.jpg", "out.jpg", "b/.streetveil/manifests/x.parquet"]
    server.objects.update({f"day/{name}": b"x" for name in names})
    assert [image.path for image in list_images(STORE, ObjectStore(BUCKET, "day/out/"))] == ["a.jpg", "out.jpg"]


@pytest.mark.parametrize(
    ("source", "destination", "entangled"),
    [
        ("s3://b/in", "s3://b/in", True),
        ("s3://b/out/in", "s3://b/out", True),
        ("s3://b/in", "s3://b/in/out", False),
        ("s3://b/inner", "s3://b/in", False),
        ("s3://b/in", "s3://c/in", False),
        ("/data/in", "s3://b/in", False),
        ("s3://b", "/data/in", False),
        ("file:///data/out/in", "/data/out", True),
    ],
)
def test_entangled_places_are_known(source: str, destination: str, entangled: bool) -> None:
    """Outputs never land among originals, on whatever kind of place."""
    assert are_entangled(place_of(source), place_of(destination)) is entangled


@pytest.mark.parametrize("text", ["gs://b/x", "s3://", "http://host/x", "s3:///x", "file://relative"])
def test_unknown_urls_are_refused(text: str) -> None:
    """A URL that cannot be used is never taken for a folder's name."""
    with pytest.raises(StreetveilError, match="s3://bucket/prefix"):
        place_of(text)


def test_a_prefix_with_files_of_others_is_foreign_until_a_run_has_written_there(server: ObjectServer) -> None:
    """No file of somebody else is replaced, and only what a run has written can be verified."""
    assert not is_foreign(STORE)
    server.objects["day/holiday.jpg"] = b"x"
    assert is_foreign(STORE)
    with pytest.raises(StreetveilError, match="not written by streetveil"):
        written(STORE)
    STORE.write(".streetveil/manifests/a.parquet", b"")
    assert not is_foreign(STORE)
    assert written(STORE) == STORE


def test_a_destination_that_cannot_be_written_to_is_told_before_any_work(server: ObjectServer) -> None:
    """Missing rights and a missing bucket are found when a run opens."""
    server.fault = lambda request: 403 if request.method == "PUT" else None
    with pytest.raises(StreetveilError, match="cannot write"):
        opened(STORE)
    server.fault = lambda request: None
    with pytest.raises(StreetveilError, match="NoSuchBucket"):
        opened(ObjectStore("elsewhere", ""))


def test_a_name_that_the_store_finds_too_long_is_the_images_fault(server: ObjectServer) -> None:
    """One long name does not stop a run: the error is that of a name."""
    server.fault = lambda request: None
    with pytest.raises(OSError, match="too long") as told:
        raise STORE._told(_client_error("KeyTooLongError", 400), "write", "n" * 2000)
    assert told.value.errno == errno.ENAMETOOLONG


def _client_error(code: str, status: int):  # type: ignore[no-untyped-def]
    from botocore.exceptions import ClientError

    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")
