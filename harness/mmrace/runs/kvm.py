# SPDX-License-Identifier: GPL-2.0-only
"""Whether a guest boots under KVM on this host."""

from pathlib import Path

from mmrace.definitions.machine import Machine
from mmrace.guests.qemu import Boot
from mmrace.guests.vm import Hooks, Limits, run_vm
from mmrace.home import Home
from mmrace.userland.image import Job, job_segment

PROBE_SECONDS = 20.0  # TCG boots in 2 s; a guest this slow under KVM is not usable


def probe_kvm(home: Home, machine: Machine, kernel: Path, image: Path) -> str:
    """Boot a guest under KVM with a short deadline; return what went wrong, "" when it worked."""
    reached: list[str] = []

    def line(text: str) -> None:
        if text.startswith("# start"):
            reached.append(text)

    with home.scratch(home.cache) as folder:
        initrd = folder / "initrd"
        probe = Job(name="probe", argv=("true",), seconds=1, iterations=1)
        initrd.write_bytes(image.read_bytes() + job_segment(probe))
        boot = Boot(machine, kernel, initrd, machine.boot, "kvm")
        limits = Limits(boot=PROBE_SECONDS, silence=5, total=2 * PROBE_SECONDS)
        ended, _ = run_vm(boot, folder, limits, Hooks(line=line))
        lines = (folder / "console.log").read_bytes().decode(errors="replace").splitlines()
    if reached:
        return ""
    fault = next((text.strip() for text in lines if "KVM" in text), ended.message)
    return f"a probe guest under KVM ended with {ended.end}: {fault}"
