/* SPDX-License-Identifier: MIT */
/*
 * Owns the launcher process, our end of its socket, and the requests that it has not
 * answered. Few are on their way at a time: fds in flight count against the user, and a
 * request that waits here can still be cancelled for nothing.
 */
#include "contexts/launches.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contexts/launcher.h"
#include "contexts/loop.h"
#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/spec.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define SOCKET_BUFFER_BYTES (1024 * 1024) /* the kernel takes what it allows */
#define END_MS ((LAUNCHER_LINGER_S + 1) * 1000)

#define REQUEST_FDS_MAX (SANDBOX_FD_COUNT + LAUNCHER_ZYGOTE_FD_COUNT)
_Static_assert(REQUEST_FDS_MAX <= PASSING_FDS_MAX, "one packet has them all");

struct request {
    struct request *next;
    uint64_t ticket;
    bool sent;
    struct buffer body; /* owned: what follows the id, until sent */
    int fds[REQUEST_FDS_MAX]; /* owned, until sent */
    size_t fd_count;
    launches_done_fn *fn; /* NULL: for a workspace */
    launches_workspace_fn *workspace_fn;
    void *arg;
};

struct launches {
    pid_t pid; /* owned: the launcher */
    int socket; /* owned; -1: the launcher has ended */
    struct loop *loop; /* borrowed; NULL: not attached */
    struct loop_source *source; /* owned */
    struct request *first, **last; /* owned: in the order of their tickets */
    size_t pending_count;
    size_t sent_count; /* answers that are to come, of cancelled requests too */
    uint64_t tickets; /* given so far */
};

static void
request_close_fds(struct request *request)
{
    for (size_t i = 0; i < request->fd_count; i++)
        close(request->fds[i]);
    request->fd_count = 0;
}

static void
request_destroy(struct request *request)
{
    if (request == NULL)
        return;
    request_close_fds(request);
    buffer_fini(&request->body);
    free(request);
}

CLEANUP_DEFINE(struct request, request_destroy);

/* FDS are duplicated, because the request may have to wait. */
static int
request_add_fds(struct request *request, const int *fds, size_t count, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

        if (fd < 0 && errno == EMFILE)
            return error_set(err, LAUNCHES_E_FULL, "too many open files");
        if (fd < 0)
            return error_errno(err, "launcher: dup");
        request->fds[request->fd_count++] = fd;
    }
    return 0;
}

static int
request_create(struct request **ret, const struct sandbox_spec *spec,
               const int fds[SANDBOX_FD_COUNT], const struct sandbox_zygote *zygote,
               struct error *err)
{
    CLEANUP(request_destroyp) struct request *request = calloc(1, sizeof *request);
    int r;

    if (request == NULL)
        return -ENOMEM;
    buffer_init(&request->body, SANDBOX_SPEC_BYTES_MAX);
    r = sandbox_spec_encode(&request->body, spec, err);
    if (r != 0)
        return r < 0 ? r : LAUNCHES_E_SPEC;
    r = request_add_fds(request, fds, SANDBOX_FD_COUNT, err);
    if (r == 0 && zygote != NULL)
        r = request_add_fds(request, zygote->namespaces, SANDBOX_NAMESPACE_COUNT, err);
    if (r == 0 && zygote != NULL)
        r = request_add_fds(request, &zygote->socket, 1, err);
    if (r != 0)
        return r;
    *ret = request;
    request = NULL;
    return 0;
}

static void
append(struct launches *launches, struct request *request)
{
    *launches->last = request;
    launches->last = &request->next;
    launches->pending_count++;
}

/* Takes the request of that ticket out of the list; NULL: there is none. */
static struct request *
take(struct launches *launches, uint64_t ticket)
{
    struct request **at = &launches->first, *request;

    while (*at != NULL && (*at)->ticket != ticket)
        at = &(*at)->next;
    request = *at;
    if (request == NULL)
        return NULL;
    *at = request->next;
    if (launches->last == &request->next)
        launches->last = at;
    launches->pending_count--;
    return request;
}

static void
put_integer(uint8_t *ret, uint64_t value, int size)
{
    for (int i = 0; i < size; i++)
        ret[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t
get_integer(const uint8_t *data, int size)
{
    uint64_t value = 0;

    for (int i = 0; i < size; i++)
        value |= (uint64_t)data[i] << 8 * i;
    return value;
}

static int
request_send(struct request *request, int socket)
{
    uint8_t id[LAUNCHER_ID_BYTES];
    int r;

    put_integer(id, request->ticket, sizeof id);
    r = passing_send(socket, (struct slice){ .data = id, .length = sizeof id },
                     buffer_slice(&request->body), request->fds, request->fd_count,
                     MSG_DONTWAIT);
    if (r < 0)
        return r;
    request->sent = true;
    buffer_fini(&request->body);
    request_close_fds(request);
    return 0;
}

static int
tell_failure(struct request *request, const struct error *err)
{
    return request->fn != NULL ? request->fn(NULL, err, request->arg)
                               : request->workspace_fn(-1, -1, err, request->arg);
}

/* Tells every waiting request. New ones are refused from the first on. */
static int
fail_all(struct launches *launches)
{
    struct error err = { 0 };
    int r = 0;

    loop_source_destroy(launches->source);
    launches->source = NULL;
    close(launches->socket);
    launches->socket = -1;
    error_set(&err, LAUNCHES_E_GONE, "the launcher has ended: restart the server");
    while (r == 0 && launches->first != NULL) {
        struct request *request = take(launches, launches->first->ticket);

        r = tell_failure(request, &err);
        request_destroy(request);
    }
    return r;
}

/* Sends what may go. The end of the launcher is not told here, but by its socket. */
static int
send_more(struct launches *launches)
{
    bool blocked = false;

    for (struct request *request = launches->first;
         request != NULL && launches->sent_count < LAUNCHES_SENT_MAX && !blocked;
         request = request->next) {
        int r;

        if (request->sent)
            continue;
        r = request_send(request, launches->socket);
        if (r == 0)
            launches->sent_count++;
        else if (r == -EAGAIN)
            blocked = true;
        else if (r == -EPIPE || r == -ECONNRESET)
            return 0;
        else if (r == -ETOOMANYREFS && launches->sent_count > 0)
            break; /* of this user's fds in flight: the next answer tries again */
        else
            return r;
    }
    return loop_source_set_events(launches->source,
                                  blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* The launcher is ours, but what it says is checked all the same. */
static bool
answer_is_valid(const uint8_t *packet, const struct passing *passing)
{
    size_t head = LAUNCHER_ID_BYTES + LAUNCHER_RESULT_BYTES;
    bool is_ok;

    if (passing->cut || passing->length < head)
        return false;
    is_ok = get_integer(packet + LAUNCHER_ID_BYTES, LAUNCHER_RESULT_BYTES) == 0;
    return is_ok ? passing->length == head &&
                       ((passing->fd_count >= 1 &&
                         passing->fd_count <= LAUNCHER_ANSWER_FDS_MAX) ||
                        passing->fds_lost)
                 : passing->fd_count == 0;
}

static int
tell_child(struct request *request, struct passing *passing)
{
    struct sandbox_child child = { .pidfd = passing->fds[0],
                                   .group.count = passing->fd_count - 1 };

    memcpy(child.group.dirs, &passing->fds[1],
           child.group.count * sizeof *child.group.dirs);
    passing->fd_count = 0; /* they are theirs now */
    return request->fn(&child, NULL, request->arg);
}

static int
tell_workspace(struct request *request, struct passing *passing)
{
    struct error err = { 0 };

    if (passing->fd_count != LAUNCHER_WORKSPACE_FDS) {
        error_set(&err, -EBADMSG, "the launcher has sent something else");
        return tell_failure(request, &err);
    }
    passing->fd_count = 0; /* they are theirs now */
    return request->workspace_fn(passing->fds[0], passing->fds[1], NULL, request->arg);
}

static int
tell(struct request *request, const uint8_t *packet, struct passing *passing)
{
    size_t head = LAUNCHER_ID_BYTES + LAUNCHER_RESULT_BYTES;
    int32_t result =
        (int32_t)get_integer(packet + LAUNCHER_ID_BYTES, LAUNCHER_RESULT_BYTES);
    struct error err = { 0 };

    if (result == 0 && !passing->fds_lost)
        return request->fn != NULL ? tell_child(request, passing)
                                   : tell_workspace(request, passing);
    if (result == 0)
        error_set(&err, -EMFILE, "too many open files");
    else
        error_set(&err, result, "%.*s", (int)(passing->length - head), packet + head);
    return tell_failure(request, &err);
}

static int
on_answer(struct launches *launches, const uint8_t *packet, struct passing *passing)
{
    struct request *request;
    int r = 0;

    launches->sent_count -= launches->sent_count > 0;
    request = take(launches, get_integer(packet, LAUNCHER_ID_BYTES));
    if (request != NULL)
        r = tell(request, packet, passing);
    request_destroy(request);
    return r;
}

static int
on_event(int fd, uint32_t events, void *arg)
{
    struct launches *launches = arg;
    uint8_t packet[LAUNCHER_ANSWER_BYTES_MAX];
    struct passing passing;
    int r;

    (void)events;
    r = passing_receive(fd, packet, sizeof packet, MSG_DONTWAIT, &passing);
    if (r == -EAGAIN)
        return send_more(launches);
    if (r < 0)
        return fail_all(launches);
    if (!answer_is_valid(packet, &passing)) {
        passing_fini(&passing);
        return fail_all(launches);
    }
    r = on_answer(launches, packet, &passing);
    passing_fini(&passing);
    if (r < 0 || launches->source == NULL)
        return r;
    return send_more(launches);
}

static void
grow_buffer(int socket)
{
    int bytes = SOCKET_BUFFER_BYTES;

    if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) < 0)
        setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

/* With every signal blocked, until the launcher has its handlers. */
static pid_t
fork_launcher(int ours, int theirs)
{
    sigset_t all, before;
    pid_t pid;

    fflush(NULL); /* nothing for the fork to write again */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0) {
        close(ours);
        _exit(launcher_run(theirs));
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return pid;
}

int
launches_create(struct launches **ret, struct error *err)
{
    struct launches *launches = calloc(1, sizeof *launches);
    int ends[2], r = 0;

    if (launches == NULL)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
        free(launches);
        return error_errno(err, "launcher: socketpair");
    }
    grow_buffer(ends[0]);
    launches->pid = fork_launcher(ends[0], ends[1]);
    if (launches->pid < 0)
        r = error_errno(err, "launcher: fork");
    close(ends[1]);
    if (r < 0) {
        close(ends[0]);
        free(launches);
        return r;
    }
    launches->socket = ends[0];
    launches->last = &launches->first;
    *ret = launches;
    return 0;
}

/* Waits for the launcher as long as it may linger, and then ends it. */
static void
reap(pid_t pid)
{
    struct pollfd entry = { .fd = (int)syscall(SYS_pidfd_open, pid, 0),
                            .events = POLLIN };
    int n;

    do
        n = entry.fd < 0 ? 0 : poll(&entry, 1, END_MS);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        kill(pid, SIGKILL);
    if (entry.fd >= 0)
        close(entry.fd);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

void
launches_destroy(struct launches *launches)
{
    if (launches == NULL)
        return;
    while (launches->first != NULL)
        request_destroy(take(launches, launches->first->ticket));
    loop_source_destroy(launches->source);
    if (launches->socket >= 0)
        close(launches->socket);
    reap(launches->pid);
    free(launches);
}

void
launches_destroyp(struct launches **launches)
{
    launches_destroy(*launches);
}

int
launches_pid(const struct launches *launches)
{
    return launches->pid;
}

int
launches_attach(struct launches *launches, struct loop *loop)
{
    int r;

    assert(launches->loop == NULL);
    r = loop_add_fd(&launches->source, loop, launches->socket, EPOLLIN, on_event,
                    launches);
    if (r == 0)
        launches->loop = loop;
    return r;
}

static int
check_room(const struct launches *launches, struct error *err)
{
    assert(launches->loop != NULL);
    if (launches->source == NULL)
        return error_set(err, LAUNCHES_E_GONE, "the launcher has ended");
    if (launches->pending_count >= LAUNCHES_PENDING_MAX)
        return error_set(err, LAUNCHES_E_FULL, "%d contexts are being started already",
                         LAUNCHES_PENDING_MAX);
    return 0;
}

/* Takes REQUEST. */
static int
submit(struct launches *launches, struct request *request, uint64_t *ret_ticket)
{
    int r;

    request->ticket = ++launches->tickets;
    append(launches, request);
    *ret_ticket = request->ticket;
    r = send_more(launches);
    if (r < 0)
        request_destroy(take(launches, *ret_ticket));
    return r;
}

int
launches_spawn(struct launches *launches, const struct sandbox_spec *spec,
               const int fds[SANDBOX_FD_COUNT], const struct sandbox_zygote *zygote,
               launches_done_fn *fn, void *arg, uint64_t *ret_ticket, struct error *err)
{
    struct request *request = NULL;
    int r = check_room(launches, err);

    if (r == 0)
        r = request_create(&request, spec, fds, zygote, err);
    if (r != 0)
        return r;
    assert(request != NULL);
    request->fn = fn;
    request->arg = arg;
    return submit(launches, request, ret_ticket);
}

int
launches_workspace(struct launches *launches, const struct launches_bounds *bounds,
                   launches_workspace_fn *fn, void *arg, uint64_t *ret_ticket,
                   struct error *err)
{
    uint8_t body[LAUNCHER_WORKSPACE_BYTES - LAUNCHER_ID_BYTES];
    CLEANUP(request_destroyp) struct request *request = NULL;
    int r = check_room(launches, err);

    if (r != 0)
        return r;
    request = calloc(1, sizeof *request);
    if (request == NULL)
        return -ENOMEM;
    put_integer(body, LAUNCHER_WORKSPACE_TAG, 4);
    put_integer(body + 4, bounds->bytes, 8);
    put_integer(body + 12, bounds->inodes, 8);
    buffer_init(&request->body, sizeof body);
    if (buffer_append(&request->body, body, sizeof body) != 0)
        return -ENOMEM;
    request->workspace_fn = fn;
    request->arg = arg;
    r = submit(launches, request, ret_ticket);
    request = NULL;
    return r;
}

void
launches_cancel(struct launches *launches, uint64_t ticket)
{
    request_destroy(take(launches, ticket));
}

void
launches_forget_shells(struct launches *launches)
{
    const uint8_t id[LAUNCHER_ID_BYTES] = { 0 };

    if (launches->socket >= 0)
        (void)send(launches->socket, id, sizeof id, MSG_DONTWAIT | MSG_NOSIGNAL);
}
