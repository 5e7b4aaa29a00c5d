# SPDX-License-Identifier: GPL-2.0-only
"""What people write: races, windows, machines, bases, witnesses."""
