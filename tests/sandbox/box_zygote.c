/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/policy.h"
#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"

#define POLICY_BYTES_MAX ((size_t)64 * 1024)

static bool wanted;
static struct sandbox_zygote zygote = { .socket = -1 };
static int control = -1; /* open as long as the test */

void
box_use_zygote(void)
{
    wanted = true;
}

static void
spawn(const struct sandbox_spec *spec)
{
    int ours[2], calls[2], pidfd, null = open("/dev/null", O_RDWR | O_CLOEXEC);
    struct error err = { 0 };

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ours), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, calls), 0);
    const int fds[SANDBOX_FD_COUNT] = { [SANDBOX_STDIN] = null,
                                        [SANDBOX_STDOUT] = null,
                                        [SANDBOX_STDERR] = STDERR_FILENO,
                                        [SANDBOX_CHANNEL] = calls[1],
                                        [SANDBOX_CONTROL] = ours[1] };

    if (sandbox_spawn(spec, fds, NULL, &pidfd, &err) != 0)
        fail_msg("spawn: %s", err.text);
    close(pidfd);
    close(null);
    close(calls[1]);
    close(ours[1]);
    control = ours[0];
    zygote.socket = calls[0];
}

static void
expect_start(void)
{
    uint8_t data[CONTROL_BYTES];
    struct control_report report;
    struct passing passing;

    assert_int_equal(passing_receive(control, data, sizeof data, 0, &passing), 0);
    assert_true(control_report_decode(&report, (struct slice){ data, passing.length }));
    assert_string_equal(report.step, "");
    assert_int_equal(report.kind, CONTROL_STARTED);
    assert_int_equal(passing.fd_count, SANDBOX_NAMESPACE_COUNT);
    for (int i = 0; i < SANDBOX_NAMESPACE_COUNT; i++)
        zygote.namespaces[i] = passing.fds[i];
}

static void
start(void)
{
    static const char *const argv[] = { "/zygote", NULL };
    const struct sandbox_mount mounts[] = {
        { .kind = SANDBOX_MOUNT_SYMLINK, .source = "usr/lib", .target = "/lib" },
        { .kind = SANDBOX_MOUNT_SYMLINK, .source = "usr/lib64", .target = "/lib64" },
        { .kind = SANDBOX_MOUNT_BIND_RO, .source = "/usr", .target = "/usr" },
        { .kind = SANDBOX_MOUNT_BIND_RO, .source = BOX_ZYGOTE, .target = argv[0] },
    };
    struct buffer policy;

    buffer_init(&policy, POLICY_BYTES_MAX);
    assert_int_equal(sandbox_policy_compile(&policy, SANDBOX_ROLE_ZYGOTE, NULL), 0);
    spawn(&(struct sandbox_spec){ .argv = argv,
                                  .directory = "/",
                                  .hostname = "zygote",
                                  .network = SANDBOX_NETWORK_NONE,
                                  .role = SANDBOX_ROLE_ZYGOTE,
                                  .limits = { .processes = 4096, .open_files = 1024 },
                                  .mounts = mounts,
                                  .mount_count = N_ELEMENTS(mounts),
                                  .seccomp = buffer_slice(&policy) });
    expect_start();
    buffer_fini(&policy);
}

const struct sandbox_zygote *
box_zygote(const struct sandbox_spec *spec)
{
    if (!wanted || spec->network != SANDBOX_NETWORK_NONE)
        return NULL;
    if (zygote.socket < 0)
        start();
    return &zygote;
}
