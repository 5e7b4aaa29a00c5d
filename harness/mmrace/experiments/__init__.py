# SPDX-License-Identifier: GPL-2.0-only
"""Loops over cells, used by the commands, the unattended job and the pytest plugin."""
