# SPDX-License-Identifier: GPL-2.0-only
"""Figures of README.md, measured: ``python -m tests.bench``. Nothing here fails for being slow."""
