# SPDX-License-Identifier: GPL-2.0-only
"""``python -m mmrace``."""

from mmrace.cli import main

main()
