"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
"""What a disk says that takes nothing more: an operator's matter, not a fault of the program."""


def write_text_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write ``text`` to ``path`` so that a reader, or a crash, never meets half of it.

    Args:
        path: the file; its folder is made if it is missing.
        text: the content, written as UTF-8.
        mode: permission bits of the file.

    Raises:
        OSError: the folder cannot be written to; its ``filename`` is ``path``.
    """
    write_bytes_atomically(path, text.encode("utf-8"), mode)


def write_bytes_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write ``content`` to ``path``, as ``write_text_atomically`` does text."""
    write_parts_atomically(path, (content,), mode)


def write_parts_atomically(path: Path, parts: Iterable[bytes], mode: int = 0o644) -> None:
    """Write ``parts``, one after the other, to ``path``, as ``write_text_atomically`` does text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.writelines(parts)
        if os.geteuid() == 0:  # what root changes among somebody's files remains theirs
            folder = path.parent.stat()
            os.chown(temporary, folder.st_uid, folder.st_gid)
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise


def no_room(error: Exception) -> str | None:
    """What to tell a person about a disk that takes nothing more: file and why; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in _NO_ROOM:
        return None
    file = f"{error.filename}: " if error.filename is not None else ""
    return f"{file}cannot be written: {error.strerror}"
