/* The straight loops that a C programmer writes to see what the kernel alone costs: one read and one write a request. Not here:
 * checks, clocks, whatever a generator or a server owes to its user; this has no business on a network.
 *
 * bare client PORT CONNECTIONS MILLISECONDS REQUEST   prints the number of replies; a read is taken for a reply
 * bare server                                         echoes, and prints the line of a server that is ready; until killed */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { BATCH = 256, ROOM = 64 * 1024 };

static char buffer[ROOM];
static volatile sig_atomic_t over;

static void stop(int signal) {
    (void)signal;
    over = 1;
}

static void check(long result, const char *what) {
    if (result < 0) {
        perror(what);
        exit(1);
    }
}

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void watch(int poll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    check(epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
}

static int client(int port, int connections, int milliseconds, const char *request) {
    struct sockaddr_in address = loopback(port);
    struct itimerval timer = {.it_value = {milliseconds / 1000, milliseconds % 1000 * 1000}};
    struct epoll_event events[BATCH];
    size_t length = strlen(request);
    unsigned long replies = 0;
    int poll = epoll_create1(0);
    check(poll, "epoll_create1");
    int *fds = calloc(connections, sizeof *fds);
    for (int i = 0; i < connections; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        check(fds[i], "socket");
        check(connect(fds[i], (struct sockaddr *)&address, sizeof address), "connect");
        watch(poll, fds[i]);
    }
    signal(SIGALRM, stop);
    check(setitimer(ITIMER_REAL, &timer, NULL), "setitimer");
    for (int i = 0; i < connections; i++)
        check(send(fds[i], request, length, MSG_NOSIGNAL), "send");
    while (!over) {
        int count = epoll_wait(poll, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            if (recv(events[i].data.fd, buffer, ROOM, 0) <= 0) {
                fputs("the server closed a connection\n", stderr);
                return 1;
            }
            replies++;
            check(send(events[i].data.fd, request, length, MSG_NOSIGNAL), "send");
        }
    }
    printf("%lu\n", replies);
    return 0;
}

static void server(void) {
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    struct epoll_event events[BATCH];
    int poll = epoll_create1(0), listener = socket(AF_INET, SOCK_STREAM, 0);
    check(poll, "epoll_create1");
    check(listener, "socket");
    check(bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
    check(listen(listener, 4096), "listen");
    check(getsockname(listener, (struct sockaddr *)&address, &length), "getsockname");
    watch(poll, listener);
    printf("listening on tcp://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poll, events, BATCH, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int connection = accept(listener, NULL, NULL);
                if (connection >= 0)
                    watch(poll, connection);
                continue;
            }
            ssize_t got = recv(fd, buffer, ROOM, 0);
            if (got <= 0 || send(fd, buffer, got, MSG_NOSIGNAL) < 0)
                close(fd);
        }
    }
}

int main(int count, char **words) {
    if (count == 6 && strcmp(words[1], "client") == 0)
        return client(atoi(words[2]), atoi(words[3]), atoi(words[4]), words[5]);
    if (count == 2 && strcmp(words[1], "server") == 0)
        server();
    fputs("bare client PORT CONNECTIONS MILLISECONDS REQUEST, or bare server\n", stderr);
    return 2;
}
