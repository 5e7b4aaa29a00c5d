# SPDX-License-Identifier: GPL-2.0-only
"""Whether a tree has a patch's change already, where only lines around it have changed since.

Nothing is guessed. A hunk counts as there when, for each block of lines that it changes, the added
lines stand in the file beside a line of the hunk's context that the file has once, at one place
only, and in an order that the hunk's old side does not have; when they stand in the function that
the hunk names, the blocks in their order; when that function has none of the removed lines, and at
least half of the context. Where removed lines cannot be told from others (a brace), the lines on
both sides have to stand.
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmrace.patching.diff import FileDiff, Hunk, parse
from mmrace.patching.patch import Patch

_WORDS = re.compile(r"\w\w")
_STARTS = re.compile(r"^[A-Za-z_]\w*[^:]*$|^[A-Za-z_][^:]*\(")  # of a function or a type
_CALLED = re.compile(r"\w+\s*\(\s*\w*")


@dataclass(frozen=True)
class _Block:
    """Lines that a hunk changes together: where the added ones are in its new side."""

    begin: int
    end: int
    removed: tuple[str, ...]

    @property
    def added(self) -> bool:
        """Whether it adds lines."""
        return self.end > self.begin


@dataclass(frozen=True)
class _Sides:
    """A hunk's old and new side, and which lines of the new one are context."""

    old: tuple[str, ...]
    new: tuple[str, ...]
    context: tuple[bool, ...]
    blocks: tuple[_Block, ...]


def differences(patch: Patch, text: Callable[[str], str | None]) -> tuple[str, ...] | None:
    """Return what differs around a change that a tree has already; None when it has it not.

    ``text`` gives a file of the tree, None when there is no such file.
    """
    differences: list[str] = []
    files = parse(patch.diff)
    if {file.path for file in files} != set(patch.files):
        return None  # git reads the diff otherwise
    for file in files:
        here = _of_file(file, text)
        if here is None:
            return None
        differences += here
    return tuple(differences)


def _of_file(file: FileDiff, text: Callable[[str], str | None]) -> list[str] | None:
    now = text(file.path)
    if not file.new:
        return [] if file.old and now is None else None
    if now is None or file.binary or not file.hunks or (file.old and file.old != file.new):
        return None
    lines = now.splitlines()
    if not file.old:
        whole = [line[1:] for hunk in file.hunks for line in hunk.lines if line[:1] == "+"]
        return [] if whole == lines else None
    differences: list[str] = []
    last = -1
    for hunk in file.hunks:
        found = find_hunk(lines, hunk)
        if not found or found[0] <= last:
            return None
        last = found[-1]
        differences += _around(file.path, lines, hunk, found[0])
    return differences


def find_hunk(lines: Sequence[str], hunk: Hunk) -> tuple[int, ...] | None:
    """Return where a file has each block of a hunk's change (0: its first line); None if not."""
    sides = _sides(hunk)
    places: list[int] = []
    around: list[str] = []
    for block in sides.blocks:
        at = _place(lines, sides, block)
        if at is None or (places and at <= places[-1]):
            return None
        region = _region(lines, at)
        name = _function(sides, block, hunk.function)
        if name and not any(name in line for line in region if line[:1].strip()):
            return None
        if any(
            region.count(line) > sides.new.count(line) for line in block.removed if _wordy(line)
        ):
            return None
        around += region
        places.append(at)
    return tuple(places) if places and _mostly_there(sides, around) else None


def _sides(hunk: Hunk) -> _Sides:
    old: list[str] = []
    new: list[str] = []
    context: list[bool] = []
    blocks: list[_Block] = []
    removed: list[str] = []
    begin = 0
    for line in (*hunk.lines, " "):
        kind, text = line[:1], line[1:].rstrip()
        if kind == " ":
            if removed or len(new) > begin:
                blocks.append(_Block(begin, len(new), tuple(removed)))
            old.append(text)
            new.append(text)
            context.append(True)
            begin, removed = len(new), []
        elif kind == "+":
            new.append(text)
            context.append(False)
        elif kind == "-":
            old.append(text)
            removed.append(text)
    return _Sides(tuple(old[:-1]), tuple(new[:-1]), tuple(context[:-1]), tuple(blocks))


def _place(lines: Sequence[str], sides: _Sides, block: _Block) -> int | None:
    """The line at which the file has a block, by a window of the new side that shows it."""
    known = [line.rstrip() for line in lines]
    counts = Counter(line.strip() for line in lines)
    marks = [n for n, line in enumerate(sides.new) if sides.context[n] and _wordy(line)]
    before = [n for n in reversed(marks) if n < block.begin]
    after = [n + 1 for n in marks if n >= block.end]
    single = {n for n in marks if counts[sides.new[n].strip()] == 1}
    first = next((n for n in before if n in single), None)
    last = next((n for n in after if n - 1 in single), None)
    windows = []
    if block.added and all(_wordy(line) and line not in sides.new for line in block.removed):
        windows += [(first, block.end)] if first is not None else []
        windows += [(block.begin, last)] if last is not None else []
    else:
        windows += [(first, after[0])] if first is not None and after else []
        windows += [(before[0], last)] if last is not None and before else []
    for begin, end in windows:
        window = sides.new[begin:end]
        found = _occurrences(known, window)
        if len(found) == 1 and not _occurrences(sides.old, window):
            return found[0] + block.begin - begin
    return None


def _mostly_there(sides: _Sides, region: Sequence[str]) -> bool:
    """Whether the function has at least half of the hunk's context."""
    here = {line.strip() for line in region}
    context = [
        line.strip() for n, line in enumerate(sides.new) if sides.context[n] and _wordy(line)
    ]
    return 2 * sum(line in here for line in context) >= len(context)


def _wordy(line: str) -> bool:
    return bool(_WORDS.search(line))


def _occurrences(lines: Sequence[str], window: Sequence[str]) -> list[int]:
    size = len(window)
    starts = range(len(lines) - size + 1)
    return [n for n in starts if tuple(lines[n : n + size]) == tuple(window)]


def _region(lines: Sequence[str], at: int) -> list[str]:
    """The function or type around a line: what is between closing braces in the first column."""
    begin = next((n + 1 for n in range(at - 1, -1, -1) if lines[n].startswith("}")), 0)
    end = next((n + 1 for n in range(at, len(lines)) if lines[n].startswith("}")), len(lines))
    return [line.rstrip() for line in lines[begin:end]]


def _function(sides: _Sides, block: _Block, named: str) -> str:
    """What a line that begins the block's function has in it; "" when the hunk does not say."""
    for line in reversed(sides.new[: block.begin]):
        if line.startswith("}"):
            named = ""
            break
        if _STARTS.match(line):
            named = line
            break
    own = next((n for n in sides.new[block.begin : block.end] if _STARTS.match(n)), "")
    named = named or own
    called = _CALLED.search(named)
    return called[0] if called else named.rstrip(" {")


def _around(path: str, lines: Sequence[str], hunk: Hunk, at: int) -> list[str]:
    """What the file has in place of the hunk's context."""
    sides = _sides(hunk)
    begin = max(0, at - sides.blocks[0].begin)
    here = [line.strip() for line in lines[begin : begin + len(sides.new)]]
    new = [line.strip() for line in sides.new]
    differences = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, new, here, False).get_opcodes():
        if kind in ("replace", "delete"):
            instead = f"has {_short(here[k:m])}, not" if kind == "replace" else "has no"
            differences.append(f"{path}:{begin + k + 1} {instead} {_short(new[i:j])}")
    return differences[:2]


def _short(lines: Sequence[str]) -> str:
    first = next((line for line in lines if line), "")
    more = f" and {len(lines) - 1} lines more" if len(lines) > 1 else ""
    return f"{first!r}{more}"
