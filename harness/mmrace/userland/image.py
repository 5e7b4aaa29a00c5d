# SPDX-License-Identifier: GPL-2.0-only
"""The initramfs: PID 1 and programs, packed once; the job of a run is a second archive after it.

Linux unpacks concatenated archives one after the other (``init/initramfs.c``).
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmrace.definitions.race import Execution, FailsBy, Probe, Source
from mmrace.errors import InfraError, UserError
from mmrace.home import Home, write_file
from mmrace.leftover import keep
from mmrace.userland import cpio

BUSYBOX = Path("/bin/busybox")
_FOLDERS = ("bin", "dev", "etc", "mmrace", "mmrace/bin", "proc", "root", "sys", "tmp")
_ETC = {
    "etc/passwd": b"root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    "etc/group": b"root:x:0:\nnogroup:x:65534:\n",
}
# Exit code that says "cannot run here", and the bits that may be set beside it (LTP: warnings).
_SKIP = {Source.STRESSOR: (4, 0), Source.SELFTEST: (4, 0), Source.LTP: (32, 4)}
_NEVER = (-1, 0)
# A race that was seen ends a run. LTP tests also fail for other reasons, and go on.
_FAILURES = {Source.STRESSOR: 1, Source.SELFTEST: 1, Source.LTP: 10}
ENDLESS = 1_000_000  # failures of iterations that are none
NOBODY = 65534
_LINE = re.compile(r"[^\x00-\x1f\x7f]*")
_LIMIT = 64  # lines of one kind, JOB_LIST in qemu/guest/job.h


@dataclass(frozen=True)
class Job:
    """The job for PID 1; ``qemu/guest/job.h`` describes the format.

    ``seconds`` is guest time in the race phase, at least; ``at_most`` the same, at most, by
    default the same: until then PID 1 waits for the host to say ``enough``. ``hugepages`` counts
    pages of 2 MiB for each node; ``writes`` are (path, value) pairs; ``iterations`` of 0 means as
    many as the time allows; ``failures``: iterations that may fail before the loop ends, by the
    source's protocol if None; ``interactive`` hands over the console in place of the workload;
    ``windows`` are lines for the module of ``qemu/kprobe-delay``; ``execution`` is how a reproducer
    is executed; ``places`` are addresses of this kernel for probes with ``every``; with
    ``zram`` a reproducer has swap on a compressed RAM disk.
    """

    name: str
    argv: tuple[str, ...]
    seconds: float
    at_most: float | None = None
    seed: int = 1
    source: Source = Source.STRESSOR
    env: Mapping[str, str] = field(default_factory=dict)
    hugepages: tuple[int, ...] = ()
    probes: tuple[Probe, ...] = ()
    writes: tuple[tuple[str, str], ...] = ()
    iterations: int = 0
    failures: int | None = None
    interactive: bool = False
    windows: tuple[str, ...] = ()
    execution: Execution = field(default_factory=Execution)
    places: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    zram: bool = False

    def render(self) -> str:
        """Return the job file; UserError when a value cannot be a line of it."""
        lines = [
            ("name", self.name),
            ("seconds", f"{self.seconds:.3f}"),
            ("at-most", f"{self.at_most or self.seconds:.3f}"),
            ("seed", str(self.seed)),
            ("iterations", str(self.iterations)),
            ("failures", str(self.failures or self._failures())),
            ("skip", "{} {}".format(*_SKIP.get(self.source, _NEVER))),
            *(("hugepages", f"{node} {pages}") for node, pages in enumerate(self.hugepages)),
            *(("write", f"{path} {value}") for path, value in self.writes),
            *(("window", window) for window in self.windows),
            *(("probe", text) for probe in self.probes if (text := self._probe(probe))),
            *(("env", f"{key}={value}") for key, value in sorted(self.env.items())),
            *(("arg", word) for word in self.argv),
        ]
        lines += self._reproducer()
        if self.source is Source.STRESSOR:
            lines.append(("announced", ""))
        elif self.windows:
            lines.append(("arm-at-start", ""))
        if self.interactive:
            lines.append(("shell", ""))
        self._check(lines)
        return "".join(f"{key} {value}\n" for key, value in lines)

    def _probe(self, probe: Probe) -> str:
        """The line for a probe; empty if this kernel does not have the probed function."""
        if probe.every:
            places = "".join(f"+{place:#x}" for place in self.places.get(probe.name, ()))
            return f"{probe.name} {places}" if places else ""
        words = [probe.name, ",".join(probe.function)]
        if probe.returns is not None:
            words.append(str(probe.returns))
        return " ".join(words)

    def _failures(self) -> int:
        """Failed iterations that end the loop."""
        if self.source is not Source.REPRODUCER:
            return _FAILURES[self.source]
        return 1 if FailsBy.EXIT in self.execution.fails_by else ENDLESS

    def _reproducer(self) -> list[tuple[str, str]]:
        if self.source is not Source.REPRODUCER:
            return []
        how = self.execution
        lines = [("procs", str(how.procs))]
        lines += [("uid", str(NOBODY))] if how.user else []
        lines += [("returns", "")] if FailsBy.HANG in how.fails_by else []
        lines += [("zram", "")] if self.zram else []
        return lines

    def _check(self, lines: list[tuple[str, str]]) -> None:
        for key, value in lines:
            if not _LINE.fullmatch(value):
                raise UserError(
                    f"workload {self.name}: {key}: control character in {value!r}; "
                    "take it out of race.toml"
                )
        kinds = [key for key, _ in lines]
        for key in set(kinds):
            if kinds.count(key) > _LIMIT:
                raise UserError(f"workload {self.name}: more than {_LIMIT} of {key}; name fewer")


def make_image(
    home: Home, init: Path, programs: Iterable[Path], busybox: Path | None = None
) -> Path:
    """Pack PID 1 and programs, each under its file's name; reused when nothing has changed.

    ``busybox`` is a static one, which becomes /bin/sh. Raises InfraError when a file is missing.
    """
    entries = [
        *(cpio.directory(folder, 0o1777 if folder == "tmp" else 0o755) for folder in _FOLDERS),
        cpio.character_device("dev/console", 5, 1),
        *(cpio.file(path, content) for path, content in _ETC.items()),
        cpio.file("init", _read(init), 0o755),
        cpio.symlink("bin/true", "/init"),  # which it is when it is not PID 1; LTP's thp01 runs it
        *(
            cpio.file(f"mmrace/bin/{program.name}", _read(program), 0o755)
            for program in sorted(programs, key=lambda path: path.name)
        ),
    ]
    if busybox:
        entries += [
            cpio.file("bin/busybox", _read(busybox), 0o755),
            cpio.symlink("bin/sh", "busybox"),
        ]
    packed = cpio.archive(entries)
    image = home.images / f"{hashlib.sha256(packed).hexdigest()[:16]}.cpio"
    while not keep(image):
        write_file(image, packed)
    return image


def job_segment(job: Job, kernel_config: bytes | None = None, module: Path | None = None) -> bytes:
    """Return the archive that is appended to an image to make it run this job.

    ``kernel_config`` is the kernel's ``.config``, without which some LTP tests cannot run;
    ``module`` is the one that the job's windows are for.
    """
    entries = [cpio.file("mmrace/job", job.render().encode())]
    if kernel_config is not None:
        entries.append(cpio.file("mmrace/config", kernel_config))
    if module is not None:
        entries.append(cpio.file("mmrace/delay.ko", _read(module)))
    return cpio.archive(entries)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InfraError(f"{path}: {error.strerror}; it belongs in the image") from error
