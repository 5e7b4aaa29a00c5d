// SPDX-License-Identifier: GPL-2.0-only
/* What PID 1 makes of a workload's output (standard input); a form feed ends a period. */
#define _GNU_SOURCE
#include <stdio.h>
#include <unistd.h>

#include "channel.h"
#include "delay.h"
#include "output.h"

void delay_arm(bool armed)
{
	channel_say(armed ? "armed" : "disarmed");
}

int main(void)
{
	char byte;

	while (read(STDIN_FILENO, &byte, 1) == 1) {
		if (byte == '\f')
			output_period();
		else
			output_feed(&byte, 1);
	}
	output_end();
}
