/* SPDX-License-Identifier: MIT */
#include "contexts/sandbox/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

#define NAME_PREFIX "cellwall-"
#define QUICK_NAME "cellwall" /* of a hierarchy without controllers */
#define LINE_BYTES (2 * PATH_MAX + 512)
#define PERIOD_US 100000 /* of the scheduler's quota */
#define PIDS_EXTRA 2 /* init, and who makes the runner */
#define VALUE_BYTES 64
#define NAMES_MAX 16 /* tried for a group of ours */

static const char *const controller_names[] = {
    [CGROUP_MEMORY] = "memory",
    [CGROUP_PIDS] = "pids",
    [CGROUP_CPU] = "cpu",
};
_Static_assert(N_ELEMENTS(controller_names) == CGROUP_CONTROLLERS, "a name for each");

#define BIT(controller) (1U << (controller))
#define ALL_CONTROLLERS (BIT(CGROUP_CONTROLLERS) - 1)

/* What a controller's files are called, and what is written to them. */
static const struct setting {
    enum cgroup_controller controller;
    bool unified;
    bool optional; /* kernels without swap accounting lack it */
    const char *file;
    const char *text; /* in place of the limit; NULL: the limit */
} settings[] = {
    { CGROUP_MEMORY, false, false, "memory.limit_in_bytes", NULL },
    { CGROUP_MEMORY, false, true, "memory.memsw.limit_in_bytes", NULL },
    { CGROUP_MEMORY, true, false, "memory.max", NULL },
    { CGROUP_MEMORY, true, true, "memory.swap.max", "0" },
    { CGROUP_PIDS, false, false, "pids.max", NULL },
    { CGROUP_PIDS, true, false, "pids.max", NULL },
    { CGROUP_CPU, false, false, "cpu.cfs_quota_us", NULL },
    { CGROUP_CPU, true, false, "cpu.max", NULL }, /* the period stays 100 ms */
};

static int
write_value(int dir, const char *file, const char *value)
{
    CLEANUP(close_fdp) int fd = sys_openat(dir, file, O_WRONLY, 0);

    if (fd < 0 || sys_write_file(fd, value, strlen(value)) < 0)
        return -errno;
    return 0;
}

/* True when WORD is in LIST, between commas or blanks. */
static bool
has_word(const char *list, const char *word)
{
    size_t length = strlen(word);

    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list || strchr(", ", at[-1]) != NULL) &&
            (at[length] == '\0' || strchr(", \n", at[length]) != NULL))
            return true;
    return false;
}

static unsigned
controllers_in(const char *list)
{
    unsigned found = 0;

    for (int i = 0; i < CGROUP_CONTROLLERS; i++)
        if (has_word(list, controller_names[i]))
            found |= BIT(i);
    return found;
}

/* The group of this process in the hierarchy that has CONTROLLER, or in that of version 2
 * (-1), as the kernel names it. */
static bool
own_group(int controller, char ret[PATH_MAX])
{
    char line[LINE_BYTES];
    FILE *file = fopen("/proc/self/cgroup", "re");
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        char *names = strchr(line, ':');
        char *path = names == NULL ? NULL : strchr(names + 1, ':');

        if (path == NULL)
            continue;
        *path++ = '\0';
        names++;
        path[strcspn(path, "\n")] = '\0';
        found = controller < 0 ? *names == '\0'
                               : has_word(names, controller_names[controller]);
        if (found)
            snprintf(ret, PATH_MAX, "%s", path);
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* Where the hierarchy is mounted; ROOT: which group its mount shows. */
static bool
find_mount(int controller, char mount[PATH_MAX], char root[PATH_MAX])
{
    char line[LINE_BYTES];
    FILE *file = fopen("/proc/self/mountinfo", "re");
    bool found = false;

    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        char type[64], options[512];
        const char *rest = strstr(line, " - ");

        if (rest == NULL || sscanf(rest, " - %63s %*s %511s", type, options) != 2 ||
            sscanf(line, "%*d %*d %*s %4095s %4095s", root, mount) != 2)
            continue;
        found = controller < 0 ? strcmp(type, "cgroup2") == 0
                               : strcmp(type, "cgroup") == 0 &&
                                     has_word(options, controller_names[controller]);
    }
    if (file != NULL)
        fclose(file);
    return found;
}

/* Opens this process's own group, or the highest one that is shown. */
static int
open_own(int controller, bool highest)
{
    char mount[PATH_MAX], root[PATH_MAX], group[PATH_MAX], path[2 * PATH_MAX];
    size_t length;

    if (!find_mount(controller, mount, root) || !own_group(controller, group))
        return -1;
    length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(group, root, length) != 0 || strstr(group, "/..") != NULL)
        highest = true; /* of another cgroup namespace */
    snprintf(path, sizeof path, "%s%s", mount, highest ? "" : group + length);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
remove_all_in(int dir)
{
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;

    if (entries == NULL) {
        close_fdp(&copy);
        return;
    }
    while ((entry = readdir(entries)) != NULL)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            unlinkat(dir, entry->d_name, AT_REMOVEDIR);
    closedir(entries);
}

/* A spawner that lives holds a lock on its group. */
static void
remove_stale(int above)
{
    int copy = openat(above, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;

    if (entries == NULL) {
        close_fdp(&copy);
        return;
    }
    while ((entry = readdir(entries)) != NULL) {
        CLEANUP(close_fdp) int dir = -1;

        if (strncmp(entry->d_name, NAME_PREFIX, strlen(NAME_PREFIX)) != 0)
            continue;
        dir = openat(above, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0)
            continue;
        remove_all_in(dir);
        unlinkat(above, entry->d_name, AT_REMOVEDIR);
    }
    closedir(entries);
}

/* Somebody who cleans up may lock and remove it between its making and its locking; and
 * in another pid namespace somebody may have our number. They are not waited for. */
static int
make_ours(int above, const char *base, char name[CGROUP_NAME_BYTES])
{
    for (int i = 0; i < NAMES_MAX; i++) {
        CLEANUP(close_fdp) int dir = -1;
        struct stat ours, there;
        int ret;

        snprintf(name, CGROUP_NAME_BYTES, "%s", base);
        if (i > 0)
            snprintf(name, CGROUP_NAME_BYTES, "%s-%d", base, i);
        if (sys_mkdirat(above, name, 0755) < 0 && errno != EEXIST)
            return -errno;
        dir = openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) < 0 || fstat(dir, &ours) < 0 ||
            fstatat(above, name, &there, 0) < 0 || ours.st_ino != there.st_ino ||
            ours.st_uid != geteuid())
            continue;
        ret = dir;
        dir = -1;
        return ret;
    }
    return -EAGAIN;
}

/* In version 2 a group that gives controllers to those below has no processes: ours move
 * into one of their own, but nobody else's. */
static int
step_aside(int above, const char *name)
{
    char own[64], pid[VALUE_BYTES];
    CLEANUP(close_fdp) int dir = -1;
    int r;

    snprintf(own, sizeof own, "%s.own", name);
    if (sys_mkdirat(above, own, 0755) < 0 && errno != EEXIST)
        return -errno;
    dir = openat(above, own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    flock(dir, LOCK_EX | LOCK_NB);
    snprintf(pid, sizeof pid, "%d", (int)getppid());
    r = write_value(dir, "cgroup.procs", pid);
    return r < 0 ? r : write_value(dir, "cgroup.procs", "0");
}

static unsigned
delegate(int dir, unsigned controllers)
{
    unsigned given = 0;

    for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
        char value[VALUE_BYTES];

        snprintf(value, sizeof value, "+%s", controller_names[i]);
        if ((controllers & BIT(i)) != 0 &&
            write_value(dir, "cgroup.subtree_control", value) == 0)
            given |= BIT(i);
    }
    return given;
}

static unsigned
available(int dir)
{
    CLEANUP(close_fdp) int fd = openat(dir, "cgroup.controllers", O_RDONLY | O_CLOEXEC);
    char list[1024];
    ssize_t n = fd < 0 ? -1 : read(fd, list, sizeof list - 1);

    if (n < 0)
        return 0;
    list[n] = '\0';
    return controllers_in(list);
}

static void
hierarchy_fini(struct cgroup_hierarchy *hierarchy)
{
    close_fdp(&hierarchy->dir);
    close_fdp(&hierarchy->above);
}

/* Takes ABOVE. */
static void
add_hierarchy(struct cgroups *groups, int above, unsigned controllers, bool unified)
{
    struct cgroup_hierarchy *hierarchy = &groups->hierarchies[groups->count];

    *hierarchy = (struct cgroup_hierarchy){
        .above = above, .dir = -1, .unified = unified, .controllers = controllers
    };
    if (above < 0)
        return;
    remove_stale(above);
    hierarchy->dir = make_ours(above, groups->name, hierarchy->name);
    if (hierarchy->dir >= 0) {
        groups->count++;
        return;
    }
    hierarchy_fini(hierarchy);
}

static void
add_version_1(struct cgroups *groups)
{
    unsigned missing = ALL_CONTROLLERS;

    for (int i = 0; i < CGROUP_CONTROLLERS; i++) {
        char mount[PATH_MAX], root[PATH_MAX], group[PATH_MAX];
        unsigned here = BIT(i);

        if ((missing & BIT(i)) == 0 || !find_mount(i, mount, root))
            continue;
        for (int j = i + 1; j < CGROUP_CONTROLLERS; j++) { /* mounted together */
            char other[PATH_MAX];

            if (find_mount(j, other, group) && strcmp(mount, other) == 0)
                here |= BIT(j);
        }
        missing &= ~here;
        add_hierarchy(groups, open_own(i, false), here, false);
    }
}

/* Our own group, if its owner lets us; root may have one at the top. */
static void
add_version_2(struct cgroups *groups, unsigned wanted)
{
    for (int highest = 0; highest <= (geteuid() == 0); highest++) {
        int above = open_own(-1, highest == 1);
        unsigned there = above < 0 ? 0 : available(above) & wanted;
        unsigned given = there == 0 ? 0 : delegate(above, there);

        if (given == 0 && there != 0 && step_aside(above, groups->name) == 0)
            given = delegate(above, there);
        if (given == 0) {
            close_fdp(&above);
            continue;
        }
        add_hierarchy(groups, above, given, true);
        if (groups->count > 0 && groups->hierarchies[groups->count - 1].unified)
            delegate(groups->hierarchies[groups->count - 1].dir, given);
        return;
    }
}

/* A cold move of a process into a group waits for milliseconds, unless some hierarchy was
 * mounted to be quick at it; this one is, and does nothing else. It ends with us. */
static int
make_quick(void)
{
    CLEANUP(close_fdp) int fs = sys_fsopen("cgroup");

    if (fs < 0 || sys_fsconfig(fs, FSCONFIG_SET_FLAG, "none", NULL) < 0 ||
        sys_fsconfig(fs, FSCONFIG_SET_STRING, "name", QUICK_NAME) < 0 ||
        sys_fsconfig(fs, FSCONFIG_SET_FLAG, "favordynmods", NULL) < 0 ||
        sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
        return -1;
    return sys_fsmount(fs, 0);
}

void
cgroups_open(struct cgroups *ret)
{
    *ret = (struct cgroups)CGROUPS_NONE;
    snprintf(ret->name, sizeof ret->name, NAME_PREFIX "%d", (int)getpid());
    add_version_1(ret);
    if (ret->count < CGROUP_HIERARCHIES_MAX)
        add_version_2(ret, ALL_CONTROLLERS & ~cgroups_controllers(ret));
    if (ret->count > 0)
        ret->quick = make_quick();
}

void
cgroups_close(struct cgroups *groups)
{
    for (size_t i = 0; i < groups->count; i++) {
        struct cgroup_hierarchy *hierarchy = &groups->hierarchies[i];

        remove_all_in(hierarchy->dir);
        unlinkat(hierarchy->above, hierarchy->name, AT_REMOVEDIR);
        hierarchy_fini(hierarchy);
    }
    close_fdp(&groups->quick);
    *groups = (struct cgroups)CGROUPS_NONE;
}

unsigned
cgroups_controllers(const struct cgroups *groups)
{
    unsigned found = 0;

    for (size_t i = 0; i < groups->count; i++)
        found |= groups->hierarchies[i].controllers;
    return found;
}

int
cgroup_create(struct cgroup *ret, struct cgroups *groups)
{
    CLEANUP(cgroup_fini) struct cgroup group = { .id = ++groups->last };
    char name[VALUE_BYTES];

    snprintf(name, sizeof name, "%" PRIu64, group.id);
    for (size_t i = 0; i < groups->count; i++) {
        int above = groups->hierarchies[i].dir, dir = -1;

        if (sys_mkdirat(above, name, 0755) == 0)
            dir = sys_openat(above, name, O_RDONLY | O_DIRECTORY, 0);
        if (dir < 0) {
            int error = errno;

            cgroup_remove(groups, group.id);
            return -error;
        }
        group.dirs[group.count++] = dir;
    }
    *ret = group;
    group.count = 0;
    return 0;
}

static uint64_t
value_of(enum cgroup_controller controller, const struct sandbox_limits *limits)
{
    switch (controller) {
    case CGROUP_MEMORY:
        return limits->memory_bytes;
    case CGROUP_PIDS:
        return limits->processes + PIDS_EXTRA;
    case CGROUP_CPU:
        return limits->cpu_milli * PERIOD_US / 1000;
    case CGROUP_CONTROLLERS:
        break;
    }
    return 0;
}

int
cgroup_limit(const struct cgroup *group, const struct cgroups *groups,
             const struct sandbox_limits *limits)
{
    for (size_t i = 0; i < group->count; i++)
        for (size_t j = 0; j < N_ELEMENTS(settings); j++) {
            const struct setting *setting = &settings[j];
            uint64_t number = value_of(setting->controller, limits);
            char value[VALUE_BYTES];
            int r;

            if (number == 0 || setting->unified != groups->hierarchies[i].unified ||
                (groups->hierarchies[i].controllers & BIT(setting->controller)) == 0)
                continue;
            snprintf(value, sizeof value, "%" PRIu64, number);
            r = write_value(group->dirs[i], setting->file,
                            setting->text != NULL ? setting->text : value);
            if (r < 0 && !(setting->optional && r == -ENOENT))
                return r;
        }
    return 0;
}

int
cgroup_put(const struct cgroup *group, pid_t pid)
{
    char value[VALUE_BYTES];
    int r = 0;

    snprintf(value, sizeof value, "%d", (int)pid);
    for (size_t i = 0; r == 0 && i < group->count; i++)
        r = write_value(group->dirs[i], "cgroup.procs", value);
    return r;
}

int
cgroup_open_doors(const struct cgroup *group, int ret[CGROUP_HIERARCHIES_MAX])
{
    for (size_t i = 0; i < group->count; i++) {
        ret[i] = sys_openat(group->dirs[i], "cgroup.procs", O_WRONLY, 0);
        if (ret[i] < 0) {
            int error = errno;

            while (i-- > 0)
                close(ret[i]);
            return -error;
        }
    }
    return 0;
}

int
cgroup_enter(const int *doors, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (sys_write_file(doors[i], "0", 1) < 0)
            return -errno;
    return 0;
}

void
cgroup_fini(struct cgroup *group)
{
    for (size_t i = 0; i < group->count; i++)
        close(group->dirs[i]);
    group->count = 0;
}

bool
cgroup_remove(const struct cgroups *groups, uint64_t id)
{
    char name[VALUE_BYTES];
    bool gone = true;

    snprintf(name, sizeof name, "%" PRIu64, id);
    for (size_t i = 0; i < groups->count; i++)
        if (unlinkat(groups->hierarchies[i].dir, name, AT_REMOVEDIR) < 0 &&
            errno != ENOENT)
            gone = false;
    return gone;
}
