# SPDX-License-Identifier: GPL-2.0-only
"""What a guest runs: programs, all static, and the initramfs."""
