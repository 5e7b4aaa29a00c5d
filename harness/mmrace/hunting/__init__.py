# SPDX-License-Identifier: GPL-2.0-only
"""An order of steps that fails: made small, and proven over the gdbstub."""
