# SPDX-License-Identifier: GPL-2.0-only
"""One run: what it is made of, its directory, one followed by replay, one counted."""
