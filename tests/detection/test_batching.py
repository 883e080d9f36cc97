"""Threads that share a network get what it would have given each of them alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from components.detection.batching import Batched, ProcessLostError, largest_batch
from components.detection.pinned import Staging
from components.errors import DeviceError, ModelError, OutOfMemoryError

OUTPUTS = ("mean", "twice")
_PATIENCE_S = 60.0


class Counted:
    """A network that gives each row's mean and its double, notes each batch, and fails as it is told."""

    def __init__(self, fault: Callable[[NDArray], Exception | None] = lambda blob: None) -> None:
        self.batches: list[tuple[int, ...]] = []
        self.fault = fault
        self.inside = self.most_inside = 0

    def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
        """See `Runtime.run`."""
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.batches.append(blob.shape)
        error = self.fault(blob)
        found = {"mean": blob.reshape(len(blob), -1).mean(axis=1), "twice": blob * 2}
        self.inside -= 1
        if error is not None:
            raise error
        return [found[name] for name in outputs]


def no_room_for_more_than(rows: int) -> Callable[[NDArray], Exception | None]:
    """Memory that is too small for larger batches."""
    return lambda blob: OutOfMemoryError("too large") if len(blob) > rows else None


def asked(batched: Batched, blobs: Sequence[NDArray]) -> list[list[NDArray] | BaseException]:
    """What as many threads get that all ask at the same time."""
    gate = threading.Barrier(len(blobs))

    def ask(blob: NDArray) -> list[NDArray] | BaseException:
        gate.wait(_PATIENCE_S)
        try:
            return batched.run(blob, OUTPUTS)
        except BaseException as error:
            return error

    with ThreadPoolExecutor(len(blobs)) as threads:
        return list(threads.map(ask, blobs, timeout=_PATIENCE_S))


def numbered(count: int, *shape: int) -> list[NDArray]:
    """Inputs that can be told apart."""
    return [np.full(shape, i, np.float32) for i in range(count)]


def check(answers: Sequence[list[NDArray] | BaseException], blobs: Sequence[NDArray]) -> None:
    """Everybody has the answer to his own question."""
    for answer, blob in zip(answers, blobs, strict=True):
        assert not isinstance(answer, BaseException), answer
        for got, want in zip(answer, Counted().run(blob, OUTPUTS), strict=True):
            np.testing.assert_array_equal(got, want)


def test_what_waits_at_the_same_time_is_one_batch() -> None:
    """Eight threads each have their own answer from two full batches, one after the other."""
    network = Counted()
    blobs = numbered(8, 1, 3, 4, 4)
    check(asked(Batched(network, 4, wait_s=5), blobs), blobs)
    assert network.batches == [(4, 3, 4, 4), (4, 3, 4, 4)]
    assert network.most_inside == 1


def test_only_inputs_of_one_shape_and_kind_stand_together() -> None:
    """Three shapes, one of another kind of number, and requests of many rows are answered, each among its own."""
    network = Counted()
    blobs = [
        *numbered(3, 1, 3, 4, 4),
        *numbered(3, 1, 3, 8, 4),
        *(np.full((rows, 5), rows, np.float32) for rows in (1, 7, 2)),
        np.full((1, 3, 4, 4), 9, np.float16),
    ]
    check(asked(Batched(network, 8, wait_s=0.2), blobs), blobs)
    assert sorted(network.batches) == [(1, 3, 4, 4), (3, 3, 4, 4), (3, 3, 8, 4), (10, 5)]


@pytest.mark.parametrize("room", [4, 3, 1])
def test_when_memory_runs_out_the_batch_is_halved_and_everybody_is_answered(room: int) -> None:
    """The same requests are run again in smaller parts; the limit stays down, so that it happens once."""
    network = Counted(no_room_for_more_than(room))
    batched = Batched(network, 8, wait_s=5)
    blobs = numbered(8, 1, 2)
    check(asked(batched, blobs), blobs)
    assert batched.limit == {4: 4, 3: 2, 1: 1}[room]
    failed = [shape for shape in network.batches if shape[0] > room]
    assert len(failed) == {4: 1, 3: 2, 1: 3}[room]
    network.batches.clear()
    check(asked(batched, blobs), blobs)
    assert all(shape[0] <= room for shape in network.batches)


def test_what_does_not_fit_by_itself_is_an_error_of_its_own() -> None:
    """The one that is too large hears of it, with a remedy; those that were in the batch with it are answered."""
    network = Counted(lambda blob: OutOfMemoryError("too large") if (blob == 2).any() else None)
    blobs = numbered(4, 1, 2)
    answers = asked(Batched(network, 4, wait_s=5), blobs)
    error = answers.pop(2)
    assert isinstance(error, OutOfMemoryError)
    assert "even for a single input: raise gpu.network_memory_mib" in str(error)
    check(answers, [blobs[i] for i in (0, 1, 3)])


def test_an_error_reaches_all_that_were_in_the_batch_and_nobody_else() -> None:
    """Nobody waits for ever: each of the batch gets the error, and the next batch is run."""
    network = Counted(lambda blob: ModelError("damaged") if (blob == 0).any() else None)
    batched = Batched(network, 4, wait_s=5)
    assert [str(answer) for answer in asked(batched, numbered(4, 1, 2))] == ["damaged"] * 4
    blobs = [blob + 1 for blob in numbered(4, 1, 2)]
    check(asked(batched, blobs), blobs)


def test_a_device_that_fails_ends_the_process_and_no_image() -> None:
    """It is told as what nothing that handles images' faults catches."""
    network = Counted(lambda blob: DeviceError("CUDA failure 700"))
    assert not issubclass(ProcessLostError, Exception)
    assert {type(answer) for answer in asked(Batched(network, 2, wait_s=5), numbered(2, 1, 2))} == {ProcessLostError}


def test_a_network_that_mixes_its_inputs_is_found_out() -> None:
    """An output with one row for a batch of several is nobody's answer."""

    class Mixing(Counted):
        def run(self, blob: NDArray, outputs: Sequence[str]) -> list[NDArray]:
            return [blob.mean(axis=0, keepdims=True) for _ in outputs]

    for answer in asked(Batched(Mixing(), 2, wait_s=5), numbered(2, 1, 2)):
        assert isinstance(answer, ModelError)
        assert "cannot be batched" in str(answer)


def test_no_more_is_kept_than_there_are_threads() -> None:
    """While the network is slow, each thread has one request in it and no second one behind it."""
    network = Counted()
    batched = Batched(network, 2)
    lengths: list[int] = []
    network.fault = lambda blob: lengths.append(len(batched._waiting))  # type: ignore[func-returns-value]
    blobs = numbered(60, 1, 2)
    with ThreadPoolExecutor(6) as threads:
        check(list(threads.map(lambda blob: batched.run(blob, OUTPUTS), blobs, timeout=_PATIENCE_S)), blobs)
    assert max(lengths) <= 5


@pytest.mark.parametrize(("room", "most", "found"), [(100, 32, 32), (5, 32, 4), (1, 32, 1), (100, 6, 6), (100, 1, 1)])
def test_the_size_at_the_start_is_the_largest_that_fits(room: int, most: int, found: int) -> None:
    """Sizes are doubled up to the first that memory has no room for, and never above what is allowed."""
    network = Counted(no_room_for_more_than(room))
    assert largest_batch(network, (1, 3, 4, 4), OUTPUTS, most) == found
    assert max(shape[0] for shape in network.batches) <= most


def test_a_device_without_room_for_one_input_is_told_at_the_start() -> None:
    """Before anything is begun, with what to do about it."""
    with pytest.raises(OutOfMemoryError, match=r"single input: raise gpu\.network_memory_mib"):
        largest_batch(Counted(no_room_for_more_than(0)), (1, 2), OUTPUTS, 8)


def test_the_place_where_batches_are_put_together_is_used_again() -> None:
    """What is joined there is what was given, whatever was there before; it grows and is not made anew."""
    staging = Staging()
    first = staging.joined(numbered(4, 2, 4))
    np.testing.assert_array_equal(first, np.concatenate(numbered(4, 2, 4)))
    small = staging.joined([np.ones((1, 4), np.float32)])
    assert small.shape == (1, 4)
    assert np.shares_memory(first, small)
    wide = staging.joined([np.full((5, 9), 7, np.float16), np.full((1, 9), 8, np.float16)])
    assert (wide.dtype, wide.shape, wide[5, 0]) == (np.float16, (8, 9), 8)


@pytest.mark.parametrize(("rows", "run"), [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (16, 16)])
def test_batches_for_a_gpu_have_few_sizes(rows: int, run: int) -> None:
    """Zeros, not what stood there before, fill a batch up to the next power of two."""
    staging = Staging()
    staging.joined([np.full((32, 3), 9, np.uint8)])
    joined = staging.joined([np.full((1, 3), 7, np.uint8)] * rows)
    assert joined.tolist() == [[7] * 3] * rows + [[0] * 3] * (run - rows)


def test_batches_from_that_place_are_answered_alike() -> None:
    """Sharing with it changes nothing: no answer looks into memory that the next batch has written over."""
    network = Counted()
    batched = Batched(network, 3, wait_s=0.05, joined=Staging().joined)
    blobs = numbered(30, 1, 3, 8, 8)
    with ThreadPoolExecutor(6) as threads:
        check(list(threads.map(lambda blob: batched.run(blob, OUTPUTS), blobs, timeout=_PATIENCE_S)), blobs)
