# SPDX-License-Identifier: GPL-2.0-only
"""Loops over cells: what the commands, the unattended job and the pytest plugin have run."""
