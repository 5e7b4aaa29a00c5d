# SPDX-License-Identifier: GPL-2.0-only
"""A run directory: the complete record of one run, from which it is judged and repeated."""

from __future__ import annotations

import json
import secrets
import shlex
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from mmrace.definitions.machine import Machine
from mmrace.definitions.race import Race, Workload
from mmrace.definitions.reproducer import words_of
from mmrace.definitions.witness import Witness
from mmrace.errors import UserError
from mmrace.guests.attempts import Replay
from mmrace.home import Home, publish, write_file
from mmrace.lazy import Lazy
from mmrace.outcome import Judgement, Outcome, VmEnd, WindowCount
from mmrace.runs.host import Host, read_host
from mmrace.runs.options import RunOptions
from mmrace.toml import Table

if TYPE_CHECKING:
    from mmrace.crash import Crash

# Imported when used: listing runs does not need them, and importing took a quarter of its time.
crash, crash_record = Lazy("mmrace.crash"), Lazy("mmrace.crash.record")
kept = Lazy("mmrace.patching.kept")
_REPLAY = TypeAdapter(Replay)
SERIES = "series"  # directory in a run, with its series from outside
TimeIndex = tuple[tuple[float, int], ...]


class Spec(Table):
    """The complete description of one run: kernel, workload, machine, time.

    ``race``, ``workload`` and ``machine`` are copies, so that a run can be judged and repeated
    after their files have changed. ``options``: the user's choices; ``accel``, ``steered``,
    ``seed`` and ``boot``: what was chosen for this run. ``notes``: on the kernel (a series'
    revision, its base, an unconfined build). ``slot``: place in a campaign. ``origin``: the command
    that made the run, unless `mmrace run`. ``places``: addresses at which functions are counted, by
    probe. ``witness``: the schedule that a replay followed.
    """

    id: str
    race: Race
    workload: Workload
    machine: Machine
    tree: str
    revision: str
    series: tuple[str, ...]
    kernel_id: str
    release: str
    program: str
    accel: str
    steered: bool
    seed: int
    boot: tuple[str, ...]
    options: RunOptions = RunOptions()
    notes: tuple[str, ...] = ()
    slot: str = ""
    origin: str = ""
    places: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    witness: Witness | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_first_version(cls, fields: Any) -> Any:
        """Convert what mmrace's first version wrote: its choices stood among the other fields.

        Its runs ended after their time, whatever their counters.
        """
        old = ("command", "seconds", "steer_by", "configs", "at_most")
        if not isinstance(fields, dict) or not set(old) & set(fields):
            return fields
        kept = {name: value for name, value in fields.items() if name not in old}
        chosen = {name: fields[name] for name in old[1:] if name in fields}
        chosen |= {"accel": fields.get("accel", "auto"), "steer": fields.get("steered")}
        chosen["at_most"] = fields.get("at_most") or fields.get("seconds")
        return {"options": chosen, "origin": fields.get("command", ""), **kept}

    @property
    def seconds(self) -> float:
        """Minimum guest seconds in the race phase."""
        return self.options.seconds

    @property
    def most(self) -> float:
        """Guest seconds in the race phase after which the run ends, exercised or not."""
        return self.options.cap

    @property
    def steer_by(self) -> str:
        """Steering backend, ``director`` or ``kprobe``."""
        return self.options.steer_by

    @property
    def configs(self) -> tuple[str, ...]:
        """The kernel's configuration besides the fragments of all races."""
        return tuple(dict.fromkeys((*self.race.own_config, *self.options.kernel_configs)))

    @property
    def command(self) -> str:
        """The command line that makes such a run, with a new seed.

        No option names the functions in which a reproducer is steered: `run` chooses them.
        """
        if self.origin:
            return self.origin
        program = words_of(self.race)
        if program and self.steered:
            return f"mmrace again {self.id}"
        race = ["--race", self.race.name, "--workload", self.workload.name]
        words = ["mmrace", "run", *(program or race), "--tree", self.tree]
        for name in self.series:
            words += ["--series", name]
        return shlex.join([*words, *self.options.words()])


@dataclass(frozen=True)
class VmRecord:
    """How QEMU was started and ended; ``seconds``: from start to end, on the host's clock.

    ``confined``: QEMU had no capability and could write only to the run's directory.
    ``steering_under_kvm``: a caution on a steered run under KVM, else "".
    """

    argv: tuple[str, ...]
    version: str
    accel: str
    accel_reason: str
    end: VmEnd
    seconds: float
    message: str = ""
    confined: bool = False
    steering_under_kvm: str = ""


@dataclass(frozen=True)
class NotRun:
    """A workload that was not run, and why."""

    race: str
    workload: str
    why: str


@dataclass(frozen=True)
class RunDir:
    """A finished run on disk."""

    folder: Path

    @property
    def id(self) -> str:
        """The run's id: its directory's name."""
        return self.folder.name

    def spec(self) -> Spec:
        """Read the run's spec; UserError when the directory holds no run."""
        try:
            return Spec.model_validate_json(self._bytes("spec.json"))
        except ValidationError as error:
            raise UserError(
                f"{self.folder}: another version of mmrace wrote spec.json;"
                " use that version, or remove the run"
            ) from error

    def vm(self) -> VmRecord:
        """Read how QEMU was started and ended."""
        fields = json.loads(self._bytes("qemu.json"))
        return VmRecord(**{**fields, "argv": tuple(fields["argv"]), "end": VmEnd(fields["end"])})

    def console(self) -> bytes:
        """Return the console log, raw bytes."""
        return self._bytes("console.log")

    def crashes(self) -> tuple[Crash, ...]:
        """Return the crashes on the console: the stored ones if this parser version stored them."""
        path = self.folder / "crashes.json"
        known = crash_record.load(path.read_bytes()) if path.is_file() else None
        found: tuple[Crash, ...] = crash.parse(self.console()) if known is None else known
        return found

    def keep_crashes(self, crashes: Iterable[Crash]) -> None:
        """Store the console's crashes, with the parser's version."""
        write_file(self.folder / "crashes.json", crash_record.dump(crashes) + "\n")

    def channel(self) -> bytes:
        """Return the result channel, raw bytes."""
        return self._bytes("channel.log")

    def times(self, log: str) -> TimeIndex:
        """Time index of ``console`` or ``channel``: (seconds since QEMU's start, offset) pairs."""
        lines = self._bytes(f"{log}.times").decode().splitlines()
        pairs = (line.split() for line in lines)
        return tuple((float(pair[0]), int(pair[1])) for pair in pairs if len(pair) == 2)

    def windows(self) -> tuple[WindowCount, ...]:
        """Window counts of a steered run; empty for other runs."""
        path = self.folder / "windows.json"
        if not path.is_file():
            return ()
        return tuple(WindowCount(**item) for item in json.loads(path.read_bytes()))

    def holds(self) -> dict[str, Any]:
        """The ``Director.story`` of a steered run; empty for other runs."""
        path = self.folder / "holds.json"
        found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
        return found

    def host(self) -> Host | None:
        """Return the worker that made the run; None for this host."""
        return read_host(self.folder)

    def replay(self) -> Replay | None:
        """Return the replay's record, with its failure once that is stored; None for a run."""
        path = self.folder / "replay.json"
        if not path.is_file():
            return None
        found: Replay = _REPLAY.validate_json(path.read_bytes())
        judged = self.judgement() if (self.folder / "outcome.json").is_file() else None
        return replace(found, failure=judged if judged and judged.outcome.failed else None)

    def judgement(self) -> Judgement:
        """Return the stored outcome."""
        fields = json.loads(self._bytes("outcome.json"))
        return Judgement(
            outcome=Outcome(fields["outcome"]),
            title=fields["title"],
            signature_matched=fields["signature_matched"],
            seconds_to_failure=fields["seconds_to_failure"],
            exercised={name: (pair[0], pair[1]) for name, pair in fields["exercised"].items()},
            windows=tuple(WindowCount(**item) for item in fields["windows"]),
            notes=tuple(fields["notes"]),
            stressed=fields.get("stressed"),
        )

    def store(self, judgement: Judgement) -> None:
        """Store the outcome."""
        write_json(self.folder / "outcome.json", asdict(judgement))

    def as_json(self) -> dict[str, Any]:
        """One element of ``runs`` in the JSON documents of commands."""
        spec, vm, judged = self.spec(), self.vm(), self.judgement()
        return {
            "id": self.id,
            "race": spec.race.name,
            "workload": spec.workload.name,
            "tree": spec.tree,
            "release": spec.release,
            "series": list(spec.series),
            "kernel_id": spec.kernel_id,
            "machine": spec.machine.name,
            "accel": vm.accel,
            "steered": spec.steered,
            "seed": spec.seed,
            "outcome": str(judged.outcome),
            "seconds": round(vm.seconds, 3),
            "seconds_to_failure": judged.seconds_to_failure,
            "seconds_stressed": judged.stressed,
            "title": judged.title,
            "signature_matched": judged.signature_matched,
            "exercised": {name: count for name, (count, _) in judged.exercised.items()},
            "windows": [
                {"name": item.name, "hits": item.hits, "met": item.met, "by": item.by}
                for item in judged.windows
            ],
            "notes": [*spec.notes, *judged.notes],
            "run_dir": str(self.folder),
            **self._host_json(),
            **self._replay_json(),
        }

    def _host_json(self) -> dict[str, Any]:
        """Additional JSON fields of a run made by a worker."""
        host = self.host()
        return {"worker": host.worker, "host": host.host} if host else {}

    def _replay_json(self) -> dict[str, Any]:
        """Additional JSON fields of a replay."""
        replay = self.replay()
        if not replay:
            return {}
        return {
            "reached": replay.reached,
            "complete": replay.complete,
            "shown": replay.shown,
            "attempts": len(replay.attempts),
            "stalls": replay.stalls,
            "seconds_replayed": round(replay.seconds, 3),
        }

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise UserError(
                f"{self.folder}: no run there: {name}: {error.strerror}; see `mmrace runs`"
            ) from error


def new_id(race: str, workload: str) -> str:
    """Return a new run id, which sorts by time and names race and workload."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"{stamp}-{race}-{workload}-{secrets.token_hex(4)}"


def write_json(path: Path, content: object) -> None:
    """Write a JSON file by rename."""
    write_file(path, json.dumps(content, indent=1, default=str) + "\n")


def finish(home: Home, scratch: Path, run_id: str) -> RunDir:
    """Publish a complete scratch directory among the runs, with the series that it ran."""
    kept.keep_with_run(home, RunDir(scratch).spec().series, scratch / SERIES)
    return RunDir(publish(scratch, home.runs / run_id))


def find_finished(home: Home, run_id: str) -> RunDir | None:
    """Return the run of exactly this id, None when there is none."""
    folder = home.runs / run_id
    return RunDir(folder) if (folder / "outcome.json").is_file() else None


def find_run(home: Home, name: str) -> RunDir:
    """Find a run by id, by a unique part of its id, or by path; UserError when there is none."""
    if (path := Path(name)).is_dir() and (path / "spec.json").is_file():
        return RunDir(path.absolute())
    found = [run for run in all_runs(home) if name in run.id]
    exact = [run for run in found if run.id == name]
    if len(exact or found) == 1:
        return (exact or found)[0]
    if not found:
        raise UserError(f"no run named {name!r}; `mmrace runs` lists them")
    raise UserError(f"{name!r} matches {len(found)} runs; name one, such as {found[0].id}")


def find_runs(home: Home, names: Iterable[str]) -> list[RunDir]:
    """Find several runs; raises as ``find_run`` does."""
    return [find_run(home, name) for name in names]


def last_runs(
    home: Home, count: int, race: str | None = None, outcome: str | None = None
) -> tuple[list[RunDir], list[RunDir]]:
    """Return the newest ``count`` runs, of a race or with an outcome, oldest first.

    The second list has the runs among them that cannot be read, which another version of mmrace may
    have written.
    """
    unreadable: list[RunDir] = []

    def chosen(run: RunDir) -> bool:
        try:
            named = run.spec().race.name
            return (not race or named == race) and (
                not outcome or run.judgement().outcome == outcome.upper()
            )
        except UserError:
            unreadable.append(run)
            return False

    found = filter(chosen, all_runs(home, newest_first=True))
    return list(islice(found, count))[::-1], unreadable


def all_runs(home: Home, *, newest_first: bool = False) -> Iterator[RunDir]:
    """All finished runs, oldest first or newest first."""
    if not home.runs.is_dir():
        return
    for name in sorted((path.name for path in home.runs.iterdir()), reverse=newest_first):
        if not name.startswith(".") and (home.runs / name / "outcome.json").is_file():
            yield RunDir(home.runs / name)
