# SPDX-License-Identifier: GPL-2.0-only
"""From a config request to a tree's finished .config, or to why it cannot be had."""

import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import kconfiglib

from mmrace.building import kexplain
from mmrace.building.bench import DEADLINE, Bench
from mmrace.building.buildlog import first_failure
from mmrace.building.kconfig import (
    ConfigRequest,
    Option,
    assignment,
    kernel_version,
    merge,
    not_stuck,
    parse_config,
)
from mmrace.errors import BuildError, UserError, disk_full, no_room
from mmrace.home import write_file
from mmrace.proc import Bind, run

# Beside .config, which is only replaced when its content changes: make compares times.
_FRAGMENT = "mmrace.fragment"
_DRAFT = "mmrace.draft"


def configure(bench: Bench, request: ConfigRequest, digest: str) -> str:
    """Make the bench's .config and return its text.

    ``digest`` identifies the request and the toolchain; a bench that was configured for the same
    one is left alone unless a Kconfig file changed. Raises BuildError when an option did not
    stick, UserError for fragments that conflict or for a defconfig that the tree has not.
    """
    final = bench.build / ".config"
    began = time.time()
    if bench.state.get("configured") == digest and final.is_file() and not _stale(bench):
        return bench.read(".config")
    makefile = (bench.source / "Makefile").read_text(encoding="utf-8", errors="replace")
    wanted = merge(request.fragments, kernel_version(makefile))
    lines = "".join(f"{assignment(option.name, option.value)}\n" for option in wanted)
    write_file(bench.build / _FRAGMENT, lines)
    bench.remember(configured=None)
    _run_kconfig(bench, request, lines)
    text = bench.read(_DRAFT)
    if missed := not_stuck(wanted, parse_config(text)):
        raise _refusal(bench, missed, parse_config(text))
    if final.is_symlink() or not final.is_file() or bench.read(".config") != text:
        write_file(final, text)
    bench.remember(configured=digest, configured_at=began)
    return text


def _stale(bench: Bench) -> bool:
    """Whether a Kconfig file that kconfig read last time has changed since."""
    made = bench.state.get("configured_at")
    try:
        recorded = (bench.build / "include/config/auto.conf.cmd").read_text(encoding="utf-8")
    except OSError:
        return True
    files = re.findall(r"^\t(?:/src/)?(\S*Kconfig\S*)", recorded, re.M)
    paths = [bench.source / name for name in files]
    return (
        not paths
        or not isinstance(made, float)
        or any(not path.is_file() or path.stat().st_mtime >= made for path in paths)
    )


def _run_kconfig(bench: Bench, request: ConfigRequest, lines: str) -> None:
    draft = bench.build / _DRAFT
    where = f"KCONFIG_CONFIG=/build/{_DRAFT}"
    if request.whole:
        write_file(draft, f"{request.whole}\n{lines}")
    elif request.defconfig:
        if not list(bench.source.glob(f"arch/*/configs/{request.defconfig}")):
            raise UserError(f"this tree has no {request.defconfig} under arch/*/configs")
        _make(bench, [where, request.defconfig])
        write_file(draft, f"{bench.read(_DRAFT)}\n{lines}")
    else:
        _make(bench, [where, f"KCONFIG_ALLCONFIG=/build/{_FRAGMENT}", "allnoconfig"])
    _make(bench, [where, "olddefconfig"])


def _make(bench: Bench, words: Sequence[str]) -> None:
    done = bench.make(words)
    if done.returncode == 0:
        return
    lines = f"{done.text}\n{done.errors}".splitlines()
    if any(map(no_room, lines)):
        raise disk_full(bench.folder)
    failure = first_failure(lines)
    raise BuildError(f"make {words[-1]} failed: {failure.summary}", failure.detail)


def _refusal(bench: Bench, missed: Sequence[Option], config: dict[str, str]) -> BuildError:
    reasons = explain(bench, missed)
    lines = [
        f"CONFIG_{option.name}={option.value} ({option.fragment}) did not stick, it is "
        f"{config.get(option.name, 'n')}: {reasons.get(option.name, 'no explanation')}"
        for option in missed
    ]
    more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
    return BuildError(lines[0] + more, "\n".join(lines[1:]))


def explain(bench: Bench, missed: Sequence[Option]) -> dict[str, str]:
    """Ask kconfiglib, inside the sandbox, why options of the draft config did not stick."""
    python = Path(sys.executable).resolve()
    binds = [
        Bind(Path(kexplain.__file__).resolve(), "/tmp/kexplain.py"),  # noqa: S108
        Bind(Path(kconfiglib.__file__).resolve(), "/tmp/kconfiglib.py"),  # noqa: S108
    ]
    if not python.is_relative_to("/usr"):
        binds.append(Bind(Path(sys.base_prefix), sys.base_prefix))
    done = run(
        [
            python,
            "-ESs",
            "/tmp/kexplain.py",  # noqa: S108
            f"/build/{_DRAFT}",
            *(f"{option.name}={option.value}" for option in missed),
        ],
        deadline=DEADLINE,
        env={**bench.environment(), **_kconfig_env(bench)},
        sandbox=bench.sandbox(*binds),
    )
    if done.returncode != 0:
        why = (done.errors.strip().splitlines() or ["it said nothing"])[-1]
        return dict.fromkeys(
            (option.name for option in missed), f"kconfiglib cannot read this tree: {why}"
        )
    reasons: dict[str, str] = json.loads(done.stdout)
    return reasons


def _kconfig_env(bench: Bench) -> dict[str, str]:
    """What the top Makefile exports to Kconfig files."""
    return {
        "srctree": "/src",
        "ARCH": "x86",
        "SRCARCH": "x86",
        "CC": dict(bench.env).get("CC", "gcc"),
        "HOSTCC": "gcc",
        "LD": "ld",
        "AR": "ar",
        "NM": "nm",
        "PAHOLE": "pahole",
        "RUSTC": "rustc",
        "BINDGEN": "bindgen",
        "KERNELVERSION": "unknown",
        "CC_VERSION_TEXT": "gcc",
    }
