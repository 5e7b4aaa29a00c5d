# SPDX-License-Identifier: GPL-2.0-only
"""Between addresses of a kernel and its source, both ways."""
