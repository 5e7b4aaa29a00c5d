# SPDX-License-Identifier: GPL-2.0-only
import stat
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from mmrace.userland import cpio

_FIELDS = 13


def parse(data: bytes) -> Iterator[cpio.Entry]:
    """Read archives as init/initramfs.c does: padding between them is skipped."""
    at = 0
    while at < len(data):
        if data[at] == 0:
            at += 1
            continue
        assert at % 4 == 0
        assert data[at : at + 6] == b"070701"
        words = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(_FIELDS)]
        mode, size, name_size = words[1], words[6], words[11]
        name_at = at + 110
        name = data[name_at : name_at + name_size]
        assert name.endswith(b"\0")
        body_at = -(-(name_at + name_size) // 4) * 4
        body = data[body_at : body_at + size]
        assert len(body) == size
        at = -(-(body_at + size) // 4) * 4
        path = name[:-1].decode()
        if path != "TRAILER!!!":
            yield cpio.Entry(path, mode, body, (words[9], words[10]))


NAMES = st.text(st.characters(blacklist_characters="\0/", blacklist_categories=["Cs"]), min_size=1)
ENTRIES = st.one_of(
    st.builds(cpio.directory, NAMES, st.integers(0, 0o7777)),
    st.builds(cpio.file, NAMES, st.binary(max_size=40), st.integers(0, 0o7777)),
    st.builds(cpio.symlink, NAMES, st.text(st.characters(max_codepoint=126), max_size=9)),
    st.builds(cpio.character_device, NAMES, st.integers(0, 255), st.integers(0, 255)),
)


@given(st.lists(ENTRIES, max_size=6))
def test_what_is_packed_is_what_the_kernel_reads(entries: list[cpio.Entry]) -> None:
    assert list(parse(cpio.archive(entries))) == entries


@given(st.lists(ENTRIES, max_size=3), st.lists(ENTRIES, max_size=3))
def test_a_second_archive_can_follow(one: list[cpio.Entry], two: list[cpio.Entry]) -> None:
    assert list(parse(cpio.archive(one) + cpio.archive(two))) == one + two


def test_types_and_modes() -> None:
    assert cpio.directory("d").mode == stat.S_IFDIR | 0o755
    assert cpio.file("f", b"", 0o755).mode == stat.S_IFREG | 0o755
    assert cpio.symlink("l", "t").content == b"t"
    assert stat.S_ISCHR(cpio.character_device("c", 5, 1).mode)


def test_the_same_entries_give_the_same_bytes() -> None:
    entries = [cpio.directory("d"), cpio.file("d/f", b"x")]
    assert cpio.archive(entries) == cpio.archive(list(entries))
