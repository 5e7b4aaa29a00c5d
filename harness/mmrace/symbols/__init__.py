# SPDX-License-Identifier: GPL-2.0-only
"""Translates between a kernel's addresses and its source."""
