# SPDX-License-Identifier: GPL-2.0-only
"""From a kernel, a workload and the user's choices to a cell that can be run."""

import secrets
from dataclasses import replace
from pathlib import Path

from mmrace.building.kernel import Kernel
from mmrace.definitions.machine import Machine, load_machine
from mmrace.definitions.race import Race, Source, Workload
from mmrace.definitions.reproducer import is_reproducer, needs_ltp
from mmrace.definitions.witness import Witness
from mmrace.errors import InfraError, NotHereError, UserError
from mmrace.guests import accel
from mmrace.guests.guest import Guest
from mmrace.guests.printk import read_log_buffer
from mmrace.guests.qemu import Boot, qemu_version
from mmrace.guests.scheduler import place
from mmrace.home import Home
from mmrace.progress import Step
from mmrace.runs import record
from mmrace.runs.cell import Cell, run_cell
from mmrace.runs.exercise import Fitted, fit_to_kernel, name_counters
from mmrace.runs.kernels import Built
from mmrace.runs.kvm import probe_kvm
from mmrace.runs.options import DELAY_CONFIG, RunOptions
from mmrace.runs.record import RunDir, Spec
from mmrace.sources.tree import Tree, find_tree, list_trees
from mmrace.symbols.countable import Countable, find_countable
from mmrace.symbols.counted import KernelCounters, read_counters
from mmrace.symbols.unprobeable import read_unprobeable
from mmrace.userland.image import BUSYBOX, Job, job_segment, make_image
from mmrace.userland.program import Program, build_init, build_program
from mmrace.windows import delay
from mmrace.windows.steering import delay_for, plan_for

SHELL_MACHINE = "numa2"


def steers(
    race: Race,
    workload: Workload,
    options: RunOptions,
    accelerator: str,
    *,
    debug_info: bool = True,
) -> bool:
    """Whether a run is steered: as the user chose, else wherever it can be.

    Raises UserError when the user chose steering and it is impossible; sync points need the
    kernel's ``debug_info``.
    """
    by_module = options.steer_by == delay.BY
    points = bool(race.windows_for(workload.name)) or bool(race.delays and not by_module)
    if options.steer and not points:
        raise UserError(_no_points(race, workload))
    if options.steer and not debug_info:
        raise UserError("this kernel has no debug information (CONFIG_DEBUG_INFO); say --no-steer")
    able = points and debug_info and (accelerator == "tcg" or by_module)
    if options.steer and not able:
        raise UserError("the director needs TCG; say --accel tcg, --steer-by kprobe or --no-steer")
    return able if options.steer is None else options.steer


def shell_for(workload: Workload) -> Path | None:
    """Return the guest's /bin/sh: reproducers may call system(3), other workloads do not."""
    needs_shell = workload.source is Source.REPRODUCER
    return BUSYBOX if needs_shell and BUSYBOX.is_file() else None


def _no_points(race: Race, workload: Workload) -> str:
    if is_reproducer(race):
        return (
            "a reproducer is steered in the functions that a series changes, by the director, where"
            " kernels are compared; --no-steer"
        )
    return f"race {race.name} has no window for workload {workload.name}; --no-steer"


def wanted_accel(
    race: Race, workload: Workload, options: RunOptions, *, debug_info: bool = True
) -> str:
    """Return the accelerator to use: ``auto``, ``kvm`` or ``tcg``.

    Unless the user chose one, TCG if the director can steer the run: an unsteered run is a weaker
    test on any host.
    """
    if options.accel == "auto" and options.steer_by != delay.BY:
        return "tcg" if steers(race, workload, options, "tcg", debug_info=debug_info) else "auto"
    return options.accel


class Planner:
    """Plans cells; caches what several cells of one invocation share."""

    def __init__(self, home: Home, step: Step) -> None:
        self._home = home
        self._step = step
        self._qemu = qemu_version()
        self._init: dict[str, Path] = {}
        self._accel: dict[str, accel.Accel] = {}
        self._counted: dict[str, KernelCounters] = {}
        self._countable: dict[tuple[str, tuple[tuple[str, str], ...]], Countable] = {}

    def plan(
        self,
        built: Built,
        race: Race,
        workload: Workload,
        options: RunOptions,
        *,
        slot: str = "",
        origin: str = "",
        program: Program | None = None,
        like: Spec | None = None,
    ) -> Cell:
        """Return a cell ready to run: programs compiled, initramfs made, accelerator chosen.

        ``program`` replaces the program made of the workload's sources; ``like`` is a run whose
        machine and kernel parameters are reused. Raises NotHereError when the workload needs a
        source tree that was not named, or the race another kernel.
        """
        if not built.suits(race):
            configs = ", ".join(race.own_config)
            raise NotHereError(
                f"the race needs a kernel of its own ({configs}); name it with --race"
            )
        workload = self._with_kernel_names(built, race, workload)
        machine = like.machine if like else load_machine(options.machine or race.machine)
        boot = (*machine.boot, *built.boot, *race.boot, *options.boot)
        program = program or self._program(built, race, workload, options)
        shell = shell_for(workload)
        image = make_image(self._home, self._guest_init(built), program.files, shell)
        fitted = self._fit_to_kernel(built, race, workload)
        choice = wanted_accel(race, workload, options, debug_info=built.kernel.has_debug_info)
        chosen = self._accelerator(choice, options, machine, built.kernel, image)
        spec = Spec(
            id=record.new_id(race.name, workload.name),
            race=race,
            workload=fitted.workload,
            machine=machine,
            tree=built.tree.name,
            revision=built.applied.commit,
            series=built.series,
            kernel_id=built.kernel.id,
            release=built.kernel.release,
            program=program.folder.name,
            accel=chosen.name,
            steered=steers(
                race, workload, options, chosen.name, debug_info=built.kernel.has_debug_info
            ),
            seed=secrets.randbelow(2**31) if options.seed is None else options.seed,
            boot=like.boot if like else boot,
            options=options,
            notes=(*built.notes, *fitted.notes),
            places=fitted.places,
            slot=slot,
            origin=origin,
        )
        log = read_log_buffer(built.kernel.folder / "System.map")
        planned = Cell(spec=spec, image=image.name, accel=chosen, log=log)
        return self._steered(planned, built) if spec.steered else planned

    def plan_replay(
        self,
        built: Built,
        race: Race,
        witness: Witness,
        options: RunOptions,
        *,
        slot: str = "",
    ) -> Cell:
        """Return a cell that replays a witness once, for at most ``options.seconds`` of wall time.

        Machine and workload seed are the witness's. Raises UserError for a sync point that the
        kernel does not have.
        """
        accelerator = "tcg" if options.accel == "auto" else options.accel
        own = options.with_(
            machine=witness.machine, seed=witness.seed, steer=False, accel=accelerator
        )
        workload = race.find_workload(witness.workload)
        planned = self.plan(built, race, workload, own, slot=slot)
        spec = planned.spec.model_copy(update={"witness": witness})
        placed = place(witness, built.resolver())
        return planned.model_copy(update={"spec": spec, "placed": placed})

    def shell(self, built: Built, options: RunOptions) -> None:
        """Boot a kernel with a shell on its console, and connect the user's terminal to it."""
        machine = load_machine(options.machine or SHELL_MACHINE)
        if not BUSYBOX.is_file():
            raise InfraError(f"{BUSYBOX} is not installed; apt-get install busybox-static")
        image = make_image(self._home, self._guest_init(built), (), BUSYBOX)
        chosen = self._accelerator(options.accel, options, machine, built.kernel, image)
        boot = (*machine.boot, *built.boot, *options.boot)
        pages = tuple(node.hugepages for node in machine.node)
        job = Job(name="shell", argv=("true",), seconds=1, hugepages=pages, interactive=True)
        with self._home.scratch(self._home.cache) as folder:
            initrd = folder / "initrd"
            initrd.write_bytes(image.read_bytes() + job_segment(job))
            with Guest(
                Boot(machine, built.kernel.image, initrd, boot, chosen.name), folder
            ) as guest:
                guest.interact()

    def _steered(self, planned: Cell, built: Built) -> Cell:
        spec = planned.spec
        with self._step("windows") as tell:
            tell("reading the kernel's debug information")
            what = spec.race, spec.workload.name, built.resolver(), spec.seed
            if spec.steer_by != delay.BY:
                return planned.model_copy(update={"plan": plan_for(*what)})
            if built.delay is None:
                raise UserError(
                    f"this kernel has no module that steers; build it with --config {DELAY_CONFIG}"
                )
            plan = delay_for(*what, built.delay).plan
            module = f"{built.delay.parent.name}/{built.delay.name}"
            return planned.model_copy(update={"plan": plan, "module": module})

    def _with_kernel_names(self, built: Built, race: Race, workload: Workload) -> Workload:
        """Return the workload with the names of this kernel's own counters.

        Others need no look-up.
        """
        if not any(name.startswith(("vmstat:", "probe:")) for name in workload.min_counts):
            return workload
        return name_counters(race, workload, self._counters(built), built.kernel.release)

    def _counters(self, built: Built) -> KernelCounters:
        kernel = built.kernel
        if kernel.id not in self._counted:
            read = read_counters(kernel.vmlinux, kernel.folder / "System.map")
            self._counted[kernel.id] = read
        return self._counted[kernel.id]

    def _fit_to_kernel(self, built: Built, race: Race, workload: Workload) -> Fitted:
        """Look up counted functions, which may be inlined; without any the kernel is not read."""
        functions = tuple(
            (probe.function[0], probe.file)
            for probe in race.probe
            if probe.every and probe.name in workload.probes
        )
        if not functions:
            return Fitted(workload)
        key = built.kernel.id, functions
        if key not in self._countable:
            with self._step("functions to count") as tell:
                tell("reading the kernel's debug information")
                kernel = built.kernel
                refused = read_unprobeable(kernel.vmlinux, kernel.folder / "System.map")
                self._countable[key] = find_countable(built.resolver(), refused, functions)
        return fit_to_kernel(workload, self._countable[key])

    def _guest_init(self, built: Built) -> Path:
        cc = built.guest_cc
        if cc not in self._init:
            with self._step("guest init") as tell:
                self._init[cc] = build_init(self._home, tell, cc)
        return self._init[cc]

    def _program(
        self, built: Built, race: Race, workload: Workload, options: RunOptions
    ) -> Program:
        ltp = self._ltp(options.ltp).commit if needs_ltp(workload) else None
        if built.own and workload.source is Source.SELFTEST:
            raise NotHereError(
                f"workload {workload.name} is built from a kernel tree; name a --tree"
            )
        with self._step(f"program {race.name}/{workload.name}") as tell:
            commit = built.applied.commit
            return build_program(self._home, race, workload, commit, ltp, tell, built.guest_cc)

    def _ltp(self, name: str | None) -> Tree:
        if name:
            tree = find_tree(self._home, name, lambda _text: None)
            if tree.kind != "ltp":
                raise UserError(f"{name} is a {tree.kind} source, not LTP; name another with --ltp")
            return tree
        for tree in list_trees(self._home):
            if tree.kind == "ltp":
                return tree
        raise NotHereError("LTP is not here; mmrace tree add ltp SOURCE, or --ltp TREE")

    def _accelerator(
        self, choice: str, options: RunOptions, machine: Machine, kernel: Kernel, image: Path
    ) -> accel.Accel:
        if choice not in self._accel:
            with self._step("accelerator") as tell:
                found = accel.choose(
                    self._home,
                    choice,
                    self._qemu,
                    lambda: probe_kvm(self._home, machine, kernel.image, image),
                )
                if choice == "tcg" != options.accel:
                    found = replace(found, reason="steering by the director needs TCG")
                tell(f"= {found.name}: {found.reason}")
            self._accel[choice] = found
        return self._accel[choice]


def run(home: Home, planned: Cell, step: Step) -> RunDir:
    """Run one cell on this host, shown as a step."""
    spec = planned.spec
    kernel = "+".join(spec.series) or spec.tree
    with step(f"{spec.race.name}/{spec.workload.name} on {kernel}") as tell:
        made = run_cell(home, planned, tell)
        judged = made.judgement()
        tell(f"= {judged.outcome} {judged.title}")
    return made
