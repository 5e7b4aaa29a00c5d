# SPDX-License-Identifier: GPL-2.0-only
"""Series from outside, kept in the home and with their runs, which can so be made again."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mmrace.home import Home, write_file
from mmrace.patching.mailbox import split
from mmrace.patching.patch import Series, read_patches

_FROM = re.compile(rb"^>*From ", re.M)
_HEAD = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"


def keep_series(home: Home, series: Series) -> Path:
    """Keep the patches of a series as a mailbox under its name; returns where."""
    path = _place(home.mails, series.name)
    mails = (_FROM.sub(rb">\g<0>", patch.mail) for patch in series.patches)
    # No line between mails: a blank one may belong to a hunk.
    content = b"".join(_HEAD + mail.removesuffix(b"\n") + b"\n" for mail in mails)
    if not path.is_file() or path.read_bytes() != content:
        write_file(path, content)
    return path


def keep_with_run(home: Home, names: Iterable[str], folder: Path) -> None:
    """Copy series that are kept in the home into the directory of a run that has them."""
    for name in names:
        path = _place(home.mails, name)
        if path.is_file():
            write_file(folder / path.name, path.read_bytes())


def kept_series(folder: Path, name: str, note: str) -> Series | None:
    """Return a series as it was kept in a folder, with a note; None when it was not."""
    path = _place(folder, name)
    if not path.is_file():
        return None
    title = Path(name.rpartition("#")[0] or name).name
    patches = read_patches(split(title, path.read_bytes()))
    return replace(Series(name, patches, outside=True), notes=(note,))


def _place(folder: Path, name: str) -> Path:
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.kept.mbox"
