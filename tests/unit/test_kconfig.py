# SPDX-License-Identifier: GPL-2.0-only
import bz2
import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from mmrace.building.kconfig import (
    DEFAULT_FRAGMENTS,
    Fragment,
    Option,
    built_in,
    config_request,
    dispensable,
    fragment_names,
    kernel_version,
    load_fragment,
    merge,
    not_stuck,
    parse_config,
    parse_fragment,
)
from mmrace.errors import UserError

V6_1 = (6, 1, 192)


def options(text: str, version: tuple[int, ...] = V6_1) -> dict[str, str]:
    return {one.name: one.value for one in parse_fragment(Fragment("f", text), version)}


def test_lines_of_a_fragment() -> None:
    text = '# why\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C="a b"\nCONFIG_D=n\n'
    assert options(text) == {"A": "y", "B": "n", "C": '"a b"', "D": "n"}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((5, 11, 22), {"INFO": "y", "ALWAYS": "y"}),
        ((5, 12, 0), {"INFO": "y", "DWARF5": "y", "ALWAYS": "y"}),
        ((5, 17, 3), {"INFO": "y", "DWARF5": "y", "ALWAYS": "y"}),
        ((5, 18, 0), {"DWARF5": "y", "ALWAYS": "y"}),
    ],
)
def test_a_condition_lasts_to_the_next_empty_line(
    version: tuple[int, ...], expected: dict[str, str]
) -> None:
    text = "# [<5.18]\nCONFIG_INFO=y\n\n# [>=5.12 <7]\nCONFIG_DWARF5=y\n\nCONFIG_ALWAYS=y\n"
    assert options(text, version) == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [("CONFIG_A=y\nFOO=y\n", "f:2"), ("# [=6.1]\n", "f:1"), ("# [<six]\n", "<six")],
)
def test_a_line_that_says_nothing_is_named(text: str, named: str) -> None:
    with pytest.raises(UserError, match=named):
        options(text)


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ("MINE=y", "CONFIG_MINE=y"),
        ("MINE=m", "CONFIG_MINE=m"),
        ("CONFIG_MINE", "CONFIG_MINE=y"),
        ("-e CONFIG_MINE", "CONFIG_MINE=y"),
        ("--enable MINE", "CONFIG_MINE=y"),
        ("-d MINE", "# CONFIG_MINE is not set"),
    ],
)
def test_a_misspelt_line_is_told_before_anything_is_built(
    tmp_path: Path, line: str, written: str
) -> None:
    path = tmp_path / "mine.config"
    path.write_text(f"CONFIG_A=y\n{line}\n")
    with pytest.raises(UserError) as caught:
        config_request(["base", path])
    assert caught.value.message == f"{path}:2: {line!r} is not CONFIG_NAME=value; write {written}"


PACK = {"gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress}


@pytest.mark.parametrize("kind", PACK)
def test_packed_configs_are_read(tmp_path: Path, kind: str) -> None:
    whole = b"# Automatically generated file; DO NOT EDIT.\nCONFIG_OF_A_DISTRIBUTION=y\n"
    path = tmp_path / f"config.{kind}"
    path.write_bytes(PACK[kind](whole))
    assert "OF_A_DISTRIBUTION" in config_request([path]).whole
    path.write_bytes(PACK[kind](whole)[:-12])
    with pytest.raises(UserError, match=f"{path}: cannot be read as text"):
        config_request([path])
    path.write_bytes(PACK[kind](bytes(17 << 20)))
    with pytest.raises(UserError, match="larger than 16 MiB"):
        config_request([path])


ZSTD = shutil.which("zstd")


@pytest.mark.skipif(not ZSTD, reason="needs zstd")
def test_a_config_packed_by_zstd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c").write_text("CONFIG_MINE=y\n")
    subprocess.run([str(ZSTD), "-q", tmp_path / "c"], check=True)
    fragment = config_request([tmp_path / "c.zst"]).fragments[0]
    assert fragment.text == "CONFIG_MINE=y\n"
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match="apt-get install zstd"):
        config_request([tmp_path / "c.zst"])


def test_lenient_builds_in_what_a_user_wants_as_modules(tmp_path: Path) -> None:
    path = tmp_path / "selftests.config"
    path.write_text("CONFIG_TEST=m\nCONFIG_INT=7\n")
    request = config_request([path, "lenient"])
    assert request.lenient
    assert not config_request([path]).lenient
    built = built_in(merge(request.fragments, V6_1))
    assert {option.name: option.value for option in built} == {"TEST": "y", "INT": "7"}


def test_a_guest_can_do_without_only_what_the_fragments_ask_for() -> None:
    names = {
        option.name
        for version in ((5, 7, 0), (5, 15, 0), V6_1, (6, 12, 0), (7, 3, 0))
        for name in fragment_names()
        for option in parse_fragment(load_fragment(name), version)
    }
    assert dispensable() <= names
    assert not dispensable() & {"SMP", "SERIAL_8250_CONSOLE", "HUGETLBFS", "BLK_DEV_INITRD"}


def test_conflicting_fragments_are_both_named() -> None:
    one, two = Fragment("one.config", "CONFIG_A=y"), Fragment("two.config", "CONFIG_A=n")
    with pytest.raises(UserError, match=r"CONFIG_A: one\.config asks for y, two\.config for n"):
        merge([one, two], V6_1)


def test_a_condition_can_keep_fragments_apart() -> None:
    one, two = Fragment("one", "CONFIG_A=y"), Fragment("two", "# [>=6.2]\nCONFIG_A=n")
    assert merge([one, two], V6_1) == (Option("A", "y", "one"),)


def test_the_users_fragment_overrides_whatever_the_order() -> None:
    mine, own = Fragment("mine", "CONFIG_A=n", rank=2), Fragment("own", "CONFIG_A=y\nCONFIG_B=y")
    expected = {Option("A", "n", "mine"), Option("B", "y", "own")}
    assert set(merge([mine, own], V6_1)) == expected


def test_what_did_not_stick() -> None:
    config = parse_config(
        "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\nCONFIG_SMALL=0\nCONFIG_E=y\n"
    )
    options = [
        Option("A", "y", "f"),
        Option("B", "y", "f"),
        Option("C", "y", "f"),
        Option("GONE", "n", "f"),
        Option("SMALL", "n", "f"),
        Option("ABSENT", "y", "f"),
        Option("E", "n", "f"),
    ]
    assert [one.name for one in not_stuck(options, config)] == ["B", "C", "ABSENT", "E"]


def test_version_of_a_makefile() -> None:
    assert kernel_version("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\n") == (6, 12, 117)
    with pytest.raises(UserError, match="kernel"):
        kernel_version("all:\n\ttrue\n")


@pytest.mark.parametrize("version", [(5, 7, 0), (5, 10, 0), (6, 1, 192), (6, 12, 117)])
def test_our_fragments_never_conflict(version: tuple[int, ...]) -> None:
    names = {option.name for option in merge(map(load_fragment, fragment_names()), version)}
    assert {"NUMA", "DEBUG_LIST", "KASAN"} <= names
    assert ("BASE_FULL" in names) == (version < (6, 10))
    assert ("DEBUG_INFO_DWARF5" in names) == (version >= (5, 12))


def test_every_option_of_ours_has_a_reason() -> None:
    for name in fragment_names():
        blocks = load_fragment(name).text.split("\n\n")
        assert all("#" in block for block in blocks[:1])
        assert load_fragment(name).text.startswith("# SPDX-License-Identifier: GPL-2.0-only\n# ")


def test_request_from_names_files_and_starts(tmp_path: Path) -> None:
    mine = tmp_path / "mine.config"
    mine.write_text("CONFIG_A=y\n")
    whole = tmp_path / "config"
    whole.write_text("#\n# Automatically generated file; DO NOT EDIT.\nCONFIG_B=y\n")
    request = config_request(
        [*DEFAULT_FRAGMENTS, "kasan", mine, whole], extra=["CONFIG_PREEMPT=y"], extra_name="base"
    )
    ranks = {fragment.name: fragment.rank for fragment in request.fragments}
    assert ranks["configs/kasan.config"] == 0
    assert ranks["base"] == 1
    assert ranks[str(mine)] == 2
    assert request.whole == whole.read_text()
    assert config_request(["x86_64_defconfig"]).defconfig == "x86_64_defconfig"


def test_a_fragment_of_ours_by_path_is_ours() -> None:
    from mmrace.data import data_dir

    by_path = config_request([data_dir("configs") / "numa.config", "numa"])
    assert by_path == config_request(["numa"])


def test_bad_choices(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'nope'.*kasan"):
        config_request(["nope"])
    with pytest.raises(UserError, match="both whole"):
        config_request(["x86_64_defconfig", "i386_defconfig"])
    binary = tmp_path / "bzImage"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="bzImage"):
        config_request([binary])
