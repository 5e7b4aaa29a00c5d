# SPDX-License-Identifier: GPL-2.0-only
"""One run: its inputs, its directory, and how runs and replays are made."""
