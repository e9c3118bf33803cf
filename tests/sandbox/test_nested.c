/* SPDX-License-Identifier: MIT */
/*
 * The nested tier: the same walls as far as they stand without namespaces. What does not
 * hold is expected here, too, so that SECURITY.md says what is so.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/sandbox/nested.h"
#include "contexts/sandbox/policy.h"
#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"
#include "tests/sandbox/failing.h"
#include "tests/sandbox/nested_expectations.h"

#define OUTPUT_BYTES_MAX ((size_t)256 * 1024)
#define SCOPES_ABI 6
#define POLICY_BYTES_MAX ((size_t)64 * 1024)

/* Shared with the children: which call shall fail, and whose. */
enum depth { DEPTH_SPAWNER, DEPTH_WARDEN, DEPTH_INIT, DEPTH_RUNNER, DEPTH_NONE };

static struct {
    enum depth depth;
    int wanted;
    int count;
    pid_t counting; /* the process whose calls are counted */
    char name[FAILING_NAME_BYTES];
} *plan;

/* How deep this process is below the test; each has called something before it forks. */
static struct {
    pid_t pid;
    int depth;
} place;

bool
failing_must_fail(const char *name)
{
    if (place.pid == 0)
        place.pid = getpid(); /* the test itself */
    if (place.pid != getpid()) {
        place.pid = getpid();
        place.depth++;
    }
    if (plan == NULL || (int)plan->depth != place.depth)
        return false;
    if (plan->counting == 0)
        plan->counting = getpid();
    if (plan->counting != getpid() || ++plan->count != plan->wanted)
        return false;
    strcpy(plan->name, name);
    return true;
}

struct fixture {
    char workspace[64]; /* the working directory, writable */
    char outside[64]; /* not shown */
    struct sandbox_mount mounts[16];
    struct sandbox_spec spec;
    struct buffer policy;
    struct buffer output;
    struct box box;
};

static const char *const environment[] = { "PATH=/usr/bin:/bin", "HOME=/home/probe",
                                           "TMPDIR=/tmp", NULL };

static void
add(struct fixture *f, struct sandbox_mount mount)
{
    f->mounts[f->spec.mount_count++] = mount;
}

static int
setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    struct error err = { 0 };

    *f = (struct fixture){ .spec = { .env = environment,
                                     .hostname = "box",
                                     .tier = SANDBOX_TIER_NESTED,
                                     .limits = { .processes = 32, .open_files = 128 },
                                     .mounts = f->mounts } };
    box_make_workspace(f->workspace);
    box_make_workspace(f->outside);
    /* Modes decide in this tier. */
    assert_int_equal(chmod(f->workspace, 0777), 0);
    f->spec.directory = f->workspace;
    buffer_init(&f->policy, POLICY_BYTES_MAX);
    buffer_init(&f->output, OUTPUT_BYTES_MAX);
    if (sandbox_policy_compile_nested(&f->policy, SANDBOX_NETWORK_NONE, &err) != 0)
        fail_msg("%s", err.text);
    f->spec.seccomp = buffer_slice(&f->policy);
    const struct sandbox_mount mounts[] = {
        { .kind = SANDBOX_MOUNT_BIND_RO, .source = "/usr", .target = "/usr" },
        { .kind = SANDBOX_MOUNT_SYMLINK, .source = "usr/bin", .target = "/bin" },
        { .kind = SANDBOX_MOUNT_MASK, .target = "/usr/share/doc" },
        { .kind = SANDBOX_MOUNT_FILE, .source = "made up", .target = "/etc/passwd" },
        { .kind = SANDBOX_MOUNT_BIND_RO,
          .source = box_probe_path(),
          .target = box_probe_path() },
        { .kind = SANDBOX_MOUNT_TMPFS,
          .target = "/home/probe",
          .bytes = 65536,
          .inodes = 16,
          .mode = 0700 },
        { .kind = SANDBOX_MOUNT_TMPFS,
          .target = "/tmp",
          .bytes = 65536,
          .inodes = 16,
          .mode = 01777 },
        { .kind = SANDBOX_MOUNT_FILE,
          .source = "text\n",
          .target = "/home/probe/.x/note" },
        { .kind = SANDBOX_MOUNT_BIND_RO,
          .source = "/usr/bin/env",
          .target = "/home/probe/.x/env" },
        { .kind = SANDBOX_MOUNT_BIND_RW, .source = f->workspace, .target = f->workspace },
    };
    for (size_t i = 0; i < N_ELEMENTS(mounts); i++)
        add(f, mounts[i]);
    *state = f;
    return 0;
}

static char folder[64]; /* of private directories, of this program's alone */

static int
count_private(void)
{
    DIR *directory = opendir(folder);
    const struct dirent *entry;
    int count = 0;

    while ((entry = readdir(directory)) != NULL)
        count += strncmp(entry->d_name, SANDBOX_PRIVATE_PREFIX,
                         strlen(SANDBOX_PRIVATE_PREFIX)) == 0;
    closedir(directory);
    return count;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    buffer_fini(&f->output);
    buffer_fini(&f->policy);
    box_remove_workspace(f->workspace);
    box_remove_workspace(f->outside);
    return 0;
}

static void
start(struct fixture *f, const char *const *argv)
{
    f->spec.argv = argv;
    box_start_by(&f->box, &f->spec, NULL);
}

static void
start_staying(struct fixture *f, const char *mode, const char *argument)
{
    const char *const argv[] = { box_probe_path(), mode, argument, NULL };

    start(f, argv);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_output_until(&f->box, "staying", &f->output);
}

static void
answer(const struct fixture *f, const char *what, char ret[32])
{
    char needle[64];
    const char *found;

    snprintf(needle, sizeof needle, "\n%s ", what);
    found = memmem(f->output.data, f->output.length, needle, strlen(needle));
    if (found == NULL)
        fail_msg("the probe says nothing of %s", what);
    snprintf(ret, 32, "%.*s", (int)strcspn(found + strlen(needle), "\n"),
             found + strlen(needle));
}

static bool
is_one_of(const char *word, const char *list)
{
    const char *at = strstr(list, word);
    size_t length = strlen(word);

    return at != NULL && (at == list || at[-1] == ' ') &&
           (at[length] == ' ' || at[length] == '\0');
}

/* A process of the test's own id, as any other of the user. */
static pid_t
start_victim(void)
{
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static int
listen_tcp(int *ret_port)
{
    struct sockaddr_in address = { .sin_family = AF_INET };
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static int
listen_path(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path));
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void
judge(const struct fixture *f)
{
    size_t bad = 0;

    for (size_t i = 0; i < N_ELEMENTS(expectations); i++) {
        const struct expectation *e = &expectations[i];
        const char *wanted = box_is_user() && e->of_user != NULL ? e->of_user : e->errors;
        char error[32];

        answer(f, e->what, error);
        if (is_one_of(error, wanted))
            continue;
        print_error("%s: %s, not %s\n", e->what, error, wanted);
        bad++;
    }
    assert_int_equal(bad, 0);
}

static void
test_what_must_be_refused_is_refused_and_gaps_are_known(void **state)
{
    struct fixture *f = *state;
    char port[16], canary[128], path[128], pid[16];
    pid_t victim = start_victim();
    int number, tcp = listen_tcp(&number), file;

    snprintf(port, sizeof port, "%d", number);
    snprintf(canary, sizeof canary, "%s/secret", f->outside);
    snprintf(path, sizeof path, "%s/socket", f->outside);
    snprintf(pid, sizeof pid, "%d", (int)victim);
    file = listen_path(path);
    close(open(canary, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    const char *const argv[] = {
        box_probe_path(), "nested", port, canary, path, pid, NULL
    };
    assert_int_equal(buffer_append_text(&f->output, "\n"), 0);
    f->spec.argv = argv;
    start(f, argv);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_expect(&f->box, CONTROL_EXITED, NULL);
    close(f->box.control);
    f->box.control = -1;
    box_output_all(&f->box, &f->output);
    box_end(&f->box);
    judge(f);
    assert_int_equal(waitpid(victim, NULL, WNOHANG), 0);
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
    assert_int_equal(access("/dev/shm/sem.cellwall-probe", F_OK), -1);
    close(tcp);
    close(file);
}

/* Which has been asked for: then TCP is, too, and nothing else. */
static void
test_host_network_is_given_when_asked_for(void **state)
{
    struct fixture *f = *state;
    struct buffer program;
    char port[16], error[32];
    int number, tcp = listen_tcp(&number);

    snprintf(port, sizeof port, "%d", number);
    const char *const argv[] = {
        box_probe_path(), "nested", port, "/x", "/x", "1", NULL
    };
    buffer_init(&program, POLICY_BYTES_MAX);
    assert_int_equal(sandbox_policy_compile_nested(&program, SANDBOX_NETWORK_HOST, NULL),
                     0);
    f->spec.network = SANDBOX_NETWORK_HOST;
    f->spec.seccomp = buffer_slice(&program);
    assert_int_equal(buffer_append_text(&f->output, "\n"), 0);
    f->spec.argv = argv;
    assert_int_equal(box_run(&f->spec, &f->output), 0);
    buffer_fini(&program);
    answer(f, "refuse_tcp", error);
    assert_string_equal(error, "done");
    answer(f, "refuse_udp", error);
    assert_string_equal(error, "done");
    answer(f, "refuse_unix", error);
    assert_string_equal(error, "EAFNOSUPPORT");
    answer(f, "refuse_raw", error);
    assert_string_equal(error, "EPERM");
    close(tcp);
}

/* With an id of its own the runner is nobody's friend: modes decide. */
static void
test_directory_that_is_closed_to_others_is_named(void **state)
{
    struct fixture *f = *state;
    const char *const argv[] = { box_probe_path(), "exit", "0", NULL };
    struct control_report report;
    char step[CONTROL_STEP_BYTES];

    assert_int_equal(chmod(f->workspace, 0700), 0);
    start(f, argv);
    if (box_is_user()) {
        box_expect(&f->box, CONTROL_STARTED, NULL);
    } else {
        box_expect(&f->box, CONTROL_FAILED, &report);
        snprintf(step, sizeof step, "directory %s", f->workspace);
        assert_string_equal(report.step, step);
        assert_int_equal(report.error, EACCES);
    }
    box_end(&f->box);
}

/* The only one that there is. */
static void
find_private(char ret[128])
{
    DIR *directory = opendir(folder);
    const struct dirent *entry;

    ret[0] = '\0';
    while ((entry = readdir(directory)) != NULL)
        if (strncmp(entry->d_name, SANDBOX_PRIVATE_PREFIX,
                    strlen(SANDBOX_PRIVATE_PREFIX)) == 0)
            snprintf(ret, 128, "%s/%.60s", folder, entry->d_name);
    closedir(directory);
}

/* A younger one may be in the making, and not locked yet. */
static void
test_directory_of_a_dead_warden_is_removed_by_the_next(void **state)
{
    static const struct timespec times[2] = { 0 };
    struct fixture *f = *state;
    char path[128];

    start_staying(f, "hide", "HOME");
    find_private(path);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0); /* init comes here */
    assert_int_equal(syscall(SYS_pidfd_send_signal, f->box.pidfd, SIGKILL, NULL, 0), 0);
    box_command(&f->box, CONTROL_KILL_ALL, 0);
    box_expect(&f->box, CONTROL_EXITED, NULL); /* init has seen to its runner */
    assert_int_equal(shutdown(f->box.control, SHUT_WR), 0);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
    box_end(&f->box);
    assert_int_equal(count_private(), 1);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    buffer_clear(&f->output, 0);
    start_staying(f, "stay", NULL);
    while (access(path, F_OK) == 0)
        assert_true(box_is_alive(&f->box));
    box_end(&f->box);
    assert_int_equal(count_private(), 0);
}

static void
read_status(pid_t pid, struct buffer *ret)
{
    char path[64], text[4096];
    int fd;
    ssize_t n;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = read(fd, text, sizeof text);
    close(fd);
    assert_true(n > 0);
    assert_int_equal(buffer_append(ret, text, (size_t)n), 0);
}

static void
test_runner_has_no_rights(void **state)
{
    static const char *const lines[] = { "CapInh:\t0000000000000000",
                                         "CapPrm:\t0000000000000000",
                                         "CapEff:\t0000000000000000",
                                         "CapAmb:\t0000000000000000",
                                         "NoNewPrivs:\t1",
                                         "Seccomp:\t2",
                                         "SigBlk:\t0000000000000000",
                                         "SigIgn:\t0000000000000000" };
    struct fixture *f = *state;
    const char *const argv[] = { box_probe_path(), "stay", NULL };
    struct control_report report;
    char line[128];

    start(f, argv);
    box_expect(&f->box, CONTROL_STARTED, &report);
    read_status(report.pid, &f->output);
    for (size_t i = 0; i < N_ELEMENTS(lines); i++)
        if (!box_has_line(&f->output, lines[i]))
            fail_msg("no '%s' in %.*s", lines[i], (int)f->output.length,
                     (char *)f->output.data);
    snprintf(line, sizeof line, "Uid:\t%d\t%d\t%d\t%d", (int)getuid(), (int)getuid(),
             (int)getuid(), (int)getuid());
    assert_int_equal(box_has_line(&f->output, line), box_is_user());
    if (!box_is_user()) {
        assert_true(box_has_line(&f->output, "CapBnd:\t0000000000000000"));
        assert_non_null(memmem(f->output.data, f->output.length, "Groups:\t \n", 10));
    }
    box_end(&f->box);
}

static void
test_exit_is_reported(void **state)
{
    struct fixture *f = *state;
    const char *const argv[] = { box_probe_path(), "exit", "7", NULL };
    struct control_report report;

    start(f, argv);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_expect(&f->box, CONTROL_EXITED, &report);
    assert_true(WIFEXITED(report.status));
    assert_int_equal(WEXITSTATUS(report.status), 7);
    box_end(&f->box);
}

static void
test_program_that_is_not_shown_is_not_run(void **state)
{
    struct fixture *f = *state;
    static const char *const argv[] = { "/etc/passwd", NULL };
    struct control_report report;

    start(f, argv);
    box_expect(&f->box, CONTROL_FAILED, &report);
    assert_string_equal(report.step, "run /etc/passwd");
    assert_int_equal(report.error, EACCES);
    box_end(&f->box);
}

static void
test_interrupt_reaches_the_group(void **state)
{
    struct fixture *f = *state;

    start_staying(f, "signals", NULL);
    box_command(&f->box, CONTROL_SIGNAL, SIGINT);
    box_output_until(&f->box, "signal 02", &f->output);
    box_end(&f->box);
}

static void
test_kill_of_all_is_reported(void **state)
{
    struct fixture *f = *state;
    struct control_report report;

    start_staying(f, "daemon", NULL);
    box_command(&f->box, CONTROL_KILL_ALL, 0);
    box_expect(&f->box, CONTROL_EXITED, &report);
    assert_true(WIFSIGNALED(report.status));
    assert_int_equal(WTERMSIG(report.status), SIGKILL);
    box_end(&f->box); /* waits until the daemon, too, has let go of the pipe */
}

static void
test_daemons_end_with_the_control_socket(void **state)
{
    struct fixture *f = *state;

    start_staying(f, "daemon", NULL);
    box_end(&f->box);
}

static void
test_fork_bombs_end_with_the_control_socket(void **state)
{
    struct fixture *f = *state;

    start_staying(f, "bomb", NULL);
    box_end(&f->box);
    assert_null(memmem(f->output.data, f->output.length, "forked 100", 10));
}

static void
test_chains_of_forks_end_with_the_control_socket(void **state)
{
    struct fixture *f = *state;

    start_staying(f, "chain", NULL);
    box_end(&f->box);
}

/* User code that kills all that it can reach has only itself to kill. */
static void
test_killing_everybody_reaches_nobody_else(void **state)
{
    struct fixture *f = *state;
    pid_t victim = start_victim();

    start_staying(f, "kill-all", NULL);
    assert_true(box_has_line(&f->output, "child gone yes"));
    assert_true(box_is_alive(&f->box));
    assert_int_equal(waitpid(victim, NULL, WNOHANG), 0);
    box_end(&f->box);
    kill(victim, SIGKILL);
    waitpid(victim, NULL, 0);
}

/* By whoever may: the warden sees it, and ends the rest. */
static void
test_nothing_survives_an_init_that_is_killed(void **state)
{
    struct fixture *f = *state;
    char path[64], text[64];
    int fd, init;

    start_staying(f, "daemon", NULL);
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", f->box.pidfd);
    {
        FILE *file = fopen(path, "re");
        int warden = 0;

        while (fgets(text, sizeof text, file) != NULL)
            if (sscanf(text, "Pid: %d", &warden) == 1)
                break;
        fclose(file);
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", warden, warden);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    memset(text, 0, sizeof text);
    assert_true(read(fd, text, sizeof text - 1) > 0);
    close(fd);
    init = atoi(text); /* its first child */
    assert_true(init > 1);
    assert_int_equal(kill(init, SIGKILL), 0);
    box_wait_gone(&f->box);
    box_output_all(&f->box, &f->output);
    box_end(&f->box);
}

static void
test_private_directory_is_removed_whatever_is_in_it(void **state)
{
    struct fixture *f = *state;

    start_staying(f, "hide", "HOME");
    assert_int_equal(count_private(), 1);
    box_end(&f->box);
    assert_int_equal(count_private(), 0);
    assert_int_equal(access("/usr/bin/env", F_OK), 0);
}

/* What the full tier would hide cannot be hidden below what is writable. */
static void
test_writable_folder_with_something_to_hide_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *const argv[] = { box_probe_path(), "stay", NULL };
    struct control_report report;
    char hidden[96], step[CONTROL_STEP_BYTES];

    snprintf(hidden, sizeof hidden, "%s/.ssh", f->workspace);
    add(f, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_MASK, .target = hidden });
    start(f, argv);
    box_expect(&f->box, CONTROL_FAILED, &report);
    snprintf(step, sizeof step, "protect %.80s", hidden);
    assert_string_equal(report.step, step);
    box_end(&f->box);
}

static void
test_zygote_has_no_nested_tier(void **state)
{
    struct fixture *f = *state;
    struct error err = { 0 };
    struct buffer bytes;
    static const char *const argv[] = { "/usr/bin/env", NULL };

    f->spec.argv = argv;
    f->spec.role = SANDBOX_ROLE_ZYGOTE;
    buffer_init(&bytes, SANDBOX_SPEC_BYTES_MAX);
    assert_int_equal(sandbox_spec_encode(&bytes, &f->spec, &err), SANDBOX_SPEC_E_INVALID);
    buffer_fini(&bytes);
}

/* Containers refuse it; then seccomp stands before keys alone. */
static bool
may_fail(const char *name)
{
    return strcmp(name, "sys_keyctl_join_session") == 0;
}

/* True when a call was made to fail. */
static bool
try_failure(struct fixture *f, enum depth depth, int wanted)
{
    const char *const argv[] = { box_probe_path(), "touch", "canary", NULL };
    struct control_report report = { 0 };
    char canary[128];
    struct box box;
    bool failed;

    f->spec.argv = argv;
    plan->depth = depth;
    plan->wanted = wanted;
    plan->count = plan->counting = 0;
    plan->name[0] = '\0';
    box_start_by(&box, &f->spec, NULL);
    if (box.result == 0) {
        if (!box_report(&box, &report))
            fail_msg("%s failed and nobody said so", plan->name);
        if (report.kind == CONTROL_STARTED)
            box_expect(&box, CONTROL_EXITED, NULL);
    }
    failed = plan->name[0] != '\0';
    if (failed && box.result == 0 && report.kind != CONTROL_FAILED &&
        !may_fail(plan->name))
        fail_msg("%s failed and was let pass", plan->name);
    plan->depth = DEPTH_NONE;
    box_end(&box);
    snprintf(canary, sizeof canary, "%s/canary", f->workspace);
    if (failed && access(canary, F_OK) == 0 && !may_fail(plan->name))
        fail_msg("user code ran though %s failed", plan->name);
    unlink(canary);
    assert_int_equal(count_private(), 0);
    return failed;
}

static void
fail_each_call(struct fixture *f, enum depth depth, int at_least)
{
    int wanted = 1;

    while (try_failure(f, depth, wanted))
        wanted++;
    if (wanted <= at_least)
        fail_msg("only %d calls", wanted);
}

static void
test_failures_of_the_spawner_are_closed(void **state)
{
    fail_each_call(*state, DEPTH_SPAWNER, 1);
}

static void
test_failures_of_init_are_closed(void **state)
{
    fail_each_call(*state, DEPTH_INIT, 10);
}

static void
test_failures_of_the_runner_are_closed(void **state)
{
    fail_each_call(*state, DEPTH_RUNNER, box_is_user() ? 60 : 120);
}

static void
test_failures_of_the_warden_are_closed(void **state)
{
    fail_each_call(*state, DEPTH_WARDEN, 40);
}

static bool
landlock_is_enough(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);

    return abi >= (box_is_user() ? SCOPES_ABI : 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_runner_has_no_rights),
        TEST(test_what_must_be_refused_is_refused_and_gaps_are_known),
        TEST(test_host_network_is_given_when_asked_for),
        TEST(test_directory_that_is_closed_to_others_is_named),
        TEST(test_exit_is_reported),
        TEST(test_program_that_is_not_shown_is_not_run),
        TEST(test_interrupt_reaches_the_group),
        TEST(test_kill_of_all_is_reported),
        TEST(test_daemons_end_with_the_control_socket),
        TEST(test_fork_bombs_end_with_the_control_socket),
        TEST(test_chains_of_forks_end_with_the_control_socket),
        TEST(test_killing_everybody_reaches_nobody_else),
        TEST(test_nothing_survives_an_init_that_is_killed),
        TEST(test_private_directory_is_removed_whatever_is_in_it),
        TEST(test_directory_of_a_dead_warden_is_removed_by_the_next),
        TEST(test_writable_folder_with_something_to_hide_is_refused),
        TEST(test_zygote_has_no_nested_tier),
        TEST(test_failures_of_the_spawner_are_closed),
        TEST(test_failures_of_the_warden_are_closed),
        TEST(test_failures_of_init_are_closed),
        TEST(test_failures_of_the_runner_are_closed),
    };
    int status = box_become(argc, argv);

    if (status != 0)
        return status;
    if (!landlock_is_enough()) {
        fprintf(stderr, "skipped: this kernel's Landlock is not enough for the tier\n");
        return BOX_SKIPPED;
    }
    plan = mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    if (plan == MAP_FAILED)
        return 1;
    plan->depth = DEPTH_NONE;
    box_make_workspace(folder);
    if (chmod(folder, 01777) < 0 || setenv("TMPDIR", folder, 1) < 0)
        return 1;
    status = cmocka_run_group_tests(tests, NULL, NULL);
    box_remove_workspace(folder);
    return status;
}
