"""An RTSP server for the tests: `/camera` sends a film at its own pace, `/blurred` records what is sent to it.

Run by the system's Python, which has GStreamer's bindings: `rtsp_server.py FILM.mp4 RECORDING.mkv`. It says its port in
one line and serves on loopback until its input ends.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402


def main(film: str, recording: str) -> None:
    """Serve until the test closes our input."""
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    camera = GstRtspServer.RTSPMediaFactory()
    camera.set_launch(f'( filesrc location="{film}" ! qtdemux ! rtph264pay name=pay0 pt=96 config-interval=-1 )')
    recorder = GstRtspServer.RTSPMediaFactory()
    recorder.set_transport_mode(GstRtspServer.RTSPTransportMode.RECORD)
    recorder.set_launch(
        f'( rtph264depay name=depay0 ! h264parse ! matroskamux streamable=true ! filesink location="{recording}" )'
    )
    points = server.get_mount_points()
    points.add_factory("/camera", camera)
    points.add_factory("/blurred", recorder)
    server.attach(None)
    loop = GLib.MainLoop()
    GLib.io_add_watch(
        sys.stdin, GLib.PRIORITY_DEFAULT, GLib.IOCondition.HUP | GLib.IOCondition.IN, lambda *_: loop.quit()
    )
    print(server.get_bound_port(), flush=True)
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
