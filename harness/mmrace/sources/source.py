# SPDX-License-Identifier: GPL-2.0-only
"""Where a tree comes from: Debian's package, a tarball, a directory, a git repository."""

import os
import posixpath
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from mmrace.errors import UserError
from mmrace.proc import run
from mmrace.sources import debian
from mmrace.sources.archive import REF, directory_entries, import_files, tar_entries
from mmrace.sources.checkout import refuse_changes
from mmrace.sources.git import GIT, Repository, create, last_line

Progress = Callable[[str], None]
_URL = re.compile(r"^(https?|git|ssh|file)://|^[\w.-]+@[\w.-]+:")
__all__ = ["REF", "check_links", "fetch", "identity"]


def fetch(
    git: Repository, source: str, rev: str | None, downloads: Path, progress: Progress
) -> str:
    """Import a source into an empty repository as ``REF``; returns its identity.

    Raises UserError when there is no such source, or when ``rev`` is given for no repository.
    """
    if _URL.match(source):
        return _fetch_git(git, source, rev or "HEAD", progress)
    path = Path(source).expanduser()
    if repository := _git_dir(path):
        return _fetch_local(git, path, repository, rev, progress)
    if rev:
        raise UserError(f"not a git repository: {source}; omit --rev {rev}")
    if source.startswith("debian:"):
        found = debian.tarball(source, downloads, progress, fetch=True)
        assert found is not None  # noqa: S101
        path = found
    if path.is_dir():
        import_files(git, directory_entries(path), progress)
        return ""
    if not path.is_file():
        raise UserError(f"{source}: no such file; name a tarball, a directory or a repository")
    progress(f"importing {path.name}")
    known = identity(path)
    import_files(git, tar_entries(path), progress)
    return known


def identity(path: Path) -> str:
    """What a tarball is known by: size and time of change."""
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}"


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
        raise UserError(
            f"{path}: no revision {rev or 'HEAD'!r}: {last_line(reader.errors)}; check --rev"
        )
    commit = reader.text.strip()
    if rev is None:
        if (path / ".git").exists():
            refuse_changes(str(path), path, "--rev HEAD")
        progress(f"{path}: taking HEAD, {commit[:12]}")
    try:
        return _fetch_git(git, repository.absolute().as_uri(), commit, progress)
    except UserError:
        absent = _absent(repository, commit)
        if not absent:
            raise
    named = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
    progress(f"{path} lacks the content of {len(absent)} files, left out: {named}")
    with tempfile.TemporaryDirectory(prefix="mmrace-") as scratch:
        rest = create(Path(scratch) / "git")
        made = _without(rest, repository, commit, absent)
        return _fetch_git(git, rest.path.as_uri(), made, progress)


def _read(repository: Path, *words: str) -> bytes:
    """Ask a user's repository, without writing a byte to it."""
    argv = [*GIT, f"--git-dir={repository}", *words]
    done = run(argv, deadline=300, env={"GIT_OPTIONAL_LOCKS": "0"})
    if done.returncode:
        raise UserError(
            f"{repository}: git {words[0]} failed: {last_line(done.errors)}; repair the repository"
        )
    return done.stdout


def _absent(repository: Path, commit: str) -> list[str]:
    """Files of a commit whose content the repository does not have."""
    # Alone among git's commands it does not fetch what a partial clone lacks.
    objects = _read(repository, "rev-list", "--objects", "--missing=print", f"{commit}^{{tree}}")
    gone = {line[1:] for line in objects.splitlines() if line.startswith(b"?")}
    if not gone:
        return []
    listed = _read(repository, "ls-tree", "-r", "-z", commit).split(b"\0")[:-1]
    entries = [entry.partition(b"\t") for entry in listed]
    return [os.fsdecode(path) for meta, _, path in entries if meta.split()[2] in gone]


def _without(git: Repository, source: Path, commit: str, absent: list[str]) -> str:
    """Make, in an empty repository that borrows the source's objects, a commit of the rest."""
    lent = os.fsdecode(_read(source, "rev-parse", "--git-path", "objects").strip())
    alternates = git.path / "objects/info/alternates"
    alternates.parent.mkdir(parents=True, exist_ok=True)
    alternates.write_text(f"{(Path.cwd() / lent).resolve()}\n", encoding="utf-8")
    git.git("read-tree", commit)
    # Mode 0 takes an entry out.
    gone = b"".join(b"0 %040d\t%s\0" % (0, os.fsencode(path)) for path in absent)
    git.git("update-index", "-z", "--index-info", stdin=gone)
    top = git.git("write-tree").text.strip()
    made = git.git("commit-tree", top, "-m", "the rest").text.strip()
    git.git("update-ref", "refs/heads/main", made)
    return made


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
        raise UserError(
            f"{url}: cannot fetch {rev}: {last_line(done.errors)}; check the URL and --rev",
            done.errors,
        )
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
                f"{source}: {os.fsdecode(raw)} links to {os.fsdecode(target)}, out of the "
                "tree; remove the link"
            )


def leaves(path: str, target: str) -> bool:
    """Whether a link at ``path`` leads out of the tree (by its words alone)."""
    reached = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return target.startswith("/") or reached == ".." or reached.startswith("../")
