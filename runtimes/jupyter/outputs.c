/* SPDX-License-Identifier: MIT */
#include "runtimes/jupyter/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/error.h"

#define PIPES 2
#define BLOCK_BYTES 65536
#define BLOCKS_PER_TURN 16
#define KEPT_BYTES 2048 /* as much as a report of a death shows */

static const int targets[PIPES] = { STDOUT_FILENO, STDERR_FILENO };

struct outputs {
    int ours[PIPES], theirs[PIPES]; /* owned */
    bool watched[PIPES]; /* by the kernel itself */
    size_t kept; /* of stderr's, in TAIL */
    char tail[KEPT_BYTES];
    char block[BLOCK_BYTES];
};

void
outputs_destroy(struct outputs *outputs)
{
    if (outputs == NULL)
        return;
    for (int i = 0; i < PIPES; i++) {
        if (outputs->ours[i] >= 0)
            close(outputs->ours[i]);
        if (outputs->theirs[i] >= 0)
            close(outputs->theirs[i]);
    }
    free(outputs);
}

int
outputs_create(struct outputs **ret, struct error *err)
{
    struct outputs *outputs = calloc(1, sizeof *outputs);

    if (outputs == NULL)
        return -ENOMEM;
    for (int i = 0; i < PIPES; i++)
        outputs->ours[i] = outputs->theirs[i] = -1;
    for (int i = 0; i < PIPES; i++) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0) {
            outputs_destroy(outputs);
            return error_errno(err, "pipe");
        }
        outputs->ours[i] = ends[0];
        outputs->theirs[i] = ends[1];
        (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    }
    *ret = outputs;
    return 0;
}

int
outputs_take_place(const struct outputs *outputs)
{
    for (int i = 0; i < PIPES; i++) {
        if (dup2(outputs->theirs[i], targets[i]) < 0)
            return -errno;
    }
    return 0;
}

int
outputs_fd(const struct outputs *outputs, int i)
{
    return outputs->ours[i];
}

void
outputs_judge(struct outputs *outputs, pid_t pid)
{
    for (int i = 0; i < PIPES; i++) {
        char path[64];
        struct stat given, found;

        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, targets[i]);
        outputs->watched[i] =
            stat(path, &found) == 0 && fstat(outputs->theirs[i], &given) == 0 &&
            (found.st_dev != given.st_dev || found.st_ino != given.st_ino);
    }
}

static void
keep(struct outputs *outputs, const char *data, size_t length)
{
    if (length > KEPT_BYTES) {
        data += length - KEPT_BYTES;
        length = KEPT_BYTES;
    }
    if (outputs->kept + length > KEPT_BYTES) {
        size_t over = outputs->kept + length - KEPT_BYTES;

        memmove(outputs->tail, outputs->tail + over, outputs->kept - over);
        outputs->kept -= over;
    }
    memcpy(outputs->tail + outputs->kept, data, length);
    outputs->kept += length;
}

static void
write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);

        if (n < 0 && errno == EAGAIN) {
            struct pollfd wait = { .fd = fd, .events = POLLOUT };

            (void)poll(&wait, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return; /* nobody reads: we are on our way out */
        }
        data += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
}

static void
pass(int fd, const char *data, size_t length, pid_t pid)
{
    struct pollfd room = { .fd = fd, .events = POLLOUT };
    bool stop = pid > 0 && poll(&room, 1, 0) == 0;

    if (stop)
        (void)kill(-pid, SIGSTOP);
    write_all(fd, data, length);
    if (stop)
        (void)kill(-pid, SIGCONT);
}

void
outputs_pass(struct outputs *outputs, pid_t pid)
{
    for (int i = 0; i < PIPES; i++) {
        for (int block = 0; block < BLOCKS_PER_TURN; block++) {
            ssize_t n = read(outputs->ours[i], outputs->block, sizeof outputs->block);

            if (n <= 0)
                break;
            if (!outputs->watched[i])
                pass(targets[i], outputs->block, (size_t)n, pid);
            else if (targets[i] == STDERR_FILENO)
                keep(outputs, outputs->block, (size_t)n);
        }
    }
}

void
outputs_tell_last_words(struct outputs *outputs)
{
    write_all(STDERR_FILENO, outputs->tail, outputs->kept);
    outputs->kept = 0;
}
