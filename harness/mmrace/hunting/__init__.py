# SPDX-License-Identifier: GPL-2.0-only
"""Random schedules with a bound: carried out, made small, kept as a witness."""
