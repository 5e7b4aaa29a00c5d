// SPDX-License-Identifier: GPL-2.0-only
/* Opens the terminal argv[1] as the result channel; says what it hears until it is "enough". */
#include <poll.h>

#include "channel.h"

int main(int argc, char *argv[])
{
	if (argc != 2 || channel_open(argv[1]))
		return 1;
	channel_say("ready");
	while (!channel_enough()) {
		struct pollfd input = { .fd = channel_input(), .events = POLLIN };

		if (poll(&input, 1, 10000) <= 0)
			return 2;
		channel_hear();
		channel_say("heard");
	}
	channel_say("enough");
	return 0;
}
