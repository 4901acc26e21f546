/* What the C controls share: listening, the ready line, and one connection served with blocking calls. Not here: any concurrency,
 * and any rule of robust servers: a control has no business on a network. */
#ifndef COMMON_H
#define COMMON_H

#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum service { GREETING, ECHO, SIZED };

static enum service service;
/* The reply to every request of `sized`. */
static char *text;
static size_t text_length;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Arguments: SERVICE REPLY-FILE. */
static void read_arguments(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: %s greeting|echo|sized REPLY-FILE ...\n", argv[0]);
		exit(2);
	}
	service = argv[1][0] == 'g' ? GREETING : argv[1][0] == 'e' ? ECHO : SIZED;
	FILE *file = fopen(argv[2], "rb");
	if (!file || fseek(file, 0, SEEK_END))
		die(argv[2]);
	text_length = ftell(file);
	rewind(file);
	text = malloc(text_length + 1);
	if (!text || fread(text, 1, text_length, file) != text_length)
		die(argv[2]);
	fclose(file);
}

static int listen_anywhere(int type)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1, fd = socket(AF_INET, SOCK_STREAM | type, 0);
	if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
		die("socket");
	if (bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, 4096))
		die("listen");
	return fd;
}

static void say_ready(int fd)
{
	struct sockaddr_in at;
	socklen_t length = sizeof at;
	if (getsockname(fd, (struct sockaddr *)&at, &length))
		die("getsockname");
	printf("listening on tcp://127.0.0.1:%d\n", ntohs(at.sin_port));
	fflush(stdout);
}

static int write_all(int fd, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
		if (n < 0)
			return -1;
		bytes += n;
		length -= n;
	}
	return 0;
}

static const char greeting[] = "thank you for connecting\n";

/* Serves one connection until its end; the caller closes it. */
static inline void converse(int fd)
{
	char buffer[4096];
	if (service == GREETING) {
		write_all(fd, greeting, sizeof greeting - 1);
		return;
	}
	for (;;) {
		ssize_t n = recv(fd, buffer, sizeof buffer, 0);
		if (n <= 0)
			return;
		if (service == ECHO) {
			if (write_all(fd, buffer, n))
				return;
		} else if (buffer[n - 1] == '\n' && write_all(fd, text, text_length)) {
			return;
		}
	}
}

#endif
