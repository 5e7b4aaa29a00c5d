# SPDX-License-Identifier: GPL-2.0-only
"""Orders of steps that fail: minimised, and proven over the gdbstub."""
