# SPDX-License-Identifier: GPL-2.0-only
"""Series from outside, kept in the home so that a run can be made again without their files."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from mmrace.home import Home, write_file
from mmrace.patching.mailbox import split
from mmrace.patching.patch import Series, read_patches

_FROM = re.compile(rb"^>*From ", re.M)
_HEAD = b"From mboxrd@z Thu Jan  1 00:00:00 1970\n"


def keep_series(home: Home, series: Series) -> Path:
    """Keep the patches of a series as a mailbox under its name; returns where."""
    path = _place(home, series.name)
    mails = (_FROM.sub(rb">\g<0>", patch.mail) for patch in series.patches)
    # No line between mails: a blank one may belong to a hunk.
    content = b"".join(_HEAD + mail.removesuffix(b"\n") + b"\n" for mail in mails)
    if not path.is_file() or path.read_bytes() != content:
        write_file(path, content)
    return path


def kept_series(home: Home, name: str) -> Series | None:
    """Return what a series was when it was last used; None when it never was."""
    path = _place(home, name)
    if not path.is_file():
        return None
    title = Path(name.rpartition("#")[0] or name).name
    patches = read_patches(split(title, path.read_bytes()))
    note = "its files are not there; as it was when it was last used"
    return replace(Series(name, patches, outside=True), notes=(note,))


def _place(home: Home, name: str) -> Path:
    return home.mails / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.kept.mbox"
