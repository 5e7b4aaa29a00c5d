# SPDX-License-Identifier: GPL-2.0-only
"""Finds schedules from a workload alone: profiles its accesses and searches over boots."""
