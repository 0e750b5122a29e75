"""An RTSP server that nobody here wrote: Debian's gst-rtsp-server, as one camera.

Runs under the system's Python (``/usr/bin/python3`` with python3-gi and gir1.2-gst-rtsp-server-1.0), so it imports
nothing of ours. Arguments: ``--mount /path=<gst-launch line>`` (several), ``--user name:password``, ``--digest``,
``--apart``: each client has a pipeline of its own. All clients share one else, and it begins anew when another plays.
Prints the port it listens on, then serves until its standard input ends.
"""

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 (the versions must be named before)


def main() -> None:
    """Serves until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mount", action="append", required=True)
    parser.add_argument("--user", default="")
    parser.add_argument("--digest", action="store_true")
    parser.add_argument("--apart", action="store_true")
    options = parser.parse_args()

    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    if options.user:
        _require(server, *options.user.split(":", 1), digest=options.digest)
    for mount in options.mount:
        path, _, launch = mount.partition("=")
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(f"( {launch} )")
        factory.set_shared(not options.apart)
        if options.user:
            permissions = GstRtspServer.RTSPPermissions()
            permissions.add_permission_for_role("user", "media.factory.access", True)
            permissions.add_permission_for_role("user", "media.factory.construct", True)
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory(path, factory)
    server.attach(None)
    loop = GLib.MainLoop()
    channel = GLib.IOChannel.unix_new(sys.stdin.fileno())
    GLib.io_add_watch(channel, GLib.PRIORITY_DEFAULT, GLib.IOCondition.HUP | GLib.IOCondition.IN, _end, loop)
    sys.stdout.write(f"{server.get_bound_port()}\n")
    sys.stdout.flush()
    loop.run()


def _end(_channel: object, _condition: object, loop: "GLib.MainLoop") -> bool:
    loop.quit()
    return False


def _require(server: "GstRtspServer.RTSPServer", user: str, password: str, *, digest: bool) -> None:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    if digest:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)


if __name__ == "__main__":
    main()
