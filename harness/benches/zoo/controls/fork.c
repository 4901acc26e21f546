/* A process a connection, as UNP chapter 30 has it in its server 1: the parent accepts and forks, a SIGCHLD handler reaps. Not here: a
 * bound on the children, an orderly end. Arguments: SERVICE REPLY-FILE. */
#include "common.h"
#include <signal.h>
#include <sys/wait.h>

static void reap(int signal)
{
	int saved = errno;
	(void)signal;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = saved;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = reap };
	read_arguments(argc, argv);
	int listener = listen_anywhere(0);
	sigaction(SIGCHLD, &action, NULL);
	say_ready(listener);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		if (fd < 0) {
			if (errno == EINTR)
				continue;
			die("accept");
		}
		pid_t child = fork();
		if (child < 0)
			die("fork");
		if (child == 0) {
			close(listener);
			converse(fd);
			_exit(0);
		}
		close(fd);
	}
}
