# SPDX-License-Identifier: GPL-2.0-only
"""A kept state that is given anew: against a QEMU that plays a script."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from mmrace.definitions.machine import Machine, Node
from mmrace.errors import InfraError
from mmrace.guests.guest import Guest
from mmrace.guests.qemu import Boot, Ports, Ram, command
from mmrace.guests.snapshot import Snapshot, _load
from mmrace.leftover import HELD, shared_memory
from mmrace.proc import can_confine

CONFINED = b"['0000000000000000', \"(1, 'lo')\"] False\r\n"
FAKE = Path(__file__).parents[1] / "fakes" / "qemu.py"
MACHINE = Machine(name="two", summary="", node=(Node(memory=64), Node(memory=128)))
RACE = "console booted\nchannel # start x\nchannel # out mmrace: race\nsleep 0.5\n"
AFTER = "console BUG\nchannel # out seen\nsleep 30\n"


def boot(tmp_path, script):
    kernel = tmp_path / "script"
    kernel.write_text(script, encoding="utf-8")
    return Boot(MACHINE, kernel, tmp_path / "initrd", ("quiet",), "tcg", qemu=str(FAKE))


def hear(guest, word):
    for _ in range(100):
        guest.listen(0.1)
        if word in guest.console + guest.channel:
            return
    raise AssertionError(bytes(guest.console + guest.channel))


def test_each_restore_begins_at_the_race_s_start(tmp_path):
    with Snapshot(boot(tmp_path, RACE + AFTER), tmp_path) as kept:
        kept.boot(announced=True, seconds=20)
        for _ in range(2):
            guest = kept.restore()
            assert guest.channel == b"# start x\n# out mmrace: race\n"
            assert not guest.console
            guest.stub.resume(guest.stub.threads)
            hear(guest, b"BUG")
            hear(guest, b"# out seen")
            assert guest.stop().signal == 2


@pytest.mark.skipif(not can_confine(), reason="this host does not let us")
def test_neither_the_boot_nor_a_restore_sees_what_is_the_host_s(tmp_path):
    """Its memory it has to share with them, and nothing else."""
    run, other = tmp_path / "run", tmp_path / "other"
    run.mkdir()
    other.write_text("x")
    with Guest(boot(tmp_path, f"look {other}\nsleep 30\n"), run) as guest:
        hear(guest, CONFINED)
    with Snapshot(boot(tmp_path, f"{RACE}look {other}\nsleep 30\n"), run) as kept:
        kept.boot(announced=True, seconds=20)
        guest = kept.restore()
        guest.stub.resume(guest.stub.threads)
        hear(guest, CONFINED)


@pytest.mark.parametrize("room", [True, False])
def test_memory_is_gone_with_the_snapshot_wherever_it_was(tmp_path, monkeypatch, room):
    top, free = shared_memory(), 1 << 30 if room else 1 << 20
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=free))
    before = set(top.glob(f"{HELD}*"))
    with Snapshot(boot(tmp_path, RACE + AFTER), tmp_path) as kept:
        kept.boot(announced=True, seconds=20)
        kept.restore()
        files = list((top if room else tmp_path).glob(f"{HELD}*/node1"))
        assert [path.stat().st_size >> 20 for path in files if path.parent not in before] == [128]
        assert all(path.stat().st_mode & 0o077 == 0 for path in files)
    assert not [path for path in files if path.parent not in before and path.exists()]


def test_a_restored_guest_ends_before_the_next(tmp_path):
    with Snapshot(boot(tmp_path, RACE + AFTER), tmp_path) as kept:
        kept.boot(announced=True, seconds=20)
        first = kept.restore()
        kept.restore()
        with pytest.raises(InfraError):
            first.ask("stop")


def test_a_race_that_does_not_start_is_said_with_the_console_s_last_words(tmp_path):
    made = Snapshot(boot(tmp_path, "console no disk\nsleep 30\n"), tmp_path)
    with made as kept, pytest.raises(InfraError, match="no disk"):
        kept.boot(announced=True, seconds=0.3)


def test_a_state_that_qemu_refuses_is_no_restore(tmp_path):
    waiting = ("-S", "-incoming", "defer")
    made = boot(tmp_path, RACE)
    made = Boot(**{**vars(made), "extra": waiting})
    with Guest(made, tmp_path, gdb=True) as guest, pytest.raises(InfraError, match="failed"):
        _load(guest, b"garbage")


def test_a_qemu_that_does_not_start_says_why(tmp_path):
    made = Guest(boot(tmp_path, "die early\n"), tmp_path)
    with pytest.raises(InfraError, match="could not set up the machine"), made:
        pass


@pytest.mark.parametrize("shared", [True, False])
def test_memory_in_files_is_shared_or_copied_on_write(tmp_path, shared):
    ram = Ram((tmp_path / "a", tmp_path / "b,c"), shared=shared)
    argv = command(Boot(**{**vars(boot(tmp_path, "")), "ram": ram}), Ports(tmp_path, tmp_path))
    memory = [word for word in argv if word.startswith("memory-backend")]
    how = "on" if shared else "off"
    assert memory[0] == (f"memory-backend-file,mem-path={tmp_path}/a,share={how},id=ram0,size=64M")
    assert f"mem-path={tmp_path}/b,,c," in memory[1]
