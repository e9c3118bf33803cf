/* SPDX-License-Identifier: MIT */
/* Whatever goes wrong in here ends this one kernel, not the server around it. */
#include "kernel/agent/jupyter.h"

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/agent/jupyter_files.h"
#include "kernel/file.h"
#include "kernel/probe.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"

#define KEY_BYTES 32
#define SOCKET_BYTES 4 /* of chance in the names of sockets, which are to be short */

struct jupyter {
    struct kernel *kernel; /* owned */
    struct kernel_options options;
    struct connection connection; /* owned */
    bool has_connection;
    char *name; /* owned: of the context */
    const struct kernel_host *host; /* borrowed */
    void *host_arg;
    bool ended;
    char file[PATH_MAX]; /* empty: not written yet, or removed */
};

CLEANUP_DEFINE(struct jupyter, jupyter_close);

static void
remove_file(struct jupyter *jupyter)
{
    if (jupyter->file[0] != '\0')
        unlink(jupyter->file);
    jupyter->file[0] = '\0';
}

static int
on_restart(void *arg)
{
    struct jupyter *jupyter = arg;

    return jupyter->host->on_restart(jupyter->host_arg);
}

static int
on_pressure(bool high, void *arg)
{
    struct jupyter *jupyter = arg;

    return jupyter->host->on_pressure(high, jupyter->host_arg);
}

static int
on_end(void *arg)
{
    struct jupyter *jupyter = arg;

    if (jupyter->ended)
        return 0;
    jupyter->ended = true;
    remove_file(jupyter);
    return jupyter->host->on_end(jupyter->host_arg);
}

static const struct kernel_host host = { .on_restart = on_restart,
                                         .on_pressure = on_pressure,
                                         .on_end = on_end };

/* R is what the kernel said. */
static int
contain(struct jupyter *jupyter, int r)
{
    if (r >= 0 || jupyter->ended)
        return 0;
    log_line("the Jupyter kernel of %s ended by a failure of its own: %s", jupyter->name,
             strerror(-r));
    r = kernel_stop(jupyter->kernel, 0);
    return r < 0 ? r : on_end(jupyter);
}

/* A folder's name may have any byte, a context's what its owner likes. */
static int
append_text(struct buffer *ret, const char *name, const char *text)
{
    int r = buffer_append_format(ret, "\"%s\": ", name);

    return r != 0 ? r : text_append_json(ret, text, strlen(text));
}

static int
append_key(struct buffer *ret)
{
    char hex[2 * KEY_BYTES + 1];
    uint8_t key[KEY_BYTES];
    int r;

    randombytes_buf(key, sizeof key);
    text_hex(hex, key, sizeof key);
    r = append_text(ret, "key", hex);
    sodium_memzero(key, sizeof key);
    sodium_memzero(hex, sizeof hex);
    return r;
}

/* The members of a connection file; those in "cellwall" are for people. */
static int
describe(const struct jupyter_options *options, const char *socket, struct buffer *ret)
{
    int r = buffer_append_text(ret, "{\"transport\": \"ipc\", "
                                    "\"signature_scheme\": \"hmac-sha256\", ");

    if (r == 0)
        r = append_key(ret);
    for (int port = 0; r == 0 && port < CONNECTION_PORTS; port++)
        r = buffer_append_format(ret, ", \"%s_port\": %d",
                                 connection_port_name((enum connection_port)port),
                                 port + 1);
    if (r == 0)
        r = buffer_append_format(ret, ", \"kernel_name\": \"cellwall-%s\", ",
                                 options->environment->name);
    if (r == 0)
        r = append_text(ret, "ip", socket);
    if (r == 0)
        r = buffer_append_text(ret, ", \"cellwall\": {");
    if (r == 0)
        r = append_text(ret, "context", options->id);
    if (r == 0 && options->name != NULL) {
        r = buffer_append_text(ret, ", ");
        if (r == 0)
            r = append_text(ret, "name", options->name);
    }
    return r != 0 ? r : buffer_append_text(ret, "}}");
}

static int
make_connection(struct jupyter *jupyter, const struct jupyter_options *options,
                const char *folder, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    char name[2 * SOCKET_BYTES + 1], socket[PATH_MAX];
    uint8_t chance[SOCKET_BYTES];
    int r;

    buffer_init(&text, CONNECTION_BYTES_MAX);
    randombytes_buf(chance, sizeof chance);
    text_hex(name, chance, sizeof chance);
    if (file_join(socket, folder, name, err) != 0)
        return JUPYTER_E_FAILED;
    r = describe(options, socket, &text);
    if (r > 0)
        r = error_set(err, JUPYTER_E_FAILED, "the names of context and folder are long");
    if (r == 0)
        r = connection_init(&jupyter->connection, buffer_slice(&text), err);
    if (text.data != NULL)
        sodium_memzero(text.data, text.length);
    jupyter->has_connection = r == 0;
    return r > 0 ? JUPYTER_E_FAILED : r;
}

static int
make_kernel(struct jupyter *jupyter, const struct jupyter_options *options,
            struct error *err)
{
    int r;

    jupyter->options = (struct kernel_options){
        .loop = options->loop,
        .context = options->context,
        .host = &host,
        .host_arg = jupyter,
        .name = jupyter->name,
        .runtime = options->runtime,
        .environment = options->environment,
        .profile = options->profile,
        .network = options->network,
        .limits = options->limits,
    };
    r = kernel_create(&jupyter->kernel, &jupyter->options, &jupyter->connection, err);
    if (r == 0)
        r = kernel_watch(jupyter->kernel);
    return r > 0 ? JUPYTER_E_FAILED : r;
}

/* The last step: who sees the file finds the kernel at work. */
static int
write_file(struct jupyter *jupyter, const char *folder, struct error *err)
{
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, CONNECTION_BYTES_MAX);
    r = connection_append(&jupyter->connection, &text);
    if (r == 0)
        r = jupyter_files_write(jupyter->file, folder, jupyter->name,
                                strrchr(jupyter->connection.ip, '/') + 1,
                                buffer_slice(&text), err);
    if (text.data != NULL)
        sodium_memzero(text.data, text.length);
    return r > 0 ? JUPYTER_E_FAILED : r;
}

static int
open_in(struct jupyter *jupyter, const struct jupyter_options *options,
        const char *folder, struct error *err)
{
    const char *connection_dir = options->connection_dir;
    int r = make_connection(jupyter, options, folder, err);

    if (r == 0)
        r = make_kernel(jupyter, options, err);
    if (r == 0)
        r = write_file(jupyter, connection_dir != NULL ? connection_dir : folder, err);
    return r;
}

int
jupyter_open(struct jupyter **ret, const struct jupyter_options *options,
             struct error *err)
{
    CLEANUP(jupyter_closep) struct jupyter *jupyter = calloc(1, sizeof *jupyter);
    const char *connection_dir = options->connection_dir;
    char folder[PATH_MAX];
    int r;

    if (jupyter == NULL)
        return -ENOMEM;
    jupyter->host = options->host;
    jupyter->host_arg = options->host_arg;
    jupyter->name = strdup(options->name != NULL ? options->name : options->id);
    if (jupyter->name == NULL)
        return -ENOMEM;
    if (sodium_init() < 0)
        return error_set(err, -ENOSYS, "libsodium does not start");
    if (connection_dir != NULL && connection_dir[0] != '/')
        return error_set(err, JUPYTER_E_FAILED, "%s is not an absolute path",
                         connection_dir);
    if (jupyter_files_folder(folder, err) != 0)
        return JUPYTER_E_FAILED;
    r = open_in(jupyter, options, folder, err);
    if (r != 0)
        return r;
    *ret = jupyter;
    jupyter = NULL;
    return 0;
}

void
jupyter_close(struct jupyter *jupyter)
{
    if (jupyter == NULL)
        return;
    remove_file(jupyter);
    kernel_destroy(jupyter->kernel);
    if (jupyter->has_connection)
        connection_fini(&jupyter->connection);
    free(jupyter->name);
    free(jupyter);
}

int
jupyter_read(struct jupyter *jupyter)
{
    return contain(jupyter, jupyter->ended ? 0 : kernel_read(jupyter->kernel));
}

bool
jupyter_may_wait(const struct jupyter *jupyter)
{
    return kernel_may_wait(jupyter->kernel);
}

int
jupyter_adopt(struct jupyter *jupyter, uint64_t number,
              const struct kernel_adoption *adoption)
{
    if (jupyter->ended)
        return 0;
    return contain(jupyter, kernel_adopt(jupyter->kernel, number, adoption));
}

bool
jupyter_find_run(const struct jupyter *jupyter, uint64_t number, struct kernel_run *ret)
{
    return kernel_find_run(jupyter->kernel, number, ret);
}

bool
jupyter_has_ended(const struct jupyter *jupyter)
{
    return jupyter->ended;
}

json_t *
jupyter_connection(const struct jupyter *jupyter)
{
    return json_deep_copy(jupyter->connection.document);
}

const char *
jupyter_file(const struct jupyter *jupyter)
{
    return jupyter->file;
}

static int
on_started(uint64_t number, uint32_t execution_count, void *arg)
{
    struct jupyter *jupyter = arg;

    if (jupyter->ended)
        return 0;
    return contain(jupyter,
                   kernel_observer.on_started(number, execution_count, jupyter->kernel));
}

static int
on_stream(uint64_t number, bool is_stderr, struct slice text, void *arg)
{
    struct jupyter *jupyter = arg;

    if (jupyter->ended)
        return 0;
    return contain(jupyter,
                   kernel_observer.on_stream(number, is_stderr, text, jupyter->kernel));
}

static int
on_frame(const struct frame *frame, void *arg)
{
    struct jupyter *jupyter = arg;

    if (jupyter->ended)
        return 0;
    return contain(jupyter, kernel_observer.on_frame(frame, jupyter->kernel));
}

static int
on_done(uint64_t number, const struct context_outcome *outcome, void *arg)
{
    struct jupyter *jupyter = arg;

    if (jupyter->ended)
        return 0;
    return contain(jupyter, kernel_observer.on_done(number, outcome, jupyter->kernel));
}

static int
on_state(enum context_state state, uint64_t epoch, const struct context_reason *reason,
         void *arg)
{
    struct jupyter *jupyter = arg;

    if (jupyter->ended)
        return 0;
    return contain(jupyter,
                   kernel_observer.on_state(state, epoch, reason, jupyter->kernel));
}

static int
on_stuck(uint64_t number, void *arg)
{
    struct jupyter *jupyter = arg;

    if (jupyter->ended)
        return 0;
    return contain(jupyter, kernel_observer.on_stuck(number, jupyter->kernel));
}

const struct context_observer jupyter_observer = {
    .on_started = on_started,
    .on_stream = on_stream,
    .on_frame = on_frame,
    .on_done = on_done,
    .on_state = on_state,
    .on_stuck = on_stuck,
};
