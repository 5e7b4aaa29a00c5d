# SPDX-License-Identifier: GPL-2.0-only
"""Files that cells need, identified by SHA-256: how they are named, stored and checked."""

import hashlib
import io
import re
import tarfile
from collections.abc import Iterable
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path, PurePosixPath

from mmrace.errors import InfraError
from mmrace.home import Home, publish, write_file
from mmrace.patching.kept import keep_with_run
from mmrace.runs.record import SERIES, RunDir

_NAME = re.compile(r"(kernels|images|packs|programs)/[\w.+-]+(/[\w.+-]+)?")
_RUN = re.compile(r"[\w.+-]+")


def digest(data: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file; cached until its size or modification time changes."""
    status = path.stat()
    return _file_digest(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4096)
def _file_digest(path: Path, _written: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def place_of(home: Home, name: str) -> Path:
    """Return the path of an object in a home's cache.

    Raises InfraError for a name that leads out of the cache: names come from the network.
    """
    if not _NAME.fullmatch(name) or ".." in name.split("/"):
        raise InfraError(f"not the name of an object: {name!r}; it has to be below the cache")
    return home.cache / name


def has_object(home: Home, name: str, sha256: str) -> bool:
    """Whether the cache has an object of this name whose SHA-256 is ``sha256``."""
    path = place_of(home, name)
    return path.is_file() and file_digest(path) == sha256


def keep_object(home: Home, name: str, sha256: str, data: bytes) -> None:
    """Write an object by rename; InfraError when its SHA-256 is not ``sha256``."""
    if digest(data) != sha256:
        raise InfraError(f"object {name} arrived with another SHA-256 than announced; not kept")
    path = place_of(home, name)
    write_file(path, data)
    if path.suffix in (".so", ""):
        path.chmod(0o755)


def pack_files(folder: Path, files: Iterable[Path] | None = None) -> bytes:
    """Return files of a directory (default: all of them) as a gzipped tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for path in sorted(folder.rglob("*") if files is None else files):
            if path.is_file():
                archive.add(path, arcname=str(path.relative_to(folder)), recursive=False)
    return buffer.getvalue()


def unpack_files(what: str, sha256: str, data: bytes, folder: Path) -> None:
    """Unpack an archive of regular files.

    Raises InfraError, naming ``what``, when its SHA-256 is not ``sha256``, and for a member that is
    no file below the folder.
    """
    if digest(data) != sha256:
        raise InfraError(f"{what} arrived damaged; the same command makes it again")
    try:
        # By hand: Python 3.11.2, Debian 12's, has no extraction filters.
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name)
                content = archive.extractfile(member) if member.isfile() else None
                if not content or name.is_absolute() or ".." in name.parts:
                    raise InfraError(
                        f"{what}: {member.name!r} is a link, or leads out of it; not unpacked"
                    )
                write_file(folder / name, content.read())
                (folder / name).chmod(0o644 | (member.mode & 0o111))
    except (tarfile.TarError, EOFError) as error:
        raise InfraError(f"{what} cannot be unpacked: {error}") from error


def unpack_runs(home: Home, arrived: Iterable[tuple[str, str, bytes]]) -> tuple[RunDir, ...]:
    """Publish runs that arrived (id, SHA-256, archive), all or none of them.

    All are unpacked before the first is published by rename; a run of the same id in the home is
    kept. Raises InfraError when one is damaged.
    """
    with ExitStack() as stack:
        made = []
        for run_id, sha256, data in arrived:
            if not _RUN.fullmatch(run_id):
                raise InfraError(
                    f"run {run_id!r} arrived damaged; its name cannot be that of a run"
                )
            folder = stack.enter_context(home.scratch(home.runs))
            unpack_files(f"run {run_id}", sha256, data, folder)
            if (folder / "spec.json").is_file():  # the worker lacks the series
                keep_with_run(home, RunDir(folder).spec().series, folder / SERIES)
            made.append((folder, home.runs / run_id))
        return tuple(RunDir(publish(folder, final)) for folder, final in made)
