# SPDX-License-Identifier: GPL-2.0-only
"""Crashes as JSON, with the version of the parser that read them."""

import json
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from mmrace.crash.backtrace import Frame
from mmrace.crash.kind import Kind
from mmrace.crash.values import CorruptedReason, Crash

_CRASH, _FRAME = ([item.name for item in fields(kind)] for kind in (Crash, Frame))
PARSER = 3  # raised with every change that gives other crashes for the same console


def document(crash: Crash) -> dict[str, Any]:
    """One crash as JSON has it; ``corrupted`` is null for a whole report."""
    plain = {name: getattr(crash, name) for name in _CRASH}
    frames = [{name: getattr(frame, name) for name in _FRAME} for frame in crash.frames]
    return {**plain, "kind": crash.kind.value, "frames": frames}


def dump(crashes: Iterable[Crash]) -> str:
    """Write crashes down, a line each."""
    lines = ",\n".join(json.dumps(document(crash)) for crash in crashes)
    return f'{{"parser": {PARSER}, "crashes": [\n{lines}\n]}}'


def load(text: str | bytes) -> tuple[Crash, ...] | None:
    """Read what ``dump`` wrote; None when another parser wrote it, or something else did."""
    try:
        content = json.loads(text)
        if content["parser"] != PARSER:
            return None
        return tuple(_crash(item) for item in content["crashes"])
    except (ValueError, KeyError, TypeError):
        return None


def _crash(item: dict[str, Any]) -> Crash:
    reason = item["corrupted"]
    return Crash(
        **{
            **item,
            "kind": Kind(item["kind"]),
            "alt_titles": tuple(item["alt_titles"]),
            "corrupted": None if reason is None else CorruptedReason(reason),
            "frames": tuple(Frame(**frame) for frame in item["frames"]),
        }
    )
