"""`streetveil video`: one video or one stream, without a server."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from flows.terminal import err, errors_in_one_line, out

if TYPE_CHECKING:
    from components.video.pipeline import VideoSummary

EPILOG = (
    "Examples: `streetveil video drive.mp4 blurred.mp4` · `streetveil video frames blurred/%06d.png` · "
    "`streetveil video rtsp://camera/stream rtsp://server/blurred`. "
    "Exit status: 0 all searched · 3 some frames were hidden as a whole, since a search failed · 1 failed."
)
_SOME_HIDDEN = 3


def video(
    source: Annotated[str, typer.Argument(help="A file, a folder or pattern of pictures, /dev/videoN, or an address.")],
    destination: Annotated[str, typer.Argument(help="A file, a pattern such as blurred/%06d.png, or an address.")],
    region: Annotated[
        str | None, typer.Option("--region", "-r", help="Whose rules apply; default: params.yaml.")
    ] = None,
    device: Annotated[str, typer.Option(help="Where the model runs: auto, cpu or cuda.")] = "auto",
    detect_every: Annotated[
        int | None, typer.Option(min=1, help="Look at every so manieth frame; default: params.yaml.")
    ] = None,
    audio: Annotated[bool, typer.Option("--audio/--no-audio", help="Copy the sound of a file.")] = True,
    keep_metadata: Annotated[
        bool, typer.Option("--keep-metadata", help="Keep where and when the video was taken.")
    ] = False,
    duration_s: Annotated[float | None, typer.Option(min=0, help="Read only so much; for streams.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there already.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, without progress.")] = False,
) -> None:
    """Blur a video, or a live stream until Ctrl-C."""
    from components.detection.bundle import load_cascade
    from components.detection.policies import choose
    from components.settings import load_params
    from components.video.pipeline import Wishes, blur_video
    from components.video.stream import source_of
    from components.video.writing import target_of
    from flows.one_folder import current_champion

    with errors_in_one_line(), _progress(shown=not as_json and err.is_terminal) as on_frame:
        params = _with_detect_every(load_params(), detect_every)
        region_name, rules = params.region(region or choose(params, source, None).region)
        read = source_of(source, params.video)
        target = target_of(destination, read, overwrite)
        champion = current_champion(params, region_name, device)  # type: ignore[arg-type]
        cascade = load_cascade(champion.bundle, params.detection, device)  # type: ignore[arg-type]
        wishes = Wishes(audio, keep_metadata, duration_s)
        with _stopped_by_signal(read.is_live) as stopped:
            summary = blur_video(read, target, cascade, params, rules, wishes, stop=stopped.is_set, on_frame=on_frame)
    model = f"{champion.bundle.name} version {champion.bundle.version}"
    if as_json:
        told = {"destination": destination, "region": region_name, "model": model, "params_sha256": params.sha256()}
        typer.echo(json.dumps({**told, **asdict(summary), "fallback_reason": champion.fallback_reason}, indent=2))
    else:
        _print(summary, destination, model, region_name)
    raise typer.Exit(_SOME_HIDDEN if summary.hidden_frames else 0)


def _with_detect_every(params: Any, frames: int | None) -> Any:
    """The settings with another distance between searches, checked as if it stood in the file."""
    if frames is None:
        return params
    from pydantic import ValidationError

    from components.errors import StreetveilError

    try:
        changed = type(params.video)(**{**params.video.model_dump(), "detect_every_frames": frames})
    except ValidationError as error:
        what = "; ".join(fault["msg"] for fault in error.errors())
        raise StreetveilError(f"--detect-every {frames}: {what}; raise these in params.yaml first") from error
    return params.model_copy(update={"video": changed})


@contextmanager
def _stopped_by_signal(is_live: bool) -> Iterator[threading.Event]:
    """A stream ends well on Ctrl-C or when its service is stopped; a file's run is given up."""
    stopped = threading.Event()
    if not is_live:
        yield stopped
        return
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _progress(shown: bool) -> Iterator[Any]:
    columns = SpinnerColumn(), TextColumn("{task.completed} frames, {task.fields[at_s]:.1f} s"), TimeElapsedColumn()
    with Progress(*columns, console=err, transient=True, disable=not shown) as progress:
        task = progress.add_task("blurring", total=None, at_s=0.0)
        yield lambda frame: progress.update(task, advance=1, at_s=frame.time_s)


def _print(summary: VideoSummary, destination: str, model: str, region: str) -> None:
    objects = ", ".join(f"{count} {name.replace('_', ' ')} tracks" for name, count in summary.objects.items())
    lines = {
        "published": f"{summary.frames} frames: {destination}",
        "followed": objects,
        "searched": f"{summary.searched} frames",
        "speed": f"{summary.frames_per_s:.1f} frames/s, {summary.duration_s:.1f} s",
        "model": f"{model}, region {region}",
    }
    if summary.hidden_frames:
        lines["hidden"] = f"{summary.hidden_frames} whole frames, since a search failed: {summary.failure}"
    if summary.damaged:
        lines["damaged"] = f"{summary.damaged} packets were refused; their frames are missing"
    if summary.dropped:
        lines["dropped"] = f"{summary.dropped} frames came too fast: raise video.detect_every_frames"
    for name, line in lines.items():
        out.print(f"{name:<10} {line}", highlight=False, markup=False, soft_wrap=True)
