# SPDX-License-Identifier: GPL-2.0-only
"""A user's own bzImage and vmlinux as a kernel of the home."""

import functools
import gzip
import subprocess
import tempfile
from pathlib import Path

import pytest

from mmrace.building.kernel import load_kernel
from mmrace.building.userkernel import take_kernel
from mmrace.errors import UserError
from mmrace.home import Home

CODE = """
static int table[4] = { 1 };
int zeroes[8];
const int fixed = 3;
static __attribute__((noinline, used)) int add(int n) { return table[n & 3] + zeroes[n & 7]; }
__attribute__((weak)) int _start(void) { return add(1) + fixed; }
"""
WHEN = "#7 SMP PREEMPT_DYNAMIC Mon Jan  2 10:00:00 UTC 2023"


def image(release: str = "6.1.192-mine", built: str = WHEN) -> bytes:
    text = f"{release} (me@box) {built}".encode() + b"\0"
    head = bytearray(0x400)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x100).to_bytes(2, "little")
    head[0x300 : 0x300 + len(text)] = text
    return bytes(head)


@functools.cache
def elf(*words: str) -> bytes:
    """A program of the compiler's with two functions, a table, and a name that is nobody's."""
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "k.c"), Path(folder, "k")
        source.write_text(CODE)
        flags = ("-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none")
        subprocess.run(["/usr/bin/gcc", *flags, *words, "-o", made, source], check=True)
        return made.read_bytes()


def symbols(release: str = "6.1.192-mine", built: str = WHEN, config: str = "") -> bytes:
    banner = f"Linux version {release} (me@box) (gcc (Debian) 12, GNU ld 2.40) {built}\n\0"
    packed = b"IKCFG_ST" + gzip.compress(config.encode()) + b"IKCFG_ED" if config else b""
    return elf() + banner.encode() + packed


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "cache", tmp_path / "data")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    top = tmp_path / "build"
    (top / "arch/x86/boot").mkdir(parents=True)
    (top / "arch/x86/boot/bzImage").write_bytes(image())
    (top / "vmlinux").write_bytes(symbols())
    (top / ".config").write_text("CONFIG_SMP=y\n")
    return top


def test_a_build_directory_its_image_and_both_files_are_one_kernel(home: Home, build: Path) -> None:
    bz = build / "arch/x86/boot/bzImage"
    made = [
        take_kernel(home, build),
        take_kernel(home, bz),
        take_kernel(home, bz, build / "vmlinux"),
    ]
    assert len({kernel.id for kernel in made}) == 1
    kernel = load_kernel(home, made[0].id)
    assert kernel is not None
    assert kernel.release == "6.1.192-mine"
    assert kernel.config.read_text() == "CONFIG_SMP=y\n"
    (build / "vmlinux").unlink()
    assert kernel.vmlinux.read_bytes() == symbols()  # a copy: the build goes on


def test_a_kernel_without_a_system_map_gets_the_one_of_its_vmlinux(home: Home, build: Path) -> None:
    listed = take_kernel(home, build).folder.joinpath("System.map").read_text().splitlines()
    found = subprocess.run(
        ["/usr/bin/nm", build / "vmlinux"], check=True, capture_output=True, text=True
    ).stdout
    symbols = {tuple(line.split()) for line in found.splitlines()}
    assert {tuple(line.split()) for line in listed} == symbols
    assert {kind for _, kind, _ in symbols} >= set("tWRdB")
    assert listed == sorted(listed)


def test_the_config_is_the_kernels_own_where_it_has_one(home: Home, build: Path) -> None:
    (build / "vmlinux").write_bytes(symbols(config="CONFIG_IKCONFIG=y\n"))
    assert take_kernel(home, build).config.read_text() == "CONFIG_IKCONFIG=y\n"
    (build / "vmlinux").write_bytes(symbols())
    (build / ".config").unlink()
    assert take_kernel(home, build).config.read_text() == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda top: (top / "vmlinux").unlink(), "no vmlinux beside it; name it with --vmlinux"),
        (lambda top: (top / "vmlinux").write_bytes(b"hello"), "not a vmlinux; give the ELF"),
        (
            lambda top: (top / "vmlinux").write_bytes(elf("-s") + symbols()[len(elf()) :]),
            "stripped; give the vmlinux of the build, with its symbols",
        ),
        (
            lambda top: (top / "vmlinux").write_bytes(elf()[:80] + symbols()[len(elf()) :]),
            "cannot be read: .*; give the ELF file of the build",
        ),
        (
            lambda top: (top / "vmlinux").write_bytes(symbols(built=WHEN.replace("#7", "#8"))),
            r"is from build 6.1.192-mine #8 SMP",
        ),
        (lambda top: (top / "arch/x86/boot/bzImage").unlink(), "no arch/x86/boot/bzImage in it"),
        (lambda top: (top / "arch/x86/boot/bzImage").write_bytes(b"x" * 999), "not a bzImage"),
    ],
)
def test_what_is_no_kernel_or_two(home: Home, build: Path, change: object, words: str) -> None:
    assert callable(change)
    change(build)
    with pytest.raises(UserError, match=words):
        take_kernel(home, build)
    assert not list(home.kernels.glob("*"))
