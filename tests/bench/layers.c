/* SPDX-License-Identifier: MIT */
/*
 * layers - what each step of the sandbox costs
 *
 *     bench-layers COUNT PAUSE RUNTIMES PYTHON DIRECTORY
 *
 * Makes COUNT sandboxes of the notebook's profile, PAUSE ms apart, in which a small
 * program is started, and prints one JSON object: microseconds of each step, in the order
 * of the tables, and of all. The linker puts the function below in front of that which
 * walks the tables; steps tell their times by memory that all processes share.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contexts/context.h"
#include "contexts/profile.h"
#include "contexts/runtime.h"
#include "contexts/sandbox/control.h"
#include "contexts/sandbox/sandbox.h"
#include "contexts/sandbox/steps.h"
#include "contexts/spawner.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "tests/bench/measure.h"

#define STEPS_MAX 24 /* of one table */
#define WARM_UP 20
#define NAME_BYTES 96

static const struct {
    const char *who;
    const struct sandbox_steps *steps;
} tables[] = {
    { "init, as a shell", &sandbox_shell_steps },
    { "init, as ordered", &sandbox_build_steps },
    { "init, at last", &sandbox_init_steps },
    { "runner", &sandbox_confine_steps },
};
#define TABLES N_ELEMENTS(tables)

static const char *const program[] = { "/bin/true", NULL };

/* Shared with the children. */
static struct times {
    double us[TABLES][STEPS_MAX];
} *times;

static struct samples of_steps[TABLES][STEPS_MAX];
static struct samples of_tables[TABLES];
static struct samples of_clone, of_order, of_all;

bool __wrap_sandbox_steps_apply(const struct sandbox_steps *steps,
                                struct sandbox_work *work, struct sandbox_failure *ret);

static size_t
find_table(const struct sandbox_steps *steps)
{
    for (size_t i = 0; i < TABLES; i++)
        if (tables[i].steps == steps)
            return i;
    measure_die("a table that this program does not know");
}

bool
__wrap_sandbox_steps_apply(const struct sandbox_steps *steps, struct sandbox_work *work,
                           struct sandbox_failure *ret)
{
    double *us = times->us[find_table(steps)];

    for (size_t i = 0; i < steps->count; i++) {
        double began = measure_now_us();
        int r;

        sandbox_work_object(work, "");
        r = steps->rows[i].apply(work);
        us[i] = measure_now_us() - began;
        if (r == 0)
            continue;
        sandbox_failure_set(ret, -r, steps->rows[i].name, work->object);
        return false;
    }
    return true;
}

static void
wait_report(int control, enum control_report_kind kind)
{
    struct control_report report;
    uint8_t data[CONTROL_BYTES];

    if (recv(control, data, sizeof data, 0) != CONTROL_BYTES ||
        !control_report_decode(&report,
                               (struct slice){ .data = data, .length = CONTROL_BYTES }))
        measure_die("init has ended");
    if (report.kind != kind)
        measure_die("%s: %s", report.step, strerror(report.error));
}

/* FDS but the control socket are /dev/null. */
static void
open_fds(int fds[SANDBOX_FD_COUNT], int *ret_control)
{
    int control[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
        measure_die("socketpair: %s", strerror(errno));
    for (int i = 0; i < SANDBOX_CONTROL; i++) {
        fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fds[i] < 0)
            measure_die("/dev/null: %s", strerror(errno));
    }
    fds[SANDBOX_CONTROL] = control[1];
    *ret_control = control[0];
}

static void
note(double clone_us, double order_us, double all_us)
{
    samples_add(&of_clone, clone_us);
    samples_add(&of_order, order_us);
    samples_add(&of_all, all_us);
    for (size_t t = 0; t < TABLES; t++) {
        double sum = 0;

        for (size_t i = 0; i < tables[t].steps->count; i++) {
            samples_add(&of_steps[t][i], times->us[t][i]);
            sum += times->us[t][i];
        }
        samples_add(&of_tables[t], sum);
    }
}

static void
measure_one(const struct sandbox_spec *spec, struct cgroups *groups, bool counts)
{
    int fds[SANDBOX_FD_COUNT], control;
    struct sandbox_shell shell;
    struct sandbox_child child;
    struct error err = { 0 };
    double began, cloned, ordered, started;
    pid_t init;

    open_fds(fds, &control);
    began = measure_now_us();
    if (sandbox_shell_create(&shell, spec->role, spec->network, NULL, groups, &err) < 0)
        measure_die("%s", err.text);
    cloned = measure_now_us();
    init = shell.pid;
    if (sandbox_shell_use(&shell, spec, fds, NULL, &child, &err) < 0)
        measure_die("%s", err.text);
    ordered = measure_now_us();
    wait_report(control, CONTROL_STARTED);
    started = measure_now_us();
    for (int i = 0; i < SANDBOX_FD_COUNT; i++)
        close(fds[i]);
    wait_report(control, CONTROL_EXITED);
    close(control); /* init ends with it */
    while (waitpid(init, NULL, 0) < 0 && errno == EINTR)
        continue;
    close(child.pidfd);
    cgroup_fini(&child.group);
    cgroup_remove(groups, child.group.id);
    if (counts)
        note(cloned - began, ordered - cloned, started - began);
}

static void
print_all(void)
{
    char name[NAME_BYTES];

    printf("{");
    samples_print("all", &of_all);
    printf(", ");
    samples_print("clone", &of_clone);
    printf(", ");
    samples_print("order", &of_order);
    for (size_t t = 0; t < TABLES; t++) {
        printf(", ");
        samples_print(tables[t].who, &of_tables[t]);
        for (size_t i = 0; i < tables[t].steps->count; i++) {
            snprintf(name, sizeof name, "%s: %s", tables[t].who,
                     tables[t].steps->rows[i].name);
            printf(", ");
            samples_print(name, &of_steps[t][i]);
        }
    }
    printf("}\n");
}

static struct sandbox_spec
notebook_spec(char **argv, struct spawner *spawner)
{
    const struct profile_programs *programs;
    struct environment *environment;
    struct runtime *runtime;
    struct profile *profile;
    struct error err = { 0 };
    struct sandbox_spec spec;

    if (runtime_load(&runtime, argv[3], "python", &err) != 0 ||
        environment_probe(&environment, runtime, argv[4], &err) != 0 ||
        spawner_programs(spawner, &programs, &err) != 0)
        measure_die("%s", err.text);
    const struct context_options options = {
        .runtime = runtime,
        .interpreter = environment->interpreter,
        .mounts = environment->mounts,
        .directory = argv[5],
        .limits = context_limits_of(CONTEXT_PROFILE_NOTEBOOK),
    };
    if (profile_create(&profile, &options, programs, &err) != 0)
        measure_die("%s", err.text);
    spec = *profile_spec(profile); /* both live as long as this program */
    spec.argv = program;
    return spec;
}

int
main(int argc, char **argv)
{
    struct cgroups groups = CGROUPS_NONE;
    struct spawner *spawner;
    struct sandbox_spec spec;
    size_t count, pause;

    if (argc != 6)
        measure_die("usage: bench-layers COUNT PAUSE RUNTIMES PYTHON DIRECTORY");
    count = strtoul(argv[1], NULL, 10);
    pause = strtoul(argv[2], NULL, 10);
    times = mmap(NULL, sizeof *times, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
    if (times == MAP_FAILED || spawner_create(&spawner, NULL) != 0)
        measure_die("no memory");
    spec = notebook_spec(argv, spawner);
    cgroups_open(&groups);
    for (size_t i = 0; i < WARM_UP + count; i++) {
        usleep((useconds_t)(pause * 1000));
        measure_one(&spec, &groups, i >= WARM_UP);
    }
    cgroups_close(&groups);
    spawner_destroy(spawner);
    print_all();
    return 0;
}
