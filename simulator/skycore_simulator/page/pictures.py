"""Pictures that a handset sends, kept in memory and served by the simulator."""

from __future__ import annotations

import secrets

from skycore_simulator.json_http import bad_request

MAX_PICTURE_SIZE = 5 * 1024 * 1024  # bytes; carriers take far less
# By the first bytes, not by the declared type: nothing that could contain a script.
KINDS = {
    b"\x89PNG\r\n\x1a\n": ("png", "image/png"),
    b"\xff\xd8\xff": ("jpg", "image/jpeg"),
    b"GIF8": ("gif", "image/gif"),
}


def keep(media: dict[str, tuple[str, bytes]], content: bytes) -> str:
    """Keep a picture and return its path. Raises HTTPBadRequest for anything else."""
    if len(content) > MAX_PICTURE_SIZE:
        raise bad_request("the picture is larger than 5 MiB")
    for beginning, (ending, kind) in KINDS.items():
        if content.startswith(beginning):
            path = f"picture-{secrets.token_hex(4)}/picture.{ending}"
            media[path] = (kind, content)
            return path
    raise bad_request("the picture must be a PNG, JPEG or GIF file")
