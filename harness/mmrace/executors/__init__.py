# SPDX-License-Identifier: GPL-2.0-only
"""Where cells run: an interface, and this machine behind it."""
