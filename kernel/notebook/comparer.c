/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/comparer.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "contexts/loop.h"
#include "kernel/compare/compare.h"
#include "kernel/file.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define PROGRAM "cellwall-compare"
#define LENGTH_BYTES 4
#define CHUNK_BYTES 65536

static const struct json_limits answer_limits = { COMPARE_MESSAGE_BYTES_MAX,
                                                  COMPARE_DEPTH_MAX + 8 };

/* Whoever waits for an answer. */
struct question {
    struct question *next;
    struct buffer message; /* owned: its length, and the request */
    comparer_done_fn *fn;
    void *arg;
};

struct comparer {
    struct loop *loop; /* borrowed */
    char program[PATH_MAX];
    pid_t pid; /* owned: 0: none runs */
    int fd; /* owned: a socket to it, -1: none */
    struct loop_source *source; /* owned */
    struct loop_timer *timer; /* owned: the time for one answer, or for what must wait */
    struct question *first, **last; /* owned */
    size_t sent; /* of the first one's message */
    struct buffer answer; /* owned: what came of it */
    struct error failure; /* of the next question: it could not be asked */
};

static int on_timer(void *arg);

static int
find_program(char ret[PATH_MAX], struct error *err)
{
    char *name;
    int r = file_executable(ret, err);

    if (r != 0)
        return r < 0 ? r : COMPARER_E_FAILED;
    name = strrchr(ret, '/') + 1;
    if (name + sizeof PROGRAM > ret + PATH_MAX)
        return error_set(err, COMPARER_E_FAILED, "%s: the path is too long", ret);
    memcpy(name, PROGRAM, sizeof PROGRAM);
    if (access(ret, X_OK) < 0)
        return error_set(err, COMPARER_E_FAILED,
                         "%s, which compares outputs: %s; it belongs beside cellwall",
                         ret, strerror(errno));
    return 0;
}

int
comparer_create(struct comparer **ret, struct loop *loop, const char *program,
                struct error *err)
{
    CLEANUP(comparer_destroyp) struct comparer *comparer = calloc(1, sizeof *comparer);
    int r = 0;

    if (comparer == NULL)
        return -ENOMEM;
    comparer->loop = loop;
    comparer->fd = -1;
    comparer->last = &comparer->first;
    buffer_init(&comparer->answer, COMPARE_MESSAGE_BYTES_MAX + LENGTH_BYTES);
    if (program == NULL)
        r = find_program(comparer->program, err);
    else
        snprintf(comparer->program, sizeof comparer->program, "%s", program);
    if (r == 0)
        r = loop_add_timer(&comparer->timer, loop, on_timer, comparer);
    if (r != 0)
        return r;
    *ret = comparer;
    comparer = NULL;
    return 0;
}

static void
question_free(struct question *question)
{
    buffer_fini(&question->message);
    free(question);
}

/* The process goes, whatever it does. */
static void
stop(struct comparer *comparer)
{
    loop_source_destroy(comparer->source);
    comparer->source = NULL;
    close_fdp(&comparer->fd);
    comparer->fd = -1;
    buffer_clear(&comparer->answer, 0);
    comparer->sent = 0;
    if (comparer->pid > 0) {
        kill(comparer->pid, SIGKILL);
        while (waitpid(comparer->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    comparer->pid = 0;
}

void
comparer_destroy(struct comparer *comparer)
{
    if (comparer == NULL)
        return;
    stop(comparer);
    while (comparer->first != NULL) {
        struct question *next = comparer->first->next;

        question_free(comparer->first);
        comparer->first = next;
    }
    loop_timer_destroy(comparer->timer);
    buffer_fini(&comparer->answer);
    free(comparer);
}

static int
prepare(posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes, int theirs)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    if (posix_spawn_file_actions_adddup2(actions, theirs, 0) != 0 ||
        posix_spawn_file_actions_adddup2(actions, theirs, 1) != 0)
        return -ENOMEM;
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &all);
    posix_spawnattr_setpgroup(attributes, 0); /* Ctrl-C is for us to answer */
    posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                             POSIX_SPAWN_SETPGROUP);
    return 0;
}

/* Without our environment: nothing in it is meant for this program. */
static int
spawn(struct comparer *comparer, int theirs)
{
    char *argv[] = { comparer->program, NULL }, *environment[] = { NULL, NULL };
    const char *sanitizer = getenv("ASAN_OPTIONS");
    CLEANUP(freep) char *kept = NULL;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r;

    if (sanitizer != NULL && asprintf(&kept, "ASAN_OPTIONS=%s", sanitizer) >= 0)
        environment[0] = kept;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return -ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -ENOMEM;
    }
    r = prepare(&actions, &attributes, theirs);
    if (r == 0)
        r = -posix_spawn(&comparer->pid, argv[0], &actions, &attributes, argv,
                         environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

static int on_events(int fd, uint32_t events, void *arg);

static int
start(struct comparer *comparer)
{
    CLEANUP(close_fdp) int theirs = -1;
    int ends[2], r;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    theirs = ends[1];
    comparer->fd = ends[0];
    r = spawn(comparer, theirs);
    if (r < 0)
        return r;
    return loop_add_fd(&comparer->source, comparer->loop, comparer->fd,
                       EPOLLIN | EPOLLOUT, on_events, comparer);
}

/* The first question has its answer; or ERR, and the process is not to be trusted. */
static int
answer(struct comparer *comparer, const json_t *told, const struct error *err)
{
    struct question *question = comparer->first;
    int r;

    loop_timer_disarm(comparer->timer);
    comparer->first = question->next;
    if (comparer->first == NULL)
        comparer->last = &comparer->first;
    comparer->sent = 0;
    if (told == NULL)
        stop(comparer);
    r = question->fn(told, err, question->arg);
    question_free(question);
    return r;
}

static int proceed(struct comparer *comparer);

static int
fail(struct comparer *comparer, const char *why)
{
    struct error err = { 0 };
    int r;

    error_set(&err, COMPARER_E_FAILED, "the outputs could not be compared: %s", why);
    r = answer(comparer, NULL, &err);
    return r != 0 ? r : proceed(comparer);
}

/* How the process ended, which nothing but its outputs can have made it do. */
static int
fail_ended(struct comparer *comparer)
{
    char why[ERROR_TEXT_BYTES];
    int status = 0;

    while (waitpid(comparer->pid, &status, 0) < 0 && errno == EINTR)
        ;
    comparer->pid = 0;
    if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "%s was ended by signal %d (%s) over them", PROGRAM,
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(why, sizeof why, "%s ended with status %d", PROGRAM,
                 WEXITSTATUS(status));
    return fail(comparer, why);
}

/* Has the first question sent, if there is one. */
static int
proceed(struct comparer *comparer)
{
    int r = 0;

    if (comparer->first == NULL)
        return comparer->source != NULL
                   ? loop_source_set_events(comparer->source, EPOLLIN)
                   : 0;
    if (comparer->fd < 0)
        r = start(comparer);
    else
        r = loop_source_set_events(comparer->source, EPOLLIN | EPOLLOUT);
    if (r < 0) {
        error_set(&comparer->failure, COMPARER_E_FAILED, "%s cannot be started: %s",
                  comparer->program, strerror(-r));
        loop_timer_arm(comparer->timer, 0);
        return 0;
    }
    loop_timer_arm(comparer->timer, COMPARER_TIMEOUT_MS * UINT64_C(1000));
    return 0;
}

static int
on_timer(void *arg)
{
    struct comparer *comparer = arg;
    struct error failure = comparer->failure;

    if (comparer->first == NULL)
        return 0;
    comparer->failure = (struct error){ 0 };
    return fail(comparer, failure.code != 0 ? failure.text : "they took too long");
}

static int
send_more(struct comparer *comparer)
{
    const struct buffer *message = &comparer->first->message;
    ssize_t n = send(comparer->fd, message->data + comparer->sent,
                     message->length - comparer->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : COMPARER_E_FAILED;
    comparer->sent += (size_t)n;
    if (comparer->sent == message->length)
        return loop_source_set_events(comparer->source, EPOLLIN);
    return 0;
}

static size_t
length_of(const uint8_t *data)
{
    return data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24;
}

/* All of the answer is there. */
static int
take_answer(struct comparer *comparer)
{
    CLEANUP(tree_decrefp) json_t *told = NULL;
    const struct slice text = { comparer->answer.data + LENGTH_BYTES,
                                comparer->answer.length - LENGTH_BYTES };
    int r = tree_load_object(&told, text, &answer_limits, NULL);

    if (r < 0)
        return r;
    if (r > 0)
        return fail(comparer, "the answer is no JSON");
    buffer_clear(&comparer->answer, CHUNK_BYTES);
    r = answer(comparer, told, NULL);
    return r != 0 ? r : proceed(comparer);
}

static int
receive(struct comparer *comparer)
{
    struct buffer *told = &comparer->answer;
    ssize_t n;
    int r = buffer_reserve(told, CHUNK_BYTES);

    if (r != 0)
        return r < 0 ? r : fail(comparer, "the answer is too long");
    n = recv(comparer->fd, told->data + told->length, CHUNK_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        if (comparer->first != NULL)
            return fail_ended(comparer);
        stop(comparer);
        return 0;
    }
    told->length += (size_t)n;
    if (comparer->first == NULL) {
        stop(comparer); /* nobody has asked */
        return 0;
    }
    if (told->length < LENGTH_BYTES ||
        told->length < LENGTH_BYTES + length_of(told->data))
        return 0;
    if (told->length > LENGTH_BYTES + length_of(told->data))
        return fail(comparer, "there is more than one answer");
    return take_answer(comparer);
}

static int
on_events(int fd, uint32_t events, void *arg)
{
    struct comparer *comparer = arg;

    (void)fd;
    if ((events & EPOLLOUT) != 0 && comparer->first != NULL) {
        int r = send_more(comparer);

        if (r < 0)
            return r; /* what cannot be sent is told by the end of the stream */
    }
    return (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 ? receive(comparer) : 0;
}

int
comparer_ask(struct comparer *comparer, struct buffer *request, comparer_done_fn *fn,
             void *arg)
{
    struct question *question = calloc(1, sizeof *question);
    uint8_t length[LENGTH_BYTES];
    int r = question == NULL ? -ENOMEM : 0;

    if (r == 0) {
        for (size_t i = 0; i < LENGTH_BYTES; i++)
            length[i] = (uint8_t)(request->length >> (8 * i));
        question->fn = fn;
        question->arg = arg;
        buffer_init(&question->message, COMPARE_MESSAGE_BYTES_MAX + LENGTH_BYTES);
        r = buffer_append(&question->message, length, sizeof length);
        if (r == 0)
            r = buffer_append(&question->message, request->data, request->length);
    }
    buffer_clear(request, 0);
    if (r != 0) {
        if (question != NULL)
            question_free(question);
        return r < 0 ? r : -EMSGSIZE;
    }
    *comparer->last = question;
    comparer->last = &question->next;
    return comparer->first == question ? proceed(comparer) : 0;
}

struct waiting {
    json_t *answer; /* owned */
    struct error *err; /* borrowed */
    bool done;
};

static int
on_waited(const json_t *told, const struct error *err, void *arg)
{
    struct waiting *waiting = arg;

    waiting->done = true;
    if (told != NULL)
        waiting->answer = json_incref((json_t *)told);
    else if (waiting->err != NULL)
        *waiting->err = *err;
    return 0;
}

int
comparer_wait(struct comparer *comparer, struct buffer *request, json_t **ret,
              struct error *err)
{
    struct waiting waiting = { .err = err };
    int r = comparer_ask(comparer, request, on_waited, &waiting);

    while (r == 0 && !waiting.done)
        r = loop_wait(comparer->loop, -1);
    if (r < 0)
        return r;
    if (waiting.answer == NULL)
        return COMPARER_E_FAILED;
    *ret = waiting.answer;
    return 0;
}

int
comparer_append_request(struct buffer *ret, const json_t *settings, const json_t *cell,
                        struct slice expected, struct slice actual, bool propose)
{
    int r = buffer_append_text(ret, propose ? "{\"propose\":true" : "{\"propose\":false");

    if (r == 0 && settings != NULL) {
        r = buffer_append_text(ret, ",\"settings\":");
        if (r == 0)
            r = tree_append(ret, settings, JSON_COMPACT);
    }
    if (r == 0 && cell != NULL) {
        r = buffer_append_text(ret, ",\"cell\":");
        if (r == 0)
            r = tree_append(ret, cell, JSON_COMPACT);
    }
    if (r == 0)
        r = buffer_append_text(ret, ",\"expected\":");
    if (r == 0)
        r = buffer_append(ret, expected.data, expected.length);
    if (r == 0)
        r = buffer_append_text(ret, ",\"actual\":");
    if (r == 0)
        r = buffer_append(ret, actual.data, actual.length);
    return r != 0 ? r : buffer_append_text(ret, "}");
}
