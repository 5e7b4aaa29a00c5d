# SPDX-License-Identifier: GPL-2.0-only
"""The kernel of a console log, and of a vmlinux: build id, banner, release.

``linux_banner`` (init/version.c) is the first line of a log; ``dump_stack_print_info``
(lib/dump_stack.c) prints release and build number with each trace, and the build id with
STACKTRACE_BUILD_ID.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection

from mmrace.crash import dmesg
from mmrace.errors import UserError

_BANNER = re.compile(
    r"(?P<banner>Linux version (?P<release>\d\S*) \(.*(?<= )(?P<number>#\d+)(?: .*)?)"
)
_STACK = re.compile(
    r"(?:CPU: \d+ |Pid: \d+, comm: ).*?(?:Not tainted|Tainted: [A-Z ()\[\]=_,-]+?)\s+"
    r"(?P<release>\d+\.\d\S*) (?P<number>#\S+)(?:.* (?P<build_id>[0-9a-f]{40}))?"
)


@dataclass(frozen=True)
class Identity:
    """One kernel; unknown fields are empty. ``number``: as ``#1``, the count of its builds."""

    release: str = ""
    number: str = ""
    banner: str = ""
    build_id: str = ""

    def differs(self, other: "Identity") -> bool:
        """Whether both are known to be different kernels, by the strongest field that both have."""
        pairs = (
            (self.build_id, other.build_id),
            (self.banner, other.banner),
            (f"{self.release} {self.number}", f"{other.release} {other.number}"),
        )
        return next(
            (mine != yours for mine, yours in pairs if mine.strip() and yours.strip()), False
        )

    def __str__(self) -> str:
        """The kernel's name for people."""
        return f"{self.release} {self.number}".strip() or f"build id {self.build_id}"


def of_log(lines: Iterable[str]) -> tuple[Identity, ...]:
    """The kernels that a log names, each once; a log may span several boots."""
    found: dict[Identity, None] = {}
    for text in lines:
        if "Linux version " in text or "ainted" in text:
            message = next(iter(dmesg.split(text.encode(), 0))).text
            if match := _BANNER.search(message) or _STACK.search(message):
                groups = {name: (value or "").strip() for name, value in match.groupdict().items()}
                found[Identity(**groups)] = None
    return tuple(found)


def of_vmlinux(path: Path) -> Identity:
    """Read a vmlinux's identity; UserError when the file is not one."""
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            return Identity(build_id=_build_id(elf), **_banner(elf))
    except ELFError as error:
        raise UserError(f"{path}: not an ELF file: {error}; give a vmlinux") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; give a vmlinux") from error


def _build_id(elf: ELFFile) -> str:
    for section in elf.iter_sections():
        if isinstance(section, NoteSection):
            for note in section.iter_notes():
                if note["n_type"] == "NT_GNU_BUILD_ID":
                    return str(note["n_desc"])
    return ""


def _banner(elf: ELFFile) -> dict[str, str]:
    for section in elf.iter_sections():
        if "rodata" in section.name and section["sh_type"] == "SHT_PROGBITS":
            found = re.search(rb"Linux version \d[^\0\n]{1,800}", section.data())
            text = found[0].decode(errors="replace").strip() if found else ""
            if match := _BANNER.match(text):
                return match.groupdict()
    return {}


def stranger(lines: Iterable[str], path: Path) -> str:
    """Why a vmlinux is not of the kernel in a log; "" when it is, or when that is unknown."""
    kernel, logged = of_vmlinux(path), of_log(lines)
    if not logged or not all(kernel.differs(identity) for identity in logged):
        return ""
    return f"{path} is {kernel}, the log is of {logged[-1]}"
