/* The least epoll server: level-triggered, one read and one write a request. Not here: pipelined requests of `sized`, and all that
 * common.h leaves out. Arguments: SERVICE REPLY-FILE. */
#include "common.h"
#include <sys/epoll.h>

#define CONNECTIONS 65536

/* What of the reply is still to be sent, by descriptor. */
static size_t unsent[CONNECTIONS];
static int poller;

static void watch(int op, int fd, unsigned events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	if (epoll_ctl(poller, op, fd, &event))
		die("epoll_ctl");
}

static void send_text(int fd)
{
	size_t before = unsent[fd];
	ssize_t n = send(fd, text + text_length - before, before, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) {
		close(fd);
		return;
	}
	unsent[fd] -= n < 0 ? 0 : n;
	if (unsent[fd] > 0 && before == text_length)
		watch(EPOLL_CTL_MOD, fd, EPOLLOUT);
	else if (unsent[fd] == 0 && before < text_length)
		watch(EPOLL_CTL_MOD, fd, EPOLLIN);
}

static void take_in(int listener)
{
	int fd;
	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		if (service == GREETING) {
			send(fd, greeting, sizeof greeting - 1, MSG_NOSIGNAL);
			close(fd);
			continue;
		}
		unsent[fd] = 0;
		watch(EPOLL_CTL_ADD, fd, EPOLLIN);
	}
}

int main(int argc, char **argv)
{
	static char buffer[64 * 1024];
	struct epoll_event events[256];
	read_arguments(argc, argv);
	int listener = listen_anywhere(SOCK_NONBLOCK);
	poller = epoll_create1(EPOLL_CLOEXEC);
	watch(EPOLL_CTL_ADD, listener, EPOLLIN);
	say_ready(listener);
	for (;;) {
		int ready = epoll_wait(poller, events, 256, -1);
		for (int i = 0; i < ready; i++) {
			int fd = events[i].data.fd;
			if (fd == listener) {
				take_in(listener);
				continue;
			}
			if (unsent[fd] > 0) {
				send_text(fd);
				continue;
			}
			ssize_t n = recv(fd, buffer, sizeof buffer, 0);
			if (n <= 0) {
				close(fd);
			} else if (service == ECHO) {
				send(fd, buffer, n, MSG_NOSIGNAL);
			} else if (buffer[n - 1] == '\n') {
				unsent[fd] = text_length;
				send_text(fd);
			}
		}
	}
}
