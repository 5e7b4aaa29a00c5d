# SPDX-License-Identifier: GPL-2.0-only
"""Run directories made for tests, judged by the real judge."""

import json
from dataclasses import asdict
from pathlib import Path

from mmrace.definitions.machine import Machine, Node
from mmrace.definitions.race import Race, Signature, Source, Workload
from mmrace.judging.judge import judge
from mmrace.outcome import VmEnd, WindowCount
from mmrace.runs.evidence import recorded_evidence
from mmrace.runs.record import RunDir, Spec, VmRecord

BOOT = b"[    0.000000] Linux version 6.1.192 (gcc 12)\n[    0.500000] Run /init as init process\n"
BUG = (
    b"[    2.000000] ------------[ cut here ]------------\n"
    b"[    2.000000] kernel BUG at mm/made.c:42!\n"
    b"[    2.000000] invalid opcode: 0000 [#1] PREEMPT SMP\n"
    b"[    2.000000] CPU: 1 PID: 40 Comm: w Not tainted 6.1.192 #1\n"
    b"[    2.000000] RIP: 0010:made_to_fail+0x1d/0x50\n"
    b"[    2.000000] Code: 0f 0b <0f> 0b\n"
    b"[    2.000000] RAX: 0000000000000000 RBX: ffffea0001230b00 RCX: 0000000000000000\n"
    b"[    2.000000] Call Trace:\n"
    b"[    2.000000]  <TASK>\n"
    b"[    2.000000]  its_caller+0x8e/0xa0\n"
    b"[    2.000000]  callers_caller+0x10/0x20\n"
    b"[    2.000000]  </TASK>\n"
    b"[    2.000000] ---[ end trace 0000000000000000 ]---\n"
    b"[    2.100000] Kernel panic - not syncing: Fatal exception\n"
)
BEGIN = "KTAP version 1\n# release 6.1.192\n# start w\n# out mmrace: race\n"
PASSED = (
    BEGIN
    + "# out mmrace: count turns 4\nok 1 - w # exit=0 seconds=1.00\n"
    + "# out mmrace: count turns 3\nok 2 - w # exit=0 seconds=1.00\n1..2\n# end\n"
)
FAILED = (
    BEGIN
    + "# out mmrace: count turns 9\n# out mmrace: fail wrong value at page 7\n"
    + "not ok 1 - w # exit=1 seconds=1.00\n1..1\n# end\n"
)


def made_run(
    folder: Path,
    *,
    name: str = "20260102-030405-race-w-0001",
    race: str = "race",
    channel: str = PASSED,
    console: bytes = BOOT,
    end: VmEnd = VmEnd.EXITED,
    source: Source = Source.STRESSOR,
    series: tuple[str, ...] = ("vulnerable",),
    windows: tuple[WindowCount, ...] = (),
    floor: int = 5,
    message: str = "",
    console_from: float = 1.0,
    of: Race | None = None,
    slot: str = "",
) -> RunDir:
    """Write a run directory and judge it; one line of each log comes every tenth of a second.

    ``of``: another race than the usual one.
    """
    workload = Workload(
        name="w", summary="s", source=source, argv=("w",), sources=("w.c",),
        min_counts={"iterations" if source is Source.LTP else "turns": floor}, invariants=(),
    )  # fmt: skip
    made = of or Race(
        name=race, title="two meet where one should be alone", summary="s",
        signature=(Signature(title="made_to_fail"), Signature(output="wrong value")),
        workload=(workload,),
    )  # fmt: skip
    spec = Spec(
        id=name, race=made, workload=made.workload[0], tree="debian:6.1", revision="a" * 40,
        machine=Machine(name="numa2", summary="", node=(Node(memory=64),)), series=series,
        kernel_id="0123456789abcdef", release="6.1.192", program="p", accel="tcg",
        steered=bool(windows or made.delays), seed=7, boot=("console=ttyS0",),
        origin=f"mmrace run --race {race} --workload w --tree debian:6.1", slot=slot,
    )  # fmt: skip
    vm = VmRecord(("qemu-system-x86_64", "-append", "a b"), "7.2.22", "tcg", "", end, 9.5, message)
    run = RunDir(folder / name)
    run.folder.mkdir(parents=True)
    for file, text in {
        "spec.json": spec.model_dump_json(),
        "qemu.json": json.dumps(asdict(vm)),
        "config": 'CONFIG_CC_VERSION_TEXT="gcc (Debian) 12"\nCONFIG_SMP=y\n',
        "windows.json": json.dumps([asdict(item) for item in windows]),
        "console.times": _times(console, console_from),
        "channel.times": _times(channel.encode()),
    }.items():
        (run.folder / file).write_text(text)
    (run.folder / "console.log").write_bytes(console)
    (run.folder / "channel.log").write_bytes(channel.encode())
    run.store(judge(recorded_evidence(run)))
    return run


def _times(log: bytes, start: float = 1.0) -> str:
    offset, lines = 0, []
    for number, raw in enumerate(log.splitlines(keepends=True)):
        lines.append(f"{start + number / 10:.3f} {offset}\n")
        offset += len(raw)
    return "".join(lines)
