# SPDX-License-Identifier: GPL-2.0-only
"""Git, as mmrace runs it: its own repositories only, nothing of the user's configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmrace.errors import InfraError, disk_full, no_room
from mmrace.proc import Completed, run

# Same content, same commit id: author and date are part of an id, so both are fixed.
IDENTITY = {
    f"GIT_{role}_{key}": value
    for role in ("AUTHOR", "COMMITTER")
    for key, value in (
        ("NAME", "mmrace"),
        ("EMAIL", "mmrace@localhost"),
        ("DATE", "2000-01-01T00:00:00+0000"),
    )
}
# Inside a git hook these lead to the hook's repository.
_LEADING = ("DIR", "WORK_TREE", "COMMON_DIR", "INDEX_FILE", "OBJECT_DIRECTORY")
CLEAN = ("env", *(f"--unset=GIT_{key}" for key in _LEADING))
GIT = (*CLEAN, "git")
_LINES = 20  # of a failed git's words that are told
_ALONE = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
    "LC_ALL": "C",
}


@dataclass(frozen=True)
class Repository:
    """A git directory of mmrace's; ``objects`` when new objects belong elsewhere."""

    path: Path
    objects: Path | None = None
    work: Path | None = None
    index: Path | None = None
    settings: tuple[str, ...] = field(default=("gc.auto=0", "core.compression=1"))

    def git(
        self,
        *words: str | Path,
        stdin: bytes | Path | None = None,
        deadline: float = 120,
        env: Mapping[str, str] | None = None,
        check: bool = True,
    ) -> Completed:
        """Run one git command; with ``check`` a failure is an InfraError with git's last line.

        On a full disk git prints an error for each file, 65,949 times for a kernel; the error here
        has it once.
        """
        places = {
            "GIT_OBJECT_DIRECTORY": self.objects or self.path / "objects",
            "GIT_INDEX_FILE": self.index or self.path / "index",
        }
        argv: list[str | Path] = [*CLEAN, *(f"{key}={path}" for key, path in places.items())]
        argv += ["git", f"--git-dir={self.path}"]
        if self.work:
            argv.append(f"--work-tree={self.work}")
        for setting in self.settings:
            argv += ["-c", setting]
        own = {**_ALONE, **IDENTITY, **(env or {})}
        done = run([*argv, *words], deadline=deadline, cwd=self.work, env=own, stdin=stdin)
        if check and done.returncode and no_room(done.errors):
            raise disk_full(self.path)
        if check and done.returncode:
            last_lines = "\n".join(done.errors.splitlines()[-_LINES:])
            raise InfraError(f"git {words[0]} failed: {last_line(done.errors)}", last_lines)
        return done

    def set_ref(self, name: str, commit: str) -> None:
        """Point a ref at a commit; the caller holds a lock, so a git's own lock is a dead git's."""
        self.path.joinpath(f"{name}.lock").unlink(missing_ok=True)
        self.git("update-ref", name, commit)

    def rev(self, name: str) -> str | None:
        """Object id of a revision, None when there is no such object."""
        done = self.git("rev-parse", "--verify", "--quiet", f"{name}", check=False)
        return done.text.strip() or None

    def file(self, commit: str, path: str) -> bytes | None:
        """Content of one file of a commit, None when it has no such file."""
        done = self.git("cat-file", "blob", f"{commit}:{path}", check=False)
        return None if done.returncode else done.stdout

    def paths(self, commit: str, under: Sequence[str]) -> tuple[str, ...]:
        """Those of the paths that the commit has."""
        done = self.git("ls-tree", "-z", "--name-only", commit, "--", *under)
        return tuple(done.text.split("\0")[:-1])


def create(path: Path) -> Repository:
    """Make an empty bare repository, without any hook or template."""
    run_ = Repository(path)
    path.mkdir(parents=True, exist_ok=True)
    run_.git("init", "--quiet", "--bare", "--template=", "--initial-branch=main")
    return run_


def last_line(text: str) -> str:
    """Return the last line that says something, without git's prefix."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].removeprefix("fatal: ").removeprefix("error: ") if lines else "no message"
