/* A pool of processes, as UNP chapter 30 has them in its servers 2 to 5: all in accept, a file lock or a shared mutex round accept, or the
 * parent accepts and passes descriptors. Not here: new workers for those that died, an orderly end.
 * Arguments: SERVICE REPLY-FILE MODE WORKERS, with MODE one of plain, lock, mutex, pass. */
#include "common.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>

static int lock_file;
static pthread_mutex_t *mutex;

static void change_lock(short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET };
	while (fcntl(lock_file, F_SETLKW, &lock) < 0)
		if (errno != EINTR)
			die("fcntl");
}

static void make_locks(void)
{
	char path[] = "/tmp/zoo-control-XXXXXX";
	lock_file = mkstemp(path);
	if (lock_file < 0)
		die(path);
	unlink(path);
	mutex = mmap(NULL, sizeof *mutex, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (mutex == MAP_FAILED)
		die("mmap");
	pthread_mutexattr_t shared;
	pthread_mutexattr_init(&shared);
	pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(mutex, &shared);
}

static void accept_and_serve(int listener, char mode)
{
	for (;;) {
		if (mode == 'l')
			change_lock(F_WRLCK);
		if (mode == 'm')
			pthread_mutex_lock(mutex);
		int fd = accept(listener, NULL, NULL);
		if (mode == 'l')
			change_lock(F_UNLCK);
		if (mode == 'm')
			pthread_mutex_unlock(mutex);
		if (fd < 0)
			die("accept");
		converse(fd);
		close(fd);
	}
}

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

static void pass(int channel, int fd)
{
	char byte = 0;
	struct iovec part = { &byte, 1 };
	union control control = { 0 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof control };
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(head), &fd, sizeof fd);
	if (sendmsg(channel, &message, 0) != 1)
		die("sendmsg");
}

static int receive(int channel)
{
	char byte;
	int fd;
	struct iovec part = { &byte, 1 };
	union control control;
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
				  .msg_controllen = sizeof control };
	if (recvmsg(channel, &message, 0) != 1)
		exit(0);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
	return fd;
}

static void receive_and_serve(int channel)
{
	for (;;) {
		int fd = receive(channel);
		converse(fd);
		close(fd);
		if (write(channel, "", 1) != 1)
			exit(0);
	}
}

/* Watches the listener while a worker is free, and all channels: a byte on one says that its worker is free again. */
static void hand_out(int listener, struct pollfd *watched, int workers)
{
	int free_ones = workers;
	char *busy = calloc(workers, 1), byte;
	for (;;) {
		watched[workers].fd = free_ones > 0 ? listener : -1;
		watched[workers].events = POLLIN;
		int ready = poll(watched, workers + 1, -1);
		if (watched[workers].revents & POLLIN) {
			int fd = accept(listener, NULL, NULL), i = 0;
			if (fd < 0)
				die("accept");
			while (busy[i])
				i++;
			busy[i] = 1;
			free_ones--;
			pass(watched[i].fd, fd);
			close(fd);
			ready--;
		}
		for (int i = 0; i < workers && ready > 0; i++) {
			if (!watched[i].revents)
				continue;
			if (read(watched[i].fd, &byte, 1) != 1)
				die("a worker ended");
			busy[i] = 0;
			free_ones++;
			ready--;
		}
	}
}

int main(int argc, char **argv)
{
	read_arguments(argc, argv);
	if (argc < 5)
		return 2;
	char mode = argv[3][0] == 'p' && argv[3][1] == 'a' ? 'f' : argv[3][0];
	int workers = atoi(argv[4]), listener = listen_anywhere(0);
	struct pollfd *watched = calloc(workers + 1, sizeof *watched);
	make_locks();
	for (int i = 0; i < workers; i++) {
		int ends[2];
		if (mode == 'f' && socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
			die("socketpair");
		pid_t child = fork();
		if (child < 0)
			die("fork");
		if (child == 0) {
			if (mode != 'f')
				accept_and_serve(listener, mode);
			close(listener);
			close(ends[0]);
			receive_and_serve(ends[1]);
		}
		if (mode == 'f') {
			close(ends[1]);
			watched[i] = (struct pollfd){ .fd = ends[0], .events = POLLIN };
		}
	}
	say_ready(listener);
	if (mode == 'f')
		hand_out(listener, watched, workers);
	for (;;)
		pause();
}
