/* SPDX-License-Identifier: MIT */
/*
 * probe - runs as the runner and tells what it may do
 *
 *     probe refused PORT NAME CANARY   each thing that must be refused, one "WHAT ERRNO"
 *     probe allowed                    each thing that programs need, likewise
 *     probe nested PORT CANARY SOCKET PID   both, for the nested tier
 *     probe calls                      each refused system call, likewise
 *     probe facts                      ids, rights, descriptors
 *     probe MODE ...                   see the table at the end
 */
#include "tests/sandbox/probe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

long
probe_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd;
}

long
probe_socket(int family, int type, int protocol)
{
    int fd = socket(family, type, protocol);

    if (fd >= 0)
        close(fd);
    return fd;
}

long
probe_connect(int family, const char *address, int port)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
                               .sin6_port = htons((uint16_t)port) };
    int fd = socket(family, SOCK_STREAM, 0);
    int r;

    if (family == AF_INET) {
        inet_pton(family, address, &v4.sin_addr);
        r = connect(fd, (struct sockaddr *)&v4, sizeof v4);
    } else {
        inet_pton(family, address, &v6.sin6_addr);
        r = connect(fd, (struct sockaddr *)&v6, sizeof v6);
    }
    close(fd);
    return r;
}

static void
run_probes(const struct probes *probes)
{
    for (size_t i = 0; i < probes->count; i++) {
        long r;

        errno = 0;
        r = probes->rows[i].run();
        printf("%s %s\n", probes->rows[i].name,
               r == -1 ? strerrorname_np(errno) : "done");
    }
}

/* Modes. */

static int
mode_refused(char **args)
{
    probe_host_port = args[0];
    probe_host_name = args[1];
    probe_canary = args[2];
    run_probes(&probe_refusals);
    return 0;
}

static int
mode_allowed(char **args)
{
    (void)args;
    run_probes(&probe_needs);
    return 0;
}

static int
mode_nested(char **args)
{
    probe_host_port = args[0];
    probe_canary = args[1];
    probe_socket_path = args[2];
    probe_victim = args[3];
    run_probes(&probe_nested);
    return 0;
}

static int
mode_calls(char **args)
{
    (void)args;
    probe_run_calls();
    return 0;
}

static void
print_status(void)
{
    static const char *const wanted[] = { "Cap",    "NoNewPrivs", "Seccomp:",
                                          "SigBlk", "SigIgn",     "Groups" };
    char line[512];
    FILE *file = fopen("/proc/self/status", "r");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
            if (strncmp(line, wanted[i], strlen(wanted[i])) == 0)
                fputs(line, stdout);
    if (file != NULL)
        fclose(file);
}

static void
print_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory))
            printf("fd %s\n", entry->d_name);
    if (directory != NULL)
        closedir(directory);
}

static int
mode_facts(char **args)
{
    struct statvfs usr, work;
    char text[256];

    (void)args;
    printf("uid %d %d\n", (int)getuid(), (int)geteuid());
    printf("gid %d %d\n", (int)getgid(), (int)getegid());
    printf("pid %d\n", (int)getpid());
    printf("session leader %s\n", getsid(0) == getpid() ? "yes" : "no");
    gethostname(text, sizeof text);
    printf("host name %s\n", text);
    printf("directory %s\n", getcwd(text, sizeof text));
    if (statvfs("/usr", &usr) == 0 && statvfs("/box", &work) == 0)
        printf("nosuid %d %d nodev %d %d\n", (usr.f_flag & ST_NOSUID) != 0,
               (work.f_flag & ST_NOSUID) != 0, (usr.f_flag & ST_NODEV) != 0,
               (work.f_flag & ST_NODEV) != 0);
    print_status();
    print_fds();
    return 0;
}

static int
mode_touch(char **args)
{
    return probe_open(args[0], O_WRONLY | O_CREAT) < 0;
}

static int
mode_exit(char **args)
{
    return atoi(args[0]);
}

/* Says where it is and stays. */
static int
mode_stay(char **args)
{
    (void)args;
    puts("staying");
    fflush(stdout);
    while (pause() != 0)
        continue;
    return 0;
}

static void
print_signal(int number)
{
    char text[] = "signal 00\n";

    text[7] = (char)('0' + number / 10);
    text[8] = (char)('0' + number % 10);
    if (write(1, text, sizeof text - 1) < 0)
        _exit(1);
}

static int
mode_signals(char **args)
{
    (void)args;
    signal(SIGINT, print_signal);
    signal(SIGUSR1, print_signal);
    return mode_stay(args);
}

/* A daemon that ignores what it can; it holds the output pipe. */
static int
mode_daemon(char **args)
{
    if (fork() == 0) {
        setsid();
        for (int i = 1; i < NSIG; i++)
            signal(i, SIG_IGN);
        if (fork() == 0)
            mode_stay(args);
        _exit(0);
    }
    wait(NULL);
    return mode_stay(args);
}

static int
mode_bomb(char **args)
{
    int count = 0;
    pid_t pid;

    (void)args;
    signal(SIGTERM, SIG_IGN);
    while ((pid = fork()) > 0)
        count++;
    if (pid == 0)
        for (;;)
            pause();
    printf("forked %d then %s\n", count, strerrorname_np(errno));
    return mode_stay(args);
}

/* Processes that live no longer than it takes to make the next, each a session of its own
 * and a parent for orphans: who looks for them by number finds the dead. */
static int
mode_chain(char **args)
{
    (void)args;
    puts("staying");
    fflush(stdout);
    for (int i = 0; i < 8 && fork() > 0; i++)
        continue;
    for (;;) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        setsid();
        if (fork() > 0)
            _exit(0);
    }
}

static int
mode_kill_all(char **args)
{
    if (fork() == 0)
        for (;;)
            pause();
    kill(-1, SIGKILL); /* not oneself */
    printf("child gone %s\n", wait(NULL) > 0 ? "yes" : "no");
    return mode_stay(args);
}

/* Leaves what is hard to remove: a deep tree with closed folders, in the directory that
 * the variable names. */
static int
mode_hide(char **args)
{
    const char *home = getenv(args[0]);

    if (home == NULL || chdir(home) < 0)
        return 1;
    for (int i = 0; i < 2000; i++) {
        if (mkdir("deep", 0700) < 0 || symlink("/usr", "deep/link") < 0 ||
            probe_open("deep/file", O_WRONLY | O_CREAT) < 0 || chdir("deep") < 0)
            return 1;
        if (i % 100 == 99 &&
            (mkdir("closed", 0700) < 0 ||
             probe_open("closed/file", O_WRONLY | O_CREAT) < 0 || chmod("closed", 0) < 0))
            return 1;
    }
    if (chmod(".", 0) < 0)
        return 1;
    return mode_stay(args);
}

static int
mode_send(char **args)
{
    return write(3, args[0], strlen(args[0])) < 0;
}

static int
mode_run(char **args)
{
    execv(args[0], args);
    printf("%s\n", strerrorname_np(errno));
    return 0;
}

/* Fills the file with zeros until it is refused. */
static int
mode_fill(char **args)
{
    static const char block[4096];
    long total = 0, n;
    int fd = open(args[0], O_WRONLY | O_CREAT, 0600);

    signal(SIGXFSZ, SIG_IGN);
    while ((n = write(fd, block, sizeof block)) > 0)
        total += n;
    printf("%s %ld\n", strerrorname_np(errno), total);
    return 0;
}

/* Touches so many MiB. */
static int
mode_eat(char **args)
{
    size_t bytes = (size_t)atoi(args[0]) << 20;
    char *memory = malloc(bytes);

    if (memory == NULL)
        return 1;
    memset(memory, 1, bytes);
    return memory[bytes / 2] != 1;
}

static int
mode_files(char **args)
{
    int count = 0;
    char path[128];

    for (;; count++) {
        snprintf(path, sizeof path, "%s/%d", args[0], count);
        if (probe_open(path, O_WRONLY | O_CREAT) < 0)
            break;
    }
    printf("%s %d\n", strerrorname_np(errno), count);
    return 0;
}

static int
mode_cat(char **args)
{
    char data[4096];
    long n;

    for (; *args != NULL; args++) {
        int fd = open(*args, O_RDONLY);

        printf("%s:", *args);
        if (fd < 0)
            printf("%s", strerrorname_np(errno));
        fflush(stdout);
        while (fd >= 0 && (n = read(fd, data, sizeof data)) > 0)
            if (write(1, data, (size_t)n) != n)
                return 1;
        if (fd >= 0)
            close(fd);
        puts("");
    }
    return 0;
}

static int
mode_list(char **args)
{
    DIR *directory = opendir(args[0]);
    struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (entry->d_name[0] != '.' || entry->d_name[1] > '.')
            printf("%s\n", entry->d_name);
    puts(directory == NULL ? strerrorname_np(errno) : "end");
    return 0;
}

static int
mode_owner(char **args)
{
    struct stat st;

    for (; *args != NULL; args++)
        if (lstat(*args, &st) == 0)
            printf("%s %d %d %o\n", *args, (int)st.st_uid, (int)st.st_gid,
                   (unsigned)st.st_mode & 07777);
    return 0;
}

/* Who else is there. Pid 1 can be signalled by its own user, and does not mind. */
static int
mode_others(char **args)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;

    (void)args;
    while (directory != NULL && (entry = readdir(directory)) != NULL)
        if (atoi(entry->d_name) > 0)
            printf("listed %s\n", atoi(entry->d_name) == getpid() ? "self" : "other");
    for (pid_t pid = 2; pid < 4096; pid++)
        if (pid != getpid() && (kill(pid, 0) == 0 || errno != ESRCH))
            printf("reached %d\n", (int)pid);
    puts(kill(-1, 0) < 0 && errno == ESRCH ? "alone" : "not alone");
    return 0;
}

static const struct {
    const char *name;
    int args;
    int (*run)(char **args);
} modes[] = {
    { "refused", 3, mode_refused },   { "allowed", 0, mode_allowed },
    { "nested", 4, mode_nested },     { "hide", 1, mode_hide },
    { "facts", 0, mode_facts },       { "touch", 1, mode_touch },
    { "exit", 1, mode_exit },         { "stay", 0, mode_stay },
    { "signals", 0, mode_signals },   { "daemon", 0, mode_daemon },
    { "bomb", 0, mode_bomb },         { "chain", 0, mode_chain },
    { "kill-all", 0, mode_kill_all }, { "send", 1, mode_send },
    { "run", 1, mode_run },           { "fill", 1, mode_fill },
    { "eat", 1, mode_eat },           { "files", 1, mode_files },
    { "cat", 1, mode_cat },           { "list", 1, mode_list },
    { "owner", 1, mode_owner },       { "others", 0, mode_others },
    { "calls", 0, mode_calls },
};

int
main(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (argc > 1 && strcmp(argv[1], modes[i].name) == 0 && argc - 2 >= modes[i].args)
            return modes[i].run(argv + 2);
    return 2;
}
