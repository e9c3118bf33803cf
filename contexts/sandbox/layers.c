/* SPDX-License-Identifier: MIT */
#include "contexts/sandbox/layers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contexts/sandbox/cgroup.h"
#include "contexts/sandbox/landlock.h"
#include "contexts/sandbox/steps.h"
#include "contexts/sandbox/sys.h"
#include "protocol/cleanup.h"

#define MANY_FILES 4096 /* some ten for each context */
#define USERNS_REMEDY                                                                    \
    "allow user namespaces: sysctl user.max_user_namespaces, "                           \
    "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns, "   \
    "or the container's seccomp profile"

/* What one look finds: 0 or an errno. */
typedef int look_fn(const char *directory);

static int
in_namespace(int flags)
{
    /* As root too: every sandbox begins with a user namespace. */
    return sys_unshare(CLONE_NEWUSER | flags) < 0 ? errno : 0;
}

static int
look_user(const char *directory)
{
    (void)directory;
    return in_namespace(0);
}

static int
look_mount_namespace(const char *directory)
{
    (void)directory;
    return in_namespace(CLONE_NEWNS);
}

static int
look_pid(const char *directory)
{
    (void)directory;
    return in_namespace(CLONE_NEWPID);
}

static int
look_network(const char *directory)
{
    (void)directory;
    return in_namespace(CLONE_NEWNET);
}

static int
look_ipc(const char *directory)
{
    (void)directory;
    return in_namespace(CLONE_NEWIPC);
}

static int
look_uts(const char *directory)
{
    (void)directory;
    return in_namespace(CLONE_NEWUTS);
}

static int
make_filesystem(const char *type)
{
    CLEANUP(close_fdp) int fs = sys_fsopen(type);
    CLEANUP(close_fdp) int mount = -1;

    if (fs < 0 || sys_fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
        return errno;
    mount = sys_fsmount(fs, 0);
    return mount < 0 ? errno : 0;
}

static int
look_mounts(const char *directory)
{
    CLEANUP(close_fdp) int tree = -1;
    int error = in_namespace(CLONE_NEWNS);

    (void)directory;
    if (error == 0)
        error = make_filesystem("tmpfs");
    if (error != 0)
        return error;
    tree = sys_open_tree(AT_FDCWD, "/usr",
                         OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    return tree < 0 ? errno : 0;
}

/* The kernel gives a new one only where the old one is whole: in a child, because the pid
 * namespace is that of children. */
static int
look_proc(const char *directory)
{
    int error = in_namespace(CLONE_NEWNS | CLONE_NEWPID), status;
    pid_t pid;

    (void)directory;
    if (error != 0)
        return error;
    pid = fork();
    if (pid == 0)
        _exit(make_filesystem("proc"));
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return EIO;
    return WEXITSTATUS(status);
}

static int
write_text(const char *path, const char *text)
{
    CLEANUP(close_fdp) int fd = open(path, O_WRONLY | O_CLOEXEC);

    return fd < 0 || write(fd, text, strlen(text)) < 0 ? errno : 0;
}

static _Noreturn void
hold_namespace(int ready, int go)
{
    char byte = (char)in_namespace(0);

    if (write(ready, &byte, 1) == 1 && read(go, &byte, 1) >= 0)
        _exit(0);
    _exit(1);
}

static int
map_owner(pid_t pid, const char *directory)
{
    CLEANUP(close_fdp) int namespace = -1;
    CLEANUP(close_fdp) int tree = -1;
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
    char path[64];
    int error;

    snprintf(path, sizeof path, "/proc/%d/uid_map", (int)pid);
    error = write_text(path, "0 0 1\n");
    snprintf(path, sizeof path, "/proc/%d/gid_map", (int)pid);
    if (error == 0)
        error = write_text(path, "0 0 1\n");
    if (error != 0)
        return error;
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
    namespace = open(path, O_RDONLY | O_CLOEXEC);
    tree = sys_open_tree(AT_FDCWD, directory, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (namespace < 0 || tree < 0)
        return errno;
    attr.userns_fd = (uint64_t)namespace;
    return sys_mount_setattr(tree, 0, &attr) < 0 ? errno : 0;
}

static int
look_idmap(const char *directory)
{
    int ready[2], go[2], error = EIO;
    char byte;
    pid_t pid;

    if (pipe2(ready, O_CLOEXEC) < 0 || pipe2(go, O_CLOEXEC) < 0)
        return errno;
    pid = fork();
    if (pid == 0)
        hold_namespace(ready[1], go[0]);
    if (pid > 0 && read(ready[0], &byte, 1) == 1)
        error = byte != 0 ? byte : map_owner(pid, directory);
    if (pid > 0)
        kill(pid, SIGKILL);
    return error;
}

static int
look_seccomp(const char *directory)
{
    unsigned action = SECCOMP_RET_ERRNO;

    (void)directory;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? errno : 0;
}

static int
look_pidfd(const char *directory)
{
    (void)directory;
    return syscall(SYS_pidfd_open, getpid(), 0) < 0 ? errno : 0;
}

static int
try_in_child(look_fn *look, const char *directory)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(look(directory));
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return EIO;
    return WEXITSTATUS(status);
}

static const struct row {
    const char *name;
    look_fn *look;
    const char *remedy;
} rows[] = {
    { "user namespace", look_user, USERNS_REMEDY },
    { "mount namespace", look_mount_namespace, USERNS_REMEDY },
    { "pid namespace", look_pid, USERNS_REMEDY },
    { "network namespace", look_network, USERNS_REMEDY },
    { "ipc namespace", look_ipc, USERNS_REMEDY },
    { "uts namespace", look_uts, USERNS_REMEDY },
    { "mounts", look_mounts, "Linux 5.12 or newer, and a container that lets one mount" },
    { "own /proc", look_proc,
      "an unmasked /proc: in containers systempaths=unconfined, or run outside" },
    { "seccomp filter", look_seccomp, "a kernel with CONFIG_SECCOMP_FILTER" },
    { "pidfd", look_pidfd, "Linux 5.3 or newer, or another seccomp profile" },
};

static struct layer
look_at(const struct row *row, const char *directory)
{
    struct layer layer = { .name = row->name };
    int error = try_in_child(row->look, directory);

    if (error == 0)
        return layer;
    layer.state = LAYER_MISSING;
    layer.remedy = row->remedy;
    snprintf(layer.detail, sizeof layer.detail, "%s", strerror(error));
    return layer;
}

/* Of no use to an ordinary user, whose files are its own inside as outside. */
static struct layer
find_idmap(const char *directory)
{
    struct layer layer = { .name = "id-mapped mounts" };
    int error;

    if (geteuid() != 0) {
        snprintf(layer.detail, sizeof layer.detail, "needed by root alone");
        return layer;
    }
    error = try_in_child(look_idmap, directory);
    snprintf(layer.detail, sizeof layer.detail, "%s%s%.100s",
             error == 0 ? "" : strerror(error), error == 0 ? "" : " in ",
             error == 0 ? "" : directory);
    if (error != 0) {
        layer.state = LAYER_MISSING;
        layer.remedy = "work in a directory on ext4, xfs, btrfs or tmpfs, or start as "
                       "its owner instead of root";
    }
    return layer;
}

static struct layer
find_landlock(void)
{
    struct layer layer = { .name = "Landlock" };
    int abi = sandbox_landlock_abi();

    if (abi < 0) {
        layer.state = LAYER_WEAK;
        layer.remedy = "a second wall for the full tier, the only one of the nested: "
                       "lsm=landlock,... on the kernel's command line, Linux 5.13";
        snprintf(layer.detail, sizeof layer.detail, "%s", strerror(-abi));
        return layer;
    }
    snprintf(layer.detail, sizeof layer.detail, "version %d: files%s%s%s", abi,
             abi >= SANDBOX_LANDLOCK_TRUNCATE ? ", truncation" : "",
             abi >= SANDBOX_LANDLOCK_TCP ? ", TCP" : "",
             abi >= SANDBOX_LANDLOCK_SCOPES ? ", signals and abstract sockets" : "");
    if (abi < SANDBOX_LANDLOCK_SCOPES) {
        layer.state = LAYER_WEAK;
        layer.remedy = "Linux 6.12 adds signals and abstract sockets";
    }
    return layer;
}

static struct layer
find_own_ids(void)
{
    struct layer layer = { .name = "ids of its own" };

    if (sandbox_can_give_own_ids())
        return layer;
    layer.state = LAYER_WEAK;
    snprintf(layer.detail, sizeof layer.detail, "%s",
             geteuid() == 0 ? "this root has no ids or rights to give"
                            : "contexts have this user's id");
    layer.remedy = "a second wall, for a server that is started as root alone";
    return layer;
}

static struct layer
find_groups(void)
{
    static const char *const controllers[] = { [CGROUP_MEMORY] = "memory",
                                               [CGROUP_PIDS] = "pids",
                                               [CGROUP_CPU] = "cpu" };
    struct layer layer = { .name = "control groups" };
    struct cgroups groups = CGROUPS_NONE;
    unsigned found;
    size_t length = 0;

    cgroups_open(&groups);
    found = cgroups_controllers(&groups);
    for (size_t i = 0; i < N_ELEMENTS(controllers); i++)
        length += (size_t)snprintf(layer.detail + length, sizeof layer.detail - length,
                                   "%s%s%s", i > 0 ? ", " : "",
                                   (found & 1U << i) != 0 ? "" : "no ", controllers[i]);
    if (groups.count > 0)
        snprintf(layer.detail + length, sizeof layer.detail - length, " (version %s)",
                 !groups.hierarchies[groups.count - 1].unified ? "1"
                 : groups.count == 1                           ? "2"
                                                               : "1 and 2");
    cgroups_close(&groups);
    if (found == (1U << N_ELEMENTS(controllers)) - 1)
        return layer;
    layer.state = LAYER_WEAK;
    layer.remedy = "limits of memory, processes and CPU for a whole context: start as "
                   "root, or have a group delegated: systemd-run --user --scope -p "
                   "Delegate=yes";
    return layer;
}

static struct layer
find_file_limit(void)
{
    struct layer layer = { .name = "open files" };
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return layer;
    snprintf(layer.detail, sizeof layer.detail, "up to %llu",
             (unsigned long long)limit.rlim_max);
    if (limit.rlim_max < MANY_FILES) {
        layer.state = LAYER_WEAK;
        layer.remedy = "too few for hundreds of contexts: ulimit -Hn, LimitNOFILE=";
    }
    return layer;
}

size_t
layers_find(struct layer ret[LAYERS_MAX], const char *directory)
{
    size_t count = 0;

    _Static_assert(N_ELEMENTS(rows) + 5 <= LAYERS_MAX, "there is room for all");
    for (size_t i = 0; i < N_ELEMENTS(rows); i++)
        ret[count++] = look_at(&rows[i], directory);
    ret[count++] = find_idmap(directory);
    ret[count++] = find_landlock();
    ret[count++] = find_own_ids();
    ret[count++] = find_groups();
    ret[count++] = find_file_limit();
    return count;
}
