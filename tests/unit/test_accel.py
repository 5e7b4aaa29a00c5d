# SPDX-License-Identifier: GPL-2.0-only
import pytest
from click.testing import CliRunner

from made_session import quiet_step
from mmrace.cli import cli
from mmrace.definitions.race import load_race
from mmrace.errors import InfraError, UserError
from mmrace.guests.accel import Accel, choose, state, steering_state, steering_under_kvm
from mmrace.home import Home
from mmrace.runs.options import RunOptions
from mmrace.runs.planner import Planner, wanted_accel


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "cache", tmp_path / "data")


@pytest.fixture
def device(tmp_path):
    path = tmp_path / "kvm"
    path.touch()
    return path


def never():
    raise AssertionError("probed")


def test_tcg_when_asked_for_is_not_probed(home, device):
    chosen = choose(home, "tcg", "7.2", never, device)
    assert (chosen.name, chosen.reason) == ("tcg", "chosen by --accel")


def test_no_device_means_tcg_and_says_so(home, tmp_path):
    chosen = choose(home, "auto", "7.2", never, tmp_path / "none")
    assert chosen.name == "tcg"
    assert "there is no" in chosen.reason


def test_a_probe_that_boots_means_kvm_and_is_remembered(home, device):
    assert choose(home, "auto", "7.2", lambda: "", device).name == "kvm"
    assert choose(home, "auto", "7.2", never, device).name == "kvm"
    assert "works" in state(home, "7.2", device)


def test_a_device_that_opens_but_does_not_work(home, device):
    chosen = choose(home, "auto", "7.2", lambda: "KVM internal error", device)
    assert (chosen.name, chosen.reason) == ("tcg", "KVM internal error")
    assert "does not work" in state(home, "7.2", device)
    with pytest.raises(UserError, match="--accel tcg"):
        choose(home, "kvm", "7.2", never, device)


def test_another_qemu_is_probed_again(home, device):
    choose(home, "auto", "7.2", lambda: "broken", device)
    assert choose(home, "auto", "9.0", lambda: "", device).name == "kvm"
    assert "untested" in state(home, "8.0", device)


def test_a_probe_that_cannot_start_is_a_fault(home, device):
    def broken():
        raise InfraError("cannot start qemu")

    assert choose(home, "auto", "7.2", broken, device).reason == "cannot start qemu"


def test_steering_under_kvm_is_untested_whatever_works(home, device, tmp_path):
    assert "no guest is known to boot" in steering_state(home, "7.2", tmp_path / "none")
    choose(home, "auto", "7.2", lambda: "broken", device)
    assert "no guest is known to boot" in steering_state(home, "7.2", device)
    choose(home, "auto", "9.0", lambda: "", device)
    assert steering_state(home, "9.0", device).startswith("untested, but can be tried here")


def test_a_record_says_that_steering_under_kvm_is_untested():
    assert steering_under_kvm(Accel("tcg", "asked for")) == (
        "untested here: this ran under TCG (asked for)"
    )
    assert steering_under_kvm(Accel("kvm", "a probe")).startswith("untested before")


@pytest.mark.parametrize("command", ["replay", "hunt"])
def test_replays_and_hunts_take_an_accelerator(command):
    shown = CliRunner().invoke(cli, [command, "--help"], terminal_width=100).output
    assert "--accel [auto|kvm|tcg]" in shown
    assert "untested" in shown


def test_what_windows_can_steer_runs_under_tcg_unless_somebody_says_otherwise():
    race = load_race("hugetlb-uffd")
    steered, plain = (race.find_workload(name) for name in ("missing-by-migration", "missing-cost"))
    assert race.windows_for(steered.name)
    assert not race.windows_for(plain.name)
    assert wanted_accel(race, steered, RunOptions()) == "tcg"
    assert wanted_accel(race, plain, RunOptions()) == "auto"
    assert wanted_accel(race, steered, RunOptions(steer=False)) == "auto"
    assert wanted_accel(race, steered, RunOptions(steer_by="kprobe")) == "auto"
    assert wanted_accel(race, steered, RunOptions(accel="kvm")) == "kvm"
    assert wanted_accel(race, steered, RunOptions(), debug_info=False) == "auto"


@pytest.mark.parametrize(
    ("accel", "reason"),
    [("auto", "steering by the director needs TCG"), ("tcg", "chosen by --accel")],
)
def test_the_reason_of_tcg_is_the_one_that_holds(home, monkeypatch, accel, reason):
    monkeypatch.setattr("mmrace.runs.planner.qemu_version", lambda: "7.2")
    planner = Planner(home, quiet_step)
    chosen = planner._accelerator("tcg", RunOptions(accel=accel), None, None, None)
    assert (chosen.name, chosen.reason) == ("tcg", reason)
