// SPDX-License-Identifier: GPL-2.0-only
/* Milliseconds that 20 rests take. */
#include "stressor.h"

int main(void)
{
	double begun = stressor_now();
	int rests;

	for (rests = 0; rests < 20; rests++)
		stressor_rest();
	printf("%.0f\n", (stressor_now() - begun) * 1e3);
}
