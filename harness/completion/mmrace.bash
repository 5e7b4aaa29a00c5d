# SPDX-License-Identifier: GPL-2.0-only
# The program knows its own commands and options; bash-completion reads this when it is first needed.
eval "$(_MMRACE_COMPLETE=bash_source mmrace)"
