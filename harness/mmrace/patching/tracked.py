# SPDX-License-Identifier: GPL-2.0-only
"""A thread that `b4 review` tracks, out of the repository that it works in."""

import json
from pathlib import Path

from mmrace.errors import UserError
from mmrace.proc import run
from mmrace.sources.git import GIT


def tracked_thread(repository: Path, tracking: Path) -> bytes | None:
    """Return the thread as a mailbox, None when b4 keeps none; the repository is only read.

    ``tracking`` is the JSON file that b4 writes for the checks it runs. Raises UserError when it is
    damaged.
    """
    try:
        content = json.loads(tracking.read_bytes())
        blob = content["series"].get("thread-blob") if "series" in content else None
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{tracking}: not what b4 writes: {error}; name a SERIES") from error
    if not blob:
        return None
    argv = [*GIT, "-C", str(repository), "cat-file", "blob", str(blob)]
    done = run(argv, deadline=60, env={"GIT_OPTIONAL_LOCKS": "0"})
    return done.stdout if done.returncode == 0 and done.stdout.strip() else None
