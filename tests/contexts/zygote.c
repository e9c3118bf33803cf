/* SPDX-License-Identifier: MIT */
/*
 * A zygote for tests of who uses it: behaves as its first argument says. Its runners exec
 * what their spec says.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "contexts/sandbox/join.h"

#define SOCKET_FD 3

static void
say(const char *text)
{
    (void)!send(SOCKET_FD, text, strlen(text), MSG_NOSIGNAL);
}

static int
serve(void)
{
    const struct sandbox_join_hooks hooks = { 0 };
    struct sandbox_spec_copy copy;
    int r = sandbox_join_serve(SOCKET_FD, &hooks, &copy, NULL);

    if (r != SANDBOX_JOIN_RUNNER)
        return r == SANDBOX_JOIN_ENDED ? 0 : 1;
    execve(copy.spec.argv[0], (char *const *)copy.spec.argv,
           (char *const *)copy.spec.env);
    return 127;
}

/* ready PATH: watch this path. */
static int
be_ready(const char *path)
{
    char text[4096];

    snprintf(text, sizeof text,
             "{\"ready\": true, \"preloaded\": [\"this\", \"that\"], "
             "\"left_out\": [[\"other\", \"of its size\"]], \"paths\": [\"%s\"]}",
             path);
    say(text);
    return serve();
}

static int
refuse(const char *reason)
{
    char text[4096];

    snprintf(text, sizeof text, "{\"ready\": false, \"error\": \"%s\"}", reason);
    say(text);
    return 1;
}

/* The kick is that somebody closes the other end. */
static int
refuse_when_kicked(const char *reason)
{
    int fd = open("/box/kick", O_RDONLY | O_CLOEXEC);
    char byte;

    if (fd < 0 || read(fd, &byte, 1) != 0)
        return 2;
    return refuse(reason);
}

static int
talk_nonsense(const char *text)
{
    say(text);
    return serve();
}

static int
say_it_twice(const char *path)
{
    say("{\"ready\": true}");
    return be_ready(path);
}

static int
complain(const char *text)
{
    fprintf(stderr, "%s\n", text);
    return 3;
}

static int
be_silent(const char *text)
{
    (void)text;
    return pause();
}

static const struct {
    const char *name;
    int (*run)(const char *argument);
} behaviours[] = {
    { "ready", be_ready },
    { "refuse", refuse },
    { "refuse-when-kicked", refuse_when_kicked },
    { "nonsense", talk_nonsense },
    { "twice", say_it_twice },
    { "complain", complain },
    { "silent", be_silent },
};

int
main(int argc, char **argv)
{
    for (size_t i = 0; argc == 3 && i < sizeof behaviours / sizeof behaviours[0]; i++)
        if (strcmp(behaviours[i].name, argv[1]) == 0)
            return behaviours[i].run(argv[2]);
    return 2;
}
