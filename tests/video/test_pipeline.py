"""From a video to a video: every face hidden in every frame, or nobody sees the frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from components.detection.cascade import Cascade
from components.detections import Detections
from components.errors import ModelError, StreetveilError
from components.settings import Params
from components.video.pipeline import VideoSummary, Wishes, blur_video, overlapped
from components.video.stream import source_of
from components.video.writing import Writer, target_of
from tests.video.conftest import HEIGHT, WIDTH, decoded, frame_with, magenta_share

Film = Callable[..., Path]
GREY = 118


@dataclass(frozen=True)
class Failing:
    """Detectors that break down in some of their searches."""

    cascade: Cascade
    searches: set[int]
    done: list[int]

    def propose(self, pixels: Any, region: Any) -> Detections:
        """As the cascade's."""
        self.done.append(len(self.done))
        if self.done[-1] in self.searches:
            raise ModelError("toy: output is not finite")
        return self.cascade.propose(pixels, region)


def blurred(source: Path | str, out: Path | str, cascade: Any, params: Params, **wishes: Any) -> VideoSummary:
    """Blur a video by the strict region's rules."""
    read = source_of(str(source), params.video)
    return blur_video(read, target_of(str(out), read), cascade, params, params.region("strict")[1], Wishes(**wishes))


def test_a_face_is_hidden_from_its_first_frame_to_its_last(
    film: Film, cascade: Cascade, params: Params, tmp_path: Path
) -> None:
    """Who walks in between two searches, is cut away and comes back, is hidden in each frame; the rest stays as it is.

    Only every fifth frame and the first of the second scene are searched. Sound is copied, place and time are not.
    """
    places = [(-48 + 4 * i, 30) for i in range(40)] + [(60, 20)] * 13
    frames = [frame_with([place], seed=5) for place in places[:40]] + [255 - frame_with([], seed=6)] * 13
    for frame in frames[40:]:
        frame[20:44, 60:84] = (255, 0, 255)
    source = film(frames, sound=True, metadata={"location": "+48.1+011.5/", "title": "holiday"})
    out = tmp_path / "out" / "blurred.mp4"
    summary = blurred(source, out, cascade, params)
    shown = decoded(out)
    assert (len(shown), summary.frames, summary.hidden_frames) == (53, 53, 0)
    assert summary.searched <= 53 // 5 + 3
    before = decoded(source)
    for number, (place, was, now) in enumerate(zip(places, before, shown, strict=True)):
        if place[0] > -20:
            assert magenta_share(was, place) > 0.9, number
            assert magenta_share(now, place) < 0.02, number
        if number < 40:  # far from where anybody walks
            assert np.abs(was[80:].astype(int) - now[80:]).mean() < 4, number
    with av.open(str(source)) as one, av.open(str(out)) as other:
        assert "location" in one.metadata
        assert not {"location", "title", "creation_time"} & set(other.metadata)
        assert summary.blurring_id in other.metadata["comment"]
        sounds = [b"".join(bytes(packet) for packet in file.demux(audio=0)) for file in (one, other)]
    assert sounds[0] == sounds[1] != b""
    assert [path.name for path in out.parent.iterdir()] == ["blurred.mp4"]


def test_frames_around_a_failed_search_are_hidden_as_a_whole(
    film: Film, cascade: Cascade, params: Params, tmp_path: Path
) -> None:
    """If the detectors break down at frame 5, frames 1 to 9 show nothing at all; frames 0 and 10 are as ever."""
    source = film([frame_with([(40, 30)])] * 16)
    summary = blurred(source, tmp_path / "out.mkv", Failing(cascade, {1}, []), params)
    spread = [float(np.abs(frame.astype(int) - GREY).max()) for frame in decoded(tmp_path / "out.mkv")]
    assert [number for number, reach in enumerate(spread) if reach < 4] == list(range(1, 10))
    assert (summary.hidden_frames, summary.failure) == (9, "toy: output is not finite")


def test_what_cannot_be_written_to_its_end_does_not_appear(
    film: Film, cascade: Cascade, params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If writing fails half-way, or the file has fewer frames than were written, there is no file, and no draft."""
    source, before = film([frame_with([(40, 30)])] * 12), threading.active_count()
    write = Writer.write

    def failing(writer: Writer, *frame: Any) -> None:
        if writer.written == 6:
            raise OSError(28, "No space left on device")
        write(writer, *frame)

    def forgetful(writer: Writer, *frame: Any) -> None:
        write(writer, *frame)
        writer.written += writer.written == 6

    for way, said in ((failing, "No space left"), (forgetful, "12 of 13 frames")):
        monkeypatch.setattr(Writer, "write", way)
        with pytest.raises(StreetveilError, match=said):
            blurred(source, tmp_path / "out" / "blurred.mp4", cascade, params)
        assert list((tmp_path / "out").iterdir()) == []
    assert threading.active_count() == before


def test_a_turned_video_comes_out_upright(film: Film, cascade: Cascade, params: Params, tmp_path: Path) -> None:
    """What lies on its side is searched and written as OpenCV, another reader, shows it; the face is hidden."""
    source, out = film([frame_with([(20, 10)])] * 7, turned_deg=90), tmp_path / "out.mp4"
    assert blurred(source, out, cascade, params).objects["face"] >= 1
    reader = cv2.VideoCapture(str(source))
    shown = cv2.cvtColor(reader.read()[1], cv2.COLOR_BGR2RGB)
    assert shown.shape == (WIDTH, HEIGHT, 3)
    place = (10, WIDTH - 44)
    assert magenta_share(shown, place) > 0.9
    now = decoded(out)[3]
    assert now.shape == shown.shape
    assert magenta_share(now, place) < 0.02
    assert np.abs(shown[:60].astype(int) - now[:60]).mean() < 4


def test_a_sequence_of_pictures_becomes_another(cascade: Cascade, params: Params, tmp_path: Path) -> None:
    """A folder of pictures with odd sides is blurred into a new folder of as many pictures of the same size."""
    (tmp_path / "in").mkdir()
    for number in range(6):
        picture = frame_with([(40 + number, 30)])[:-1, :-1]
        cv2.imwrite(str(tmp_path / "in" / f"{number:04d}.png"), picture[..., ::-1])
    assert blurred(tmp_path / "in", tmp_path / "out" / "%04d.png", cascade, params).frames == 6
    written = sorted((tmp_path / "out").iterdir())
    assert len(written) == 6
    for number, path in enumerate(written):
        shown = cv2.imread(str(path))[..., ::-1]
        assert shown.shape == (HEIGHT - 1, WIDTH - 1, 3)
        assert magenta_share(shown, (40 + number, 30)) < 0.02
    with pytest.raises(StreetveilError, match="exists already"):
        blurred(tmp_path / "in", tmp_path / "out" / "%04d.png", cascade, params)


def test_covers_stay_behind_and_place_and_time_come_if_asked_for(
    film: Film, cascade: Cascade, params: Params, tmp_path: Path
) -> None:
    """A cover picture, which shows a face, is no part of the output; with --keep-metadata the place is."""
    plain = film([frame_with([(40, 30)])] * 6, metadata={"location": "+48.1000+011.5000/", "title": "holiday"})
    covered = tmp_path / "covered.mp4"
    with av.open(str(plain)) as read, av.open(str(covered), "w", options={"movflags": "use_metadata_tags"}) as written:
        written.metadata.update(read.metadata)
        cover = written.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        track = written.add_stream_from_template(read.streams.video[0])
        image = av.VideoFrame.from_ndarray(frame_with([(90, 30)]), format="rgb24")
        written.mux(cover.encode(image) + cover.encode())
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                written.mux(packet)
    assert blurred(covered, tmp_path / "out.mp4", cascade, params, keep_metadata=True).frames == 6
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        assert container.metadata["location"] == "+48.1000+011.5000/"
        assert "title" not in container.metadata


def test_a_stream_is_published_while_it_comes(film: Film, cascade: Cascade, params: Params, tmp_path: Path) -> None:
    """A stream's first frames are published before its last ones have been sent, and all are hidden.

    The sender keeps the last third back until it has seen something come out.
    """
    import socket

    sent = film([frame_with([(20 + i // 2, 30)]) for i in range(90)], "in.ts", format="mpegts").read_bytes()
    patient = params.model_copy(update={"video": params.video.model_copy(update={"queue_frames": 100})})
    out, came = tmp_path / "received.ts", threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as sender, socket.create_server(("127.0.0.1", 0)) as receiver:

        def send() -> None:
            with sender.accept()[0] as connection:
                connection.sendall(sent[: len(sent) * 2 // 3])
                assert came.wait(60)
                connection.sendall(sent[len(sent) * 2 // 3 :])

        def receive() -> None:
            with receiver.accept()[0] as connection, out.open("wb") as file:
                while content := connection.recv(65536):
                    file.write(content)
                    came.set()

        threads = [threading.Thread(target=work, daemon=True) for work in (send, receive)]
        for thread in threads:
            thread.start()
        addresses = [f"tcp://127.0.0.1:{server.getsockname()[1]}" for server in (sender, receiver)]
        summary = blurred(*addresses, cascade, patient)
        for thread in threads:
            thread.join(60)
    shown = decoded(out)
    assert summary.frames == len(shown) > 80
    assert summary.dropped == 0
    assert max(magenta_share(frame, (20 + i // 2, 30)) for i, frame in enumerate(shown)) < 0.02


def test_steps_overlap_within_bounds_and_end_together() -> None:
    """No more items wait than may, an error comes out where items are taken, and closing ends the maker."""
    made: list[int] = []
    closed = threading.Event()

    def numbers(error_at: int | None = None) -> Iterator[int]:
        try:
            for number in range(50):
                if number == error_at:
                    raise StreetveilError("broken")
                made.append(number)
                yield number
        finally:
            closed.set()

    taken = overlapped(numbers(), 3)
    assert next(taken) == 0
    while len(made) < 5:  # one taken, three waiting, one in hand
        time.sleep(0.001)
    taken.close()
    assert closed.is_set()
    assert len(made) == 5
    with pytest.raises(StreetveilError, match="broken"):
        list(overlapped(numbers(error_at=7), 3))
    assert list(overlapped(iter(range(20)), 2)) == list(range(20))
