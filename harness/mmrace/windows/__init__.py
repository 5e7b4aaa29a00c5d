# SPDX-License-Identifier: GPL-2.0-only
"""Windows of a race, and the QEMU plugin that holds vCPUs in them."""
