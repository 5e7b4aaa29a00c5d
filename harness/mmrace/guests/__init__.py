# SPDX-License-Identifier: GPL-2.0-only
"""QEMU: a guest that runs, and one that is held and taken back."""
