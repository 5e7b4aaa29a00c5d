# SPDX-License-Identifier: GPL-2.0-only
"""Pure functions over what a run left behind: results, outcome."""
