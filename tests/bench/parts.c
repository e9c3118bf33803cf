/* SPDX-License-Identifier: MIT */
/*
 * parts - what the parts of a create and of an execute cost by themselves
 *
 *     bench-parts COUNT
 *
 * Prints one JSON object: microseconds of each part, COUNT times. All of it is done in
 * children of its own, the mounts in namespaces of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <zmq.h>

#include "contexts/sandbox/policy.h"
#include "contexts/sandbox/sys.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/bench/measure.h"

#define BINDS 20
#define WARM_UP 50
#define STACK_NAMESPACES                                                                 \
    (CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |          \
     CLONE_NEWUTS | CLONE_NEWCGROUP)

static void
reap(pid_t pid)
{
    int status;

    if (pid < 0)
        measure_die("a child could not be made: %s", strerror(errno));
    if (waitpid(pid, &status, 0) < 0 || status != 0)
        measure_die("a child failed (status %d)", status);
}

/* Two processes, one packet each way: what it costs to wake another and be woken. */
static void
measure_wake(size_t count)
{
    CLEANUP(samples_fini) struct samples samples = { 0 };
    char packet[64] = { 0 };
    int ends[2];
    pid_t pid;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        measure_die("socketpair: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        while (read(ends[1], packet, sizeof packet) > 0)
            if (write(ends[1], packet, sizeof packet) < 0)
                _exit(1);
        _exit(0);
    }
    close(ends[1]);
    for (size_t i = 0; i < count + WARM_UP; i++) {
        double began = measure_now_us();

        if (write(ends[0], packet, sizeof packet) < 0 ||
            read(ends[0], packet, sizeof packet) <= 0)
            measure_die("the packet did not come back");
        if (i >= WARM_UP)
            samples_add(&samples, measure_now_us() - began);
    }
    close(ends[0]);
    reap(pid);
    samples_print("wake", &samples);
}

/* Before the parent has a ZeroMQ context: that does not survive a fork. */
static pid_t
fork_router(int *ret_port)
{
    int port[2];
    pid_t pid;

    if (pipe2(port, O_CLOEXEC) < 0)
        measure_die("pipe: %s", strerror(errno));
    pid = fork();
    if (pid == 0) {
        void *context = zmq_ctx_new();
        void *router = zmq_socket(context, ZMQ_ROUTER);
        char endpoint[64];
        size_t size = sizeof endpoint;
        uint8_t identity[64], bytes[256];

        zmq_bind(router, "tcp://127.0.0.1:*");
        zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &size);
        *ret_port = atoi(strrchr(endpoint, ':') + 1);
        if (write(port[1], ret_port, sizeof *ret_port) < 0)
            _exit(1);
        for (;;) {
            int named = zmq_recv(router, identity, sizeof identity, 0);
            int length = zmq_recv(router, bytes, sizeof bytes, 0);

            if (named < 0 || length <= 0)
                _exit(0);
            zmq_send(router, identity, (size_t)named, ZMQ_SNDMORE);
            zmq_send(router, bytes, (size_t)length, 0);
        }
    }
    close(port[1]);
    if (read(port[0], ret_port, sizeof *ret_port) != sizeof *ret_port)
        measure_die("no port for ZeroMQ");
    close(port[0]);
    return pid;
}

static void
measure_zmq(size_t count)
{
    CLEANUP(samples_fini) struct samples samples = { 0 };
    char endpoint[64], bytes[256] = { 0 };
    int port = 0;
    pid_t pid = fork_router(&port);
    void *context = zmq_ctx_new();
    void *dealer = zmq_socket(context, ZMQ_DEALER);

    snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
    if (zmq_connect(dealer, endpoint) < 0)
        measure_die("%s: %s", endpoint, zmq_strerror(errno));
    for (size_t i = 0; i < count + WARM_UP; i++) {
        double began = measure_now_us();

        zmq_send(dealer, bytes, sizeof bytes, 0);
        if (zmq_recv(dealer, bytes, sizeof bytes, 0) < 0)
            measure_die("ZeroMQ: %s", zmq_strerror(errno));
        if (i >= WARM_UP)
            samples_add(&samples, measure_now_us() - began);
    }
    zmq_send(dealer, "", 0, 0); /* ends the router */
    zmq_close(dealer);
    zmq_ctx_term(context);
    reap(pid);
    samples_print("zmq", &samples);
}

static void
measure_clone(const char *name, uint64_t flags, size_t count)
{
    CLEANUP(samples_fini) struct samples samples = { 0 };

    for (size_t i = 0; i < count; i++) {
        double began = measure_now_us();
        int pidfd = -1;
        pid_t pid = sys_clone(flags, &pidfd);

        if (pid == 0)
            _exit(0);
        if (pid < 0)
            measure_die("clone3 (%s): %s", name, strerror(errno));
        reap(pid);
        samples_add(&samples, measure_now_us() - began);
        close(pidfd);
    }
    samples_print(name, &samples);
}

/* What a child does to its new namespaces, step by step. */
enum part {
    PART_MAP,
    PART_PRIVATE,
    PART_ROOT,
    PART_BINDS,
    PART_PROC,
    PART_PIVOT,
    PART_SECCOMP,
    PART_COUNT
};

static const char *const part_names[PART_COUNT] = {
    [PART_MAP] = "map",         [PART_PRIVATE] = "private", [PART_ROOT] = "root",
    [PART_BINDS] = "binds",     [PART_PROC] = "proc",       [PART_PIVOT] = "pivot",
    [PART_SECCOMP] = "seccomp",
};

static int
write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int r = fd < 0 ? -1 : sys_write_file(fd, text, strlen(text));

    if (fd >= 0)
        close(fd);
    return r;
}

static int
map_ids(uid_t uid, gid_t gid)
{
    char text[64];

    if (write_text("/proc/self/setgroups", "deny") < 0)
        return -1;
    snprintf(text, sizeof text, "0 %u 1", (unsigned)gid);
    if (write_text("/proc/self/gid_map", text) < 0)
        return -1;
    snprintf(text, sizeof text, "0 %u 1", (unsigned)uid);
    return write_text("/proc/self/uid_map", text);
}

static int
bind_system(void)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                           MOUNT_ATTR_NODEV };
    char path[64];

    for (int i = 0; i < BINDS; i++) {
        CLEANUP(close_fdp) int tree = -1;
        CLEANUP(close_fdp) int target = -1;

        snprintf(path, sizeof path, "/tmp/bind%d", i);
        tree = sys_open_tree(AT_FDCWD, "/usr", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (tree < 0 || sys_mount_setattr(tree, 0, &attr) < 0 ||
            sys_mkdirat(AT_FDCWD, path, 0755) < 0)
            return -1;
        target = sys_openat(AT_FDCWD, path, O_PATH | O_CLOEXEC, 0);
        if (target < 0 || sys_move_mount(tree, target) < 0)
            return -1;
    }
    return 0;
}

static int
enter_root(void)
{
    if (sys_chdir("/tmp") < 0 || sys_pivot_root(".", ".") < 0)
        return -1;
    return sys_umount(".", MNT_DETACH);
}

static int
load_filter(struct slice program)
{
    struct sock_fprog filter = {
        .len = (unsigned short)(program.length / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)(uintptr_t)program.data,
    };

    return sys_seccomp(&filter);
}

static int
apply(enum part part, uid_t uid, gid_t gid, struct slice program)
{
    switch (part) {
    case PART_MAP:
        return map_ids(uid, gid);
    case PART_PRIVATE:
        return sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE);
    case PART_ROOT:
        return sys_mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV);
    case PART_BINDS:
        return bind_system();
    case PART_PROC:
        return sys_mkdirat(AT_FDCWD, "/tmp/proc", 0755) < 0
                   ? -1
                   : sys_mount("proc", "/tmp/proc", "proc", MS_NOSUID | MS_NODEV);
    case PART_PIVOT:
        return enter_root();
    case PART_SECCOMP:
        return load_filter(program);
    case PART_COUNT:
        break;
    }
    return -1;
}

static void
measure_steps(size_t count)
{
    struct samples samples[PART_COUNT] = { 0 };
    CLEANUP(buffer_fini) struct buffer program;
    struct error err = { 0 };
    uid_t uid = getuid();
    gid_t gid = getgid();
    double *us = mmap(NULL, sizeof *us * PART_COUNT, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    buffer_init(&program, SIZE_MAX);
    if (us == MAP_FAILED ||
        sandbox_policy_compile(&program, SANDBOX_ROLE_RUNNER, &err) != 0)
        measure_die("the system call policy: %s", err.text);
    for (size_t i = 0; i < count; i++) {
        int pidfd = -1;
        pid_t pid = sys_clone(STACK_NAMESPACES, &pidfd);

        if (pid == 0) {
            for (enum part part = 0; part < PART_COUNT; part++) {
                double began = measure_now_us();

                if (apply(part, uid, gid, buffer_slice(&program)) < 0)
                    _exit(1 + (int)part);
                us[part] = measure_now_us() - began;
            }
            _exit(0);
        }
        reap(pid);
        close(pidfd);
        for (enum part part = 0; part < PART_COUNT; part++)
            samples_add(&samples[part], us[part]);
    }
    munmap(us, sizeof *us * PART_COUNT);
    for (enum part part = 0; part < PART_COUNT; part++) {
        printf("%s", part == 0 ? "" : ", ");
        samples_print(part_names[part], &samples[part]);
        samples_fini(&samples[part]);
    }
}

static void
measure_all(size_t count)
{
    static const struct {
        const char *name;
        uint64_t flags;
    } clones[] = {
        { "clone", 0 },
        { "user", CLONE_NEWUSER },
        { "pid", CLONE_NEWUSER | CLONE_NEWPID },
        { "mount", CLONE_NEWUSER | CLONE_NEWNS },
        { "net", CLONE_NEWUSER | CLONE_NEWNET },
        { "all", STACK_NAMESPACES },
    };

    putchar('{');
    measure_wake(count);
    printf(", ");
    measure_zmq(count);
    for (size_t i = 0; i < N_ELEMENTS(clones); i++) {
        printf(", ");
        measure_clone(clones[i].name, clones[i].flags, count);
    }
    printf(", ");
    measure_steps(count);
    puts("}");
}

int
main(int argc, char **argv)
{
    char *text = argv[1];

    if (argc != 2)
        measure_die("usage: bench-parts COUNT");
    measure_all(measure_number(&text));
    return 0;
}
