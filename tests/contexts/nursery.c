/* SPDX-License-Identifier: MIT */
#include "tests/contexts/nursery.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "contexts/loop.h"
#include "contexts/processes.h"
#include "contexts/profile.h"
#include "contexts/workspace.h"
#include "protocol/cleanup.h"

#define WATCHDOG_S 60
#define PROCESSES_MAX 4096

static const char *const child_argv[] = { "/bin/sh", "-c", "echo $$; exec sleep 1000",
                                          NULL };
static const char *const child_env[] = { "PATH=/usr/bin:/bin", NULL };

static const struct sandbox_mount system_mounts[] = {
    { .kind = SANDBOX_MOUNT_SYMLINK, .source = "usr/bin", .target = "/bin" },
    { .kind = SANDBOX_MOUNT_SYMLINK, .source = "usr/lib", .target = "/lib" },
    { .kind = SANDBOX_MOUNT_SYMLINK, .source = "usr/lib64", .target = "/lib64" },
    { .kind = SANDBOX_MOUNT_BIND_RO, .source = "/usr", .target = "/usr" },
};

static void
fill_specs(struct nursery *n, const struct profile_programs *programs)
{
    size_t count = N_ELEMENTS(system_mounts);

    memcpy(n->mounts, system_mounts, sizeof system_mounts);
    memcpy(n->zygote_mounts, system_mounts, sizeof system_mounts);
    n->mounts[count] = (struct sandbox_mount){ .kind = SANDBOX_MOUNT_BIND_RW,
                                               .source = n->directory,
                                               .target = "/box" };
    n->zygote_mounts[count] = (struct sandbox_mount){ .kind = SANDBOX_MOUNT_BIND_RO,
                                                      .source = TEST_ZYGOTE,
                                                      .target = "/zygote" };
    n->spec = (struct sandbox_spec){
        .argv = child_argv,
        .env = child_env,
        .directory = "/box",
        .hostname = "child",
        .role = SANDBOX_ROLE_RUNNER,
        .limits = { .processes = 64, .open_files = 64 },
        .mounts = n->mounts,
        .mount_count = count + 1,
        .seccomp = programs->of_role[SANDBOX_ROLE_RUNNER],
    };
    n->zygote = (struct sandbox_spec){
        .argv = n->zygote_argv,
        .env = child_env,
        .directory = "/",
        .hostname = "zygote",
        .role = SANDBOX_ROLE_ZYGOTE,
        .limits = { .processes = 4096, .open_files = 1024 },
        .mounts = n->zygote_mounts,
        .mount_count = count + 1,
        .seccomp = programs->of_role[SANDBOX_ROLE_ZYGOTE],
    };
    n->wish = (struct spawner_wish){ .spec = &n->spec, .zygote = &n->zygote };
    n->zygote_argv[0] = "/zygote";
    nursery_set_zygote(n, "ready", n->watched);
}

static void
make_directory(struct nursery *n)
{
    FILE *file;

    strcpy(n->directory, "/tmp/cellwall-test-XXXXXX");
    assert_non_null(mkdtemp(n->directory));
    snprintf(n->watched, sizeof n->watched, "%s/watched", n->directory);
    file = fopen(n->watched, "we");
    assert_non_null(file);
    fclose(file);
}

int
nursery_setup(void **state)
{
    struct nursery *n = calloc(1, sizeof *n);
    const struct profile_programs *programs;

    assert_non_null(n);
    alarm(WATCHDOG_S);
    assert_int_equal(spawner_create(&n->spawner, NULL), 0);
    assert_int_equal(loop_create(&n->loop), 0);
    assert_int_equal(spawner_attach(n->spawner, n->loop), 0);
    assert_int_equal(spawner_programs(n->spawner, &programs, NULL), 0);
    make_directory(n);
    fill_specs(n, programs);
    *state = n;
    return 0;
}

int
nursery_teardown(void **state)
{
    struct nursery *n = *state;

    spawner_destroy(n->spawner);
    loop_destroy(n->loop);
    unlink(n->watched);
    assert_int_equal(rmdir(n->directory), 0);
    free(n);
    alarm(0);
    return 0;
}

void
nursery_use_workspace(struct nursery *n, const struct workspace *workspace)
{
    n->mounts[n->spec.mount_count++] =
        (struct sandbox_mount){ .kind = SANDBOX_MOUNT_GIVEN,
                                .target = "/files",
                                .number = workspace_number(workspace) };
    n->spec.directory = "/files/made";
    n->spec.make_directory = true;
}

void
nursery_set_zygote(struct nursery *n, const char *behaviour, const char *argument)
{
    n->zygote_argv[1] = behaviour;
    n->zygote_argv[2] = argument;
}

void
nursery_on_told(const char *text, void *arg)
{
    struct nursery *n = arg;
    size_t length = strlen(n->told);

    snprintf(n->told + length, sizeof n->told - length, "%s\n", text);
}

static void
turn(struct nursery *n)
{
    assert_int_equal(loop_wait(n->loop, -1), 0);
}

void
nursery_wait_told(struct nursery *n, const char *text)
{
    while (strstr(n->told, text) == NULL)
        turn(n);
}

static int
on_done(struct spawner_child *child, const struct error *err, void *arg)
{
    struct kid *kid = arg;

    kid->calls++;
    kid->order = NULL;
    assert_true((child == NULL) == (err != NULL));
    if (err != NULL) {
        kid->error = *err;
        return 0;
    }
    kid->child = *child;
    *child = (struct spawner_child)SPAWNER_CHILD_NONE;
    return 0;
}

void
kid_ask(struct kid *kid, struct nursery *n, struct spawner *spawner)
{
    struct error err = { 0 };

    *kid = (struct kid){ .nursery = n, .child = SPAWNER_CHILD_NONE };
    if (spawner_spawn(&kid->order, spawner, &n->wish, on_done, kid, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(kid->calls, 0); /* never called at once */
}

void
kid_wait(struct kid *kid)
{
    while (kid->calls == 0)
        turn(kid->nursery);
    assert_int_equal(kid->calls, 1);
}

int
kid_read_pid(struct kid *kid)
{
    struct pollfd out = { .fd = kid->child.out, .events = POLLIN };
    char text[32] = "";
    size_t length = 0;

    while (strchr(text, '\n') == NULL) {
        ssize_t n;

        assert_int_equal(poll(&out, 1, -1), 1);
        n = read(out.fd, text + length, sizeof text - 1 - length);
        if (n <= 0)
            fail_msg("the child has said '%s' and no more", text);
        length += (size_t)n;
    }
    return atoi(text);
}

int
kid_start(struct kid *kid, struct nursery *n, struct spawner *spawner)
{
    kid_ask(kid, n, spawner);
    kid_wait(kid);
    if (kid->error.text[0] != '\0')
        fail_msg("%s", kid->error.text);
    return kid_read_pid(kid);
}

bool
kid_is_alive(const struct kid *kid)
{
    struct pollfd init = { .fd = kid->child.init_pidfd, .events = POLLIN };

    return poll(&init, 1, 0) == 0;
}

/* Closing its control socket is enough. */
void
kid_end(struct kid *kid)
{
    struct pollfd init = { .fd = kid->child.init_pidfd, .events = POLLIN };

    assert_int_equal(kid->calls, 1);
    if (kid->child.init_pidfd < 0)
        return;
    close(kid->child.control);
    kid->child.control = -1;
    assert_int_equal(poll(&init, 1, -1), 1);
    spawner_child_fini(&kid->child);
    kid->child = (struct spawner_child)SPAWNER_CHILD_NONE;
}

/* The launcher's own, its keeper's, and what it has ready for sandboxes that nobody has
 * asked for. */
static bool
is_launcher(int pid)
{
    char path[64], name[32] = "";
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/comm", pid);
    file = fopen(path, "re");
    if (file == NULL)
        return true; /* it has ended */
    if (fgets(name, sizeof name, file) == NULL)
        name[0] = '\0';
    fclose(file);
    return name[0] == '\0' || strcmp(name, "cellwall-launch\n") == 0 ||
           strcmp(name, "cellwall-keeper\n") == 0;
}

size_t
nursery_count_processes(const struct nursery *n, const struct spawner *spawner)
{
    static int pids[PROCESSES_MAX];
    size_t all = processes_tree(spawner_pid(spawner), pids, PROCESSES_MAX), count = 0;

    (void)n;
    for (size_t i = 0; i < all; i++)
        count += !is_launcher(pids[i]);
    return count;
}

/* Ends of processes are no events of the loop: this is a poll, bounded by the watchdog.
 */
void
nursery_wait_processes(struct nursery *n, const struct spawner *spawner, size_t count)
{
    while (nursery_count_processes(n, spawner) != count)
        assert_int_equal(loop_wait(n->loop, 1), 0);
}
