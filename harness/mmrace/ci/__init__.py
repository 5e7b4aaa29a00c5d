# SPDX-License-Identifier: GPL-2.0-only
"""An unattended job: its cells, which cell gets the next share of time, its report."""
