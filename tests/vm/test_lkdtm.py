# SPDX-License-Identifier: GPL-2.0-only
"""LKDTM's triggers on real kernels: each that kills or splats is recognised by kind.

Consoles are kept in ``artefacts/lkdtm/KERNEL/TRIGGER.log``. Triggers that no check of the kernel
sees are printed by name, with what LKDTM itself said about it.
"""

import os
import re
from pathlib import Path

import lkdtm
import pytest

from mmrace import crash
from mmrace.building.kconfig import parse_config
from mmrace.crash import Kind
from mmrace.home import Home

pytestmark = pytest.mark.slow
ARTEFACTS = Path(__file__).parents[2] / "artefacts" / "lkdtm"
KERNELS = {
    "plain": ("debian:6.1", "lkdtm"),
    "checks": ("debian:6.1", "lkdtm", "kasan", "lockdep", "checks"),
    "newer": ("debian:6.12", "lkdtm"),
}
# KCSAN cannot be had with KASAN; KFENCE samples often, so that its own tests do not wait for it.
RACY = ("debian:6.12", "lkdtm", "kcsan", "faults")
MORE = """CONFIG_KFENCE=y
CONFIG_KFENCE_SAMPLE_INTERVAL=20
CONFIG_UBSAN=y
CONFIG_UBSAN_BOUNDS=y
CONFIG_UBSAN_SHIFT=y
# CONFIG_UBSAN_TRAP is not set
# CONFIG_KCSAN_EARLY_ENABLE is not set
CONFIG_KCSAN_REPORT_ONCE_IN_MS=0
CONFIG_HARDLOCKUP_DETECTOR=y
CONFIG_SOFTLOCKUP_DETECTOR=y
CONFIG_DETECT_HUNG_TASK=y
"""
_REMARK = re.compile(rb"lkdtm: ((?:FAIL|XFAIL|This is probably)[^\r\n]*)")


@pytest.mark.parametrize("name", KERNELS)
def test_every_trigger_is_recognised_by_kind(name, mmrace, tmp_path, capsys):
    tree, *fragments = KERNELS[name]
    configs = [word for fragment in fragments for word in ("--config", fragment)]
    built = mmrace("build", "--tree", tree, *configs)
    assert built.code == 0, built.text
    config = parse_config(Path(built.document["config"]).read_text())
    walk = lkdtm.Walk(Home.from_environment(os.environ), Path(built.document["image"]), tmp_path)
    folder = ARTEFACTS / name
    folder.mkdir(parents=True, exist_ok=True)
    wrong, quiet, seen = [], [], 0
    for item in walk.all():
        (folder / f"{item.trigger}.log").write_bytes(item.console)
        expected = lkdtm.expected_kinds(item.trigger, config)
        crashes = item.crashes
        if expected == lkdtm.STUCK:  # tasks wait for a stuck CPU, too, and may be named first
            crashes = tuple(one for one in crashes if one.kind is not Kind.HUNG_TASK)
        first = crashes[0] if crashes else None
        seen += 1
        if not first and not expected:
            remark = _REMARK.search(item.console)
            quiet.append(f"{item.trigger}: {remark[1].decode() if remark else item.end}")
        elif not first or first.kind not in expected:
            shown = f"{first.kind.name} {first.title!r}" if first else "nothing"
            wrong.append(f"{item.trigger}: {shown}, meant {sorted(expected)}; {item.end}")
        else:
            print(f"{item.trigger}: {first.title}")
    with capsys.disabled():
        print(f"\n{name}: of {seen} triggers not exercised:", *quiet, sep="\n  ")
    assert seen > 80, "the walk did not come to its end"
    assert not wrong, "\n".join(wrong)


def test_reports_of_other_checks_are_recognised(mmrace, tmp_path, capsys):
    """KFENCE (by its kunit test, while the kernel boots), KCSAN, UBSAN, a hard lockup."""
    config = tmp_path / "more.config"
    config.write_text(MORE)
    tree, *fragments = RACY
    built = mmrace("build", "--tree", tree, "--config", str(config),
                   *(word for one in fragments for word in ("--with", one)))  # fmt: skip
    assert built.code == 0, built.text
    walk = lkdtm.Walk(Home.from_environment(os.environ), Path(built.document["image"]), tmp_path)
    folder = ARTEFACTS / "racy"
    folder.mkdir(parents=True, exist_ok=True)
    seen = set()
    for name, argv, extra in (
        ("kfence", ("fail",), ("kunit.enable=1",)),
        ("kcsan", ("race", "10"), ("kcsan.skip_watch=200", "kcsan.udelay_task=500")),
        ("ubsan", ("pull", "ARRAY_BOUNDS"), ()),
        ("hard", ("pull", "HARDLOCKUP"), ()),
    ):
        console = walk.boot(*argv, extra=extra)
        (folder / f"{name}.log").write_bytes(console)
        found = crash.parse(console)
        seen |= {one.kind for one in found}
        with capsys.disabled():
            print(f"\n{name}: {len(found)}", *dict.fromkeys(one.title for one in found), sep="\n  ")
    forced = (folder / "kfence.log").read_bytes()
    assert forced.count(b"FAULT_INJECTION: forcing a failure") >= 2
    assert {Kind.KFENCE, Kind.KCSAN, Kind.UBSAN, Kind.HARD_LOCKUP} <= seen
