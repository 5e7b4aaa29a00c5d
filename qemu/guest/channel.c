// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "channel.h"

#define LINE_MAX_BYTES 2048

static int channel_fd = STDERR_FILENO;
static bool enough;

int channel_open(const char *path)
{
	struct termios raw;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	/* Neither \n to \r\n nor echo: the host reads the very bytes written here. */
	if (tcgetattr(fd, &raw)) {
		close(fd);
		return -1;
	}
	cfmakeraw(&raw);
	cfsetspeed(&raw, B115200);
	raw.c_cflag |= CLOCAL | CREAD;
	if (tcsetattr(fd, TCSANOW, &raw)) {
		close(fd);
		return -1;
	}
	channel_fd = fd;
	return 0;
}

static void write_all(const char *text, size_t length)
{
	while (length) {
		ssize_t done = write(channel_fd, text, length);

		if (done < 0 && errno != EINTR)
			return;
		if (done > 0) {
			text += done;
			length -= done;
		}
	}
}

void channel_say(const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	if (length < 0)
		return;
	if (length > (int)sizeof(line) - 2)
		length = sizeof(line) - 2;
	line[length++] = '\n';
	write_all(line, length);
}

void channel_quote(const char *prefix, const char *text, size_t length)
{
	char line[LINE_MAX_BYTES];
	size_t used = snprintf(line, sizeof(line), "%s", prefix);

	for (size_t i = 0; i < length && used < sizeof(line) - 6; i++) {
		unsigned char byte = text[i];

		if (byte == '\\')
			used += sprintf(line + used, "\\\\");
		else if ((byte < ' ' && byte != '\t') || byte > '~')
			used += sprintf(line + used, "\\x%02x", byte);
		else
			line[used++] = byte;
	}
	line[used++] = '\n';
	write_all(line, used);
}

int channel_input(void)
{
	return channel_fd;
}

/* A line of the host's: one word so far. Anything else is passed over. */
static bool is_enough(char byte)
{
	static char line[16];
	static size_t length;
	bool found;

	if (byte != '\n') {
		if (length < sizeof(line))
			line[length++] = byte;
		return false;
	}
	found = length == strlen("enough") && !memcmp(line, "enough", length);
	length = 0;
	return found;
}

void channel_hear(void)
{
	struct pollfd input = { .fd = channel_fd, .events = POLLIN };
	char bytes[64];
	ssize_t got;

	if (poll(&input, 1, 0) > 0 && input.revents & POLLIN) {
		got = read(channel_fd, bytes, sizeof(bytes));
		for (ssize_t i = 0; i < got; i++)
			enough |= is_enough(bytes[i]);
	}
}

bool channel_enough(void)
{
	return enough;
}

void channel_drain(void)
{
	while (tcdrain(channel_fd) && errno == EINTR)
		;
}
