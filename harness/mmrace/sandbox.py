# SPDX-License-Identifier: GPL-2.0-only
"""The namespace that builds run in; made tight for what came from outside.

A tight one shows the compiler's part of the system and nothing else, has no uid of the host's users
and no capability, and limits processes, memory and disk. When mmrace runs as root, which the kernel
does not limit, the sandboxed programs run as another user.
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_GIB = 1 << 30
_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_USR = (*_TOP, "include", "libexec", "share/bison", "share/perl", "share/perl5")
_ETC = ("/etc/alternatives", "/etc/ld.so.cache")
_NAMES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf")
_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"
# The range that systemd gives to temporary users.
_UID, _UIDS = 61184, 4336


@dataclass(frozen=True)
class Bind:
    """A host path as the sandbox sees it."""

    host: Path
    inside: str
    writable: bool = False


def _memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4


@dataclass(frozen=True)
class Limits:
    """In bytes: ``file`` one file, ``address`` one process, ``scratch`` each of /tmp and /dev/shm.

    ``memory`` is that of all processes, ``disk`` of all that is written, in at most ``files``.
    """

    processes: int = 2048
    file: int = 8 * _GIB
    address: int = 16 * _GIB
    scratch: int = 2 * _GIB
    memory: int = field(default_factory=_memory)
    disk: int = 24 * _GIB
    files: int = 1_000_000


@dataclass(frozen=True)
class Sandbox:
    """A bubblewrap mount namespace: system read-only, no network, no home, own /tmp.

    With ``limits`` it is tight. ``network``: it has the host's, unless it is tight. ``bare``: no
    namespace at all; the host's paths take the place of those inside.
    """

    binds: tuple[Bind, ...] = ()
    cwd: str = "/"
    limits: Limits | None = None
    network: bool = False
    bare: bool = False

    @property
    def writable(self) -> tuple[Path, ...]:
        """Host directories that can be written from inside."""
        return tuple(bind.host for bind in self.binds if bind.writable)

    def host(self, path: str) -> Path:
        """Where a path inside is on the host; the path itself when it is nowhere."""
        for bind in self.binds:
            if path == bind.inside or path.startswith(f"{bind.inside}/"):
                return bind.host / path[len(bind.inside) :].lstrip("/")
        return Path(path)

    def wrap(self, argv: Sequence[str], env: Mapping[str, str]) -> list[str]:
        """Return the argv that runs ``argv`` inside."""
        settings = {"PATH": _PATH, "LC_ALL": "C", **env}
        if self.bare:
            return self._bare(argv, settings)
        words = ["bwrap", "--die-with-parent", "--new-session", "--clearenv"]
        words += _tight(self.limits) if self.limits else _plain(network=self.network)
        for bind in self.binds:
            words += ["--bind" if bind.writable else "--ro-bind", str(bind.host), bind.inside]
        if self.limits:
            words += ["--remount-ro", "/"]
        for key, value in settings.items():
            words += ["--setenv", key, value]
        words += ["--chdir", self.cwd, "--"]
        return [*words, *(_confined(self.limits) if self.limits else ()), *argv]

    @contextmanager
    def handed_over(self) -> Iterator[None]:
        """Give what can be written to the user inside, when that is another one, for a while."""
        if not self.limits or self.bare or os.geteuid() != 0:
            yield
            return
        _give(self.writable, inside_uid())
        try:
            yield
        finally:
            _give(self.writable, 0)

    def _bare(self, argv: Sequence[str], settings: Mapping[str, str]) -> list[str]:
        names = "|".join(re.escape(bind.inside) for bind in self.binds) or "(?!)"
        pattern = re.compile(rf"(?<![\w/])({names})(?![\w])")

        def outside(word: str) -> str:
            return pattern.sub(lambda found: str(self.host(found[1])), word)

        pairs = [f"{key}={outside(value)}" for key, value in settings.items()]
        return ["env", "-i", *pairs, *(outside(word) for word in argv)]


def guest_view(
    argv: Sequence[str], writable: Sequence[Path], readable: Sequence[Path], cwd: Path
) -> list[str]:
    """Return the argv that runs QEMU without capabilities and network.

    It sees programs and libraries, the files and directories that are named, and nothing else of
    the host's; it can write to the ``writable`` ones only. Of devices it has those that every
    program needs, and KVM: what root is asked to run without capabilities owns its disks still.
    """
    words = ["bwrap", *(f"--unshare-{name}" for name in ("ipc", "pid", "net", "uts"))]
    words += ["--unshare-cgroup-try", "--die-with-parent", "--cap-drop", "ALL"]
    for name in ("usr", *_TOP):
        words += _bind_words(Path("/") / name)
    words += [*_etc(), "--proc", "/proc", "--dev", "/dev"]
    words += ["--dev-bind-try", "/dev/kvm", "/dev/kvm"]
    for path in readable:
        words += ["--ro-bind-try", str(path), str(path)]
    for path in writable:
        words += ["--bind", str(path), str(path)]
    return [*words, "--remount-ro", "/", "--chdir", str(cwd), "--", *argv]


def inside_uid() -> int:
    """The user inside a tight sandbox that root starts; another one for each mmrace."""
    return _UID + os.getpid() % _UIDS


def _give(folders: Sequence[Path], uid: int) -> None:
    for folder in folders:
        os.chown(folder, uid, uid)
        for top, below, files in os.walk(folder):
            for name in (*below, *files):
                os.lchown(Path(top, name), uid, uid)


def have_bubblewrap() -> bool:
    """Whether there can be a sandbox."""
    return shutil.which("bwrap") is not None


def _plain(*, network: bool) -> list[str]:
    words = ["--unshare-all", *(["--share-net"] if network else [])]
    words += [
        word for name in (_NAMES if network else ()) for word in ("--ro-bind-try", name, name)
    ]
    for name in ("usr", *_TOP):
        words += _bind_words(Path("/") / name)
    return [*words, *_etc(), "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108


def _tight(limits: Limits) -> list[str]:
    if os.geteuid() == 0:
        # In a user namespace the user inside would still be root to the host's limits.
        words = [f"--unshare-{name}" for name in ("ipc", "pid", "net", "uts", "cgroup-try")]
        words += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        words = ["--unshare-all", "--unshare-user", "--disable-userns"]
    words += ["--perms", "0755", "--dir", "/usr", "--perms", "0755", "--dir", "/usr/share"]
    words += ["--perms", "0755", "--dir", "/etc"]
    for name in _USR:
        words += _bind_words(Path("/usr") / name)
    for name in _TOP:
        words += _bind_words(Path("/") / name)
    size = str(limits.scratch)
    words += [*_etc(), "--proc", "/proc", "--dev", "/dev"]
    for name in ("/dev/shm", "/tmp"):  # noqa: S108
        words += ["--size", size, "--perms", "1777", "--tmpfs", name]
    return [*words, "--remount-ro", "/dev"]


def _confined(limits: Limits) -> Iterator[str]:
    """The words before a program that drop what root has, and set limits."""
    if os.geteuid() == 0:
        uid = str(inside_uid())
        yield from ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
        yield from ("--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs")
    yield from ("prlimit", f"--nproc={limits.processes}", f"--fsize={limits.file}")
    yield from (f"--as={limits.address}", "--core=0")


def _bind_words(path: Path) -> list[str]:
    if path.is_symlink():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.is_dir() else []


def _etc() -> list[str]:
    return [word for name in _ETC for word in ("--ro-bind-try", name, name)]
