# SPDX-License-Identifier: GPL-2.0-only
"""An unattended job: its cells, who gets the next share of time, what it tells."""
