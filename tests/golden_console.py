# SPDX-License-Identifier: GPL-2.0-only
"""Golden console logs: what is expected on top, the bytes of the console below.

``python tests/golden_console.py --update`` writes what ``mmrace.crash`` says now; look at the
difference before committing it.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from mmrace import crash

FOLDER = Path(__file__).parent / "golden" / "console"
_MARK = b"#: "
_END = b"#: console\n"


@dataclass(frozen=True)
class Golden:
    """One log: its file, the expectation's text, the console."""

    path: Path
    expected: str
    console: bytes


def read(path: Path) -> Golden:
    """Read one log; without an expectation yet, all of it is the console."""
    data = path.read_bytes()
    if not data.startswith(_MARK):
        return Golden(path, "", data)
    top, _, console = data.partition(_END)
    lines = [line.removeprefix(_MARK.decode()) for line in top.decode().splitlines()]
    return Golden(path, "\n".join(lines), console)


def all_logs() -> list[Golden]:
    """All golden logs, by name."""
    return [read(path) for path in sorted(FOLDER.rglob("*.log"))]


def recorded() -> list[Golden]:
    """Those that are as mmrace recorded them."""
    return [read(path) for path in sorted(FOLDER.glob("*.log"))]


def describe(console: bytes) -> str:
    """Write down what the parser says, the way it stands on top of a log."""
    found = crash.parse(console)
    blocks = []
    for item in found:
        lines = [f"kind: {item.kind.value}", f"title: {item.title}"]
        lines += [f"alt: {title}" for title in item.alt_titles]
        lines += [f"function: {item.function or '-'}"]
        lines += [f"corrupted: {item.corrupted or 'no'}"]
        lines += ["frames: " + " ".join(frame.function for frame in item.frames[:8])]
        text = crash.report_text(console, item).strip().splitlines()
        lines += [f"first: {text[0].strip()[:90]}", f"last: {text[-1].strip()[:90]}"]
        blocks.append(
            "\n".join(line.rstrip().encode("ascii", "replace").decode() for line in lines)
        )
    return "\n\n".join(blocks) or "nothing"


def update(golden: Golden) -> bool:
    """Write the expectation anew; whether it changed."""
    description = describe(golden.console)
    if description == golden.expected:
        return False
    top = "".join(
        f"#: {line}".rstrip() + "\n" if line else "#: \n" for line in description.splitlines()
    )
    golden.path.write_bytes(top.encode() + _END + golden.console)
    return True


def main() -> None:
    """Check all logs, or update them."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--update", action="store_true")
    arguments = options.parse_args()
    for golden in all_logs():
        same = describe(golden.console) == golden.expected
        if not same and arguments.update:
            update(golden)
        if not same:
            print(f"{golden.path.name}: {'updated' if arguments.update else 'differs'}")


if __name__ == "__main__":
    main()
