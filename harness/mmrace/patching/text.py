# SPDX-License-Identifier: GPL-2.0-only
"""Text as people's editors, shells and mail programs leave it."""

import codecs

_MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LATIN = "mmrace-latin-1"


def plain_text(raw: bytes) -> bytes:
    """Return a text file without byte order mark, and with LF where all its lines end with CRLF.

    UTF-16 with its mark, which shells on Windows write, becomes UTF-8.
    """
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            raw = raw.removeprefix(mark)
            raw = raw.decode(encoding, errors="replace").encode() if encoding else raw
            break
    lines = raw.count(b"\n")
    return raw.replace(b"\r\n", b"\n") if lines and raw.count(b"\r\n") == lines else raw


def decode_as_git(raw: bytes) -> str:
    """Decode text whose bytes should be UTF-8; what is not is Latin-1, as ``git commit`` has it."""
    return raw.decode("utf-8", errors=_LATIN)


def _latin(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_LATIN, _latin)
