# SPDX-License-Identifier: GPL-2.0-only
"""A build directory and its source, kept so that the next variant builds incrementally."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from mmrace.building.checkout import link_source
from mmrace.building.clock import COARSE, Clock
from mmrace.errors import BuildError, UserError
from mmrace.home import Home, publish, write_file
from mmrace.proc import Bind, Completed, Sandbox, run
from mmrace.sandbox import Limits
from mmrace.storage import SIZE, measure

DEADLINE = 6 * 3600.0
OUTSIDE_DEADLINE = 2 * 3600.0
_TEXT = 16 * 1024 * 1024

# The same everywhere and always, or neither objects nor kernels would be the same.
FIXED_ENV = {
    "HOME": "/tmp",  # noqa: S108
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
    "KBUILD_BUILD_USER": "mmrace",
    "KBUILD_BUILD_HOST": "mmrace",
    "KBUILD_BUILD_VERSION": "1",
    "LOCALVERSION": "",
}
_CCACHE = {
    "CCACHE_DIR": "/ccache",
    "CCACHE_DEPEND": "1",
    # Objects with full DWARF: to compress them costs a quarter of the time to compile them.
    "CCACHE_NOCOMPRESS": "1",
    "CCACHE_TEMPDIR": "/ccache/tmp",
}
# A cache that is mounted read-only: nothing may be written beside it either.
_CCACHE_OUTSIDE = {"CCACHE_READONLY": "1", "CCACHE_TEMPDIR": "/tmp/ccache"}  # noqa: S108


def shares_objects(home: Home) -> bool:
    """Whether the user has named a server with which the compiler cache shares objects.

    In ``ccache.conf`` of the cache, as ccache's manual has it: ``remote_storage``, before ccache
    4.7 ``secondary_storage``. Only builds of trusted series reach it.
    """
    try:
        text = (home.ccache / "ccache.conf").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool(
        re.search(r"^\s*(remote|secondary)_storage\s*=\s*(https?|redis):", text, re.MULTILINE)
    )


@dataclass(frozen=True)
class BuildDirectory:
    """One such pair. ``env`` is what the base adds; ``outside``: the patches are not trusted.

    The directory for these begins as a copy of what ``model``, one with the same config, has built,
    and uses its source, which the build cannot write. Without ``sandboxed`` its programs run with
    all the rights that mmrace has.
    """

    home: Home
    name: str
    env: tuple[tuple[str, str], ...] = ()
    outside: bool = False
    sandboxed: bool = True
    model: str = ""

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.home.builds / self.name

    @property
    def source(self) -> Path:
        """The checked out tree, /src inside the sandbox."""
        return self.home.builds / (self.model or self.name) / "source"

    @property
    def build(self) -> Path:
        """The output directory, /build inside the sandbox."""
        return self.folder / "build"

    @property
    def state(self) -> dict[str, object]:
        """What is remembered from build to build; empty for a new one."""
        try:
            content = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def remember(self, **changes: object) -> None:
        """Change the state; a value of None forgets a key."""
        merged = {**self.state, **changes}
        kept = {key: value for key, value in merged.items() if value is not None}
        write_file(self.folder / "state.json", json.dumps(kept))

    @property
    def configured(self) -> tuple[str, ...]:
        """Digests of the requests that its .config answers."""
        known = self.state.get("configured")
        return tuple(map(str, known)) if isinstance(known, list) else (str(known),) * bool(known)

    def has_built(self, config: str) -> bool:
        """Whether a whole build with this .config was made here, and none was killed since."""
        state = self.state
        if self.outside or not state.get("objects") or state.get("building"):
            return False
        try:
            return (self.build / ".config").read_text(encoding="utf-8") == config
        except (OSError, ValueError):
            return False

    def sandbox(self, *extra: Bind) -> Sandbox:
        """Return the namespace in which its programs run; tight for outside patches."""
        binds = [Bind(self.source, "/src"), Bind(self.build, "/build", writable=True), *extra]
        if not self.sandboxed:
            return Sandbox(tuple(binds), cwd="/build", bare=True)
        binds.append(Bind(self.home.ccache, "/ccache", writable=not self.outside))
        limits = Limits() if self.outside else None
        network = shares_objects(self.home)
        return Sandbox(tuple(binds), cwd="/build", limits=limits, network=network)

    def environment(self) -> dict[str, str]:
        """Return the whole environment of a build."""
        if not self.sandboxed:  # no path inside the cache that could be shared or protected
            return {**FIXED_ENV, "CCACHE_DISABLE": "1", **dict(self.env)}
        ccache = {**_CCACHE, **_CCACHE_OUTSIDE} if self.outside else _CCACHE
        largest = {"CCACHE_MAXSIZE": f"{self.home.limit * 2 // 5000}k"}  # two fifths
        return {**FIXED_ENV, **ccache, **largest, **dict(self.env)}

    def make(self, words: Sequence[str], on_line: Callable[[str], None] | None = None) -> Completed:
        """Run make for the source at /src and the output at /build.

        Raises InfraError when a tool is missing.
        """
        compiler = dict(self.env).get("CC", "gcc")
        argv = [
            "make",
            f"-j{len(os.sched_getaffinity(0))}",
            "--output-sync=target",
            "-C",
            "/src",
            "O=/build",
            f"CC=ccache {compiler}",
            "HOSTCC=ccache gcc",
            *words,
        ]
        return run(
            argv,
            deadline=min(DEADLINE, OUTSIDE_DEADLINE) if self.outside else DEADLINE,
            env=self.environment(),
            sandbox=self.sandbox(),
            on_line=on_line,
        )

    def made_file(self, name: str) -> Path:
        """A regular file that a build has made; what a series put there may be a trap.

        Raises BuildError when there is none, or when it leads out of the build directory.
        """
        path = self.build / name
        if not path.is_file():
            raise BuildError(f"the build made no {name}")
        if not path.resolve().is_relative_to(self.build.resolve()):
            raise BuildError(f"the build made {name} a link out of its directory")
        return path

    def read(self, name: str) -> str:
        """Return the text of such a file; BuildError too when no config would be so large."""
        path = self.made_file(name)
        if path.stat().st_size > _TEXT:
            raise BuildError(f"the build made a {name} of {path.stat().st_size} bytes")
        return path.read_text(encoding="utf-8", errors="replace")

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Hold the directories ready for a build, after dropping what a killed one left.

        A compiler that was killed can leave an object that is newer than its source and cut off;
        make would take it for finished. Everything written since that build began goes; the
        compiler cache has the good ones. A build that make itself ended leaves no such thing. Make
        goes by the times of files: after a clock was set back, nothing that it made is trusted.
        """
        clock = Clock.now()
        if self._misdated(clock):
            shutil.rmtree(self.build, ignore_errors=True)
            self.remember(building=None, configured=None, latest=None)
        for folder in (self.build, self.home.ccache / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        began = Clock.read(self.state.get("building"))
        if began:
            _drop_newer(self.build, began.wall)
        self.remember(building=astuple(began or clock))
        try:
            yield
        except (BuildError, UserError):
            self._finished(clock)
            raise
        self._finished(clock)

    def copy_model(self) -> bool:
        """Begin with what the model has built; False where it has nothing that can be trusted.

        The caller has the locks of both. A copy is independent of who owns the files, which an
        overlay is not: this directory is built in by another user.
        """
        model = BuildDirectory(self.home, self.model, self.env)
        if not self.model or not model.trusted:
            return False
        if not self._copy_build(model):
            return False
        write_file(self.folder / "state.json", json.dumps(model.state))
        return True

    def copy_near(self, near: "BuildDirectory") -> bool:
        """Begin with source and objects of one with another config; False where it has none.

        Kbuild knows which options each object depends on, and makes those again that the configs
        differ in. The caller has the locks of both.
        """
        if not near.trusted:
            return False
        self.remember(near=near.name, latest=near.state.get("latest"))
        linked = self.source.is_dir() or link_source(self.home, near.source, self.source)
        copied = linked and self._copy_build(near)
        if not copied:
            self.remember(near=None, latest=None)
        return copied

    def drop_near(self) -> None:
        """Drop what was copied for a config that another directory turned out to have."""
        if self.state.get("near"):
            shutil.rmtree(self.build, ignore_errors=True)
            self.remember(near=None)

    @property
    def trusted(self) -> bool:
        """Whether it holds a whole build, and make can go by the times of its files."""
        state = self.state
        whole = state.get("objects") and not state.get("building")
        return bool(whole) and not self._misdated(Clock.now())

    def _copy_build(self, other: "BuildDirectory") -> bool:
        """Copy what another directory has built in place of what is here, whole or not at all."""
        shutil.rmtree(self.build, ignore_errors=True)
        with self.home.scratch(self.folder) as made:
            argv = ["cp", "-a", "--reflink=auto", str(other.build), str(made / self.build.name)]
            if run(argv, deadline=DEADLINE).returncode:
                return False
            publish(made / self.build.name, self.build)
        return True

    def _misdated(self, now: Clock) -> bool:
        """Whether files may be dated later than now, or a killed build's files be unknown."""
        latest = self.state.get("latest")
        left = self.state.get("building")
        if isinstance(latest, float) and now.wall < latest - COARSE:
            return True
        return left is not None and not now.follows(Clock.read(left))

    def _finished(self, began: Clock) -> None:
        now = Clock.now()
        latest = max(now.wall, began.wall + now.up - began.up)
        noted = self.state.get("source_size")  # 80,000 files that hardly change
        source = noted if isinstance(noted, int) else measure(self.source)
        size = source + measure(self.build)
        self.remember(building=None, latest=latest, source_size=source, **{SIZE: size})

    def remove(self) -> None:
        """Remove its content, which untrusted patches could write; the directory itself is held."""
        shutil.rmtree(self.build, ignore_errors=True)
        (self.folder / "state.json").unlink(missing_ok=True)


def _drop_newer(folder: Path, began: float) -> None:
    for top, _, names in os.walk(folder):
        for name in names:
            path = Path(top, name)
            if path.lstat().st_mtime >= began - COARSE:
                path.unlink()
