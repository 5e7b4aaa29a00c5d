# SPDX-License-Identifier: GPL-2.0-only
from mmrace import crash
from mmrace.guests.printk import MARK, LogBuffer, is_over, log_buffer, messages

MAP = """0000000000000000 D __per_cpu_start
ffffffff82f00000 d printk_rb_static
ffffffff83000000 b __log_buf
ffffffff83040000 b _printk_rb_static_infos
ffffffff81000000 T _text
"""


def test_the_buffer_ends_where_the_next_symbol_begins() -> None:
    assert log_buffer(MAP) == LogBuffer(0xFFFFFFFF83000000, 0x40000)
    assert log_buffer(MAP.replace("__log_buf", "another")) is None
    assert log_buffer("ffffffff83000000 b __log_buf\n") is None
    assert log_buffer("no map") is None


def test_text_is_found_between_the_fields_of_a_ring() -> None:
    fields = (2**64 - 4).to_bytes(8, "little"), (65).to_bytes(8, "little")
    raw = fields[0] + b"Linux version 6.1\0\0" + fields[1]
    raw += b"Kernel panic - not syncing: too early\0\0\0" + bytes(4096)
    lines = messages(raw)
    assert lines == MARK + b"Linux version 6.1\nKernel panic - not syncing: too early\n"
    assert [item.title for item in crash.parse(lines)] == ["Kernel panic - not syncing: too early"]
    assert messages(bytes(4096)) == b""


def test_a_panic_is_over_with_its_last_line() -> None:
    assert is_over(b"[    0.1] ---[ end Kernel panic - not syncing: too early ]---\r\n")
    assert not is_over(b"[    0.1] Kernel panic - not syncing: too early\r\n")
