/* SPDX-License-Identifier: MIT */
#include "contexts/zygote.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "contexts/birth.h"
#include "contexts/loop.h"
#include "contexts/sandbox/control.h"
#include "contexts/sandbox/passing.h"
#include "contexts/sandbox/sandbox.h"
#include "protocol/buffer.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"

/* The end of what it writes to its stdout and stderr is kept. */
#define NOISE_BYTES 2048
#define NOISE_CHUNK_BYTES 4096
#define NOISE_CHUNKS_MAX 32 /* as much as a pipe holds, and more */
#define TEXT_BYTES (ERROR_TEXT_BYTES + NOISE_BYTES)

struct watched {
    char *path; /* owned */
    bool exists;
    struct timespec modified;
};

struct zygote {
    struct loop *loop; /* borrowed */
    enum zygote_state state;
    uint64_t started_us;
    struct timespec started; /* as files' times are */
    zygote_changed_fn *fn;
    void *arg;
    struct birth *birth; /* owned: until it is born */
    struct spawner_child child; /* owned; its channel is the socket for calls */
    struct sandbox_zygote fds; /* namespaces owned, -1: not there; the socket is not */
    bool has_spoken; /* it is ready, as it says itself */
    struct loop_source *control, *calls, *out, *err, *init; /* owned */
    struct loop_timer *limit; /* owned */
    struct watched *watched; /* owned array */
    size_t watched_count;
    bool was_overtaken; /* its environment changed while it was starting */
    char word[ERROR_TEXT_BYTES]; /* for the log: what it has, what it left out */
    char noise[NOISE_BYTES + 1]; /* what it printed last */
    size_t noise_length;
};

CLEANUP_DEFINE(struct zygote, zygote_destroy);

static void
close_calls(struct zygote *zygote)
{
    loop_source_destroy(zygote->calls);
    zygote->calls = NULL;
    close_fdp(&zygote->child.channel);
    zygote->child.channel = -1;
    for (int i = 0; i < SANDBOX_NAMESPACE_COUNT; i++) {
        close_fdp(&zygote->fds.namespaces[i]);
        zygote->fds.namespaces[i] = -1;
    }
}

static int
change(struct zygote *zygote, enum zygote_state state, const char *text)
{
    if (zygote->state >= state)
        return 0;
    zygote->state = state;
    loop_timer_disarm(zygote->limit);
    if (state >= ZYGOTE_ENDED)
        close_calls(zygote);
    return zygote->fn(zygote, state, text, zygote->arg);
}

static void
keep_noise(struct zygote *zygote, const char *data, size_t length)
{
    size_t over;

    if (length > NOISE_BYTES) {
        data += length - NOISE_BYTES;
        length = NOISE_BYTES;
    }
    over = zygote->noise_length + length > NOISE_BYTES
               ? zygote->noise_length + length - NOISE_BYTES
               : 0;
    memmove(zygote->noise, zygote->noise + over, zygote->noise_length - over);
    zygote->noise_length -= over;
    for (size_t i = 0; i < length; i++) /* for one line of a log */
        zygote->noise[zygote->noise_length++] =
            data[i] >= ' ' && data[i] <= '~' ? data[i] : ' ';
}

/* What it said before it ended may be unread. */
static void
read_noise(struct zygote *zygote)
{
    const int fds[] = { zygote->child.out, zygote->child.err };
    char data[NOISE_CHUNK_BYTES];

    for (size_t i = 0; i < N_ELEMENTS(fds); i++) {
        ssize_t n = fds[i] < 0 ? 0 : read(fds[i], data, sizeof data);

        for (int chunks = 0; n > 0 && chunks < NOISE_CHUNKS_MAX; chunks++) {
            keep_noise(zygote, data, (size_t)n);
            n = read(fds[i], data, sizeof data);
        }
    }
}

/* It ends by itself, or is made to; contexts in its sandbox go on. */
static int
end(struct zygote *zygote, const char *why)
{
    char text[TEXT_BYTES];

    if (zygote->state >= ZYGOTE_ENDED)
        return 0;
    read_noise(zygote);
    zygote->noise[zygote->noise_length] = '\0';
    snprintf(text, sizeof text, "%s%s%s", why, zygote->noise_length > 0 ? ": " : "",
             zygote->noise);
    return change(zygote, ZYGOTE_ENDED, text);
}

static int
become_ready(struct zygote *zygote)
{
    if (!zygote->has_spoken || zygote->fds.namespaces[0] < 0)
        return 0;
    return change(zygote, ZYGOTE_READY, zygote->word);
}

static int
on_limit(void *arg)
{
    return end(arg, "it was not ready in time");
}

/* One line, and no more of it than there is room for. */
static void
append_word(struct zygote *zygote, const char *before, const char *text)
{
    size_t length = strlen(zygote->word);

    snprintf(zygote->word + length, sizeof zygote->word - length, "%s%.80s", before,
             text);
}

static const char *
string_of(const json_t *value)
{
    const char *text = json_string_value(value);

    return text == NULL ? "?" : text;
}

static void
describe(struct zygote *zygote, const json_t *word)
{
    const json_t *preloaded = json_object_get(word, "preloaded");
    const json_t *left_out = json_object_get(word, "left_out");
    const json_t *item;
    size_t i;

    snprintf(zygote->word, sizeof zygote->word, "ready");
    json_array_foreach(preloaded, i, item)
        append_word(zygote, i == 0 ? " with " : ", ", string_of(item));
    json_array_foreach(left_out, i, item)
    {
        append_word(zygote, i == 0 ? "; without " : ", ",
                    string_of(json_array_get(item, 0)));
        append_word(zygote, " because ", string_of(json_array_get(item, 1)));
    }
}

static void
look_at(struct watched *watched)
{
    struct stat st;

    watched->exists = stat(watched->path, &st) == 0;
    watched->modified = watched->exists ? st.st_mtim : (struct timespec){ 0 };
}

static bool
is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static int
watch(struct zygote *zygote, const json_t *paths)
{
    struct timespec now;
    const json_t *item;
    size_t i;

    clock_gettime(CLOCK_REALTIME, &now); /* times that are yet to come prove nothing */

    if (json_array_size(paths) > ZYGOTE_PATHS_MAX)
        return 0; /* not ours: nobody asked for so many */
    zygote->watched = calloc(json_array_size(paths) + 1, sizeof *zygote->watched);
    if (zygote->watched == NULL)
        return -ENOMEM;
    json_array_foreach(paths, i, item)
    {
        struct watched *watched = &zygote->watched[zygote->watched_count];
        const char *path = json_string_value(item);

        if (path == NULL || path[0] != '/')
            continue;
        watched->path = strdup(path);
        if (watched->path == NULL)
            return -ENOMEM;
        look_at(watched);
        zygote->watched_count++;
        if (is_before(&zygote->started, &watched->modified) &&
            is_before(&watched->modified, &now))
            zygote->was_overtaken = true;
    }
    return 0;
}

/* What it says is a package's word, too: only text for the log, and paths to look at. */
static int
take_word(struct zygote *zygote, const char *data, size_t length)
{
    json_t *word = json_loadb(data, length, 0, NULL);
    char text[ERROR_TEXT_BYTES];
    int r;

    if (json_is_true(json_object_get(word, "ready"))) {
        describe(zygote, word);
        zygote->has_spoken = true;
        r = watch(zygote, json_object_get(word, "paths"));
        if (r == 0)
            r = become_ready(zygote);
    } else {
        snprintf(text, sizeof text, "%.400s", string_of(json_object_get(word, "error")));
        r = end(zygote, text);
    }
    json_decref(word);
    return r;
}

/* What it said before it ended may be unread. RET_ENDED: it says no more. */
static int
listen_to(struct zygote *zygote, bool *ret_ended)
{
    CLEANUP(freep) char *data = NULL;
    ssize_t n;

    *ret_ended = false;
    if (zygote->calls == NULL)
        return 0;
    data = malloc(ZYGOTE_WORD_BYTES_MAX);
    if (data == NULL)
        return -ENOMEM;
    n = recv(zygote->child.channel, data, ZYGOTE_WORD_BYTES_MAX,
             MSG_DONTWAIT | MSG_TRUNC);
    *ret_ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    if (n <= 0)
        return 0;
    if (zygote->has_spoken || (size_t)n > ZYGOTE_WORD_BYTES_MAX)
        return end(zygote, "it says what it should not");
    return take_word(zygote, data, (size_t)n);
}

static int
on_started(struct zygote *zygote, struct passing *passing)
{
    if (passing->fd_count != SANDBOX_NAMESPACE_COUNT)
        return end(zygote, "its namespaces are not there: too many open files?");
    for (int i = 0; i < SANDBOX_NAMESPACE_COUNT; i++)
        zygote->fds.namespaces[i] = passing->fds[i];
    passing->fd_count = 0;
    return become_ready(zygote);
}

static int
on_report(struct zygote *zygote, const uint8_t *packet, struct passing *passing)
{
    struct control_report report;
    char text[CONTROL_STEP_BYTES + 128];

    if (passing->cut ||
        !control_report_decode(&report, (struct slice){ packet, passing->length }))
        return end(zygote, "its init has ended");
    switch (report.kind) {
    case CONTROL_STARTED:
        return on_started(zygote, passing);
    case CONTROL_FAILED:
        snprintf(text, sizeof text, "%s: %s", report.step, strerror(report.error));
        return end(zygote, text);
    case CONTROL_EXITED:
        break;
    }
    return end(zygote, "it has ended");
}

static int
on_control(int fd, uint32_t events, void *arg)
{
    struct zygote *zygote = arg;
    uint8_t packet[CONTROL_BYTES];
    struct passing passing;
    bool ended;
    int r = listen_to(zygote, &ended); /* its own reason before its init's */

    (void)events;
    if (r == 0)
        r = passing_receive(fd, packet, sizeof packet, MSG_DONTWAIT, &passing);
    if (r == -EAGAIN || r == -ECONNRESET)
        return 0;
    if (r < 0)
        return r;
    if (passing.length == 0 && passing_is_ended(fd)) {
        loop_source_destroy(zygote->control);
        zygote->control = NULL;
        return end(zygote, "its init has ended");
    }
    r = on_report(zygote, packet, &passing);
    passing_fini(&passing);
    return r;
}

static int
on_calls(int fd, uint32_t events, void *arg)
{
    struct zygote *zygote = arg;
    bool ended;
    int r = listen_to(zygote, &ended);

    (void)fd, (void)events;
    if (r != 0 || !ended)
        return r;
    if (zygote->control != NULL) /* a step that failed has been told before */
        r = on_control(zygote->child.control, 0, zygote);
    return r != 0 ? r : end(zygote, "it has ended");
}

/* Its sandbox is empty, and was taken down. */
static int
on_init_end(int fd, uint32_t events, void *arg)
{
    struct zygote *zygote = arg;
    int r = zygote->control != NULL ? on_control(zygote->child.control, 0, arg) : 0;

    (void)fd, (void)events;
    loop_source_destroy(zygote->init);
    zygote->init = NULL;
    if (r == 0)
        r = end(zygote, "its init has ended");
    return r < 0 ? r : change(zygote, ZYGOTE_GONE, NULL);
}

static int
on_noise(int fd, uint32_t events, void *arg)
{
    struct zygote *zygote = arg;
    char data[NOISE_CHUNK_BYTES];
    ssize_t n = read(fd, data, sizeof data);

    (void)events;
    if (n > 0) {
        keep_noise(zygote, data, (size_t)n);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        struct loop_source **source =
            fd == zygote->child.out ? &zygote->out : &zygote->err;

        loop_source_destroy(*source);
        *source = NULL;
    }
    return 0;
}

static int
on_born(struct spawner_child *child, const struct error *err, void *arg)
{
    struct zygote *zygote = arg;
    int r;

    zygote->birth = NULL;
    if (child == NULL || zygote->state >= ZYGOTE_ENDED) {
        r = end(zygote, err == NULL ? "" : err->text);
        return r < 0 ? r : change(zygote, ZYGOTE_GONE, NULL);
    }
    zygote->child = *child;
    *child = (struct spawner_child)SPAWNER_CHILD_NONE;
    zygote->fds.socket = zygote->child.channel;
    r = loop_add_fd(&zygote->control, zygote->loop, zygote->child.control, EPOLLIN,
                    on_control, zygote);
    if (r == 0)
        r = loop_add_fd(&zygote->calls, zygote->loop, zygote->child.channel, EPOLLIN,
                        on_calls, zygote);
    if (r == 0)
        r = loop_add_fd(&zygote->out, zygote->loop, zygote->child.out, EPOLLIN, on_noise,
                        zygote);
    if (r == 0)
        r = loop_add_fd(&zygote->err, zygote->loop, zygote->child.err, EPOLLIN, on_noise,
                        zygote);
    if (r == 0)
        r = loop_add_fd(&zygote->init, zygote->loop, zygote->child.init_pidfd, EPOLLIN,
                        on_init_end, zygote);
    return r;
}

int
zygote_create(struct zygote **ret, struct loop *loop, struct launches *launches,
              const struct sandbox_spec *spec, zygote_changed_fn *fn, void *arg,
              struct error *err)
{
    CLEANUP(zygote_destroyp) struct zygote *zygote = malloc(sizeof *zygote);
    int r;

    if (zygote == NULL)
        return -ENOMEM;
    *zygote = (struct zygote){ .loop = loop,
                               .started_us = loop_now_us(loop),
                               .child = SPAWNER_CHILD_NONE,
                               .fds = { .namespaces = { -1, -1 }, .socket = -1 },
                               .fn = fn,
                               .arg = arg };
    clock_gettime(CLOCK_REALTIME, &zygote->started);
    r = loop_add_timer(&zygote->limit, loop, on_limit, zygote);
    if (r == 0)
        r = birth_begin(&zygote->birth, launches, spec, NULL, on_born, zygote, err);
    if (r != 0)
        return r;
    loop_timer_arm(zygote->limit, (uint64_t)ZYGOTE_START_MS * 1000);
    *ret = zygote;
    zygote = NULL;
    return 0;
}

void
zygote_destroy(struct zygote *zygote)
{
    if (zygote == NULL)
        return;
    if (zygote->birth != NULL)
        birth_cancel(zygote->birth);
    close_calls(zygote);
    loop_source_destroy(zygote->control);
    loop_source_destroy(zygote->out);
    loop_source_destroy(zygote->err);
    loop_source_destroy(zygote->init);
    loop_timer_destroy(zygote->limit);
    spawner_child_fini(&zygote->child);
    for (size_t i = 0; i < zygote->watched_count; i++)
        free(zygote->watched[i].path);
    free(zygote->watched);
    free(zygote);
}

void
zygote_retire(struct zygote *zygote)
{
    if (zygote->state >= ZYGOTE_ENDED)
        return;
    zygote->state = ZYGOTE_ENDED;
    loop_timer_disarm(zygote->limit);
    close_calls(zygote); /* whoever reads there finds the end */
}

enum zygote_state
zygote_state(const struct zygote *zygote)
{
    return zygote->state;
}

const struct sandbox_zygote *
zygote_fds(const struct zygote *zygote)
{
    return &zygote->fds;
}

uint64_t
zygote_started_us(const struct zygote *zygote)
{
    return zygote->started_us;
}

bool
zygote_is_stale(const struct zygote *zygote)
{
    for (size_t i = 0; i < zygote->watched_count; i++) {
        struct watched now = { .path = zygote->watched[i].path };

        look_at(&now);
        if (now.exists != zygote->watched[i].exists ||
            now.modified.tv_sec != zygote->watched[i].modified.tv_sec ||
            now.modified.tv_nsec != zygote->watched[i].modified.tv_nsec)
            return true;
    }
    return zygote->was_overtaken;
}
