"""Pictures that a handset sends: kept in memory and served by the simulator."""

from __future__ import annotations

import secrets

from local.simulator.watching import bad_request

LARGEST = 5 * 1024 * 1024  # bytes; carriers take far less
# By how the bytes begin, not by what a browser calls them: nothing that could hold a script.
KINDS = {
    b"\x89PNG\r\n\x1a\n": ("png", "image/png"),
    b"\xff\xd8\xff": ("jpg", "image/jpeg"),
    b"GIF8": ("gif", "image/gif"),
}


def keep(media: dict[str, tuple[str, bytes]], content: bytes) -> str:
    """Keeps a picture under a new path and returns that. Raises HTTPBadRequest for others."""
    if len(content) > LARGEST:
        raise bad_request("the picture has over 5 MiB")
    for beginning, (ending, kind) in KINDS.items():
        if content.startswith(beginning):
            path = f"picture-{secrets.token_hex(4)}/picture.{ending}"
            media[path] = (kind, content)
            return path
    raise bad_request("a picture is a PNG, a JPEG or a GIF file")
