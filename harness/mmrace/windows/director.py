# SPDX-License-Identifier: GPL-2.0-only
"""The director as the harness sees it: built, loaded into QEMU, armed, read."""

import hashlib
import mmap
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from packaging.version import Version

from mmrace import proc
from mmrace.data import data_dir
from mmrace.errors import BuildError, InfraError
from mmrace.home import Home, publish
from mmrace.leftover import hold, keep
from mmrace.outcome import WindowCount
from mmrace.windows.plan import Plan
from mmrace.windows.search import Searched, decode, decode_traces
from mmrace.windows.shared import (
    ARMED,
    ARMED_AT,
    ATTACHED_AT,
    DELAY_NS_AT,
    EVENT,
    EVENT_COUNT_AT,
    EVENTS,
    METER,
    METER_SAMPLES,
    POINT,
    U32,
    U64,
    WATCHING_AT,
    WINDOW,
    EventKind,
    Layout,
    encode,
)
from mmrace.windows.traces import Traces

_INTERFACE_7 = Version("11.1")  # the first QEMU with version 7 of the plugin interface


@dataclass(frozen=True)
class Measured:
    """A meter's count of measurements and its latest samples, in guest instructions."""

    name: str
    count: int
    samples: tuple[int, ...]


STORY = 400  # events that are kept with a run


@dataclass(frozen=True)
class Event:
    """One event: host seconds since the first arming, vCPU, kind, window (or point) by index."""

    seconds: float
    vcpu: int
    kind: EventKind
    index: int


def build(home: Home) -> Path:
    """Return the plugin, compiled if its sources changed; BuildError with the compiler's words.

    Beside it is ``director-7.so``, for QEMU from 11.1 on (``Director.plugin_for``).
    """
    folder = data_dir("qemu") / "director"
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    final = home.programs / f"director-{digest.hexdigest()[:16]}"
    if not (keep(final) and (final / "director.so").is_file()):
        with home.scratch(home.programs) as scratch:
            made = scratch / "out"
            made.mkdir()
            done = proc.run(["make", "-C", folder, f"O={made}", "director"], deadline=120)
            if done.returncode:
                raise BuildError("the director does not compile", done.errors)
            publish(made, final)
        keep(final)
    return final / "director.so"


def race_phase(line: str, announced: bool) -> bool | None:
    """Whether a line of the result channel begins (True) or ends (False) the race phase.

    ``announced``: the workload says itself when its set-up is done (stressors do).
    """
    if line.startswith("# out mmrace: race"):
        return True
    if line.startswith("# start") and not announced:
        return True
    over = line.startswith(("1..", "# end")) or (announced and line.startswith(("ok ", "not ok ")))
    return False if over else None


class Director:
    """One run's state file: made on entry, gone after exit, what it counted stays readable.

    ``plugin`` is what ``build`` returns.
    """

    def __init__(self, plan: Plan, plugin: Path) -> None:
        self.plan = plan
        self.plugin = plugin
        self._layout = Layout(plan)
        self._map: mmap.mmap | bytes = encode(plan)
        self._begun = 0
        self._held: int | None = None

    def __enter__(self) -> "Director":
        """Write the plan and map it."""
        folder = Path("/dev/shm")  # noqa: S108 - memory: QEMU and mmrace write it all the time
        with tempfile.NamedTemporaryFile(
            prefix="mmrace-held-", dir=folder if folder.is_dir() else None, delete=False
        ) as file:
            file.write(encode(self.plan))
            file.flush()
            self.path = Path(file.name)
            self._held = hold(self.path)  # or another mmrace takes it for a dead one's
            self._map = mmap.mmap(file.fileno(), 0)
        self._begun = 0  # a run that is made once more has another race phase
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let all holders go and remove the file."""
        self.disarm()
        mapped = self._live()
        self._map = bytes(mapped)
        mapped.close()
        self.path.unlink(missing_ok=True)
        if self._held is not None:
            os.close(self._held)

    def plugin_for(self, qemu: str) -> Path:
        """Return the file that a QEMU of this version (``7.2.22``) loads.

        QEMU 11.1 changed how plugins are called (plugin interface 7) and refuses older ones.
        """
        newer = Version(qemu) >= _INTERFACE_7
        return self.plugin.with_name("director-7.so") if newer else self.plugin

    def qemu_args(self, qemu: str) -> list[str]:
        """QEMU arguments that load the director; only TCG knows plugins."""
        files = (self.plugin_for(qemu), self.path)
        plugin, state = (str(path).replace(",", ",,") for path in files)
        return ["-plugin", f"{plugin},state={state}"]

    @property
    def attached(self) -> bool:
        """Whether QEMU has loaded the plugin."""
        return bool(U32.unpack_from(self._map, ATTACHED_AT)[0])

    @property
    def blind(self) -> bool:
        """Whether it is armed and does not see what QEMU translates.

        It begins to when a vCPU that was stopped goes on.
        """
        armed = ARMED.unpack_from(self._map, ARMED_AT)[2]
        return bool(armed) and not U32.unpack_from(self._map, WATCHING_AT)[0]

    def arm(self) -> None:
        """Begin a race phase; InfraError when QEMU runs without the director."""
        if not self.attached:
            raise InfraError("QEMU has not loaded the director; is it running under TCG?")
        mapped = self._live()
        _, before, armed = ARMED.unpack_from(mapped, ARMED_AT)
        if not armed:
            now = time.monotonic_ns()
            self._begun = self._begun or now
            ARMED.pack_into(mapped, ARMED_AT, now, before, 1)

    def disarm(self) -> None:
        """End the race phase; holders go within 10 ms."""
        mapped = self._live()
        since, before, armed = ARMED.unpack_from(mapped, ARMED_AT)
        if armed:
            spent = before + time.monotonic_ns() - since
            ARMED.pack_into(mapped, ARMED_AT, since, spent, 0)

    def _live(self) -> mmap.mmap:
        if not isinstance(self._map, mmap.mmap):
            raise InfraError("the director's state file is not mapped any more")
        return self._map

    def counts(self) -> tuple[WindowCount, ...]:
        """Hits and meetings so far, by window."""
        found = []
        for number, item in enumerate(self.plan.windows):
            fields = WINDOW.unpack_from(self._map, self._layout.windows + number * WINDOW.size)
            _, _, hits, _, met, timeouts, *_ = fields
            found.append(WindowCount(item.window.name, hits, met, timeouts))
        return tuple(found)

    def point_hits(self) -> dict[int, int]:
        """How often each address was reached in the race phase, its gate open."""
        hits: dict[int, int] = {}
        for number in range(self._layout.n_points):
            fields = POINT.unpack_from(self._map, self._layout.points + number * POINT.size)
            hits[fields[0]] = max(hits.get(fields[0], 0), fields[-1])
        return hits

    def never_translated(self) -> tuple[int, ...]:
        """Addresses of which QEMU has not even translated the instruction so far."""
        fields = (
            POINT.unpack_from(self._map, self._layout.points + number * POINT.size)
            for number in range(self._layout.n_points)
        )
        return tuple(sorted({address for address, *_, seen, _ in fields if not seen}))

    def delayed(self) -> float:
        """Seconds for which vCPUs were stalled by random delays, all of them together."""
        nanoseconds: int = U64.unpack_from(self._map, DELAY_NS_AT)[0]
        return nanoseconds / 1e9

    def measured(self) -> tuple[Measured, ...]:
        """What the meters found so far."""
        found = []
        for number, meter in enumerate(self.plan.meters):
            fields = METER.unpack_from(self._map, self._layout.meters + number * METER.size)
            count, _, *samples = fields
            found.append(Measured(meter.name, count, tuple(samples[: min(count, METER_SAMPLES)])))
        return tuple(found)

    def events(self) -> tuple[Event, ...]:
        """Return the latest holds, meetings and delays, oldest first."""
        (total,) = U64.unpack_from(self._map, EVENT_COUNT_AT)
        found = []
        for number in range(max(0, total - EVENTS), total):
            at = self._layout.events + number % EVENTS * EVENT.size
            when, index, vcpu, kind = EVENT.unpack_from(self._map, at)
            if kind:
                seconds = (when - self._begun) / 1e9
                found.append(Event(seconds, vcpu, EventKind(kind), index))
        return tuple(sorted(found, key=lambda event: event.seconds))

    @property
    def armed_seconds(self) -> float:
        """Host seconds for which it was armed, all race phases together."""
        since, before, armed = ARMED.unpack_from(self._map, ARMED_AT)
        now = time.monotonic_ns() - since if armed else 0
        return float(before + now) / 1e9

    def searched(self) -> Searched:
        """What the search has seen and done; InfraError for a plan without one."""
        if not self.plan.search:
            raise InfraError("this director was not asked to search")
        return decode(self._map, self._layout.search, self.plan.search, self._begun)

    def traces(self, since: float) -> Traces:
        """The accesses kept from ``since`` on (seconds from the first arming), in order of time."""
        plan = self.plan.search
        if not plan:
            return Traces.of(())
        return decode_traces(self._map, self._layout.search, plan, self._begun, since)

    def story(self) -> dict[str, Any]:
        """The last events, and what the windows are, as JSON that is kept with the run."""
        windows = [
            {"name": item.window.name, "hold": item.hold.point, "until": item.until.point}
            for item in self.plan.windows
        ]
        events = [
            [round(event.seconds, 6), event.vcpu, event.kind.name.lower(), event.index]
            for event in self.events()[-STORY:]
        ]
        return {"windows": windows, "events": events}
