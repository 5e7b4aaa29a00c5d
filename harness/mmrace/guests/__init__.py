# SPDX-License-Identifier: GPL-2.0-only
"""QEMU: a guest that runs freely, and one whose vCPUs are held and that is restored."""
