# SPDX-License-Identifier: GPL-2.0-only
"""From evidence to outcome, one rule at a time."""

import dataclasses

import pytest

import golden_console
from mmrace.crash import parse
from mmrace.crash.kind import Kind
from mmrace.definitions.race import Race, Signature, Source, Workload, load_race
from mmrace.judging.evidence import Evidence
from mmrace.judging.judge import judge
from mmrace.judging.signature import in_report
from mmrace.outcome import Outcome, VmEnd, WindowCount

WARNING = (
    "[    {0}] ------------[ cut here ]------------\n"
    "[    {0}] WARNING: CPU: 0 PID: 1 at kernel/smp.c:7 {1}+0x5a/0x61\n"
    "[    {0}] RIP: 0010:{1}+0x5a/0x61\n"
    "[    {0}] Call Trace:\n"
    "[    {0}]  its_caller+0x1/0x2\n"
    "[    {0}] ---[ end trace 0000000000000000 ]---\n"
)
SOFT_LOCKUP = (
    "[   30.000000] watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [x:12]\n"
    "[   30.000000] RIP: 0010:stuck_here+0x1/0x2\n"
)
BOOT = "[    0.000000] Linux version 6.1.192\n[    1.000000] Run /init as init process\n"
BEGIN = "KTAP version 1\n# release 6.1\n# invariant hugepages_free 128\n# start w\n"
AFTER = "# invariant hugepages_free 128\n"
END = "1..1\n# end\n"


def workload(source: Source = Source.STRESSOR, **least: int) -> Workload:
    return Workload(
        name="w", summary="s", source=source, argv=("w",), sources=("w.c",),
        min_counts=least or {"iterations": 1}, silence=20,
    )  # fmt: skip


def race(*signatures: Signature) -> Race:
    found = signatures or (Signature(title="nothing like it"),)
    return Race(name="r", title="t", summary="s", signature=found, workload=(workload(),))


def evidence(
    channel: str = "",
    console: str = BOOT,
    *,
    end: VmEnd = VmEnd.EXITED,
    work: Workload | None = None,
    signatures: tuple[Signature, ...] = (),
) -> Evidence:
    chosen = work or workload()
    return Evidence(race(*signatures), chosen, end, console.encode(), channel.encode())


def result(line: str, output: str = "") -> str:
    return BEGIN + output + line + " seconds=1.0\n" + AFTER + END


PASSED = result("ok 1 - w # exit=0")


def test_pass() -> None:
    judged = judge(evidence(PASSED))
    assert judged.outcome is Outcome.PASS
    assert judged.exercised == {"iterations": (1, 1)}
    assert judged.notes == ()


def test_below_the_min_count_is_never_pass() -> None:
    judged = judge(evidence(PASSED, work=workload(migrated=10)))
    assert judged.outcome is Outcome.NOT_EXERCISED
    assert judged.exercised == {"migrated": (0, 10)}
    assert judged.notes == ("migrated: 0, at least 10 wanted",)


def test_without_the_end_marker_is_never_pass() -> None:
    for end in VmEnd:
        judged = judge(evidence(PASSED.replace("# end\n", ""), end=end))
        assert judged.outcome not in (Outcome.PASS, Outcome.NOT_EXERCISED), end


@pytest.mark.parametrize(
    ("source", "line", "outcome"),
    [
        (Source.STRESSOR, "not ok 1 - w # exit=1", Outcome.FAIL),
        (Source.STRESSOR, "not ok 1 - w # exit=2", Outcome.NOT_EXERCISED),
        (Source.STRESSOR, "ok 1 - w # SKIP exit=4", Outcome.NOT_EXERCISED),
        (Source.STRESSOR, "not ok 1 - w # exit=4", Outcome.NOT_EXERCISED),
        (Source.STRESSOR, "not ok 1 - w # exit=127", Outcome.NOT_EXERCISED),
        (Source.STRESSOR, "not ok 1 - w # exit=9", Outcome.NOT_EXERCISED),
        (Source.STRESSOR, "not ok 1 - w # signal=11", Outcome.FAIL),
        (Source.SELFTEST, "not ok 1 - w # exit=1", Outcome.FAIL),
        (Source.SELFTEST, "not ok 1 - w # exit=2", Outcome.FAIL),
        (Source.SELFTEST, "ok 1 - w # SKIP exit=4", Outcome.NOT_EXERCISED),
        (Source.LTP, "not ok 1 - w # exit=1", Outcome.FAIL),
        (Source.LTP, "not ok 1 - w # exit=3", Outcome.FAIL),
        (Source.LTP, "not ok 1 - w # exit=2", Outcome.NOT_EXERCISED),
        (Source.LTP, "ok 1 - w # SKIP exit=32", Outcome.NOT_EXERCISED),
        (Source.LTP, "not ok 1 - w # exit=32", Outcome.NOT_EXERCISED),
        (Source.LTP, "not ok 1 - w # signal=9", Outcome.FAIL),
    ],
)
def test_exit_codes(source: Source, line: str, outcome: Outcome) -> None:
    assert judge(evidence(result(line), work=workload(source))).outcome is outcome


EIO = "# out w.c:9: TFAIL: madvise failed: EIO (5)\n"
SUMMARY = "# out Summary:\n# out passed   2\n# out failed   {}\n# out broken   0\n"


def tolerant(*, release: str = "5.9.1+", output: str, code: int = 1, least: int = 1) -> Evidence:
    """A run of an LTP test that may fail with EIO before v5.11."""
    known = {"versions": "<5.11", "output": "^madvise failed: EIO", "reason": "so it is"}
    work = Workload.model_validate(
        {**workload(Source.LTP).model_dump(), "tolerated": [known]}
        | {"min_counts": {"ltp:passed": least}}
    )
    channel = result(f"not ok 1 - w # exit={code}", output)
    return evidence(channel.replace("release 6.1", f"release {release}"), work=work)


def test_a_tolerated_failure_of_ltp_is_a_note() -> None:
    judged = judge(tolerant(output=2 * EIO + SUMMARY.format(2)))
    assert judged.outcome is Outcome.PASS
    assert judged.notes == ("1 iterations failed, which is not the race's: so it is",)


@pytest.mark.parametrize(
    "run",
    [
        tolerant(output=EIO + SUMMARY.format(1), release="5.11.0"),
        tolerant(output=EIO + SUMMARY.format(1), release=""),
        tolerant(output=EIO + "# out w.c:9: TFAIL: move_pages failed: EIO\n" + SUMMARY.format(2)),
        tolerant(output=EIO + SUMMARY.format(2)),  # a line is lost
        tolerant(output=EIO),
        tolerant(output=SUMMARY.format(0)),
    ],
)
def test_any_other_failure_of_ltp_stays_one(run: Evidence) -> None:
    judged = judge(run)
    assert (judged.outcome, judged.signature_matched) == (Outcome.FAIL, False)


def test_a_tolerated_failure_exercises_nothing_by_itself() -> None:
    output = EIO + SUMMARY.format(1)
    assert judge(tolerant(output=output, least=3)).outcome is Outcome.NOT_EXERCISED
    assert judge(tolerant(output=output, code=3)).outcome is Outcome.NOT_EXERCISED
    second = judge(tolerant(output=output + "# out mmrace: fail x\n"))
    assert second.outcome is Outcome.FAIL


def test_ltp_warning_alone_is_a_note() -> None:
    two = BEGIN + "ok 1 - w # exit=0 seconds=1\nnot ok 2 - w # exit=4 seconds=1\n" + AFTER + END
    judged = judge(evidence(two, work=workload(Source.LTP)))
    assert judged.outcome is Outcome.PASS
    assert "TWARN" in judged.notes[0]


def test_broken_names_why() -> None:
    broken = result("not ok 1 - w # exit=2", "# out broken: mmap: Cannot allocate memory\n")
    (note,) = judge(evidence(broken)).notes
    assert note == "w: broken (exit code 2): mmap: Cannot allocate memory"


def test_failure_told_by_the_workload_matches_by_output() -> None:
    failed = result("not ok 1 - w # exit=1", "# out mmrace: fail MISSING at page 3\n")
    judged = judge(evidence(failed, signatures=(Signature(output="MISSING at page"),)))
    assert (judged.outcome, judged.title) == (Outcome.FAIL, "MISSING at page 3")
    assert judged.signature_matched
    assert not judge(evidence(failed, signatures=(Signature(output="MINOR"),))).signature_matched


def test_selftest_failure_is_named_by_its_complaint() -> None:
    failed = result("not ok 1 - w # exit=1", "# out bounces: 1, ERROR: unexpected write fault\n")
    judged = judge(evidence(failed, work=workload(Source.SELFTEST)))
    assert judged.title == "bounces: 1, ERROR: unexpected write fault"


def test_failure_in_an_iteration_that_was_cut_counts() -> None:
    channel = BEGIN + "# out mmrace: fail seen\n# cut seconds=1.0\n" + AFTER + END
    assert judge(evidence(channel)).outcome is Outcome.FAIL


def test_invariants() -> None:
    lost = PASSED.replace(AFTER + END, "# invariant hugepages_free 126\n" + END)
    judged = judge(evidence(lost))
    assert judged.outcome is Outcome.FAIL
    assert judged.title == "invariant hugepages_free: 128 before, 126 after"
    isolated = PASSED.replace(END, "# invariant isolated 3\n" + END)
    assert judge(evidence(isolated)).outcome is Outcome.FAIL
    settled = PASSED.replace("# start", "# invariant isolated 2\n# start")
    settled = settled.replace(END, "# invariant isolated 0\n" + END)
    assert judge(evidence(settled)).outcome is Outcome.PASS


def clocked(console: str, started: float = 10.0) -> Evidence:
    """A run whose workload began at ``started``; a console line came at its own time stamp."""
    times, offset = [], 0
    for line in console.splitlines(keepends=True):
        times.append((float(line[1:].split("]")[0]), offset))
        offset += len(line)
    base = evidence(BEGIN, console, end=VmEnd.RESET)
    begin = BEGIN.index("# start")
    return dataclasses.replace(
        base, console_times=tuple(times), channel_times=((0.5, 0), (started, begin))
    )


def test_splat_before_the_workload_is_a_note() -> None:
    early = clocked(BOOT + WARNING.format("2.000000", "topology_sane"))
    quiet = dataclasses.replace(early, channel=PASSED.encode(), end=VmEnd.EXITED)
    judged = judge(quiet)
    assert judged.outcome is Outcome.PASS
    assert judged.notes == ("before the workload: WARNING in topology_sane",)


def test_splat_after_the_start_is_a_crash_and_timed() -> None:
    judged = judge(clocked(BOOT + WARNING.format("12.500000", "retract_tables")))
    assert (judged.outcome, judged.title) == (Outcome.CRASH, "WARNING in retract_tables")
    assert judged.seconds_to_failure == 2.5
    assert not judged.signature_matched


def test_the_first_crash_that_matches_decides() -> None:
    console = BOOT + WARNING.format("12.000000", "foreign") + WARNING.format("14.000000", "own")
    case = dataclasses.replace(clocked(console), race=race(Signature(title="in own$")))
    judged = judge(case)
    assert judged.signature_matched
    assert judged.title == "WARNING in own"
    assert judged.seconds_to_failure == 4.0
    assert judged.notes == ("also on the console: WARNING in foreign",)


def test_signature_needs_all_its_parts() -> None:
    case = clocked(BOOT + WARNING.format("12.000000", "own"))
    both = Signature(title="own", report="its_caller")
    other = Signature(title="own", report="no_caller")
    assert judge(dataclasses.replace(case, race=race(both))).signature_matched
    assert not judge(dataclasses.replace(case, race=race(other))).signature_matched
    assert judge(dataclasses.replace(case, race=race(other, both))).signature_matched


def test_hang_kinds() -> None:
    judged = judge(evidence(BEGIN, BOOT + SOFT_LOCKUP, end=VmEnd.SILENT))
    assert (judged.outcome, judged.title) == (Outcome.HANG, "BUG: soft lockup in stuck_here")
    silent = judge(evidence(BEGIN, end=VmEnd.SILENT))
    assert (silent.outcome, silent.title) == (Outcome.HANG, "no progress for 20 s")


@pytest.mark.parametrize(
    ("end", "channel", "outcome"),
    [
        (VmEnd.QEMU_DIED, BEGIN, Outcome.INFRA),
        (VmEnd.BOOT_TIMEOUT, "", Outcome.INFRA),
        (VmEnd.EXITED, "", Outcome.INFRA),
        (VmEnd.RESET, "", Outcome.CRASH),
        (VmEnd.BOOT_STALL, "", Outcome.HANG),
        (VmEnd.RESET, BEGIN, Outcome.CRASH),
        (VmEnd.TIMEOUT, BEGIN, Outcome.INFRA),
        (VmEnd.STOPPED, BEGIN, Outcome.INFRA),
        (VmEnd.EXITED, "KTAP version 1\nBail out! no huge pages\n", Outcome.INFRA),
    ],
)
def test_ends_without_a_report(end: VmEnd, channel: str, outcome: Outcome) -> None:
    judged = judge(evidence(channel, end=end))
    assert judged.outcome is outcome
    assert judged.title


@pytest.mark.parametrize(
    ("console", "title"),
    [
        ("", "the boot hangs before its first message"),
        (
            "[    0.000000] Linux version 6.1.192\n[    0.012345] NX: active\n\n",
            "the boot hangs after: NX: active",
        ),
    ],
)
def test_a_boot_that_hangs_says_after_what(console: str, title: str) -> None:
    judged = judge(evidence("", console, end=VmEnd.BOOT_STALL))
    assert (judged.outcome, judged.title, judged.signature_matched) == (Outcome.HANG, title, False)


def test_a_panic_without_a_reboot_is_a_crash() -> None:
    panic = "[    0.000000] Kernel panic - not syncing: too early\n"
    for end in (VmEnd.BOOT_STALL, VmEnd.STOPPED):
        assert judge(evidence("", panic, end=end)).outcome is Outcome.CRASH, end


def test_panic_while_booting_is_a_crash() -> None:
    panic = BOOT + "[    2.000000] Kernel panic - not syncing: VFS: Unable to mount root fs\n"
    judged = judge(evidence("", panic, end=VmEnd.BOOT_TIMEOUT))
    assert judged.outcome is Outcome.CRASH
    assert "Unable to mount root" in judged.title


def test_out_of_memory() -> None:
    killed = result("not ok 1 - w # signal=9")
    console = BOOT + "[   12.000000] Out of memory: Killed process 88 (mover) total-vm:1kB\n"
    judged = judge(evidence(killed, console))
    assert judged.outcome is Outcome.NOT_EXERCISED
    assert judged.notes == ("w: the guest ran out of memory and killed mover",)
    panic = "[   12.000000] Kernel panic - not syncing: Out of memory: compulsory panic_on_oom\n"
    judged = judge(evidence(BEGIN, BOOT + panic, end=VmEnd.RESET))
    assert (judged.outcome, judged.signature_matched) == (Outcome.CRASH, False)


def test_windows_are_passed_on() -> None:
    windows = (WindowCount("first", 9, 4), WindowCount("second", 0, 0))
    judged = judge(dataclasses.replace(evidence(PASSED), windows=windows))
    assert judged.windows == windows
    assert judged.notes == ("window second: never reached",)


@pytest.mark.parametrize(
    ("log", "signature", "title"),
    [
        (
            "6.1-exec-stack-migration-swapops-bug",
            Signature(report=r"kernel BUG at (\S*/)?include/linux/swapops\.h:\d+!"),
            "kernel BUG in migration_entry_wait_on_locked",
        ),
        (
            "6.1-khugepaged-retract-bad-page-map",
            Signature(title="Bad page map", report=r"mapcount:-1\b"),
            "BUG: Bad page map in unmap_page_range",
        ),
        (
            "5.9.1-hugetlb-anon-migration-gpf-steered",
            Signature(title=r"general protection fault in rmap_walk_anon"),
            "general protection fault in try_to_unmap",
        ),
        (
            "6.1-move_pages12-oops",
            Signature(title="page_vma_mapped_walk", report="migrate_pages"),
            "BUG: kernel NULL pointer dereference in page_vma_mapped_walk",
        ),
    ],
)
def test_recorded_consoles(log: str, signature: Signature, title: str) -> None:
    console = golden_console.read(golden_console.FOLDER / f"{log}.log").console
    base = evidence(BEGIN, end=VmEnd.RESET, signatures=(signature,))
    judged = judge(dataclasses.replace(base, console=console))
    assert judged.signature_matched
    assert judged.title == title


@pytest.mark.parametrize(
    ("log", "race"),
    [
        ("6.12-hugetlb-anon-migration-move-share", "hugetlb-anon-migration"),
        ("6.12-khugepaged-retract-collapse-punch", "khugepaged-retract"),
        ("6.18-khugepaged-retract-collapse-punch", "khugepaged-retract"),
        ("6.6-khugepaged-retract-collapse-punch", "khugepaged-retract"),
        ("6.6-khugepaged-retract-collapse-punch-split", "khugepaged-retract"),
        ("6.1-exec-stack-migration-exec-storm-4409", "exec-stack-migration"),
        ("7.3-pagemap-thp-split-read-split", "pagemap-thp-split"),
    ],
)
def test_a_race_knows_its_failure_on_each_kernel_that_showed_it(log: str, race: str) -> None:
    console = golden_console.read(golden_console.FOLDER / "runs" / f"{log}.log").console
    base = evidence(BEGIN, end=VmEnd.RESET, signatures=load_race(race).signature)
    assert judge(dataclasses.replace(base, console=console)).signature_matched


def test_each_trace_of_entries_that_were_taken_away_twice_is_the_races_own() -> None:
    # On 6.6 another mapping of the huge page keeps the mapcount that is checked above zero.
    log = golden_console.FOLDER / "runs" / "6.6-khugepaged-retract-collapse-punch.log"
    console = golden_console.read(log).console
    signatures = load_race("khugepaged-retract").signature
    crashes = parse(console)
    assert [crash.kind for crash in crashes] == [Kind.BAD_RSS, Kind.BAD_PAGE_STATE, Kind.VM_BUG_ON]
    for crash in crashes:
        assert any(in_report(signature, crash, console) for signature in signatures), crash.title


RACED = (
    BEGIN
    + "# out mmrace: race\nok 1 - w # exit=0 seconds=2.60 raced=2.50\n# out mmrace: race\n"
    + "ok 2 - w # exit=0 seconds=2.60 raced=2.40\n# cut seconds=0.50 raced=0.10\n"
)


def test_time_under_stress_of_a_run_that_held() -> None:
    assert judge(evidence(RACED + AFTER + END)).stressed == 5.0
    assert judge(evidence(PASSED)).stressed is None  # of an earlier version
    assert judge(evidence(RACED, end=VmEnd.TIMEOUT)).stressed is None


@pytest.mark.parametrize(
    ("source", "stressed"), [(Source.STRESSOR, 2.5 + 0.4), (Source.LTP, 2.5 + 0.5)]
)
def test_time_under_stress_until_a_crash(source: Source, stressed: float) -> None:
    first = BEGIN + "# out mmrace: race\nok 1 - w # exit=0 seconds=2.60 raced=2.50\n"
    channel = first + "# out mmrace: race\n"
    console = BOOT + WARNING.format("14.000000", "own")
    case = evidence(channel, console, work=workload(source), signatures=(Signature(title="own"),))
    times = ((10.0, channel.index("# start")), (12.6, first.index("ok 1")), (12.7, len(first)))
    case = dataclasses.replace(
        case, channel_times=times, console_times=((0.0, 0), (13.1, len(BOOT)))
    )
    judged = judge(case)
    assert judged.signature_matched
    assert judged.stressed == pytest.approx(stressed)
    assert judged.seconds_to_failure == pytest.approx(3.1)
