# SPDX-License-Identifier: GPL-2.0-only
"""What MkDocs adds to the pages in docs/: READMEs from elsewhere, and references from the code.

A page asks for a generated part by a comment: ``<!-- keys: MODULE:MODEL -->`` becomes tables of the
model's keys, ``<!-- schemas -->`` the rows of a table of the JSON schemas.
"""

import json
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

TOP = Path(__file__).parents[2]
sys.path[:0] = [str(TOP / "harness"), str(Path(__file__).parent)]

import models  # noqa: E402  its directory is known only now

ELSEWHERE = {
    "reference/patches.md": TOP / "patches" / "README.md",
    "changes.md": TOP / "CHANGELOG.md",
    **{
        f"races/{path.parent.name}.md": path
        for path in sorted((TOP / "harness" / "races").glob("*/README.md"))
    },
}
_LICENCE = "<!-- SPDX-License-Identifier: GPL-2.0-only -->\n"  # a title has to be the first line
_LATER = ("measurements/", "races/", "investigations", "changes", "reference/patches")
_COMMENT = re.compile(r"^<!-- (keys|schemas)(?:: (\S+))? -->$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages that are kept elsewhere, and the JSON schemas."""
    for name, path in ELSEWHERE.items():
        files.append(File.generated(config, name, content=path.read_text(encoding="utf-8")))
    for name, model in models.DOCUMENTED.items():
        text = json.dumps(models.schema(name, model), indent=1) + "\n"
        files.append(File.generated(config, f"reference/schemas/{name}.json", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put generated parts in place of the comments that ask for them.

    In search results tables of measurements come after the pages that explain.
    """
    if page.file.src_uri.startswith(_LATER):
        page.meta.setdefault("search", {"boost": 0.3})

    def part(found: re.Match[str]) -> str:
        return models.tables(models.find(found[2])) if found[1] == "keys" else models.listing()

    return _COMMENT.sub(part, markdown.removeprefix(_LICENCE))
