# SPDX-License-Identifier: GPL-2.0-only
"""What commands answer: a JSON document, and tables and lines for people."""
