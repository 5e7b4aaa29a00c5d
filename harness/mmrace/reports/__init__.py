# SPDX-License-Identifier: GPL-2.0-only
"""A run as reports tell it, to people and to CI."""
