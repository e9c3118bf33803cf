/* SPDX-License-Identifier: MIT */
#include "contexts/tier.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/child.h"
#include "contexts/loop.h"
#include "contexts/profile.h"
#include "contexts/spawner.h"
#include "protocol/cleanup.h"

#define HARMLESS "/usr/bin/true"
#define MOUNTS_MAX 16
#define PROCESSES 64
#define OPEN_FILES 64
#define TMP_BYTES ((uint64_t)1024 * 1024)
#define TMP_INODES 64
#define OUTPUT_BYTES_MAX ((size_t)16 * 1024)
#define PROBE_S 20

static const char *const names[] = { [SANDBOX_TIER_FULL] = "full",
                                     [SANDBOX_TIER_NESTED] = "nested" };

#define NAMESPACES                                                                       \
    "user namespaces are forbidden here: sysctl user.max_user_namespaces and "           \
    "kernel.unprivileged_userns_clone, AppArmor's restriction of them, or the "          \
    "container's seccomp profile"

/* By how the text of a failure begins; the first that fits. */
static const struct {
    const char *step;
    const char *remedy;
} remedies[] = {
    { "new namespaces", NAMESPACES },
    { "user ids", NAMESPACES },
    { "init ids", NAMESPACES },
    { "private mounts", NAMESPACES },
    { "proc", "the machine's /proc is masked, as in most containers: let the container "
              "have all of it, as by systempaths=unconfined" },
    { "keep the owner of", "the file system knows no id-mapped mounts: start as the "
                           "owner of the directory" },
    { "control group", "the launcher's control group cannot be used: delegate it" },
    { "choose ids", "as root it needs the capabilities SETUID, SETGID, KILL and CHOWN, "
                    "or start as an ordinary user" },
    { "ids",
      "the ids from 0x70000000 on are not mapped here: start as an ordinary user" },
    { "landlock signals", "Linux 6.12 confines signals; older ones need root, for an id "
                          "of its own" },
    { "landlock", "the kernel has no Landlock, or it is switched off: lsm=landlock,... "
                  "on the kernel's command line" },
    { "own proc", "/proc is missing, or another pid namespace's" },
    { "seccomp", "the kernel has no seccomp filters" },
};

struct tier_probe {
    struct loop *loop; /* borrowed */
    struct child *child; /* owned */
    struct loop_timer *timer; /* owned: the end, whatever happens */
    struct loop_source *out_source, *err_source; /* owned */
    struct output_fds fds; /* owned; -1: not there */
    struct buffer output; /* owned */
    struct tier_report report;
    bool done;
    tier_done_fn *fn;
    void *arg;
};

const char *
tier_name(enum sandbox_tier tier)
{
    return names[tier];
}

static const char *
remedy_for(const char *failure)
{
    for (size_t i = 0; i < N_ELEMENTS(remedies); i++)
        if (strncmp(failure, remedies[i].step, strlen(remedies[i].step)) == 0)
            return remedies[i].remedy;
    return "see \"When a step fails\" in docs/sandbox.md";
}

void
tier_refusal(char *ret, size_t size, const struct tier_report *report)
{
    snprintf(ret, size, "this machine gives no %s sandbox: %s (%s)%s",
             names[report->tier], report->missing, report->remedy,
             report->tier == SANDBOX_TIER_FULL
                 ? "; --tier nested accepts a weaker one (docs/sandbox.md)"
                 : "");
}

void
tier_probe_cancel(struct tier_probe *probe)
{
    if (probe == NULL)
        return;
    child_destroy(probe->child);
    loop_source_destroy(probe->out_source);
    loop_source_destroy(probe->err_source);
    loop_timer_destroy(probe->timer);
    close_fdp(&probe->fds.out);
    close_fdp(&probe->fds.err);
    close_fdp(&probe->fds.channel);
    buffer_fini(&probe->output);
    free(probe);
}

CLEANUP_DEFINE(struct tier_probe, tier_probe_cancel);

/* A child may not be destroyed from its own callback. */
static int
on_timer(void *arg)
{
    CLEANUP(tier_probe_cancelp) struct tier_probe *probe = arg;

    if (!probe->done)
        snprintf(probe->report.missing, sizeof probe->report.missing,
                 "it was not made within %d seconds", PROBE_S);
    if (!probe->report.works)
        probe->report.remedy = remedy_for(probe->report.missing);
    probe->report.output = buffer_slice(&probe->output);
    return probe->fn(&probe->report, probe->arg);
}

static int
finish(struct tier_probe *probe)
{
    if (!probe->done)
        loop_timer_arm(probe->timer, 0);
    probe->done = true;
    return 0;
}

static int
fail(struct tier_probe *probe, const char *step, const char *why)
{
    static const char prefix[] = "sandbox: ";

    if (strncmp(step, prefix, strlen(prefix)) == 0)
        step += strlen(prefix);
    snprintf(probe->report.missing, sizeof probe->report.missing, "%s%s%s", step,
             why[0] != '\0' ? ": " : "", why);
    return finish(probe);
}

static int
on_output(int fd, uint32_t events, void *arg)
{
    struct tier_probe *probe = arg;
    char data[1024];
    ssize_t n = read(fd, data, sizeof data);

    (void)events;
    if (n > 0 && buffer_append(&probe->output, data, (size_t)n) == 0)
        return 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    loop_source_destroy(probe->out_source);
    probe->out_source = NULL;
    return probe->report.works ? finish(probe) : 0;
}

static int
on_born(const struct output_fds *fds, void *arg)
{
    struct tier_probe *probe = arg;

    probe->fds = *fds;
    return loop_add_fd(&probe->out_source, probe->loop, fds->out, EPOLLIN, on_output,
                       probe);
}

/* A program that cannot be run had its sandbox. */
static bool
is_made(const struct control_report *report)
{
    return report->kind == CONTROL_STARTED || strncmp(report->step, "run ", 4) == 0;
}

static int
on_report(const struct control_report *report, void *arg)
{
    struct tier_probe *probe = arg;

    if (report->kind == CONTROL_EXITED)
        return probe->out_source == NULL ? finish(probe) : 0;
    if (!is_made(report))
        return fail(probe, report->step, strerror(report->error));
    probe->report.works = true;
    return report->kind == CONTROL_STARTED ? 0 : finish(probe);
}

static int
on_gone(const struct error *err, void *arg)
{
    struct tier_probe *probe = arg;

    if (probe->done || probe->report.works)
        return finish(probe);
    return fail(probe, err != NULL ? err->text : "its init ended without a word", "");
}

static int
on_full(void *arg)
{
    return finish(arg);
}

static const struct child_observer observer = {
    .on_born = on_born, .on_full = on_full, .on_report = on_report, .on_gone = on_gone
};

/* The system as a context sees it, and the program. */
struct probe_spec {
    struct sandbox_spec spec;
    struct sandbox_mount mounts[MOUNTS_MAX];
    char links[MOUNTS_MAX][PATH_MAX];
    const char *argv[4];
    const char *env[2];
};

static void
add(struct probe_spec *probe, struct sandbox_mount mount)
{
    probe->mounts[probe->spec.mount_count++] = mount;
}

static void
add_system(struct probe_spec *probe)
{
    static const char *const folders[] = { "/usr", "/bin", "/lib", "/lib64",
                                           "/etc/ld.so.cache" };

    for (size_t i = 0; i < N_ELEMENTS(folders); i++) {
        ssize_t n = readlink(folders[i], probe->links[i], PATH_MAX - 1);
        struct sandbox_mount mount = { .kind = SANDBOX_MOUNT_BIND_RO,
                                       .flags = SANDBOX_MOUNT_OPTIONAL,
                                       .target = folders[i],
                                       .source = folders[i] };

        if (n > 0) {
            probe->links[i][n] = '\0';
            mount.kind = SANDBOX_MOUNT_SYMLINK;
            mount.flags = 0;
            mount.source = probe->links[i];
        }
        add(probe, mount);
    }
}

static struct probe_spec *
make_spec(enum sandbox_tier tier, const char *const *program, struct slice seccomp)
{
    struct probe_spec *probe = calloc(1, sizeof *probe);

    if (probe == NULL)
        return NULL;
    probe->argv[0] = HARMLESS;
    for (size_t i = 0; program != NULL && program[i] != NULL && i < 3; i++)
        probe->argv[i] = program[i];
    probe->env[0] = "PATH=/usr/bin:/bin";
    probe->spec = (struct sandbox_spec){ .argv = probe->argv,
                                         .env = probe->env,
                                         .directory = "/",
                                         .hostname = "cellwall",
                                         .tier = tier,
                                         .limits = { .processes = PROCESSES,
                                                     .open_files = OPEN_FILES },
                                         .mounts = probe->mounts,
                                         .seccomp = seccomp };
    add_system(probe);
    add(probe, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_TMPFS,
                                       .target = "/tmp",
                                       .bytes = TMP_BYTES,
                                       .inodes = TMP_INODES,
                                       .mode = 01777 });
    if (program != NULL)
        add(probe, (struct sandbox_mount){ .kind = SANDBOX_MOUNT_BIND_RO,
                                           .target = program[0],
                                           .source = program[0] });
    return probe;
}

static int
find_program(struct slice *ret, struct spawner *spawner, enum sandbox_tier tier,
             struct error *err)
{
    const struct profile_programs *programs;
    int r;

    if (tier == SANDBOX_TIER_NESTED)
        return spawner_nested_program(spawner, SANDBOX_NETWORK_NONE, ret, err);
    r = spawner_programs(spawner, &programs, err);
    if (r == 0)
        *ret = programs->of_role[SANDBOX_ROLE_RUNNER];
    return r;
}

int
tier_probe_begin(struct tier_probe **ret, struct loop *loop, struct spawner *spawner,
                 enum sandbox_tier tier, const char *const *program, tier_done_fn *fn,
                 void *arg, struct error *err)
{
    CLEANUP(tier_probe_cancelp) struct tier_probe *probe = calloc(1, sizeof *probe);
    CLEANUP(freep) struct probe_spec *spec = NULL;
    struct spawner_wish wish = { 0 };
    struct slice seccomp;
    int r;

    if (probe == NULL)
        return -ENOMEM;
    probe->loop = loop;
    probe->fds = (struct output_fds){ -1, -1, -1 };
    probe->report = (struct tier_report){ .tier = tier };
    probe->fn = fn;
    probe->arg = arg;
    buffer_init(&probe->output, OUTPUT_BYTES_MAX);
    r = find_program(&seccomp, spawner, tier, err);
    if (r != 0)
        return r;
    spec = make_spec(tier, program, seccomp);
    if (spec == NULL)
        return -ENOMEM;
    wish.spec = &spec->spec;
    r = loop_add_timer(&probe->timer, loop, on_timer, probe);
    if (r == 0)
        r = child_create(&probe->child, loop, spawner, &wish, &observer, probe, err);
    if (r != 0)
        return r;
    loop_timer_arm(probe->timer, (uint64_t)PROBE_S * 1000000);
    *ret = probe;
    probe = NULL;
    return 0;
}
