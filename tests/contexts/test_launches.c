/* SPDX-License-Identifier: MIT */
/* The real launcher and the real sandbox; /bin/sh is the confined program. */
#include "contexts/launches.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/launcher.h"
#include "contexts/loop.h"
#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/control.h"
#include "contexts/sandbox/policy.h"
#include "contexts/sandbox/spec.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define MANY 200
#define WATCHDOG_S 120

static const struct sandbox_mount mounts[] = {
    { .kind = SANDBOX_MOUNT_BIND_RO, .target = "/usr", .source = "/usr" },
    { .kind = SANDBOX_MOUNT_SYMLINK, .target = "/bin", .source = "usr/bin" },
    { .kind = SANDBOX_MOUNT_SYMLINK, .target = "/lib", .source = "usr/lib" },
    { .kind = SANDBOX_MOUNT_SYMLINK, .target = "/lib64", .source = "usr/lib64" },
    { .kind = SANDBOX_MOUNT_TMPFS,
      .target = "/tmp",
      .bytes = 1 << 20,
      .inodes = 100,
      .mode = 01777 },
};

/* One context's ends, as the server holds them, and what it was told. */
struct child {
    struct fixture *fixture;
    int ours[SANDBOX_FD_COUNT]; /* -1: closed */
    uint64_t ticket;
    int calls;
    int pidfd;
    int code; /* of the error, 0: none */
    char text[ERROR_TEXT_BYTES];
};

struct fixture {
    struct loop *loop;
    struct launches *launches;
    struct buffer program;
    int done; /* calls of on_done */
    int result; /* of on_done */
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(launches_create(&f->launches, NULL), 0);
    assert_int_equal(loop_create(&f->loop), 0);
    assert_int_equal(launches_attach(f->launches, f->loop), 0);
    buffer_init(&f->program, 1 << 20);
    assert_int_equal(sandbox_policy_compile(&f->program, SANDBOX_ROLE_RUNNER, NULL), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    launches_destroy(f->launches);
    loop_destroy(f->loop);
    buffer_fini(&f->program);
    free(f);
    return 0;
}

static int
on_done(const struct sandbox_child *made, const struct error *err, void *arg)
{
    struct child *child = arg;

    child->calls++;
    child->pidfd = made == NULL ? -1 : made->pidfd;
    child->code = err == NULL ? 0 : err->code;
    if (err != NULL)
        memcpy(child->text, err->text, sizeof child->text);
    assert_int_equal(err == NULL, made != NULL);
    for (size_t i = 0; made != NULL && i < made->group.count; i++)
        close(made->group.dirs[i]);
    child->fixture->done++;
    return child->fixture->result;
}

static struct sandbox_spec
spec_of(const struct fixture *f, const char *const *argv)
{
    static const char *const env[] = { "PATH=/usr/bin:/bin", NULL };

    return (struct sandbox_spec){
        .argv = argv,
        .env = env,
        .directory = "/tmp",
        .hostname = "test",
        .network = SANDBOX_NETWORK_NONE,
        .limits = { .processes = 64, .open_files = 256 },
        .mounts = mounts,
        .mount_count = N_ELEMENTS(mounts),
        .seccomp = buffer_slice(&f->program),
    };
}

/* Pipes at 0, 1 and 2, socket pairs for channel and control. THEIRS is the caller's. */
static void
child_init(struct child *child, struct fixture *f, int theirs[SANDBOX_FD_COUNT])
{
    int ends[2];

    *child = (struct child){ .fixture = f, .pidfd = -1 };
    for (int i = 0; i < SANDBOX_FD_COUNT; i++) {
        bool is_socket = i == SANDBOX_CHANNEL || i == SANDBOX_CONTROL;

        assert_int_equal(is_socket
                             ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)
                             : pipe2(ends, O_CLOEXEC),
                         0);
        child->ours[i] = ends[i == SANDBOX_STDIN];
        theirs[i] = ends[i != SANDBOX_STDIN];
    }
}

static void
close_all(int fds[SANDBOX_FD_COUNT])
{
    for (int i = 0; i < SANDBOX_FD_COUNT; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
        fds[i] = -1;
    }
}

static int
child_start(struct child *child, struct fixture *f, const char *script)
{
    const char *const argv[] = { "/bin/sh", "-c", script, NULL };
    struct sandbox_spec spec = spec_of(f, argv);
    int theirs[SANDBOX_FD_COUNT], r;

    child_init(child, f, theirs);
    r = launches_spawn(f->launches, &spec, theirs, NULL, on_done, child, &child->ticket,
                       NULL);
    close_all(theirs);
    if (r != 0)
        close_all(child->ours);
    return r;
}

static void
child_fini(struct child *child)
{
    close_all(child->ours);
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pidfd = -1;
}

static void
wait_for_done(struct fixture *f, int count)
{
    while (f->done < count)
        assert_int_equal(loop_wait(f->loop, -1), 0);
    assert_int_equal(f->done, count);
}

/* Blocks for init's next word. */
static struct control_report
next_report(const struct child *child)
{
    uint8_t data[CONTROL_BYTES];
    struct control_report report;
    ssize_t n = recv(child->ours[SANDBOX_CONTROL], data, sizeof data, 0);

    assert_int_equal(n, CONTROL_BYTES);
    assert_true(control_report_decode(
        &report, (struct slice){ .data = data, .length = CONTROL_BYTES }));
    return report;
}

static void
wait_for_end(const struct child *child)
{
    struct pollfd entry = { .fd = child->pidfd, .events = POLLIN };

    assert_int_equal(poll(&entry, 1, -1), 1);
}

static void
test_a_child_runs_confined_and_its_pidfd_comes_back(void **state)
{
    struct fixture *f = *state;
    struct child child;
    struct control_report report;
    char text[64] = "";

    assert_int_equal(child_start(&child, f, "read x; echo $x; exit 7"), 0);
    assert_int_equal(child.calls, 0); /* not before the loop has its turn */
    wait_for_done(f, 1);
    assert_int_equal(child.code, 0);
    report = next_report(&child);
    assert_string_equal(report.step, "");
    assert_int_equal(report.kind, CONTROL_STARTED);
    assert_int_equal(write(child.ours[SANDBOX_STDIN], "hello\n", 6), 6);
    assert_int_equal(read(child.ours[SANDBOX_STDOUT], text, sizeof text), 6);
    assert_string_equal(text, "hello\n");
    report = next_report(&child);
    assert_int_equal(report.kind, CONTROL_EXITED);
    assert_true(WIFEXITED(report.status));
    assert_int_equal(WEXITSTATUS(report.status), 7);
    close(child.ours[SANDBOX_CONTROL]);
    child.ours[SANDBOX_CONTROL] = -1;
    wait_for_end(&child);
    child_fini(&child);
}

static void
test_what_fails_inside_is_told_by_init(void **state)
{
    static const char *const argv[] = { "/bin/no-such-program", NULL };
    struct fixture *f = *state;
    struct sandbox_spec spec = spec_of(f, argv);
    int theirs[SANDBOX_FD_COUNT];
    struct control_report report;
    struct child child;

    child_init(&child, f, theirs);
    assert_int_equal(launches_spawn(f->launches, &spec, theirs, NULL, on_done, &child,
                                    &child.ticket, NULL),
                     0);
    close_all(theirs);
    wait_for_done(f, 1);
    assert_int_equal(child.code, 0);
    report = next_report(&child);
    assert_int_equal(report.kind, CONTROL_FAILED);
    assert_int_equal(report.error, ENOENT);
    wait_for_end(&child);
    child_fini(&child);
}

static void
test_a_spec_out_of_bounds_is_refused_at_once(void **state)
{
    static const char *const argv[] = { "sh", NULL };
    struct fixture *f = *state;
    struct sandbox_spec spec = spec_of(f, argv);
    struct error err = { 0 };
    int theirs[SANDBOX_FD_COUNT];
    struct child child;

    child_init(&child, f, theirs);
    assert_int_equal(launches_spawn(f->launches, &spec, theirs, NULL, on_done, &child,
                                    &child.ticket, &err),
                     LAUNCHES_E_SPEC);
    assert_non_null(strstr(err.text, "absolute path"));
    close_all(theirs);
    child_fini(&child);
}

static void
test_signals_for_the_server_do_not_end_the_launcher_and_children_take_them(void **state)
{
    struct fixture *f = *state;
    struct control_report report;
    struct child child;

    kill(launches_pid(f->launches), SIGINT);
    kill(launches_pid(f->launches), SIGTERM);
    kill(launches_pid(f->launches), SIGHUP);
    assert_int_equal(child_start(&child, f, "kill -INT $$; exit 0"), 0);
    wait_for_done(f, 1);
    assert_int_equal(next_report(&child).kind, CONTROL_STARTED);
    report = next_report(&child);
    assert_true(WIFSIGNALED(report.status));
    assert_int_equal(WTERMSIG(report.status), SIGINT);
    assert_int_not_equal(getsid(launches_pid(f->launches)), getsid(0));
    child_fini(&child);
}

static void
test_the_end_of_the_launcher_is_told_to_every_request(void **state)
{
    struct fixture *f = *state;
    struct child children[3 * LAUNCHES_SENT_MAX], late;

    kill(launches_pid(f->launches), SIGSTOP);
    for (size_t i = 0; i < N_ELEMENTS(children); i++)
        assert_int_equal(child_start(&children[i], f, "exit 0"), 0);
    launches_cancel(f->launches, children[0].ticket);
    kill(launches_pid(f->launches), SIGKILL);
    wait_for_done(f, N_ELEMENTS(children) - 1);
    for (size_t i = 0; i < N_ELEMENTS(children); i++) {
        assert_int_equal(children[i].calls, i == 0 ? 0 : 1);
        assert_int_equal(children[i].code, i == 0 ? 0 : LAUNCHES_E_GONE);
        child_fini(&children[i]);
    }
    assert_int_equal(child_start(&late, f, "exit 0"), LAUNCHES_E_GONE);
}

static void
test_a_failing_callback_stops_the_loop(void **state)
{
    struct fixture *f = *state;
    struct child child;

    f->result = -EIO;
    assert_int_equal(child_start(&child, f, "exit 0"), 0);
    assert_int_equal(loop_wait(f->loop, -1), -EIO);
    assert_int_equal(child.calls, 1);
    child_fini(&child);
}

static void
test_cancelled_requests_are_not_answered(void **state)
{
    struct fixture *f = *state;
    struct child children[2 * LAUNCHES_SENT_MAX];
    size_t count = N_ELEMENTS(children);

    kill(launches_pid(f->launches), SIGSTOP);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(child_start(&children[i], f, "exit 0"), 0);
    for (size_t i = 0; i < count; i += 2) /* some are on their way, others are not */
        launches_cancel(f->launches, children[i].ticket);
    launches_cancel(f->launches, 0);
    launches_cancel(f->launches, UINT64_MAX);
    kill(launches_pid(f->launches), SIGCONT);
    wait_for_done(f, (int)count / 2);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(children[i].calls, i % 2);
        assert_int_equal(children[i].code, 0);
        child_fini(&children[i]);
    }
}

/* Cancels the other one when the first is done. */
static int
on_done_cancel(const struct sandbox_child *made, const struct error *err, void *arg)
{
    struct child *pair = arg;

    launches_cancel(pair[0].fixture->launches, pair[1].ticket);
    return on_done(made, err, &pair[0]);
}

static void
test_a_callback_may_cancel_and_spawn(void **state)
{
    static const char *const argv[] = { "/bin/true", NULL };
    struct fixture *f = *state;
    struct sandbox_spec spec = spec_of(f, argv);
    struct child pair[2];
    int theirs[SANDBOX_FD_COUNT];

    kill(launches_pid(f->launches), SIGSTOP);
    child_init(&pair[0], f, theirs);
    assert_int_equal(launches_spawn(f->launches, &spec, theirs, NULL, on_done_cancel,
                                    pair, &pair[0].ticket, NULL),
                     0);
    close_all(theirs);
    assert_int_equal(child_start(&pair[1], f, "exit 0"), 0);
    kill(launches_pid(f->launches), SIGKILL);
    wait_for_done(f, 1);
    assert_int_equal(pair[1].calls, 0);
    child_fini(&pair[0]);
    child_fini(&pair[1]);
}

static void
test_requests_have_a_bound(void **state)
{
    struct fixture *f = *state;
    struct child *children = calloc(LAUNCHES_PENDING_MAX + 1, sizeof *children);
    size_t count = 0;
    int r = 0;

    assert_non_null(children);
    kill(launches_pid(f->launches), SIGSTOP);
    while (r == 0 && count <= LAUNCHES_PENDING_MAX) {
        r = child_start(&children[count], f, "exit 0");
        if (r == 0)
            child_fini(&children[count++]);
    }
    assert_int_equal(r, LAUNCHES_E_FULL);
    assert_in_range(count, LAUNCHES_SENT_MAX + 1, LAUNCHES_PENDING_MAX);
    kill(launches_pid(f->launches), SIGKILL);
    wait_for_done(f, (int)count);
    free(children);
}

static void
test_destroy_ends_even_a_launcher_that_does_not_answer(void **state)
{
    struct fixture *f = *state;
    struct child child;

    kill(launches_pid(f->launches), SIGSTOP);
    assert_int_equal(child_start(&child, f, "exit 0"), 0);
    launches_destroy(f->launches);
    f->launches = NULL;
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(child.calls, 0);
    child_fini(&child);
}

static size_t
count_fds(pid_t pid)
{
    char path[64];
    DIR *directory;
    size_t count = 0;

    snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
    directory = opendir(path);
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static bool
has_children(pid_t pid)
{
    char path[64], text[16];
    size_t n;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    file = fopen(path, "re");
    assert_non_null(file);
    n = fread(text, 1, sizeof text, file);
    fclose(file);
    return n > 0;
}

static void
test_many_children_leave_no_process_and_no_fd(void **state)
{
    struct fixture *f = *state;
    static struct child children[MANY];
    pid_t launcher = launches_pid(f->launches);
    size_t our_fds, launcher_fds;

    assert_int_equal(child_start(&children[0], f, "exit 0"), 0);
    wait_for_done(f, 1);
    child_fini(&children[0]);
    our_fds = count_fds(getpid());
    launcher_fds = count_fds(launcher); /* it may be about to close a few */

    f->done = 0;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(child_start(&children[i], f, "sleep 1000 & sleep 1000"), 0);
    wait_for_done(f, MANY);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(children[i].code, 0);
        if (i % 2 == 0) /* the others are ended before they have begun, or while */
            assert_int_equal(next_report(&children[i]).kind, CONTROL_STARTED);
        close_all(children[i].ours);
    }
    for (int i = 0; i < MANY; i++) {
        wait_for_end(&children[i]);
        child_fini(&children[i]);
    }
    assert_int_equal(count_fds(getpid()), our_fds);
    /* The launcher closes fds just after its answer, and the kernel reaps children just
     * after their pidfds have told. */
    while (count_fds(launcher) > launcher_fds || has_children(launcher))
        sched_yield();
}

#define BARE_FDS (5 + 2) /* 0 to 4; "." and ".." are counted too */

/* A launcher without its client: packets of any kind reach it. */
struct bare {
    int socket;
    pid_t pid;
};

static int
setup_bare(void **state)
{
    struct bare *bare = calloc(1, sizeof *bare);
    int ends[2], size = 1 << 20;

    assert_non_null(bare);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    bare->pid = fork();
    assert_true(bare->pid >= 0);
    if (bare->pid == 0) {
        close(ends[0]);
        _exit(launcher_run(ends[1]));
    }
    close(ends[1]);
    bare->socket = ends[0];
    *state = bare;
    return 0;
}

static int
teardown_bare(void **state)
{
    struct bare *bare = *state;
    int status;

    close(bare->socket);
    assert_int_equal(waitpid(bare->pid, &status, 0), bare->pid);
    assert_int_equal(status, 0);
    free(bare);
    return 0;
}

static void
send_packet(const struct bare *bare, const void *data, size_t length, size_t fd_count)
{
    const int fds[PASSING_FDS_MAX] = { 0, 0, 0, 0, 0, 0 };

    assert_int_equal(passing_send(bare->socket,
                                  (struct slice){ .data = data, .length = length },
                                  (struct slice){ 0 }, fds, fd_count, 0),
                     0);
}

/* The answer has the id whose first byte is MARK, and is a refusal. */
static void
expect_refusal(const struct bare *bare, char mark)
{
    uint8_t data[LAUNCHER_ANSWER_BYTES_MAX];
    struct passing passing;

    assert_int_equal(passing_receive(bare->socket, data, sizeof data, 0, &passing), 0);
    assert_true(passing.length > LAUNCHER_ID_BYTES + LAUNCHER_RESULT_BYTES);
    assert_int_equal(data[0], mark);
    assert_int_not_equal(data[LAUNCHER_ID_BYTES], 0);
    assert_int_equal(passing.fd_count, 0);
}

/* The packet that asks for a workspace. */
static void
send_workspace(const struct bare *bare, char mark, uint32_t tag, uint64_t bytes,
               uint64_t inodes)
{
    uint8_t packet[LAUNCHER_WORKSPACE_BYTES] = { (uint8_t)mark };

    for (int i = 0; i < 4; i++)
        packet[LAUNCHER_ID_BYTES + i] = (uint8_t)(tag >> 8 * i);
    for (int i = 0; i < 8; i++) {
        packet[LAUNCHER_ID_BYTES + 4 + i] = (uint8_t)(bytes >> 8 * i);
        packet[LAUNCHER_ID_BYTES + 12 + i] = (uint8_t)(inodes >> 8 * i);
    }
    send_packet(bare, packet, sizeof packet, 0);
}

static void
expect_workspace(const struct bare *bare, char mark, struct passing *ret)
{
    uint8_t data[LAUNCHER_ANSWER_BYTES_MAX];

    assert_int_equal(passing_receive(bare->socket, data, sizeof data, 0, ret), 0);
    assert_int_equal(data[0], mark);
    assert_int_equal(data[LAUNCHER_ID_BYTES], 0);
    assert_int_equal(ret->fd_count, LAUNCHER_WORKSPACE_FDS);
}

static void
test_packets_that_ask_for_workspaces_get_them(void **state)
{
    struct bare *bare = *state;
    struct passing first, second;

    send_workspace(bare, 'a', LAUNCHER_WORKSPACE_TAG, 0, 10);
    expect_refusal(bare, 'a');
    send_workspace(bare, 'b', LAUNCHER_WORKSPACE_TAG, 65536, 0);
    expect_refusal(bare, 'b');
    send_workspace(bare, 'c', LAUNCHER_WORKSPACE_TAG + 1, 65536, 10);
    expect_refusal(bare, 'c');
    send_workspace(bare, '\0', LAUNCHER_WORKSPACE_TAG, 65536, 10);
    expect_refusal(bare, '\0');
    assert_int_equal(count_fds(bare->pid), BARE_FDS);
    send_workspace(bare, 'd', LAUNCHER_WORKSPACE_TAG, 65536, 10);
    expect_workspace(bare, 'd', &first);
    send_workspace(bare, 'd', LAUNCHER_WORKSPACE_TAG, 65536, 10);
    expect_refusal(bare, 'd'); /* there is one of this number */
    send_workspace(bare, 'e', LAUNCHER_WORKSPACE_TAG, 65536, 10);
    expect_workspace(bare, 'e', &second);
    send_packet(bare, "f-------x", 9, 0);
    expect_refusal(bare, 'f');
    assert_int_equal(count_fds(bare->pid), BARE_FDS + 1); /* to the keeper */
    passing_fini(&first);
    passing_fini(&second);
}

static void
test_packets_that_are_no_requests_do_not_end_the_launcher(void **state)
{
    static char large[LAUNCHER_REQUEST_BYTES_MAX + 1] = "L";
    struct bare *bare = *state;

    send_packet(bare, "", 0, 0);
    send_packet(bare, "", 0, 5);
    send_packet(bare, "short", 5, 5);
    send_packet(bare, "a-------", 8, 5);
    expect_refusal(bare, 'a');
    send_packet(bare, "b-------not a spec", 18, 5);
    expect_refusal(bare, 'b');
    send_packet(bare, "c-------not a spec", 18, 6);
    expect_refusal(bare, 'c');
    send_packet(bare, "d-------not a spec", 18, 4);
    expect_refusal(bare, 'd');
    send_packet(bare, large, sizeof large, 5);
    expect_refusal(bare, 'L');
    send_packet(bare, "--------", 8, 0); /* there is nothing to forget */
    send_packet(bare, "e-------x", 9, 0);
    expect_refusal(bare, 'e'); /* the one before is all done */
    assert_int_equal(count_fds(bare->pid), BARE_FDS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_BARE(name) cmocka_unit_test_setup_teardown(name, setup_bare, teardown_bare)

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(test_a_child_runs_confined_and_its_pidfd_comes_back),
        TEST(test_what_fails_inside_is_told_by_init),
        TEST(test_a_spec_out_of_bounds_is_refused_at_once),
        TEST(test_signals_for_the_server_do_not_end_the_launcher_and_children_take_them),
        TEST(test_the_end_of_the_launcher_is_told_to_every_request),
        TEST(test_a_failing_callback_stops_the_loop),
        TEST(test_cancelled_requests_are_not_answered),
        TEST(test_a_callback_may_cancel_and_spawn),
        TEST(test_requests_have_a_bound),
        TEST(test_destroy_ends_even_a_launcher_that_does_not_answer),
        TEST(test_many_children_leave_no_process_and_no_fd),
        TEST_BARE(test_packets_that_ask_for_workspaces_get_them),
        TEST_BARE(test_packets_that_are_no_requests_do_not_end_the_launcher),
    };
    struct rlimit limit;

    /* Two hundred contexts, and a thousand requests, need more fds than a shell gives. */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    alarm(WATCHDOG_S);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
