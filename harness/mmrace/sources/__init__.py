# SPDX-License-Identifier: GPL-2.0-only
"""Kernel sources in one git object store."""
