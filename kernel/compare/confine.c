/* SPDX-License-Identifier: MIT */
#include "kernel/compare/confine.h"

#include <errno.h>
#include <linux/close_range.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define MEMORY_BYTES_MAX ((rlim_t)4 * 1024 * 1024 * 1024)
#define FIRST_FD 3

/* AddressSanitizer maps terabytes of shadow, and looks at itself when it reports. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_SHADOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_SHADOW 1
#endif
#endif
#ifndef HAS_SHADOW
#define HAS_SHADOW 0
#endif

static const struct {
    int number;
    const char *reason;
} allowed[] = {
    { SCMP_SYS(read), "requests" },
    { SCMP_SYS(write), "answers" },
    { SCMP_SYS(exit), "the end" },
    { SCMP_SYS(exit_group), "the end" },
    { SCMP_SYS(brk), "memory" },
    { SCMP_SYS(munmap), "memory" },
    { SCMP_SYS(mremap), "memory" },
    { SCMP_SYS(madvise), "memory" },
    { SCMP_SYS(futex), "locks of libc" },
    { SCMP_SYS(clock_gettime), "where the vDSO has no clock" },
    { SCMP_SYS(gettimeofday), "where the vDSO has no clock" },
    { SCMP_SYS(getrandom), "seeds of hash tables" },
    { SCMP_SYS(rt_sigreturn), "handlers" },
    { SCMP_SYS(rt_sigprocmask), "abort" },
    { SCMP_SYS(restart_syscall), "a read that was stopped and continued" },
    { SCMP_SYS(getpid), "abort" },
    { SCMP_SYS(gettid), "abort" },
    { SCMP_SYS(close), "harmless" },
    { SCMP_SYS(fstat), "harmless" },
    { SCMP_SYS(lseek), "harmless" },
    { SCMP_SYS(sched_yield), "locks of sanitizers" },
    { SCMP_SYS(sigaltstack), "sanitizers" },
};

static const struct {
    const char *name;
    int resource;
    rlim_t most;
} limits[] = {
    { "RLIMIT_CORE", RLIMIT_CORE, 0 },
    { "RLIMIT_FSIZE", RLIMIT_FSIZE, 0 },
    { "RLIMIT_NOFILE", RLIMIT_NOFILE, FIRST_FD },
    { "RLIMIT_AS", RLIMIT_AS, MEMORY_BYTES_MAX },
};

static int
failed(struct error *err, int error, const char *step)
{
    return error_set(err, CONFINE_E_FAILED, "%s: %s", step, strerror(error));
}

static int
limit_resources(struct error *err)
{
    for (size_t i = 0; i < N_ELEMENTS(limits); i++) {
        struct rlimit now, wanted = { limits[i].most, limits[i].most };

        if (HAS_SHADOW && limits[i].resource == RLIMIT_AS)
            continue;
        if (getrlimit(limits[i].resource, &now) < 0)
            return failed(err, errno, limits[i].name);
        if (now.rlim_max < wanted.rlim_max)
            wanted = (struct rlimit){ now.rlim_max, now.rlim_max };
        if (setrlimit(limits[i].resource, &wanted) < 0)
            return failed(err, errno, limits[i].name);
    }
    return 0;
}

/* Memory may be had, but none that can be run. */
static int
allow_memory(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    int r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                                   &not_executable);

    if (r == 0)
        r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                   &not_executable);
    return r;
}

static int
filter_calls(struct error *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int r = filter != NULL ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < N_ELEMENTS(allowed); i++)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i].number, 0);
    if (r == 0)
        r = allow_memory(filter);
    if (r == 0)
        r = seccomp_load(filter);
    seccomp_release(filter);
    return r == 0 ? 0 : failed(err, -r, "seccomp");
}

int
confine_self(struct error *err)
{
    int r;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return failed(err, errno, "PR_SET_PDEATHSIG");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return failed(err, errno, "PR_SET_DUMPABLE");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return failed(err, errno, "PR_SET_NO_NEW_PRIVS");
    if (syscall(SYS_close_range, FIRST_FD, ~0u, 0) < 0)
        return failed(err, errno, "close_range");
    r = limit_resources(err);
    return r == 0 ? filter_calls(err) : r;
}
