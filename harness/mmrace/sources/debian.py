# SPDX-License-Identifier: GPL-2.0-only
"""Kernel sources that Debian has: ``linux-source`` packages of the host's suites, or of others.

What the host's own suites lack comes through an apt list of mmrace's own, from the mirror that the
host's apt is configured with. Its files are below a directory of mmrace's: neither sources.list nor
the lists, the cache and the keys of the host's apt change. Packages are unpacked, not installed.
"""

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmrace.errors import UserError
from mmrace.home import write_file
from mmrace.proc import Completed, run
from mmrace.sources.git import last_line

Progress = Callable[[str], None]
INSTALLED = Path("/usr/src")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_SOURCE = re.compile(r"debian:(\d+\.\d+)(?:=([A-Za-z0-9.+~-]+))?")
_PACKAGE = re.compile(r"linux-source-(\d+\.\d+)")
_FRESH = 24 * 3600  # seconds for which mmrace's own lists are taken as they are
_RENEWED = 600  # the same when something was not found in them
_NEWER = ("testing", "sid", "experimental")


@dataclass(frozen=True)
class Package:
    """One version of one ``linux-source`` package, and a suite that has it."""

    name: str
    version: str
    suite: str

    @property
    def number(self) -> str:
        """The kernel's version as the package's name has it: ``7.3``."""
        return self.name.removeprefix("linux-source-")


@dataclass(frozen=True)
class _Apt:
    """A view of Debian's archive; ``state`` is where mmrace keeps what apt writes for it."""

    options: tuple[str, ...]
    state: Path

    def run(
        self, tool: str, *words: str, deadline: float = 120, cwd: Path | None = None
    ) -> Completed:
        """Run apt-get or apt-cache with this view; UserError where there is no apt."""
        (self.state / "cache/archives/partial").mkdir(parents=True, exist_ok=True)
        # As root apt would change to a user that cannot enter mmrace's directories.
        own = (
            f"Dir::Cache={self.state / 'cache'}",
            "Acquire::Languages=none",
            "APT::Sandbox::User=root",
        )
        argv = [tool, "-qq"]
        for option in (*own, *self.options):
            argv += ["-o", option]
        if not shutil.which(tool):
            raise UserError(f"no {tool}, which debian: trees need; mmrace tree add NAME TARBALL")
        return run([*argv, *words], deadline=deadline, cwd=cwd, env={"LC_ALL": "C"})

    def packages(self, name: str = "") -> list[Package]:
        """All versions of a package, or of every linux-source, newest first."""
        names = [name] if name else self.run("apt-cache", "pkgnames", "linux-source-").text.split()
        names = [each for each in names if _PACKAGE.fullmatch(each)]
        if not names:
            return []
        rows = self.run("apt-cache", "madison", *names).text.splitlines()
        cells = [[cell.strip() for cell in row.split("|")] for row in rows]
        found = {
            (cell[0], cell[1]): Package(cell[0], cell[1], cell[2].split()[1].partition("/")[0])
            for cell in reversed(cells)
            if len(cell) == 3 and len(cell[2].split()) > 1
        }
        return list(reversed(found.values()))


def host_apt(state: Path) -> _Apt:
    """The suites that the host's apt is configured with."""
    return _Apt((), state / "host")


def own_apt(state: Path, progress: Progress, *, renew: bool) -> _Apt:
    """All suites of the host's mirror; lists older than a day (``renew``: 10 minutes) are fetched.

    Raises UserError when the host's apt has no Debian mirror, or Debian's keyring is not there.
    """
    folder = state / "apt"
    sources, stamp = folder / "mmrace.sources", folder / "stamp"
    apt = _Apt(
        (
            f"Dir::Etc::sourcelist={sources}",
            "Dir::Etc::sourceparts=/dev/null",
            f"Dir::State::Lists={folder / 'lists'}",
            "Acquire::AllowInsecureRepositories=false",
            "APT::Get::AllowUnauthenticated=false",
        ),
        folder,
    )
    fresh = _RENEWED if renew else _FRESH
    if stamp.is_file() and time.time() - stamp.stat().st_mtime < fresh:
        return apt
    if not KEYRING.is_file():
        raise UserError(f"{KEYRING} not found; apt-get install debian-archive-keyring")
    progress("asking Debian for its other suites")
    mirrors = _mirrors(state)
    # A release has two names, and a mirror that caches may have an old copy under one of them.
    write_file(sources, _sources(mirrors, ("oldstable", "stable")))
    done = _update(apt, "Acquire::IndexTargets::deb::Packages::DefaultEnabled=false")
    releases = dict.fromkeys(_codenames(folder / "lists"))
    if not releases:
        raise UserError(
            f"apt-get update failed: {last_line(done.errors)}; run it again", done.errors
        )
    write_file(sources, _sources(mirrors, tuple(releases), _NEWER))
    _update(apt)
    write_file(stamp, "")
    return apt


def _update(apt: _Apt, *options: str) -> Completed:
    """Fetch lists; those that cannot be fetched, or that Debian did not sign, are left out."""
    (apt.state / "lists/partial").mkdir(parents=True, exist_ok=True)
    words = [word for option in options for word in ("-o", option)]
    return apt.run("apt-get", *words, "update", deadline=900)


def _codenames(lists: Path) -> Iterator[str]:
    for path in sorted(lists.glob("*Release")):
        found = re.search(r"^Codename: (\w+)$", path.read_text(errors="replace"), re.M)
        if found:
            yield found[1]


def _sources(
    mirrors: dict[str, str], releases: tuple[str, ...], newer: tuple[str, ...] = ()
) -> str:
    """Return a deb822 list of suites, by the mirror of each archive."""
    suites = {
        "Debian": [*(f"{name}{end}" for name in releases for end in ("", "-backports")), *newer],
        "Debian-Security": [f"{name}-security" for name in releases],
    }
    return "\n".join(
        f"Types: deb\nURIs: {mirrors[label]}\nSuites: {' '.join(names)}\nComponents: main\n"
        f"Signed-By: {KEYRING}\n"
        for label, names in suites.items()
        if label in mirrors and names
    )


def _mirrors(state: Path) -> dict[str, str]:
    """Addresses of Debian's archives, by label, as the host's apt understands its own sources."""
    if found := _labels(host_apt(state)):
        return found
    # In many containers the host's lists were removed: apt knows the labels of fetched lists only.
    own = _Apt((f"Dir::State::Lists={state / 'host/lists'}",), state / "host")
    _update(own)
    if found := _labels(own):
        return found
    raise UserError("the host's apt has no Debian mirror; mmrace tree add NAME TARBALL")


def _labels(apt: _Apt) -> dict[str, str]:
    shape = "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)"
    done = apt.run("apt-get", "indextargets", "--format", shape, "Created-By: Packages")
    rows = [line.split("|", 3) for line in done.text.splitlines()]
    return {label: uri for origin, label, part, uri in rows if (origin, part) == ("Debian", "main")}


def find_packages(state: Path, progress: Progress) -> dict[str, Package]:
    """All kernel sources that Debian has, by the name of the tree, the newest first.

    ``debian:6.12`` is the package that this host gets, ``debian:6.12=VERSION`` any other version.
    """
    host = host_apt(state).packages()
    found = {
        (one.name, one.version): one for one in own_apt(state, progress, renew=False).packages()
    }
    found |= {(one.name, one.version): one for one in host}
    first = {one.name: one for one in reversed([*host, *found.values()])}
    ordered = sorted(
        found.values(), key=lambda one: [*map(int, one.number.split("."))], reverse=True
    )
    return {
        f"debian:{one.number}{'' if one is first[one.name] else f'={one.version}'}": one
        for one in ordered
    }


def tarball(source: str, state: Path, progress: Progress, *, fetch: bool) -> Path | None:
    """Find the tarball of ``debian:X`` or ``debian:X=VERSION``; with ``fetch`` download it.

    ``state`` is where downloads and apt's lists are kept. None when absent and not fetched. Raises
    UserError when Debian has no such package, naming what it has.
    """
    match = _SOURCE.fullmatch(source)
    if not match:
        raise UserError(f"{source}: not a Debian kernel; say debian:6.1 or debian:6.1=6.1.170-3")
    name, version = f"linux-source-{match[1]}", match[2] or ""
    file = Path("usr/src") / f"{name}.tar.xz"
    unpacked = state / version / file
    installed = INSTALLED / file.name
    for path in (unpacked,) if version else (installed, unpacked):
        if path.is_file():
            return path
    if not fetch:
        return None
    apt, package = _find(name, version, state, progress)
    progress(f"downloading {name} {package.version} from {package.suite}")
    with _scratch(state / ".download") as folder:
        done = apt.run(
            "apt-get", "download", f"{name}={package.version}", deadline=1800, cwd=folder
        )
        for deb in folder.glob("*.deb"):
            done = run(["dpkg-deb", "-x", deb, folder], deadline=600)
        if not (folder / file).is_file():
            way_out = f"{name} {package.version} cannot be downloaded: {last_line(done.errors)}"
            raise UserError(f"{way_out}; apt-get install {name}", done.errors)
        unpacked.parent.mkdir(parents=True, exist_ok=True)
        (folder / file).rename(unpacked)
    return unpacked


def _find(name: str, version: str, state: Path, progress: Progress) -> tuple[_Apt, Package]:
    """Return the newest version, or the one asked for, and the view of apt that has it."""
    known: list[Package] = []
    for renew in (None, False, True):
        apt = host_apt(state) if renew is None else own_apt(state, progress, renew=renew)
        found = apt.packages(name)
        for package in found:
            if version in ("", package.version):
                return apt, package
        known = found or known
    there = ", ".join(package.version for package in known)
    if there:
        raise UserError(f"Debian has no {name} {version}; it has: {there}")
    raise UserError(f"Debian has no {name}; mmrace tree find lists what it has")


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
