/* SPDX-License-Identifier: MIT */
/*
 * What a program in a real sandbox may not do, and what it must be able to do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"

#define OUTPUT_BYTES_MAX ((size_t)256 * 1024)

struct fixture {
    char workspace[64];
    struct buffer output;
};

static int
setup(void **state)
{
    static struct fixture fixture;

    box_make_workspace(fixture.workspace);
    buffer_init(&fixture.output, OUTPUT_BYTES_MAX);
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    buffer_fini(&f->output);
    box_remove_workspace(f->workspace);
    return 0;
}

static void
run(struct fixture *f, const char *const *argv)
{
    struct box_spec box;
    int status;

    box_spec_init(&box, f->workspace, argv);
    box_spec_mount(&box, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_FILE,
                                                 .target = "/etc/made-up",
                                                 .source = "text\n" });
    box_spec_mount(&box, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_MASK,
                                                 .target = "/usr/share/doc" });
    status = box_run(&box.spec, &f->output);
    box_spec_fini(&box);
    if (status != 0)
        fail_msg("status %x: %.*s", (unsigned)status, (int)f->output.length,
                 (char *)f->output.data);
}

/* The errno of WHAT, as the probe printed it. */
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

/* Alternatives are separated by spaces: which wall is hit first may differ. */
static const struct expectation {
    const char *what;
    const char *errors;
} expectations[] = {
    { "refuse_host_tcp4", "ECONNREFUSED" },
    { "refuse_host_tcp6", "ECONNREFUSED EADDRNOTAVAIL EAFNOSUPPORT" },
    { "refuse_internet", "ENETUNREACH" },
    { "refuse_metadata", "ENETUNREACH" },
    { "refuse_abstract_socket", "ECONNREFUSED EPERM" },
    { "refuse_alg", "EAFNOSUPPORT" },
    { "refuse_packet", "EAFNOSUPPORT" },
    { "refuse_vsock", "EAFNOSUPPORT" },
    { "refuse_key", "EAFNOSUPPORT" },
    { "refuse_rxrpc", "EAFNOSUPPORT" },
    { "refuse_xdp", "EAFNOSUPPORT" },
    { "refuse_bluetooth", "EAFNOSUPPORT" },
    { "refuse_tipc", "EAFNOSUPPORT" },
    { "refuse_raw", "EPERM" },
    { "refuse_raw6", "EPERM" },
    { "refuse_sctp", "ENOSYS" },
    { "refuse_mptcp", "EPROTONOSUPPORT" },
    { "refuse_xfrm", "ENOSYS" },
    { "refuse_audit", "ENOSYS" },
    { "refuse_alg_high", "EAFNOSUPPORT" },
    { "refuse_xfrm_high", "ENOSYS" },
    { "refuse_mount", "EPERM" },
    { "refuse_remount", "EPERM" },
    { "refuse_umount", "EPERM" },
    { "refuse_chroot", "EPERM" },
    { "refuse_pivot_root", "EPERM" },
    { "refuse_open_tree", "ENOSYS" },
    { "refuse_move_mount", "ENOSYS" },
    { "refuse_fsopen", "ENOSYS" },
    { "refuse_mount_setattr", "ENOSYS" },
    { "refuse_unshare_user", "EPERM" },
    { "refuse_unshare_net", "EPERM" },
    { "refuse_clone_user", "ENOSYS" },
    { "refuse_clone3", "ENOSYS" },
    { "refuse_setns", "EPERM" },
    { "refuse_process_vm", "EPERM" },
    { "refuse_prlimit_init", "ENOSYS" },
    { "refuse_ptrace_me", "EPERM" },
    { "refuse_ptrace_init", "EPERM" },
    { "refuse_init_memory", "ENOENT" },
    { "refuse_init_environment", "ENOENT" },
    { "refuse_init_root", "ENOENT" },
    { "refuse_init_fd", "ENOENT" },
    { "refuse_kcmp", "ENOSYS" },
    { "refuse_pidfd_getfd", "ENOSYS" },
    { "refuse_bpf", "EPERM" },
    { "refuse_perf", "EPERM" },
    { "refuse_io_uring", "ENOSYS" },
    { "refuse_userfaultfd", "ENOSYS" },
    { "refuse_keyctl", "ENOSYS" },
    { "refuse_add_key", "ENOSYS" },
    { "refuse_request_key", "ENOSYS" },
    { "refuse_memfd_secret", "ENOSYS" },
    { "refuse_vmsplice", "ENOSYS" },
    { "refuse_aio", "ENOSYS" },
    { "refuse_mq", "ENOSYS" },
    { "refuse_fanotify", "ENOSYS" },
    { "refuse_seccomp", "ENOSYS" },
    { "refuse_prctl_seccomp", "ENOSYS" },
    { "refuse_landlock", "ENOSYS" },
    { "refuse_init_module", "EPERM" },
    { "refuse_kexec", "ENOSYS" },
    { "refuse_syslog", "EPERM" },
    { "refuse_handle", "EPERM" },
    { "refuse_mempolicy", "ENOSYS" },
    { "refuse_unknown_call", "ENOSYS" },
    { "refuse_personality", "ENOSYS" },
    { "refuse_dumpable", "ENOSYS" },
    { "refuse_securebits", "ENOSYS" },
    { "refuse_ptracer", "ENOSYS" },
    { "refuse_mm", "ENOSYS" },
#ifdef __x86_64__
    { "refuse_modify_ldt", "ENOSYS" },
    { "refuse_iopl", "ENOSYS" },
    { "refuse_x32", "ENOSYS" },
    { "refuse_int80", "ENOSYS" },
#endif
    { "refuse_hostname", "EPERM" },
    { "refuse_reboot", "EPERM" },
    { "refuse_swap", "EPERM" },
    { "refuse_settime", "EPERM" },
    { "refuse_adjtime", "ENOSYS" },
    { "refuse_sysctl", "EROFS EACCES" },
    { "refuse_core_pattern", "EROFS EACCES" },
    { "refuse_userns_sysctl", "EROFS EACCES" },
    { "refuse_sysrq", "EROFS EACCES ENOENT" },
    { "refuse_sys", "ENOENT" },
    { "refuse_cgroup", "ENOENT" },
    { "refuse_keys_listing", "ENODATA ENOENT" },
    { "refuse_canary", "ENOENT" },
    { "refuse_canary_dots", "ENOENT" },
    { "refuse_write_usr", "EROFS EACCES" },
    { "refuse_write_root", "EROFS EACCES" },
    { "refuse_write_self", "EROFS EACCES ETXTBSY" },
    { "refuse_write_file", "EROFS EACCES" },
    { "refuse_chmod_file", "EROFS" },
    { "refuse_remove_file", "EROFS EBUSY EACCES" },
    { "refuse_chmod_null", "EROFS" },
    { "refuse_remove_null", "EROFS EBUSY EACCES" },
    { "refuse_rename_work", "EXDEV EROFS EBUSY EACCES" },
    { "refuse_link_out", "EXDEV" },
    { "refuse_mknod_char", "EPERM" },
    { "refuse_mknod_block", "EPERM" },
    { "refuse_dev_mem", "ENOENT" },
    { "refuse_dev_kvm", "ENOENT" },
    { "refuse_dev_kmsg", "ENOENT" },
    { "refuse_dev_tty", "ENOENT" },
    { "refuse_dev_fuse", "ENOENT" },
    { "refuse_kcore", "ENOENT EACCES" },
    { "refuse_masked_directory", "EROFS EACCES" },
    { "refuse_raise_limit", "EPERM" },
    { "refuse_realtime", "EPERM" },
    { "refuse_setuid", "EPERM EINVAL" },
    { "refuse_setuid_other", "EPERM EINVAL" },
    { "refuse_setgid", "EPERM EINVAL" },
    { "refuse_setgroups", "EPERM" },
    { "refuse_nice", "EACCES EPERM" },
    { "refuse_tiocsti", "ENOSYS" },
    { "refuse_tiocsti_high", "ENOSYS" },
    { "refuse_tioclinux", "ENOSYS" },
    { "refuse_tiocsetd", "ENOSYS" },
};

static bool
is_one_of(const char *error, const char *errors)
{
    const char *found = errors;
    size_t length = strlen(error);

    while ((found = strstr(found, error)) != NULL) {
        if ((found == errors || found[-1] == ' ') &&
            (found[length] == '\0' || found[length] == ' '))
            return true;
        found += length;
    }
    return false;
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

/* Of this process alone: the program runs as root and as a user at the same time. */
static const char *
abstract_name(void)
{
    static char name[64];

    snprintf(name, sizeof name, "cellwall-test-listener-%d", (int)getpid());
    return name;
}

static int
listen_abstract(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t length = strlen(abstract_name());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path + 1, abstract_name(), length);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)),
        0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void
assert_nobody_called(int listener)
{
    assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(accept(listener, NULL, NULL), -1);
    assert_int_equal(errno, EAGAIN);
    close(listener);
}

static void
test_dangerous_operations_are_refused(void **state)
{
    struct fixture *f = *state;
    char port[16], canary[128], error[32];
    int tcp, number, abstract = listen_abstract();
    size_t bad = 0;

    tcp = listen_tcp(&number);
    snprintf(port, sizeof port, "%d", number);
    snprintf(canary, sizeof canary, "%s/secret", f->workspace);
    const char *const argv[] = {
        "/probe", "refused", port, abstract_name(), canary, NULL
    };
    close(open(canary, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    assert_int_equal(buffer_append_text(&f->output, "\n"), 0);
    run(f, argv);

    for (size_t i = 0; i < N_ELEMENTS(expectations); i++) {
        answer(f, expectations[i].what, error);
        if (is_one_of(error, expectations[i].errors))
            continue;
        print_error("%s: %s, not %s\n", expectations[i].what, error,
                    expectations[i].errors);
        bad++;
    }
    assert_int_equal(bad, 0);
    assert_nobody_called(tcp);
    assert_nobody_called(abstract);
}

static void
test_what_programs_need_works(void **state)
{
    static const char *const argv[] = { "/probe", "allowed", NULL };
    struct fixture *f = *state;

    run(f, argv);
    for (size_t i = 0; i < f->output.length;) {
        const char *line = (char *)f->output.data + i;
        int length = (int)strcspn(line, "\n");

        if (length < 5 || memcmp(line + length - 5, " done", 5) != 0)
            fail_msg("%.*s", length, line);
        i += (size_t)length + 1;
    }
}

static void
test_runner_has_no_rights_and_four_descriptors(void **state)
{
    static const char *const argv[] = { "/probe", "facts", NULL };
    static const char *const lines[] = {
        "session leader yes",
        "host name box",
        "directory /box",
        "nosuid 1 1 nodev 1 1",
        "CapInh:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "SigBlk:\t0000000000000000",
        "SigIgn:\t0000000000000000",
        "fd 0",
        "fd 1",
        "fd 2",
        "fd 3",
    };
    struct fixture *f = *state;
    char line[64];

    run(f, argv);
    for (size_t i = 0; i < N_ELEMENTS(lines); i++)
        if (!box_has_line(&f->output, lines[i]))
            fail_msg("no '%s' in %.*s", lines[i], (int)f->output.length,
                     (char *)f->output.data);
    assert_null(memmem(f->output.data, f->output.length, "fd 4", 4));
    snprintf(line, sizeof line, "pid %d", box_runner_pid());
    assert_true(box_has_line(&f->output, line));
    snprintf(line, sizeof line, "uid %d %d", box_is_user() ? (int)getuid() : 1000,
             box_is_user() ? (int)getuid() : 1000);
    assert_true(box_has_line(&f->output, line));
}

/* Landlock's version that can scope abstract sockets. */
static bool
landlock_scopes_sockets(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 6;
}

static void
test_host_network_reaches_the_host_but_not_its_abstract_sockets(void **state)
{
    struct fixture *f = *state;
    struct box_spec box;
    char port[16], error[32];
    int tcp, number, abstract = listen_abstract();

    tcp = listen_tcp(&number);
    snprintf(port, sizeof port, "%d", number);
    const char *const argv[] = { "/probe", "refused", port, abstract_name(), "/x", NULL };
    box_spec_init(&box, f->workspace, argv);
    box.spec.network = SANDBOX_NETWORK_HOST;
    assert_int_equal(buffer_append_text(&f->output, "\n"), 0);
    assert_int_equal(box_run(&box.spec, &f->output), 0);
    box_spec_fini(&box);
    answer(f, "refuse_host_tcp4", error);
    assert_string_equal(error, "done");
    answer(f, "refuse_abstract_socket", error);
    assert_string_equal(error, landlock_scopes_sockets() ? "EPERM" : "done");
    close(tcp);
    close(abstract);
}

/* Root's files in the workspace would be the runner's: so the crafted file lies in a
 * read-only mount, with its owner. */
static void
test_setuid_programs_gain_nothing(void **state)
{
    static const char *const argv[] = { "/probe", "run", "/suid/probe", "facts", NULL };
    struct fixture *f = *state;
    char directory[64], path[128], command[512];
    struct box_spec box;

    box_make_workspace(directory);
    snprintf(path, sizeof path, "%s/probe", directory);
    snprintf(command, sizeof command, "cp %s %s", box_probe_path(), path);
    assert_int_equal(system(command), 0);
    assert_int_equal(chmod(path, 04755), 0);

    box_spec_init(&box, f->workspace, argv);
    box_spec_mount(&box, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_BIND_RO,
                                                 .source = directory,
                                                 .target = "/suid" });
    assert_int_equal(box_run(&box.spec, &f->output), 0);
    box_spec_fini(&box);
    box_remove_workspace(directory);
    assert_null(memmem(f->output.data, f->output.length, "uid 1000 0", 10));
    assert_true(box_has_line(&f->output, "CapEff:\t0000000000000000"));
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_dangerous_operations_are_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_what_programs_need_works, setup, teardown),
        cmocka_unit_test_setup_teardown(test_runner_has_no_rights_and_four_descriptors,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_setuid_programs_gain_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            test_host_network_reaches_the_host_but_not_its_abstract_sockets, setup,
            teardown),
    };
    int status = box_become(argc, argv);

    return status != 0 ? status : cmocka_run_group_tests(tests, NULL, NULL);
}
