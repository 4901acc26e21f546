/* The straight loops that a C programmer writes to see what the kernel alone costs: one read and one write a request. Not here:
 * checks, clocks, whatever a generator or a server owes to its user; this has no business on a network.
 *
 * bare client PORT CONNECTIONS MILLISECONDS REQUEST   prints the number of replies; a read is taken for a reply
 * bare datagrams PORT SOCKETS MILLISECONDS DEPTH SIZE   the same over UDP: DEPTH out on each socket, one sendmmsg and one recvmmsg a batch
 * bare joined PORT SOCKETS MILLISECONDS DEPTH SIZE      the same, each batch one datagram for the kernel (UDP_SEGMENT, UDP_GRO)
 * bare server                                         echoes, and prints the line of a server that is ready; until killed */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
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

/* Sends `count` datagrams of `size` bytes, one by one for the kernel or as one. */
static void send_batch(int fd, int count, int size, int joined) {
    struct mmsghdr headers[BATCH];
    struct iovec pieces[BATCH];
    if (joined) {
        check(send(fd, buffer, (size_t)count * size, MSG_NOSIGNAL), "send");
        return;
    }
    memset(headers, 0, count * sizeof *headers);
    for (int i = 0; i < count; i++) {
        pieces[i] = (struct iovec){buffer, size};
        headers[i].msg_hdr.msg_iov = &pieces[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
    check(sendmmsg(fd, headers, count, MSG_NOSIGNAL), "sendmmsg");
}

/* Takes what has come, at most `depth`; how many datagrams of `size` bytes it was. */
static int receive_batch(int fd, int depth, int size, int joined) {
    static char rooms[BATCH][2048];
    struct mmsghdr headers[BATCH];
    struct iovec pieces[BATCH];
    if (joined) {
        ssize_t got = recv(fd, buffer, ROOM, MSG_DONTWAIT);
        return got < 0 ? 0 : got / size;
    }
    memset(headers, 0, depth * sizeof *headers);
    for (int i = 0; i < depth; i++) {
        pieces[i] = (struct iovec){rooms[i], sizeof rooms[i]};
        headers[i].msg_hdr.msg_iov = &pieces[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
    int got = recvmmsg(fd, headers, depth, MSG_DONTWAIT, NULL);
    return got < 0 ? 0 : got;
}

/* A datagram that is lost leaves its place empty; when all are, a batch goes out anew. */
static int datagrams(int port, int sockets, int milliseconds, int depth, int size, int joined) {
    struct sockaddr_in address = loopback(port);
    struct itimerval timer = {.it_value = {milliseconds / 1000, milliseconds % 1000 * 1000}};
    struct epoll_event events[BATCH];
    unsigned long replies = 0;
    int poll = epoll_create1(0), room = 4 << 20, on = 1;
    int fds[BATCH];
    if (sockets < 1 || sockets > BATCH || depth < 1 || depth > BATCH || size < 1 || size > 2048 || depth * size > 65507)
        return 2;
    for (int i = 0; i < sockets; i++) {
        fds[i] = socket(AF_INET, SOCK_DGRAM, 0);
        check(fds[i], "socket");
        check(connect(fds[i], (struct sockaddr *)&address, sizeof address), "connect");
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        if (joined) {
            check(setsockopt(fds[i], SOL_UDP, UDP_SEGMENT, &size, sizeof size), "UDP_SEGMENT");
            check(setsockopt(fds[i], SOL_UDP, UDP_GRO, &on, sizeof on), "UDP_GRO");
        }
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fds[i]};
        check(epoll_ctl(poll, EPOLL_CTL_ADD, fds[i], &event), "epoll_ctl");
        send_batch(fds[i], depth, size, joined);
    }
    signal(SIGALRM, stop);
    check(setitimer(ITIMER_REAL, &timer, NULL), "setitimer");
    while (!over) {
        int count = epoll_wait(poll, events, BATCH, 100);
        for (int i = 0; count == 0 && i < sockets; i++)
            send_batch(fds[i], depth, size, joined);
        for (int i = 0; i < count; i++) {
            int got = receive_batch(events[i].data.fd, depth, size, joined);
            replies += got;
            if (got > 0)
                send_batch(events[i].data.fd, got, size, joined);
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
    if (count == 7 && (strcmp(words[1], "datagrams") == 0 || strcmp(words[1], "joined") == 0))
        return datagrams(atoi(words[2]), atoi(words[3]), atoi(words[4]), atoi(words[5]), atoi(words[6]), words[1][0] == 'j');
    if (count == 2 && strcmp(words[1], "server") == 0)
        server();
    fputs("bare client PORT CONNECTIONS MILLISECONDS REQUEST, bare datagrams|joined PORT SOCKETS MILLISECONDS DEPTH SIZE, or bare server\n", stderr);
    return 2;
}
