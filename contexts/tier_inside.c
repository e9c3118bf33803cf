/* SPDX-License-Identifier: MIT */
/* What a program in a sandbox can say about it, by system calls that it is allowed. */
#include "contexts/tier.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static unsigned long long
capabilities(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];

    if (syscall(SYS_capget, &header, data) < 0)
        return ~0ULL;
    return data[0].effective | data[0].permitted |
           (unsigned long long)(data[1].effective | data[1].permitted) << 32;
}

/* An address that is kept for documentation: no packet is sent. */
static int
route_error(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(9) };
    int fd = socket(AF_INET, SOCK_DGRAM, 0), error = 0;

    address.sin_addr.s_addr = htonl(0xc0000201); /* 192.0.2.1 */
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    return error;
}

int
tier_look_around(void)
{
    int error = unshare(CLONE_NEWUSER) == 0 ? 0 : errno;

    printf("uid %d\n", (int)getuid());
    printf("pid %d\n", (int)getpid());
    printf("capabilities %llx\n", capabilities());
    printf("no_new_privileges %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    printf("seccomp %d\n", prctl(PR_GET_SECCOMP));
    printf("new_namespaces %s\n", error == 0 ? "allowed" : strerror(error));
    error = route_error();
    printf("network %s\n", error == 0 ? "reachable" : strerror(error));
    return fflush(stdout) == 0 ? 0 : 1;
}
