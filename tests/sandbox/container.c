/* SPDX-License-Identifier: MIT */
/*
 * container - runs a program as an ordinary container would, without any image
 *
 *     container [--user ID] PROGRAM [ARGUMENT]...
 *
 * As root: in fresh mount, pid, ipc and uts namespaces, with a masked /proc, the
 * capabilities that container engines leave to root, and their system call filter: no new
 * namespaces, no mounts, no keys, no clone3. As an ordinary user: the filter alone. Ends
 * as the program does; 77: the machine does not let it.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED 77
#define NAMESPACES 0x7e020000
#define N(array) (sizeof(array) / sizeof(array)[0])

static const char *const masked[] = { "/proc/kcore", "/proc/keys", "/proc/timer_list",
                                      "/proc/sched_debug" };
static const char *const masked_folders[] = { "/proc/acpi", "/proc/scsi" };
static const char *const read_only[] = { "/proc/bus", "/proc/fs", "/proc/irq",
                                         "/proc/sys", "/proc/sysrq-trigger" };
static const unsigned kept[] = { CAP_CHOWN,      CAP_DAC_OVERRIDE, CAP_FSETID,
                                 CAP_FOWNER,     CAP_MKNOD,        CAP_NET_RAW,
                                 CAP_SETGID,     CAP_SETUID,       CAP_SETFCAP,
                                 CAP_SETPCAP,    CAP_KILL,         CAP_NET_BIND_SERVICE,
                                 CAP_SYS_CHROOT, CAP_AUDIT_WRITE };
static const char *const refused[] = {
    "unshare",         "setns",
    "mount",           "umount2",
    "pivot_root",      "fsopen",
    "fsconfig",        "fsmount",
    "fspick",          "move_mount",
    "open_tree",       "mount_setattr",
    "keyctl",          "add_key",
    "request_key",     "bpf",
    "perf_event_open", "userfaultfd",
    "init_module",     "finit_module",
    "kexec_load",      "open_by_handle_at",
    "swapon",          "reboot",
    "sethostname",
};

static void
must(int result, const char *what)
{
    if (result >= 0)
        return;
    fprintf(stderr, "container: %s: %s\n", what, strerror(errno));
    exit(SKIPPED);
}

static void
mask_proc(void)
{
    must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
    for (size_t i = 0; i < N(masked); i++)
        if (access(masked[i], F_OK) == 0)
            must(mount("/dev/null", masked[i], NULL, MS_BIND, NULL), masked[i]);
    for (size_t i = 0; i < N(masked_folders); i++)
        if (access(masked_folders[i], F_OK) == 0)
            must(mount("tmpfs", masked_folders[i], "tmpfs", MS_RDONLY, NULL),
                 masked_folders[i]);
    for (size_t i = 0; i < N(read_only); i++) {
        if (access(read_only[i], F_OK) != 0)
            continue;
        must(mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL),
             read_only[i]);
        must(mount(NULL, read_only[i], NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL),
             read_only[i]);
    }
}

static void
keep_capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2] = { 0 };
    uint64_t set = 0;

    for (size_t i = 0; i < N(kept); i++)
        set |= UINT64_C(1) << kept[i];
    for (unsigned cap = 0; cap < 64; cap++)
        if ((set & UINT64_C(1) << cap) == 0)
            (void)prctl(PR_CAPBSET_DROP, cap); /* the last ones are not there */
    data[0].effective = data[0].permitted = (uint32_t)set;
    data[1].effective = data[1].permitted = (uint32_t)(set >> 32);
    must((int)syscall(SYS_capset, &header, data), "capabilities");
}

static void
load_filter(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

    must(filter == NULL ? -1 : 0, "filter");
    /* An engine has the capability to load it without this. */
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, geteuid() != 0);
    for (size_t i = 0; i < N(refused); i++)
        (void)seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM),
                               seccomp_syscall_resolve_name(refused[i]), 0);
    must(seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0), "clone3");
    for (unsigned bit = 0; bit < 32; bit++)
        if ((NAMESPACES & 1U << bit) != 0)
            must(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, 1U << bit, 1U << bit)),
                 "clone");
    errno = -seccomp_load(filter);
    must(errno == 0 ? 0 : -1, "filter");
    seccomp_release(filter);
}

static void
become(const char *user)
{
    gid_t id = (gid_t)atoi(user);

    must(setgroups(0, NULL), "groups");
    must(setresgid(id, id, id), "group");
    must(setresuid(id, id, id), "user");
}

static int
run(const char *user, char **argv)
{
    if (geteuid() == 0) {
        mask_proc();
        load_filter(); /* while this has the capability to */
        keep_capabilities();
        if (user != NULL)
            become(user);
    } else {
        load_filter();
    }
    execvp(argv[0], argv); /* NOLINT(clang-analyzer-optin.taint.*): what it is for */
    fprintf(stderr, "container: %s: %s\n", argv[0], strerror(errno));
    return 127;
}

static pid_t inner;

static void
pass_on(int number)
{
    if (inner > 0)
        kill(inner, number);
}

/* The engine's own first process: it reaps, and the end of its child is its own. */
static int
first_process(const char *user, char **argv)
{
    int status = 0;
    pid_t pid;

    inner = fork();
    if (inner == 0)
        return run(user, argv);
    signal(SIGTERM, pass_on);
    signal(SIGINT, pass_on);
    while ((pid = wait(&status)) != inner)
        if (pid < 0 && errno != EINTR)
            return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
main(int argc, char **argv)
{
    const char *user = NULL;
    int status = 0;

    argv++, argc--;
    if (argc > 1 && strcmp(argv[0], "--user") == 0) {
        user = argv[1];
        argv += 2, argc -= 2;
    }
    if (argc == 0)
        return 2;
    if (geteuid() != 0)
        return run(user, argv);
    must(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS), "namespaces");
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
    inner = fork();
    if (inner == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        return first_process(user, argv);
    }
    signal(SIGTERM, pass_on);
    signal(SIGINT, pass_on);
    while (waitpid(inner, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
