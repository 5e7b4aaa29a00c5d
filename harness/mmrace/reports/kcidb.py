# SPDX-License-Identifier: GPL-2.0-only
"""Runs as a KCIDB submission: checkouts, builds and tests, checked by kcidb-io.

kcidb-io is an extra of mmrace's, for one of the libraries that it needs (rfc3987) is under the GPL
version 3 or later, which this program is not.

What mmrace does not know is left out: its trees are commits of its own store, so a checkout has no
``git_commit_hash`` of the world's; what it has is in ``misc``.
"""

import hashlib
import importlib
import json
import re
from collections.abc import Sequence
from typing import Any

from mmrace import __version__
from mmrace.errors import UserError
from mmrace.outcome import Outcome
from mmrace.reports.account import Account, printable, read_all
from mmrace.reports.excerpt import trimmed
from mmrace.runs.record import RunDir

EXCERPT = 16_000  # characters; the schema allows 16384
_ORIGIN = re.compile(r"[a-z0-9_]+")
_COMPILER = re.compile(r'^CONFIG_CC_VERSION_TEXT="(.*)"$', re.MULTILINE)
_STATUS = {
    Outcome.CRASH: "FAIL",
    Outcome.FAIL: "FAIL",
    Outcome.HANG: "FAIL",
    Outcome.PASS: "PASS",
    Outcome.NOT_EXERCISED: "SKIP",
    Outcome.INFEASIBLE: "SKIP",
    Outcome.INFRA: "MISS",
}


def document(runs: Sequence[RunDir], origin: str = "mmrace") -> str:
    """Render the JSON; ``origin`` is the name under which the submitter is known to KCIDB.

    Raises UserError for an origin that KCIDB does not allow, a directory that holds no run, and
    where kcidb-io is not installed.
    """
    known = schema()
    if known is None:
        raise UserError("--kcidb needs kcidb-io; pip install 'mmrace[kcidb]'")
    if not _ORIGIN.fullmatch(origin):
        raise UserError(f"not an origin: {origin!r}; use lower-case letters, digits and _")
    accounts = read_all(runs)
    made = {
        "version": {"major": known.major, "minor": known.minor},
        "checkouts": _unique(_checkout(item, origin) for item in accounts),
        "builds": _unique(_build(item, origin) for item in accounts),
        "tests": [_test(item, origin) for item in accounts],
    }
    known.validate(made)
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def schema() -> Any:
    """Return the schema, None where kcidb-io is not installed; its import takes half a second."""
    try:
        return importlib.import_module("kcidb_io.schema").V5_3
    except ImportError:
        return None


def _unique(items: Any) -> list[dict[str, Any]]:
    return list({item["id"]: item for item in items}.values())


def _checkout_id(item: Account, origin: str) -> str:
    spec = item.spec
    key = "\0".join([spec.tree, spec.revision, *spec.series])
    return f"{origin}:{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def _checkout(item: Account, origin: str) -> dict[str, Any]:
    spec = item.spec
    return {
        "id": _checkout_id(item, origin),
        "origin": origin,
        "comment": f"{spec.tree}, Linux {item.kernel}",
        "valid": True,
        "misc": {"tree": spec.tree, "revision": spec.revision, "series": list(spec.series)},
    }


def _build(item: Account, origin: str) -> dict[str, Any]:
    path = item.run.folder / "config"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    build = {
        "id": f"{origin}:{item.spec.kernel_id}",
        "origin": origin,
        "checkout_id": _checkout_id(item, origin),
        "architecture": "x86_64",
        "status": "PASS",
        "misc": {"kernel_id": item.spec.kernel_id, "release": item.spec.release},
    }
    if compiler := _COMPILER.search(text):
        build["compiler"] = compiler[1]
    return build


def _test(item: Account, origin: str) -> dict[str, Any]:
    spec, judged = item.spec, item.judged
    outcome = judged.outcome
    test: dict[str, Any] = {
        "id": f"{origin}:{item.run.id}",
        "origin": origin,
        "build_id": f"{origin}:{spec.kernel_id}",
        "path": f"mmrace.{spec.race.name}.{spec.workload.name}",
        "status": _STATUS[outcome],
        "comment": printable(f"{outcome}: {item.title}" if outcome is not Outcome.PASS else "PASS"),
        "duration": round(item.vm.seconds, 3),
        "environment": {
            "comment": f"QEMU {item.vm.version}, {item.vm.accel}, machine {spec.machine.name}",
            "misc": {"machine": spec.machine.model_dump(mode="json"), "boot": list(spec.boot)},
        },
        "misc": {
            "mmrace": __version__,
            "outcome": str(outcome),
            "signature_matched": judged.signature_matched,
            "seconds_to_failure": judged.seconds_to_failure,
            "exercised": {name: count for name, (count, _) in judged.exercised.items()},
            "seed": spec.seed,
            "steered": spec.steered,
            "again": item.elsewhere,
            "notes": [printable(note) for note in judged.notes],
        },
    }
    if item.started:
        test["start_time"] = item.started.isoformat()
    if outcome.failed and (text := trimmed(item.report, EXCERPT)):
        test["log_excerpt"] = text[:EXCERPT]
    return test
