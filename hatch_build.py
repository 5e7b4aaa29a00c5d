# SPDX-License-Identifier: GPL-2.0-only
"""What a wheel needs that is not in the sources: the manual page."""

import importlib
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualPage(BuildHookInterface):
    """Writes mmrace(1) from the commands and puts it where man(1) looks."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Do so, but not for an editable installation, which has no place for it."""
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root) / "harness"))
        try:
            cli = importlib.import_module("mmrace.cli").cli
            render = importlib.import_module("manual").render
        finally:
            sys.path.pop(0)
        page = Path(self.directory) / "mmrace.1"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(render(cli, "mmrace", self.metadata.version), encoding="utf-8")
        build_data["shared_data"][str(page)] = "share/man/man1/mmrace.1"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Leave only the wheel."""
        (Path(self.directory) / "mmrace.1").unlink(missing_ok=True)
