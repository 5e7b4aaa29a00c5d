# SPDX-License-Identifier: GPL-2.0-only
"""Print configs/mainline: options that kernels switch on by themselves under mmrace's fragments.

    python -m tests.mainline SOURCE...

Each source is a directory with a mainline kernel, or a distribution's. Names that are in the file
stay in it.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mmrace.building.kconfig import (
    DEFAULT_FRAGMENTS,
    assignment,
    fragment_names,
    kernel_version,
    load_fragment,
    mainline,
    parse_config,
    parse_fragment,
)

HEADER = """\
# SPDX-License-Identifier: GPL-2.0-only
# Options that mainline's kernels, 5.9 to 7.3, switch on by themselves (make alldefconfig) under the
# fragments beside this file: none, all, or one of them beside the usual ones. mmrace starts from
# allnoconfig, without them; any other option that a tree switches on by itself is its own addition,
# and stays on. Made by python -m tests.mainline.
"""


def main(sources: Sequence[str]) -> None:
    """Print the file for the kernels in some directories."""
    found = set(mainline())
    for source in map(Path, sources):
        for fragments in (
            (),
            fragment_names(),
            *((*DEFAULT_FRAGMENTS, n) for n in fragment_names()),
        ):
            found |= switched_on(source, fragments)
    print(HEADER + "\n".join(sorted(found)))


def switched_on(source: Path, fragments: Sequence[str]) -> set[str]:
    """Return the options that are y under some fragments with the defaults of a source."""
    version = kernel_version((source / "Makefile").read_text(encoding="utf-8"))
    options = [one for name in fragments for one in parse_fragment(load_fragment(name), version)]
    with tempfile.TemporaryDirectory() as folder:
        lines = "".join(f"{assignment(one.name, one.value)}\n" for one in options)
        (Path(folder) / "fragment").write_text(lines, encoding="utf-8")
        words = ("-s", f"O={folder}/out", f"KCONFIG_ALLCONFIG={folder}/fragment", "alldefconfig")
        (Path(folder) / "out").mkdir()
        subprocess.run(("make", "-C", source, *words), check=True)  # noqa: S607
        config = parse_config((Path(folder) / "out/.config").read_text(encoding="utf-8"))
    return {name for name, value in config.items() if value == "y"}


if __name__ == "__main__":
    main(sys.argv[1:])
