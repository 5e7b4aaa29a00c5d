/* SPDX-License-Identifier: GPL-2.0-only */
/* Swap on a compressed RAM disk. */
#ifndef MMRACE_SWAP_H
#define MMRACE_SWAP_H

/* Make /dev/zram0 the swap. 0, or -1 with errno. */
int swap_on_zram(void);

#endif
