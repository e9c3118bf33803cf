/* SPDX-License-Identifier: MIT */
#include "tests/sandbox/box.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/sandbox/policy.h"
#include "contexts/sandbox/sandbox.h"
#include "protocol/cleanup.h"

#define ORDINARY_ID 64321
#define OUTPUT_BYTES_MAX ((size_t)1024 * 1024)
#define POLICY_BYTES_MAX ((size_t)64 * 1024)

static const char *const environment[] = { "PATH=/usr/bin:/bin", "HOME=/tmp", NULL };

void
box_spec_init(struct box_spec *box, const char *workspace, const char *const *argv)
{
    struct error err = { 0 };

    *box = (struct box_spec){ .spec = { .argv = argv,
                                        .env = environment,
                                        .directory = "/box",
                                        .hostname = "box",
                                        .network = SANDBOX_NETWORK_NONE,
                                        .limits = { .processes = 32, .open_files = 128 },
                                        .mounts = box->mounts } };
    buffer_init(&box->policy, POLICY_BYTES_MAX);
    if (sandbox_policy_compile(&box->policy, SANDBOX_ROLE_RUNNER, &err) != 0)
        fail_msg("%s", err.text);
    box->spec.seccomp = buffer_slice(&box->policy);

    static const struct sandbox_mount links[] = {
        { .kind = SANDBOX_MOUNT_SYMLINK, .source = "usr/lib", .target = "/lib" },
        { .kind = SANDBOX_MOUNT_SYMLINK, .source = "usr/lib64", .target = "/lib64" },
        { .kind = SANDBOX_MOUNT_SYMLINK, .source = "usr/bin", .target = "/bin" },
    };
    for (size_t i = 0; i < N_ELEMENTS(links); i++)
        box_spec_mount(box, links[i]);
    box_spec_mount(box, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_BIND_RO,
                                                .source = "/usr",
                                                .target = "/usr" });
    box_spec_mount(box, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_TMPFS,
                                                .target = "/tmp",
                                                .bytes = 1024 * 1024,
                                                .inodes = 64,
                                                .mode = 01777 });
    box_spec_mount(box, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_BIND_RO,
                                                .source = BOX_PROBE,
                                                .target = "/probe" });
    box_spec_mount(box, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_BIND_RW,
                                                .source = workspace,
                                                .target = "/box" });
}

void
box_spec_mount(struct box_spec *box, struct sandbox_mount mount)
{
    assert_true(box->spec.mount_count < N_ELEMENTS(box->mounts));
    box->mounts[box->spec.mount_count++] = mount;
}

void
box_spec_fini(struct box_spec *box)
{
    buffer_fini(&box->policy);
}

void
box_start(struct box *box, const struct sandbox_spec *spec)
{
    box_start_by(box, spec, box_zygote(spec));
}

/* As root; who else may make groups is the machine's to say. */
static struct cgroups groups = CGROUPS_NONE;
static pid_t groups_owner;

static void
close_groups(void)
{
    if (getpid() == groups_owner)
        cgroups_close(&groups);
}

bool
box_has_groups(void)
{
    return groups.count > 0;
}

static struct keeper *given_keeper;

void
box_given_init(struct box_given *ret, uint64_t bytes, uint64_t inodes)
{
    const struct keeper_wish wish = { BOX_GIVEN_NUMBER, bytes, inodes };
    struct error err = { 0 };

    ret->keeper = (struct keeper)KEEPER_NONE;
    if (keeper_make(&ret->keeper, &wish, &ret->workspace, &err) != 0)
        fail_msg("%s", err.text);
    given_keeper = &ret->keeper;
}

void
box_given_fini(struct box_given *given)
{
    given_keeper = NULL;
    close(given->workspace.folder);
    close(given->workspace.lease);
    keeper_fini(&given->keeper);
    assert_int_equal(waitpid(given->keeper.pid, NULL, 0), given->keeper.pid);
}

static int
show_given(const struct sandbox_spec *spec, int *ret, struct error *err)
{
    uint64_t number = sandbox_spec_workspace(spec);

    return number == 0 || given_keeper == NULL
               ? 0
               : keeper_show(given_keeper, number, ret, err);
}

/* As the launcher does it: with a zygote by a shell that was made ahead. */
static int
spawn(const struct sandbox_spec *spec, const int fds[SANDBOX_FD_COUNT],
      const struct sandbox_zygote *zygote, struct sandbox_child *ret, struct error *err)
{
    CLEANUP(close_fdp) int given = -1;
    struct sandbox_shell shell;
    bool ahead = zygote != NULL && spec->network == SANDBOX_NETWORK_NONE;
    bool is_owner = getpid() == groups_owner; /* its forks would use the same names */
    int r;

    if (spec->tier == SANDBOX_TIER_NESTED)
        return sandbox_nested_spawn(spec, fds, is_owner ? &groups : NULL, ret, err);
    r = show_given(spec, &given, err);
    if (r == 0)
        r = sandbox_shell_create(&shell, spec->role, spec->network, zygote,
                                 is_owner ? &groups : NULL, err);
    if (r == 0 && ahead)
        r = sandbox_shell_mount(&shell, spec, err);
    if (r != 0)
        return r;
    shell.given = given;
    given = -1;
    return sandbox_shell_use(&shell, spec, fds, zygote, ret, err);
}

void
box_start_by(struct box *box, const struct sandbox_spec *spec,
             const struct sandbox_zygote *zygote)
{
    int control[2], channel[2], output[2];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct sandbox_child child;

    assert_true(null >= 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    const int fds[SANDBOX_FD_COUNT] = { [SANDBOX_STDIN] = null,
                                        [SANDBOX_STDOUT] = output[1],
                                        [SANDBOX_STDERR] = output[1],
                                        [SANDBOX_CHANNEL] = channel[1],
                                        [SANDBOX_CONTROL] = control[1] };

    *box = (struct box){
        .pidfd = -1, .control = control[0], .channel = channel[0], .output = output[0]
    };
    box->result = spawn(spec, fds, zygote, &child, &box->error);
    if (box->result == 0) {
        box->pidfd = child.pidfd;
        box->group = child.group;
    }
    close(null);
    close(control[1]);
    close(channel[1]);
    close(output[1]);
}

bool
box_report(struct box *box, struct control_report *ret)
{
    uint8_t data[CONTROL_BYTES];
    ssize_t n;

    /* An init that ended without reading a command resets the socket once. */
    do
        n = recv(box->control, data, sizeof data, MSG_TRUNC);
    while (n < 0 && errno == ECONNRESET);
    if (n == 0)
        return false;
    assert_int_equal(n, sizeof data);
    assert_true(
        control_report_decode(ret, (struct slice){ .data = data, .length = (size_t)n }));
    return true;
}

void
box_expect(struct box *box, enum control_report_kind kind, struct control_report *ret)
{
    struct control_report report = { 0 };

    if (box->result != 0)
        fail_msg("spawn: %s", box->error.text);
    if (!box_report(box, &report))
        fail_msg("init ended without a report");
    if (report.kind != kind)
        fail_msg("report %d (step '%s': %s), not %d", (int)report.kind, report.step,
                 strerror(report.error), (int)kind);
    if (ret != NULL)
        *ret = report;
}

void
box_command(struct box *box, enum control_command_kind kind, int signal)
{
    const struct control_command command = { .kind = kind, .signal = signal };
    uint8_t data[CONTROL_BYTES];

    control_command_encode(data, &command);
    assert_int_equal(send(box->control, data, sizeof data, MSG_NOSIGNAL), sizeof data);
}

static bool
read_output(struct box *box, struct buffer *ret)
{
    char data[4096];
    ssize_t n = read(box->output, data, sizeof data);

    assert_true(n >= 0);
    assert_int_equal(buffer_append(ret, data, (size_t)n), 0);
    return n > 0;
}

bool
box_has_line(const struct buffer *text, const char *line)
{
    size_t length = strlen(line);
    const char *data = (const char *)text->data;

    for (size_t i = 0; i + length < text->length; i++)
        if ((i == 0 || data[i - 1] == '\n') && data[i + length] == '\n' &&
            memcmp(data + i, line, length) == 0)
            return true;
    return false;
}

void
box_output_until(struct box *box, const char *line, struct buffer *ret)
{
    while (!box_has_line(ret, line))
        if (!read_output(box, ret))
            fail_msg("no line '%s' in: %.*s", line, (int)ret->length, (char *)ret->data);
}

void
box_output_all(struct box *box, struct buffer *ret)
{
    while (read_output(box, ret))
        continue;
}

bool
box_is_alive(const struct box *box)
{
    struct pollfd entry = { .fd = box->pidfd, .events = POLLIN };

    return poll(&entry, 1, 0) == 0;
}

/* Within a zygote's sandbox init is no child of ours: POLLHUP comes when the zygote's
 * init has reaped it. */
/* As a zombie, too. */
static bool
is_there(int pidfd)
{
    char path[64], line[64];
    int pid = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    file = fopen(path, "re");
    assert_non_null(file);
    while (pid == 0 && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pid: %d", &pid) != 1)
            pid = 0;
    fclose(file);
    return pid > 0;
}

void
box_wait_gone(struct box *box)
{
    struct pollfd entry = { .fd = box->pidfd, .events = POLLIN };
    siginfo_t info;

    assert_int_equal(poll(&entry, 1, -1), 1);
    if (waitid(P_PIDFD, (id_t)box->pidfd, &info, WEXITED) < 0) {
        assert_int_equal(errno, ECHILD);
        while (is_there(box->pidfd)) /* somebody else's child */
            sched_yield();
    }
    close(box->pidfd);
    box->pidfd = -1;
    if (box->group.id != 0)
        assert_true(cgroup_remove(&groups, box->group.id));
    cgroup_fini(&box->group);
}

void
box_end(struct box *box)
{
    struct buffer rest;

    close(box->control);
    close(box->channel);
    if (box->pidfd >= 0)
        box_wait_gone(box);
    buffer_init(&rest, OUTPUT_BYTES_MAX);
    box_output_all(box, &rest);
    buffer_fini(&rest);
    close(box->output);
}

enum { PASSED_FDS = 3 };

bool
box_pass(int socket, const struct box *box)
{
    const int fds[PASSED_FDS] = { box->control, box->channel, box->output };
    char space[CMSG_SPACE(sizeof fds)] = { 0 };
    struct iovec byte = { .iov_base = "", .iov_len = 1 };
    struct msghdr message = { .msg_iov = &byte,
                              .msg_iovlen = 1,
                              .msg_control = space,
                              .msg_controllen = sizeof space };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fds);
    memcpy(CMSG_DATA(header), fds, sizeof fds);
    return sendmsg(socket, &message, 0) == 1;
}

bool
box_receive(int socket, struct box *ret)
{
    int fds[PASSED_FDS];
    char space[CMSG_SPACE(sizeof fds)];
    char data;
    struct iovec byte = { .iov_base = &data, .iov_len = 1 };
    struct msghdr message = { .msg_iov = &byte,
                              .msg_iovlen = 1,
                              .msg_control = space,
                              .msg_controllen = sizeof space };

    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1 ||
        CMSG_FIRSTHDR(&message) == NULL)
        return false;
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fds);
    *ret = (struct box){
        .pidfd = -1, .control = fds[0], .channel = fds[1], .output = fds[2]
    };
    return true;
}

int
box_run(const struct sandbox_spec *spec, struct buffer *output)
{
    struct control_report report;
    struct box box;

    box_start(&box, spec);
    box_expect(&box, CONTROL_STARTED, NULL);
    box_expect(&box, CONTROL_EXITED, &report);
    close(box.control);
    box.control = -1;
    box_output_all(&box, output);
    box_end(&box);
    return report.status;
}

const char *
box_probe_path(void)
{
    return BOX_PROBE;
}

void
box_make_workspace(char ret[64])
{
    strcpy(ret, "/tmp/cellwall-box-XXXXXX");
    assert_non_null(mkdtemp(ret));
    assert_int_equal(chmod(ret, 0755), 0);
}

static void
remove_below(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, entry->d_name, 0) < 0)
            remove_below(fd, entry->d_name);
    }
    if (directory != NULL)
        closedir(directory);
    unlinkat(parent, name, AT_REMOVEDIR);
}

void
box_remove_workspace(const char *path)
{
    remove_below(AT_FDCWD, path);
}

bool
box_is_user(void)
{
    return geteuid() != 0;
}

/* Tried in a child: a process cannot come back from a user namespace. */
static int
user_namespace_error(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(unshare(CLONE_NEWUSER) < 0 ? errno : 0);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return EIO;
    return WEXITSTATUS(status);
}

int
box_become(int argc, char **argv)
{
    bool user = argc > 1 && strncmp(argv[1], "user", strlen("user")) == 0;
    int error;

    if (argc > 1 && strstr(argv[1], "_zygote") != NULL)
        box_use_zygote();
    if (!user && geteuid() != 0) {
        fprintf(stderr, "skipped: ids of its own need root\n");
        return BOX_SKIPPED;
    }
    if (user && geteuid() == 0 &&
        (setgroups(0, NULL) < 0 || setresgid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) < 0 ||
         setresuid(ORDINARY_ID, ORDINARY_ID, ORDINARY_ID) < 0)) {
        perror("becoming an ordinary user");
        return 1;
    }
    if (!user) {
        cgroups_open(&groups);
        groups_owner = getpid();
        atexit(close_groups);
    }
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    error = user_namespace_error();
    if (error != 0) {
        fprintf(stderr, "skipped: user namespaces are not allowed here: %s\n",
                strerror(error));
        return BOX_SKIPPED;
    }
    return 0;
}
