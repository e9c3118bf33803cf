/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/policy.h"
#include "protocol/cleanup.h"
#include "tests/sandbox/box.h"

#define POLICY_BYTES_MAX ((size_t)64 * 1024)
#define RUNNER_PID 2
#define FORKED_RUNNER_PID 3 /* the process that forked it was there before */

static bool wanted;
static const struct sandbox_zygote *in_use;

void
box_use_zygote(void)
{
    wanted = true;
}

void
box_use_this_zygote(const struct box_zygote *zygote)
{
    wanted = true;
    in_use = &zygote->ends;
}

bool
box_uses_zygote(void)
{
    return wanted;
}

int
box_runner_pid(void)
{
    return wanted ? FORKED_RUNNER_PID : RUNNER_PID;
}

const char *
box_zygote_path(void)
{
    return BOX_ZYGOTE;
}

const char *
box_failing_zygote_path(void)
{
    return BOX_FAILING_ZYGOTE;
}

const char *
box_hostile_zygote_path(void)
{
    return BOX_HOSTILE_ZYGOTE;
}

static void
expect_start(struct box_zygote *zygote)
{
    uint8_t data[CONTROL_BYTES];
    struct control_report report;
    struct passing passing;

    assert_int_equal(passing_receive(zygote->box.control, data, sizeof data, 0, &passing),
                     0);
    assert_true(control_report_decode(&report, (struct slice){ data, passing.length }));
    assert_string_equal(report.step, "");
    assert_int_equal(report.kind, CONTROL_STARTED);
    assert_int_equal(passing.fd_count, SANDBOX_NAMESPACE_COUNT);
    for (int i = 0; i < SANDBOX_NAMESPACE_COUNT; i++)
        zygote->ends.namespaces[i] = passing.fds[i];
    zygote->ends.socket = zygote->box.channel;
}

void
box_zygote_start(struct box_zygote *ret, const char *const *argv, const char *shared)
{
    const struct sandbox_mount mounts[] = {
        { .kind = SANDBOX_MOUNT_SYMLINK, .source = "usr/lib", .target = "/lib" },
        { .kind = SANDBOX_MOUNT_SYMLINK, .source = "usr/lib64", .target = "/lib64" },
        { .kind = SANDBOX_MOUNT_BIND_RO, .source = "/usr", .target = "/usr" },
        { .kind = SANDBOX_MOUNT_BIND_RO, .source = argv[0], .target = argv[0] },
        { .kind = SANDBOX_MOUNT_BIND_RW, .source = shared, .target = "/shared" },
    };
    struct buffer policy;

    buffer_init(&policy, POLICY_BYTES_MAX);
    assert_int_equal(sandbox_policy_compile(&policy, SANDBOX_ROLE_ZYGOTE, NULL), 0);
    box_start_by(
        &ret->box,
        &(struct sandbox_spec){ .argv = argv,
                                .directory = "/",
                                .hostname = "zygote",
                                .network = SANDBOX_NETWORK_NONE,
                                .role = SANDBOX_ROLE_ZYGOTE,
                                .limits = { .processes = 4096, .open_files = 1024 },
                                .mounts = mounts,
                                .mount_count = N_ELEMENTS(mounts) - (shared == NULL),
                                .seccomp = buffer_slice(&policy) },
        NULL);
    buffer_fini(&policy);
    if (ret->box.result != 0)
        fail_msg("spawn: %s", ret->box.error.text);
    expect_start(ret);
}

void
box_zygote_end(struct box_zygote *zygote)
{
    for (int i = 0; i < SANDBOX_NAMESPACE_COUNT; i++)
        close(zygote->ends.namespaces[i]);
    box_end(&zygote->box);
}

const struct sandbox_zygote *
box_zygote(const struct sandbox_spec *spec)
{
    static const char *const argv[] = { BOX_ZYGOTE, NULL };
    static struct box_zygote zygote;

    if (!wanted || spec->network != SANDBOX_NETWORK_NONE)
        return NULL;
    if (in_use == NULL) {
        box_zygote_start(&zygote, argv, NULL);
        in_use = &zygote.ends;
    }
    return in_use;
}
