# SPDX-License-Identifier: GPL-2.0-only
"""What a kernel prints before its console driver is up, and after its end."""

import re
from dataclasses import dataclass
from pathlib import Path

MARK = b"mmrace: no message came to the console; these were in the kernel's memory:\n"

# arch/x86/kernel/early_printk.c; on a port that the driver of the console takes over later.
_EARLY = "earlyprintk=ttyS0,115200"
# panic(), kernel/panic.c: its last words. With panic_timeout=0 it loops for ever behind them.
_OVER = b"---[ end Kernel panic"
_SYMBOL = re.compile(r"^([0-9a-f]+) \w (\S+)$", re.M)
_LARGEST = 64 << 20
# A record's text is surrounded by binary fields (kernel/printk/printk_ringbuffer.c, before v5.10
# struct printk_log), and a record that was never written is zeros.
_TEXT = re.compile(rb"[\t\n\x20-\x7e]{4,}")


@dataclass(frozen=True)
class LogBuffer:
    """Virtual address and size in bytes of the kernel's ``__log_buf``."""

    address: int
    size: int


def early_console(append: tuple[str, ...]) -> tuple[str, ...]:
    """Kernel parameters with an early console on the first serial port, unless they name one."""
    if any(word.startswith(("earlyprintk", "earlycon")) for word in append):
        return append
    return (_EARLY, *append)


def is_over(console: bytes | bytearray) -> bool:
    """Whether the kernel has said the last word of a panic."""
    return _OVER in console


def log_buffer(system_map: str) -> LogBuffer | None:
    """Find the buffer in a System.map: up to the symbol behind it; None when it is not there."""
    symbols = sorted((int(found[1], 16), found[2]) for found in _SYMBOL.finditer(system_map))
    address = next((where for where, name in symbols if name == "__log_buf"), None)
    if address is None:
        return None
    end = next((where for where, _ in symbols if where > address), address)
    return LogBuffer(address, end - address) if 0 < end - address <= _LARGEST else None


def read_log_buffer(system_map: Path) -> LogBuffer | None:
    """Find the buffer of the kernel that a System.map is of; None when that file is not there."""
    try:
        return log_buffer(system_map.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def messages(raw: bytes) -> bytes:
    """Lines of a console from the bytes of a log buffer, after a line that says where from."""
    found = [text.strip(b"\n") for text in _TEXT.findall(raw)]
    return MARK + b"".join(text + b"\n" for text in found) if found else b""
