# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts over outcomes, their tables and pictures; nothing of QEMU."""
