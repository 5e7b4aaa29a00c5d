# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that a user built: an image and its vmlinux, taken as they are."""

import hashlib
import json
import re
import shutil
from pathlib import Path

from elftools.common.exceptions import ELFError

from mmrace.building.kernel import Kernel, load_kernel
from mmrace.building.packed import read_config
from mmrace.building.systemmap import system_map
from mmrace.compressed import expand
from mmrace.errors import UserError
from mmrace.home import Home, publish, write_file

# Documentation/arch/x86/boot.rst: "HdrS" at 0x202; at 0x20e where, from 0x200, the version is.
_MAGIC, _VERSION, _SETUP = 0x202, 0x20E, 0x200
_IMAGES = ("arch/x86/boot/bzImage", "bzImage")
_CONFIG = re.compile(rb"IKCFG_ST(.*?)IKCFG_ED", re.S)  # kernel/configs.c
_BANNER = re.compile(rb"Linux version (\S+) \([^\0]*?(#\d+ [^\n\0]*)")


def take_kernel(home: Home, image: Path, vmlinux: Path | None = None) -> Kernel:
    """Return a kernel of a user's as one of the home, with a copy of its files.

    ``image`` is a bzImage, or a build directory. Without ``vmlinux`` the one of the build directory
    is taken. The config is the kernel's own (IKCONFIG), or the ``.config`` or ``config`` beside
    image or vmlinux; a kernel without has an empty one. Raises UserError when the files are no
    kernel, or not of one build.
    """
    image, folders = _image(image)
    vmlinux = vmlinux or next((f / "vmlinux" for f in folders if (f / "vmlinux").is_file()), None)
    if vmlinux is None or not vmlinux.is_file():
        raise UserError(f"{vmlinux or image}: no vmlinux beside it; name it with --vmlinux FILE")
    raw, symbols = _read(image), _read(vmlinux)
    release, built = _image_version(image, raw)
    banner = _BANNER.search(symbols)
    if not symbols.startswith(b"\x7fELF") or not banner:
        raise UserError(f"{vmlinux}: not a vmlinux; give the ELF file of the build")
    if (banner[1].decode(), banner[2].decode().strip()) != (release, built):
        other = f"{banner[1].decode()} {banner[2].decode().strip()}"
        raise UserError(
            f"{vmlinux} is from build {other}, {image} from {release} {built}; name its vmlinux"
        )
    listed = _listed(vmlinux)
    digest = hashlib.sha256(raw)
    digest.update(symbols)
    name = digest.hexdigest()[:16]
    if known := load_kernel(home, name):
        return known
    with home.scratch(home.kernels) as made:
        (made / "bzImage").write_bytes(raw)
        shutil.copyfile(vmlinux, made / "vmlinux")
        (made / "config").write_text(_config(symbols, (*folders, vmlinux.parent)), encoding="utf-8")
        write_file(made / "System.map", listed)
        write_file(made / "kernel.json", json.dumps({"release": release, "taken": str(image)}))
        publish(made, home.kernels / name)
    kernel = load_kernel(home, name)
    if kernel is None:
        raise UserError(f"{image}: the kernel was dropped at once; free space, or raise the limit")
    return kernel


def _image(path: Path) -> tuple[Path, tuple[Path, ...]]:
    """The image, and where the rest of its build may be."""
    if path.is_dir():
        found = next((path / name for name in _IMAGES if (path / name).is_file()), None)
        if not found:
            raise UserError(f"{path}: no {_IMAGES[0]} in it; build the kernel, or name the image")
        return found, (path,)
    path = path.absolute()
    return path, (path.parent, *path.parents[3:4])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; name a bzImage and its vmlinux") from error


def _listed(vmlinux: Path) -> str:
    """The System.map of a vmlinux; UserError when it has no symbols."""
    try:
        listed = system_map(vmlinux)
    except (ELFError, OSError) as error:
        raise UserError(
            f"{vmlinux}: cannot be read: {error}; give the ELF file of the build"
        ) from error
    if not listed:
        raise UserError(f"{vmlinux}: stripped; give the vmlinux of the build, with its symbols")
    return listed


def _image_version(path: Path, raw: bytes) -> tuple[str, str]:
    """Release, and number and date of the build, that an image's header names."""
    if raw[_MAGIC : _MAGIC + 4] != b"HdrS":
        raise UserError(f"{path}: not a bzImage; give arch/x86/boot/bzImage or its build directory")
    start = _SETUP + int.from_bytes(raw[_VERSION : _VERSION + 2], "little")
    text = raw[start : start + 512].partition(b"\0")[0].decode(errors="replace")
    release, _, rest = text.partition(" ")
    return release, rest.partition(") ")[2].strip()


def _config(symbols: bytes, folders: tuple[Path, ...]) -> str:
    if own := _CONFIG.search(symbols):
        return expand("IKCONFIG", own[1]).decode(errors="replace")
    for folder in folders:
        for name in (".config", "config"):
            if (folder / name).is_file():
                return read_config(folder / name)
    return ""
