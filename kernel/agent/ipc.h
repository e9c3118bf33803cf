/* SPDX-License-Identifier: MIT */
/*
 * ipc - the listening socket of an ipc address, and its file
 *
 * ZeroMQ would remove whatever is at the path, even the socket of a server that runs, and
 * leave its own behind. So the socket is made here and given to it.
 */
#ifndef KERNEL_AGENT_IPC_H
#define KERNEL_AGENT_IPC_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "protocol/buffer.h"

#define IPC_PATH_BYTES sizeof(((struct sockaddr_un *)NULL)->sun_path)

enum { IPC_E_BIND = 1 }; /* see ERR */

struct error;

/* A socket's file, plain data; zeroed: none. */
struct ipc_file {
    char path[IPC_PATH_BYTES];
    dev_t device;
    ino_t inode;
};

/* Listens at PATH, which is absolute, for processes of this user alone: the file has mode
 * 0600 from its birth, and its folder must be one in which nobody else can replace it. A
 * socket that its server has left behind is removed. On success the caller owns
 * *ret_fd, and ipc_file_remove is due. IPC_E_BIND, < 0. */
int ipc_listen(int *ret_fd, struct ipc_file *ret_file, const char *path, int backlog,
               struct error *err);

/* Who has connected. Plain data. */
struct ipc_peer {
    uid_t uid;
    pid_t pid; /* it may have ended since; 0: not to be seen from here */
};

/* Reads ZeroMQ's address of a peer, which ends in ":UID:GID:PID". False: it does not. */
bool ipc_read_peer(struct ipc_peer *ret, struct slice address);

/* Unless somebody else has taken its place. Harmless when repeated. */
void ipc_file_remove(struct ipc_file *file);

#endif
