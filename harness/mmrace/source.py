# SPDX-License-Identifier: GPL-2.0-only
"""Where a tree comes from: Debian's package, a tarball, a directory, a git repository."""

import os
import posixpath
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from mmrace.archive import REF, directory_entries, import_files, tar_entries
from mmrace.errors import InfraError, UserError
from mmrace.git import GIT, Repository, last_line
from mmrace.proc import run

Progress = Callable[[str], None]
DEBIAN = Path("/usr/src")
_URL = re.compile(r"^(https?|git|ssh|file)://|^[\w.-]+@[\w.-]+:")
__all__ = ["REF", "check_links", "debian_tarball", "fetch", "identity", "remove"]


def fetch(
    git: Repository, source: str, rev: str | None, downloads: Path, progress: Progress
) -> str:
    """Bring a source into an empty repository as ``REF``; returns its identity.

    Raises UserError when there is no such source, or when ``rev`` is given for no repository.
    """
    if _URL.match(source):
        return _fetch_git(git, source, rev or "HEAD", progress)
    path = Path(source).expanduser()
    if repository := _git_dir(path):
        return _fetch_local(git, path, repository, rev, progress)
    if rev:
        raise UserError(f"{source} is no git repository, so --rev {rev} means nothing")
    if source.startswith("debian:"):
        found = debian_tarball(source, downloads, fetch=True)
        assert found is not None  # noqa: S101
        path = found
    if path.is_dir():
        import_files(git, directory_entries(path), progress)
        return ""
    if not path.is_file():
        raise UserError(f"{source}: no such tarball, directory or repository")
    progress(f"importing {path.name}")
    known = identity(path)
    import_files(git, tar_entries(path), progress)
    return known


def identity(path: Path) -> str:
    """What a tarball is known by: size and time of change."""
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}"


def debian_tarball(source: str, downloads: Path, *, fetch: bool) -> Path | None:
    """Find the tarball of ``debian:X``; with ``fetch`` take the package from apt when absent.

    The package is unpacked below ``downloads``, not installed. None when absent and not fetched.
    """
    name = f"linux-source-{source.removeprefix('debian:')}"
    if not re.fullmatch(r"linux-source-\d+\.\d+", name):
        raise UserError(f"{source}: say debian:6.1 or debian:6.12")
    installed = DEBIAN / f"{name}.tar.xz"
    unpacked = downloads / "usr" / "src" / installed.name
    for path in (installed, unpacked):
        if path.is_file():
            return path
    if not fetch:
        return None
    downloads.mkdir(parents=True, exist_ok=True)
    way_out = f"{installed} is not there and apt-get cannot download it: apt-get install {name}"
    try:
        done = run(["apt-get", "download", name], cwd=downloads, deadline=1800)
        for package in downloads.glob(f"{name}_*.deb"):
            done = run(["dpkg-deb", "-x", package, downloads], deadline=600)
            package.unlink()
    except InfraError as error:
        raise UserError(way_out, str(error)) from error
    if not unpacked.is_file():
        raise UserError(way_out, done.errors)
    return unpacked


def _git_dir(path: Path) -> Path | None:
    """The git directory of a checkout's top or of a bare repository."""
    if (path / ".git").exists():
        return path / ".git"
    return path if (path / "HEAD").is_file() and (path / "objects").is_dir() else None


def _fetch_local(
    git: Repository, path: Path, repository: Path, rev: str | None, progress: Progress
) -> str:
    """Take one revision of a repository on this host, which is only read."""
    reader = run(
        [*GIT, f"--git-dir={repository}", "rev-parse", "--verify", f"{rev or 'HEAD'}^{{commit}}"],
        deadline=60,
        env={"GIT_OPTIONAL_LOCKS": "0"},
    )
    if reader.returncode:
        raise UserError(f"{path}: no revision {rev or 'HEAD'!r}: {last_line(reader.errors)}")
    commit = reader.text.strip()
    if rev is None:
        progress(f"{path}: taking HEAD, {commit[:12]}, without uncommitted changes")
    return _fetch_git(git, repository.absolute().as_uri(), commit, progress)


def _fetch_git(git: Repository, url: str, rev: str, progress: Progress) -> str:
    """Fetch one revision without its history; the user's own proxy and credentials count."""
    progress(f"fetching {rev} of {url}")
    serve = "git -c uploadpack.allowAnySHA1InWant=true upload-pack"
    done = git.git(
        "-c",
        "fetch.unpackLimit=1",
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        f"--upload-pack={serve}" if url.startswith("file:") else "--upload-pack=git-upload-pack",
        url,
        f"+{rev}:{REF}",
        deadline=3600,
        env={"GIT_CONFIG_GLOBAL": str(Path("~/.gitconfig").expanduser())},
        check=False,
    )
    if done.returncode:
        raise UserError(f"{url}: cannot fetch {rev}: {last_line(done.errors)}", done.errors)
    return git.git("rev-parse", f"{REF}^{{commit}}").text.strip()


def check_links(git: Repository, top: str, source: str) -> None:
    """Refuse a tree with a symbolic link that leads out of it."""
    listed = git.git("ls-tree", "-r", "-z", top, deadline=300).stdout.split(b"\0")
    for line in listed:
        if not line.startswith(b"120000 "):
            continue
        meta, _, raw = line.partition(b"\t")
        target = git.git("cat-file", "blob", meta.split()[2].decode()).stdout
        if leaves(os.fsdecode(raw), os.fsdecode(target)):
            raise UserError(
                f"{source}: {os.fsdecode(raw)} is a link out of the tree, to {os.fsdecode(target)}"
            )


def leaves(path: str, target: str) -> bool:
    """Whether a link at ``path`` leads out of the tree (by its words alone)."""
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return target.startswith("/") or reached == ".." or reached.startswith("../")


def remove(folder: Path) -> None:
    """Delete what a killed process has left."""
    shutil.rmtree(folder, ignore_errors=True)
