# SPDX-License-Identifier: GPL-2.0-only
"""Which accelerator works here: KVM only after a guest has really booted under it."""

import json
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mmrace.errors import InfraError, UserError
from mmrace.home import Home, write_file

KVM = Path("/dev/kvm")


@dataclass(frozen=True)
class Accel:
    """``kvm`` or ``tcg``, and why."""

    name: str
    reason: str


def choose(
    home: Home, choice: str, version: str, probe: Callable[[], str], device: Path = KVM
) -> Accel:
    """Choose an accelerator.

    ``choice`` is ``auto``, ``kvm`` or ``tcg``; ``version`` QEMU's. ``probe`` boots a guest under
    KVM with a short deadline and returns what went wrong, nothing when it worked; its answer is
    remembered for this host and this QEMU. Raises UserError when ``kvm`` is wanted and does not
    work.
    """
    if choice == "tcg":
        return Accel("tcg", "chosen by --accel")
    fault = _fault(home, version, probe, device)
    if not fault:
        return Accel("kvm", "a probe guest booted under KVM")
    if choice == "kvm":
        raise UserError(f"KVM does not work here ({fault}); use --accel tcg")
    return Accel("tcg", fault)


def usable(device: Path = KVM) -> bool:
    """Whether this user may open the device; a guest may still not boot under it."""
    return os.access(device, os.R_OK | os.W_OK)


def steering_under_kvm(chosen: Accel) -> str:
    """What a record says of steering under KVM, which no guest has been seen to do."""
    if chosen.name == "kvm":
        return "untested before: nobody has reported a steered guest under KVM"
    return f"untested here: this ran under TCG ({chosen.reason})"


def remembered(home: Home, version: str) -> str | None:
    """What the last probe found: nothing wrong (""), a fault, or None: never tried here."""
    try:
        answer = json.loads(_memory(home).read_bytes())
    except (OSError, ValueError):
        return None
    return answer.get("fault") if answer.get("key") == _key(version) else None


def _fault(home: Home, version: str, probe: Callable[[], str], device: Path) -> str:
    if not device.exists():
        return f"there is no {device}"
    if not usable(device):
        return f"{device} may not be opened by this user"
    known = remembered(home, version)
    if known is not None:
        return known
    try:
        fault = probe()
    except InfraError as error:
        fault = error.message
    write_file(_memory(home), json.dumps({"key": _key(version), "fault": fault}) + "\n")
    return fault


def _memory(home: Home) -> Path:
    return home.cache / "accel.json"


def _key(version: str) -> str:
    return f"{platform.node()} {platform.release()} {version}"


def state(home: Home, version: str, device: Path = KVM) -> str:
    """What is known of KVM on this host, in words."""
    if not device.exists():
        return f"no {device}: TCG"
    known = remembered(home, version)
    if known is None:
        return f"{device} is there, untested: the first run boots a probe"
    return (
        f"{device} is there but does not work ({known}): TCG" if known else "works: a guest booted"
    )


def steering_state(home: Home, version: str, device: Path = KVM) -> str:
    """What is known of steering under KVM on this host, in words."""
    ways = "gdbstub (replay, hunt: --accel kvm) and kprobes (run --steer-by kprobe)"
    if device.exists() and remembered(home, version) == "":
        return f"untested, but can be tried here: {ways}"
    return f"untested: {ways}; no guest is known to boot under KVM here"
