# SPDX-License-Identifier: GPL-2.0-only
"""Schedules found from a workload alone: a profile of its accesses, and a search over boots."""
