# SPDX-License-Identifier: GPL-2.0-only
"""A tarball or a directory as one git commit, streamed to ``git fast-import``.

The stream goes through a FIFO: unpacking (here) and compressing (git) run side by side, and a
kernel is never on the disk uncompressed.
"""

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, BinaryIO, cast

from mmrace.errors import InfraError, UserError
from mmrace.sources.git import Repository, last_line

Progress = Callable[[str], None]
REF = "refs/heads/import"
_OPENERS: dict[bytes, Callable[[Path], object]] = {
    b"\xfd7zXZ": lzma.open,
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
}
_DAMAGE = (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile, ValueError)
# Mode, path, content; a hard link has mode None and the path of the file it repeats.
Entry = tuple[int | None, str, bytes]


def import_files(git: Repository, entries: Iterator[Entry], progress: Progress) -> None:
    """Make one commit of the entries at ``REF``; nothing is there when the entries fail."""
    fifo = git.path / "stream"
    os.mkfifo(fifo)
    writer = _Writer(fifo, entries, progress)
    writer.start()
    try:
        done = git.git(
            "-c",
            "fastimport.unpackLimit=0",
            "fast-import",
            "--quiet",
            "--done",
            "--depth=0",
            stdin=fifo,
            deadline=1800,
            check=False,
        )
    finally:
        writer.stop()
        fifo.unlink()
    if writer.error and not isinstance(writer.error, BrokenPipeError):
        raise writer.error
    if done.returncode:
        raise InfraError(f"git fast-import failed: {last_line(done.errors)}", done.errors)


class _Writer(threading.Thread):
    """Writes the stream; ``error`` is what stopped it."""

    def __init__(self, fifo: Path, entries: Iterator[Entry], progress: Progress) -> None:
        super().__init__(name="fast-import stream", daemon=True)
        self.error: BaseException | None = None
        self._fifo, self._entries, self._progress = fifo, entries, progress
        self._ended = False

    def run(self) -> None:
        try:
            with self._fifo.open("wb", buffering=1 << 20) as pipe:
                self._write(pipe)
        except BaseException as error:
            self.error = error

    def stop(self) -> None:
        """Wait for the end; without a reader the next write ends it."""
        self._ended = True
        # Releases a writer that still waits for a reader in open().
        os.close(os.open(self._fifo, os.O_RDONLY | os.O_NONBLOCK))
        self.join()

    def _write(self, pipe: IO[bytes]) -> None:
        pipe.write(b"feature done\ncommit %s\n" % REF.encode())
        pipe.write(b"committer mmrace <mmrace@localhost> 946684800 +0000\ndata 0\n")
        seen = set()
        for count, (mode, path, content) in enumerate(self._entries):
            if self._ended:
                return
            if count % 2000 == 0:
                self._progress(f"importing, {count} files")
            name = _quote(path)
            seen.add(path)
            if mode is None:
                pipe.write(b"C %s %s\n" % (_quote(content.decode(errors="surrogateescape")), name))
            else:
                pipe.write(b"M %o inline %s\ndata %d\n" % (mode, name, len(content)))
                pipe.write(content + b"\n")
        pipe.write(b"\ndone\n")


def _quote(path: str) -> bytes:
    raw = os.fsencode(path).replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
    return b'"' + raw + b'"'


def _clean(path: str, source: Path) -> str | None:
    """Path within the tree; None for git's own files; UserError when it leaves the tree."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts:
        raise UserError(
            f"{source}: contains {path!r} outside of its directory; name a source archive"
        )
    return None if not parts or ".git" in parts else "/".join(parts)


def tar_entries(path: Path) -> Iterator[Entry]:
    """All files of a tarball (plain, gz, xz or bz2); UserError when it is damaged."""
    try:
        with _open(path) as stream, tarfile.open(fileobj=stream, mode="r|", bufsize=1 << 20) as tar:
            for member in tar:
                if entry := _member(tar, member, path):
                    yield entry
            while stream.read(1 << 20):  # to the checksum at the end
                pass
    except _DAMAGE as error:
        raise UserError(f"{path}: an incomplete tar archive: {error}; fetch it again") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}; name a readable archive") from error


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        magic = file.read(6)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        raise UserError(
            f"{path}: zstd archives are not supported; unpack it (tar xf) and name the directory"
        )
    for prefix, opener in _OPENERS.items():
        if magic.startswith(prefix):
            return cast(BinaryIO, opener(path))
    return path.open("rb")


def _member(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> Entry | None:
    name = _clean(member.name, path)
    if name is None or member.isdir():
        return None
    if member.issym():
        return 0o120000, name, os.fsencode(member.linkname)
    if member.islnk():
        return None, name, os.fsencode(_clean(member.linkname, path) or "")
    file = tar.extractfile(member)
    if file is None:
        raise UserError(f"{path}: {member.name} is a device; name an archive of the source alone")
    return 0o100755 if member.mode & 0o100 else 0o100644, name, file.read()


def directory_entries(top: Path) -> Iterator[Entry]:
    """All files of a directory except git's own; UserError when one cannot be read."""
    try:
        for folder, folders, files in os.walk(top):
            folders[:] = sorted(name for name in folders if name != ".git")
            links = [name for name in folders if (Path(folder) / name).is_symlink()]
            for file in sorted(files + links):
                path = Path(folder) / file
                name = path.relative_to(top).as_posix()
                mode = path.lstat().st_mode
                if stat.S_ISLNK(mode):
                    yield 0o120000, name, os.fsencode(path.readlink())
                elif stat.S_ISREG(mode) and file != ".git":
                    yield 0o100755 if mode & 0o100 else 0o100644, name, path.read_bytes()
    except OSError as error:
        raise UserError(f"{error.filename}: {error.strerror}; make it readable") from error
