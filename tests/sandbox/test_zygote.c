/* SPDX-License-Identifier: MIT */
/*
 * A zygote and its contexts: their lives, and what they have of each other.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/sandbox/call.h"
#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/policy.h"
#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"

#define OUTPUT_BYTES_MAX ((size_t)256 * 1024)
#define MANY 50
#define OWN_ID_BASE 0x70000000U
#define ZYGOTE_ID_BASE 0x60000000U

struct fixture {
    char workspace[64];
    struct box_spec spec;
    struct box_zygote zygote;
    struct box box;
    struct buffer output;
};

static int
setup(void **state)
{
    static struct fixture fixture;
    const char *const argv[] = { box_zygote_path(), NULL };

    box_make_workspace(fixture.workspace);
    box_spec_init(&fixture.spec, fixture.workspace, NULL);
    buffer_init(&fixture.output, OUTPUT_BYTES_MAX);
    box_zygote_start(&fixture.zygote, argv, NULL);
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    box_zygote_end(&f->zygote);
    buffer_fini(&f->output);
    box_spec_fini(&f->spec);
    box_remove_workspace(f->workspace);
    return 0;
}

static void
start(struct fixture *f, struct box *box, const char *const *argv)
{
    f->spec.spec.argv = argv;
    box_start_by(box, &f->spec.spec, &f->zygote.ends);
}

static void
start_staying(struct fixture *f)
{
    static const char *const argv[] = { "/probe", "signals", NULL };

    start(f, &f->box, argv);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_output_until(&f->box, "staying", &f->output);
}

static void
run(struct fixture *f, const char *const *argv)
{
    struct box box;
    struct control_report report;

    start(f, &box, argv);
    box_expect(&box, CONTROL_STARTED, NULL);
    box_expect(&box, CONTROL_EXITED, &report);
    assert_int_equal(report.status, 0);
    box_output_all(&box, &f->output);
    box_end(&box);
}

static void
assert_lives(struct fixture *f)
{
    box_command(&f->box, CONTROL_SIGNAL, SIGINT);
    box_output_until(&f->box, "signal 02", &f->output);
}

static void
assert_serves(struct fixture *f)
{
    static const char *const argv[] = { "/probe", "exit", "0", NULL };

    run(f, argv);
}

static void
send_to_zygote(struct fixture *f, const void *data, size_t length, size_t fd_count)
{
    int fds[PASSING_FDS_MAX];

    for (size_t i = 0; i < fd_count; i++)
        fds[i] = STDERR_FILENO;
    assert_int_equal(passing_send(f->zygote.ends.socket,
                                  (struct slice){ .data = data, .length = length },
                                  (struct slice){ 0 }, fds, fd_count, 0),
                     0);
}

static void
test_what_is_not_a_call_is_ignored(void **state)
{
    static const char *const argv[] = { "/probe", "exit", "0", NULL };
    static const uint8_t junk[SANDBOX_CALL_BYTES_MAX + 1] = { 1, 0, 077 };
    const struct sandbox_call call = { .own_ids = true, .umask = 022 };
    struct fixture *f = *state;
    struct buffer packet;

    buffer_init(&packet, SANDBOX_CALL_BYTES_MAX);
    f->spec.spec.argv = argv;
    assert_int_equal(sandbox_call_encode(&packet, &call, &f->spec.spec), 0);
    send_to_zygote(f, junk, 0, 0);
    send_to_zygote(f, junk, 1, 1);
    send_to_zygote(f, junk, 64, sandbox_call_fd_count(&call));
    send_to_zygote(f, junk, sizeof junk, 0); /* is cut */
    send_to_zygote(f, packet.data, packet.length, 0);
    send_to_zygote(f, packet.data, packet.length, sandbox_call_fd_count(&call) + 1);
    send_to_zygote(f, packet.data, packet.length - 1, sandbox_call_fd_count(&call));
    /* None of these is a namespace: the fork fails, and nobody is there to be told. */
    send_to_zygote(f, packet.data, packet.length, sandbox_call_fd_count(&call));
    buffer_fini(&packet);
    assert_serves(f);
}

static void
test_end_of_calls_ends_the_zygote_and_no_context(void **state)
{
    struct fixture *f = *state;
    struct control_report report;

    start_staying(f);
    close(f->zygote.box.channel);
    f->zygote.box.channel = -1;
    box_expect(&f->zygote.box, CONTROL_EXITED, &report);
    assert_int_equal(report.status, 0);
    assert_lives(f);
    box_end(&f->box);
}

/* What is in flight to the zygote ends with it. */
static void
test_death_of_the_zygote_fails_waiting_calls_and_no_context(void **state)
{
    const char *const argv[] = { box_hostile_zygote_path(), "once", "/", NULL };
    struct fixture *f = *state;
    struct control_report report;
    struct box waiting[3];

    box_zygote_end(&f->zygote);
    box_zygote_start(&f->zygote, argv, NULL);
    start_staying(f);
    for (size_t i = 0; i < N_ELEMENTS(waiting); i++)
        start(f, &waiting[i], f->spec.spec.argv);
    box_command(&f->zygote.box, CONTROL_SIGNAL, SIGKILL);
    box_expect(&f->zygote.box, CONTROL_EXITED, NULL);
    for (size_t i = 0; i < N_ELEMENTS(waiting); i++) {
        box_expect(&waiting[i], CONTROL_FAILED, &report);
        assert_true(report.step[0] != '\0');
        assert_false(box_report(&waiting[i], &report));
        box_end(&waiting[i]);
    }
    assert_lives(f);
    box_end(&f->box);
}

static void
test_zygotes_control_socket_ends_its_contexts_too(void **state)
{
    static const char *const argv[] = { "/probe", "daemon", NULL };
    struct fixture *f = *state;

    start(f, &f->box, argv);
    box_expect(&f->box, CONTROL_STARTED, NULL);
    box_output_until(&f->box, "staying", &f->output);
    close(f->zygote.box.control);
    f->zygote.box.control = -1;
    box_wait_gone(&f->box);
    box_output_all(&f->box, &f->output);
    box_end(&f->box);
}

static void
wait_readable(int fd)
{
    struct pollfd entry = { .fd = fd, .events = POLLIN };

    assert_int_equal(poll(&entry, 1, -1), 1);
    close(fd);
}

static void
test_death_of_the_server_ends_all(void **state)
{
    struct fixture *f = *state;
    struct passing passing;
    int ends[2];
    char byte;
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const char *const argv[] = { box_zygote_path(), NULL };

        close(ends[0]);
        box_zygote_start(&f->zygote, argv, NULL);
        start_staying(f);
        passing_send(ends[1], slice_text("x"), (struct slice){ 0 },
                     (int[]){ f->zygote.box.pidfd, f->box.pidfd }, 2, 0);
        for (;;)
            pause();
    }
    assert_int_equal(passing_receive(ends[0], &byte, 1, 0, &passing), 0);
    assert_int_equal(passing.fd_count, 2);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    wait_readable(passing.fds[0]);
    wait_readable(passing.fds[1]);
    close(ends[0]);
    close(ends[1]);
}

/* Asked for one after the other without waiting. */
static void
test_many_contexts_at_once_all_end(void **state)
{
    static const char *const argv[] = { "/probe", "daemon", NULL };
    static struct box boxes[MANY];
    struct fixture *f = *state;

    for (size_t i = 0; i < MANY; i++)
        start(f, &boxes[i], argv);
    for (size_t i = 0; i < MANY; i++)
        box_expect(&boxes[i], CONTROL_STARTED, NULL);
    for (size_t i = 0; i < MANY; i++) {
        close(boxes[i].control);
        boxes[i].control = -1;
    }
    for (size_t i = 0; i < MANY; i++)
        box_end(&boxes[i]);
    assert_serves(f);
}

static void
test_context_sees_neither_zygote_nor_sibling(void **state)
{
    static const char *const argv[] = { "/probe", "others", NULL };
    struct fixture *f = *state;

    start_staying(f);
    buffer_clear(&f->output, 0);
    run(f, argv);
    assert_int_equal(f->output.length, strlen("listed self\nalone\n"));
    assert_true(box_has_line(&f->output, "listed self"));
    assert_true(box_has_line(&f->output, "alone"));
    assert_lives(f);
    box_end(&f->box);
}

static void
test_fork_has_its_own_four_descriptors(void **state)
{
    static const char *const argv[] = { "/descriptors", NULL };
    static const char *const lines[] = { "fd 0 /dev/null", "fd 1 pipe", "fd 2 pipe",
                                         "fd 3 socket" };
    struct fixture *f = *state;
    size_t count = 0;

    run(f, argv);
    for (size_t i = 0; i < N_ELEMENTS(lines); i++)
        if (!box_has_line(&f->output, lines[i]))
            fail_msg("no '%s' in %.*s", lines[i], (int)f->output.length,
                     (char *)f->output.data);
    for (size_t i = 0; i < f->output.length; i++)
        count += f->output.data[i] == '\n';
    assert_int_equal(count, N_ELEMENTS(lines));
}

static void
test_libc_knows_the_processor_in_a_fork(void **state)
{
    static const char *const argv[] = { "/processors", NULL };
    struct fixture *f = *state;

    run(f, argv);
    assert_true(box_has_line(&f->output, "wrong 0"));
}

/* The second name is each character's successor: it is not found for being looked for. */
static void
test_fork_has_nothing_of_an_earlier_context(void **state)
{
    static const char *const first[] = { "/probe", "exit", "0", "quinquereme", NULL };
    static const char *const second[] = { "/memory", "rvjorvfsfnf", NULL };
    static const char *const secrets[] = { "SECRET=quinquereme", NULL };
    struct fixture *f = *state;
    const char *const *environment = f->spec.spec.env;

    f->spec.spec.env = secrets;
    run(f, first);
    f->spec.spec.env = environment;
    run(f, second);
    assert_true(box_has_line(&f->output, "found 0"));
    buffer_clear(&f->output, 0);
    f->spec.spec.env = secrets; /* and it can be found */
    run(f, second);
    assert_true(box_has_line(&f->output, "found 1") ||
                box_has_line(&f->output, "found 2"));
}

/* As the host sees it. */
static int
pid_of(int pidfd)
{
    char path[64], line[64];
    int pid = -1;
    FILE *file;

    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Pid: %d", &pid) == 1)
            break;
    fclose(file);
    return pid;
}

static unsigned
uid_of(int pid)
{
    char path[64], line[256];
    unsigned uid = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/status", pid);
    file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Uid: %u", &uid) == 1)
            break;
    fclose(file);
    return uid;
}

static int
first_child_of(int pid)
{
    char path[64];
    int child = -1;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    file = fopen(path, "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%d", &child), 1);
    fclose(file);
    return child;
}

static void
test_zygote_and_contexts_have_ids_of_their_own(void **state)
{
    struct fixture *f = *state;
    unsigned zygote = (unsigned)pid_of(f->zygote.box.pidfd), context;

    start_staying(f);
    context = (unsigned)pid_of(f->box.pidfd);
    if (box_is_user()) {
        assert_int_equal(uid_of(first_child_of((int)zygote)), getuid());
        assert_int_equal(uid_of(first_child_of((int)context)), getuid());
    } else {
        assert_int_equal(uid_of((int)zygote), ZYGOTE_ID_BASE + 2 * zygote);
        assert_int_equal(uid_of(first_child_of((int)zygote)),
                         ZYGOTE_ID_BASE + 2 * zygote + 1);
        assert_int_equal(uid_of((int)context), OWN_ID_BASE + 2 * context);
        assert_int_equal(uid_of(first_child_of((int)context)),
                         OWN_ID_BASE + 2 * context + 1);
    }
    box_end(&f->box);
}

/* A program in a zygote's place. */
static void
run_as_zygote(struct fixture *f, const char *const *argv)
{
    struct buffer policy;

    buffer_init(&policy, OUTPUT_BYTES_MAX);
    assert_int_equal(sandbox_policy_compile(&policy, SANDBOX_ROLE_ZYGOTE, NULL), 0);
    f->spec.spec.argv = argv;
    f->spec.spec.role = SANDBOX_ROLE_ZYGOTE;
    f->spec.spec.seccomp = buffer_slice(&policy);
    assert_int_equal(box_run(&f->spec.spec, &f->output), 0);
    buffer_fini(&policy);
}

static void
assert_lines(const struct fixture *f, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!box_has_line(&f->output, lines[i]))
            fail_msg("no '%s' in %.*s", lines[i], (int)f->output.length,
                     (char *)f->output.data);
}

static void
test_zygote_may_not_do_more_than_it_must(void **state)
{
    static const char *const argv[] = { "/probe", "refused",     "1",
                                        "none",   "/etc/shadow", NULL };
    static const char *const lines[] = {
        "refuse_mount EPERM",          "refuse_remount EPERM",
        "refuse_umount EPERM",         "refuse_chroot EPERM",
        "refuse_pivot_root EPERM",     "refuse_open_tree ENOSYS",
        "refuse_fsopen ENOSYS",        "refuse_unshare_user EPERM",
        "refuse_unshare_net EPERM",    "refuse_clone_user ENOSYS",
        "refuse_clone3 ENOSYS",        "refuse_process_vm EPERM",
        "refuse_ptrace_me EPERM",      "refuse_ptrace_init EPERM",
        "refuse_init_memory ENOENT",   "refuse_init_root ENOENT",
        "refuse_pidfd_getfd ENOSYS",   "refuse_bpf EPERM",
        "refuse_perf EPERM",           "refuse_io_uring ENOSYS",
        "refuse_userfaultfd ENOSYS",   "refuse_keyctl ENOSYS",
        "refuse_alg EAFNOSUPPORT",     "refuse_packet EAFNOSUPPORT",
        "refuse_vsock EAFNOSUPPORT",   "refuse_raw EPERM",
        "refuse_internet ENETUNREACH", "refuse_host_tcp4 ECONNREFUSED",
        "refuse_canary ENOENT",        "refuse_mknod_block EPERM",
        "refuse_handle EPERM",         "refuse_hostname EPERM",
        "refuse_dev_kmsg ENOENT",      "refuse_setgroups EPERM",
    };
    struct fixture *f = *state;

    run_as_zygote(f, argv);
    assert_lines(f, lines, N_ELEMENTS(lines));
}

static void
test_zygote_has_no_rights_and_sees_only_itself(void **state)
{
    static const char *const facts[] = { "/probe", "facts", NULL };
    static const char *const others[] = { "/probe", "others", NULL };
    static const char *const lines[] = {
        "CapInh:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "fd 0",
        "fd 1",
        "fd 2",
        "fd 3",
        "listed self",
        "alone",
    };
    struct fixture *f = *state;

    run_as_zygote(f, facts);
    run_as_zygote(f, others);
    assert_lines(f, lines, N_ELEMENTS(lines));
    assert_null(memmem(f->output.data, f->output.length, "fd 4", 4));
    assert_false(box_has_line(&f->output, "listed other"));
}

static void
assert_spawn_is_refused(struct fixture *f)
{
    start(f, &f->box, (const char *const[]){ "/probe", "exit", "0", NULL });
    assert_int_equal(f->box.result, -EINVAL);
    box_end(&f->box);
}

static void
test_zygote_makes_only_runners_without_a_network(void **state)
{
    struct fixture *f = *state;

    f->spec.spec.network = SANDBOX_NETWORK_HOST;
    assert_spawn_is_refused(f);
    f->spec.spec.network = SANDBOX_NETWORK_NONE;
    f->spec.spec.role = SANDBOX_ROLE_ZYGOTE;
    assert_spawn_is_refused(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_not_a_call_is_ignored),
        TEST(test_end_of_calls_ends_the_zygote_and_no_context),
        TEST(test_death_of_the_zygote_fails_waiting_calls_and_no_context),
        TEST(test_zygotes_control_socket_ends_its_contexts_too),
        TEST(test_death_of_the_server_ends_all),
        TEST(test_many_contexts_at_once_all_end),
        TEST(test_context_sees_neither_zygote_nor_sibling),
        TEST(test_fork_has_its_own_four_descriptors),
        TEST(test_libc_knows_the_processor_in_a_fork),
        TEST(test_fork_has_nothing_of_an_earlier_context),
        TEST(test_zygote_and_contexts_have_ids_of_their_own),
        TEST(test_zygote_may_not_do_more_than_it_must),
        TEST(test_zygote_has_no_rights_and_sees_only_itself),
        TEST(test_zygote_makes_only_runners_without_a_network),
    };
    int status = box_become(argc, argv);

    return status != 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
