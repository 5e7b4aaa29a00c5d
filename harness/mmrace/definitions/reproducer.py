# SPDX-License-Identifier: GPL-2.0-only
"""A reproducer: a program in place of a race, for a bug that has no race directory.

It becomes a race in memory with one path: one workload, which is the program; the signature is
the crash that is wanted, any failure of the kernel's own while none is known; the min counts need
no knowledge of the bug. Whatever takes a race takes a reproducer.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmrace.definitions.race import (
    Execution,
    FailsBy,
    Probe,
    Race,
    Signature,
    Source,
    Workload,
    find_race,
)
from mmrace.definitions.window import Delays
from mmrace.errors import UserError
from mmrace.lazy import Lazy

elffile = Lazy("elftools.elf.elffile")
# Whatever the kernel reports, but that a program has used up the guest's memory.
ANY_CRASH = r"^(?!Kernel panic - not syncing: (Out of memory|System (is )?deadlocked on memory))"
BUILT_ELSEWHERE = ("selftest:", "ltp:")
EXECUTIONS = "executions"  # ended, whatever their exit code, or cut off when the time was over
FUNCTIONS = "functions"  # executions of all functions that are counted
FUNCTIONS_COUNTED = 24
CONFIG = "reproducer"  # the fragment with what reproducers use beside the races' kernels
# Seconds without a sign of PID 1 or of a killed process's end. The hung task detector's own 120 s
# come first: the kernel says more about a hang than silence does.
SILENCE = 150
# Freed objects are poisoned, so that their use is an oops and not chance; far cheaper than KASAN.
BOOT = ("slub_debug=FP",)
_QUOTED_INCLUDE = re.compile(rb'^\s*#\s*include\s*"([^"\n]+)"', re.MULTILINE)
EVENT = 48  # letters of a function's name that the name of its event can have
_ELF = b"\x7fELF"


@dataclass(frozen=True)
class Reproducer:
    """A program as a user names it: files by name (C files and headers, or an executable), or
    the name of a test that another source tree has.
    """

    files: tuple[tuple[str, bytes], ...] = ()
    test: str = ""

    @property
    def program(self) -> str:
        """The program's name in the image."""
        if self.test:
            return Path(self.test.partition(":")[2]).name
        return Path(self.files[0][0]).stem

    @property
    def sources(self) -> tuple[str, ...]:
        """What it is made from: its file names, or the test's."""
        return (self.test,) if self.test else tuple(name for name, _ in self.files)

    @property
    def name(self) -> str:
        """Name of the race that it becomes: its program's, and a hash of all content."""
        digest = hashlib.sha256(self.test.encode())
        for name, content in self.files:
            digest.update(f"{len(name)} {len(content)} {name}".encode() + content)
        return f"{_word(self.program)}-{digest.hexdigest()[:8]}"

    def race(
        self,
        execution: Execution,
        *,
        crash: str = ANY_CRASH,
        configs: Sequence[str] = (),
    ) -> Race:
        """Return the race; ``crash`` is a regular expression for titles, ``configs`` fragments
        that the program needs in the kernel.
        """
        silence = 60 if FailsBy.HANG in execution.fails_by else SILENCE
        workload = Workload(
            name=_word(self.program),
            summary=f"the reproducer {self.test or self.files[0][0]}",
            source=Source.REPRODUCER,
            argv=(_file(self.program),),
            sources=self.sources,
            silence=silence,
            min_counts={EXECUTIONS: 1},
            invariants=(),
            rare=True,
            execution=execution,
        )
        return Race(
            name=self.name,
            title=self.test or self.files[0][0],
            summary=f"A reproducer: {', '.join(self.sources)}.",
            boot=BOOT,
            own_config=(CONFIG, *configs),
            signature=signatures(execution, crash),
            workload=(workload,),
        )


def signatures(execution: Execution, crash: str) -> tuple[Signature, ...]:
    """Return what identifies the failure: a crash, and the program's own end where that counts."""
    own = (Signature(),) if execution.fails_by else ()
    return (Signature(title=crash), *own)


def with_failure(
    race: Race, title: str, report: str = "", also: Sequence[tuple[str, str]] = ()
) -> Race:
    """Return the race whose own crash is one with this title, and this in its report; ``also``:
    further pairs of such patterns.
    """
    own = [Signature(title=title, report=report) for title, report in ((title, report), *also)]
    return race.model_copy(update={"signature": (*own, *race.signature[1:])})


def with_delays(race: Race, functions: Iterable[tuple[str, str]]) -> Race:
    """Return the race that is steered by random delays in these functions (name, file)."""
    points = tuple((f"anywhere in {file}:{name}",) for name, file in functions)[:FUNCTIONS_COUNTED]
    delays = Delays(points=points, optional=True) if points else None
    return race.model_copy(update={"delays": delays})


def with_functions(race: Race, functions: Iterable[tuple[str, str]]) -> Race:
    """Return the race in whose runs these functions (name, file) are counted; at least one of them
    has to be executed.
    """
    probes: dict[str, Probe] = {}
    for function, file in functions:
        name = function[:EVENT]
        probes.setdefault(name, Probe(name=name, function=(function,), every=True, file=file))
    chosen = dict(list(probes.items())[:FUNCTIONS_COUNTED])
    workload = race.workload[0]
    counts = {**workload.min_counts, **({FUNCTIONS: 1} if chosen else {})}
    counted = workload.model_copy(update={"probes": tuple(chosen), "min_counts": counts})
    return race.model_copy(update={"probe": tuple(chosen.values()), "workload": (counted,)})


def with_min_counts(race: Race, counts: Mapping[str, int]) -> Race:
    """Return the race with these min counts added, by counter."""
    workload = race.workload[0]
    min_counts = {**workload.min_counts, **counts}
    changed = workload.model_copy(update={"min_counts": min_counts})
    return race.model_copy(update={"workload": (changed,)})


def with_own_end(race: Race) -> Race:
    """Return the race whose failure is how its program ends, and no crash."""
    return race.model_copy(update={"signature": (Signature(),)})


def in_memory(race: Race) -> bool:
    """Whether a race is a reproducer that no race directory was made from."""
    return is_reproducer(race) and find_race(race.name) is None


def needs_ltp(workload: Workload) -> bool:
    """Whether a workload is built from LTP's source."""
    return workload.source is Source.LTP or workload.sources[0].startswith("ltp:")


def words_of(race: Race) -> list[str]:
    """Return the words of a command line that make a race in memory of the same program."""
    workload, how = race.workload[0], race.workload[0].execution
    words = [word for given in how.given for word in ("--repro", given)]
    words += ["--procs", str(how.procs)] if how.procs > 1 else []
    words += ["--user"] if how.user else []
    words += [word for one in how.fails_by for word in ("--fails-by", str(one))]
    title = race.signature[0].title
    if title and title != ANY_CRASH:
        words += ["--crash", title]
    return words if workload.execution.given else []


def is_reproducer(race: Race) -> bool:
    """Whether a race was made from a program that was named on the command line."""
    return race.workload[0].source is Source.REPRODUCER


def knows_failure(race: Race) -> bool:
    """Whether a reproducer's failure is known, given or learnt."""
    first = race.signature[0]
    return bool(first.report) or first.title != ANY_CRASH


def read_reproducer(words: Sequence[str]) -> Reproducer:
    """Read what ``--repro`` named; headers beside a C file come with it.

    Raises UserError for a file that is not there, is no C and no static x86-64 executable, or for
    things that do not go together.
    """
    tests = [word for word in words if word.startswith(BUILT_ELSEWHERE)]
    if tests:
        if len(words) > 1:
            raise UserError(f"{tests[0]} is a complete program; name nothing else with --repro")
        return Reproducer(test=_test(tests[0]))
    # The first C file names the program.
    paths = sorted((Path(word) for word in words), key=lambda path: path.suffix != ".c")
    contents = {path: _read(path) for path in paths}
    if executable := next((path for path in paths if contents[path].startswith(_ELF)), None):
        if len(paths) > 1:
            raise UserError(f"{executable} is an executable; name nothing else with --repro")
        _check_executable(executable, contents[executable])
        return Reproducer(((executable.name, contents[executable]),))
    for path in paths:
        if path.suffix not in (".c", ".h"):
            raise UserError(
                f"{path}: neither C (.c, .h) nor an x86-64 executable; name one of them"
            )
        _add_headers(path, contents)
    if paths[0].suffix != ".c":
        raise UserError(f"{paths[0]}: a header alone; name its .c file too")
    names = [path.name for path in contents]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"two files are called {doubled}; rename one")
    return Reproducer(tuple((path.name, content) for path, content in contents.items()))


def _test(word: str) -> str:
    kind, _, name = word.partition(":")
    if not re.fullmatch(r"[\w.+-]+(/[\w.+-]+)*", name) or ".." in name.split("/"):
        raise UserError(
            f"not the name of a test: {word!r}; write selftest:mm/mremap_test or ltp:NAME"
        )
    return f"{kind}:{name.removesuffix('.c')}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; --repro takes a file") from error


def _add_headers(path: Path, contents: dict[Path, bytes]) -> None:
    """Add headers that a file includes by a quoted name and that lie beside it."""
    for name in _QUOTED_INCLUDE.findall(contents[path]):
        beside = path.parent / name.decode(errors="replace")
        if beside.is_file() and beside.parent == path.parent and beside not in contents:
            contents[beside] = _read(beside)
            _add_headers(beside, contents)


def _check_executable(path: Path, content: bytes) -> None:
    """Raise UserError unless a guest without libraries can execute it."""
    try:
        elf = elffile.ELFFile(io.BytesIO(content))
        dynamic = any(segment["p_type"] == "PT_INTERP" for segment in elf.iter_segments())
    except elffile.ELFError as error:
        raise UserError(
            f"{path}: not an executable: {error}; name a static one, or its C file"
        ) from error
    if elf["e_machine"] != "EM_X86_64" or elf["e_type"] not in ("ET_EXEC", "ET_DYN"):
        raise UserError(f"{path}: not an executable for x86-64; build it for that")
    if dynamic:
        raise UserError(f"{path}: needs a dynamic loader, the guest has none; link it -static-pie")


def _word(text: str) -> str:
    """A name as races and workloads have them."""
    word = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return (word if word[:1].isalpha() else f"r-{word}").strip("-")[:40].rstrip("-")


def _file(text: str) -> str:
    """A file name without anything that a job's line could not have."""
    return re.sub(r"[^\w.+-]", "-", text) or "program"
