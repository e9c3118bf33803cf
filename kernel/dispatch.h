/* SPDX-License-Identifier: MIT */
/*
 * dispatch - which function answers which message
 */
#ifndef KERNEL_DISPATCH_H
#define KERNEL_DISPATCH_H

#include <stdbool.h>

#include "kernel/origin.h"
#include "protocol/buffer.h"

struct context_outcome;
struct context_request;
struct error;
struct kernel;
struct message;
struct parent;

enum {
    DISPATCH_SHELL = 1 << CONNECTION_SHELL,
    DISPATCH_CONTROL = 1 << CONNECTION_CONTROL,
    DISPATCH_STDIN = 1 << CONNECTION_STDIN
};

enum {
    DISPATCH_E_UNKNOWN_TYPE = 1,
    DISPATCH_E_WRONG_CHANNEL /* the type is served, but not there */
};

/* A message under way to its handler. Borrowed: from the socket, until the next one. */
struct request {
    struct origin origin;
    struct message *message; /* checked: its content has its defaults */
    const struct handler *handler;
    bool busy_told;
};

/* The request cannot be served: ERR has "EName: sentence" or only the sentence. */
enum { HANDLER_E_REFUSED = 1 };

/* Answers REQUEST, or hands it to the context when the handler is deferred. 0,
 * HANDLER_E_REFUSED, < 0. */
typedef int handler_fn(struct kernel *kernel, struct request *request, struct error *err);

/* The context has ended the request: sends the reply. */
typedef int handler_done_fn(struct kernel *kernel, struct parent *parent,
                            const struct context_outcome *outcome);

/* A row of the table: all about one message type. */
struct handler {
    const char *type;
    const char *reply; /* type of the answer; NULL: none */
    unsigned channels; /* where it may arrive: DISPATCH_* */
    handler_fn *fn;
    handler_done_fn *done; /* not NULL: deferred */
};

/* 0, DISPATCH_E_UNKNOWN_TYPE, DISPATCH_E_WRONG_CHANNEL; RET is set unless unknown. */
int dispatch_find(const char *type, enum connection_port channel,
                  const struct handler **ret);

/* Serves a message that came on shell or control. 0 or < 0. */
int dispatch(struct kernel *kernel, enum connection_port channel,
             struct message *message);

/* Hands REQUEST to the context, for a deferred handler: fills in header, metadata and
 * content of WISH, and remembers the parent, with CODE (copied) for the history. RET is
 * borrowed. 0, HANDLER_E_REFUSED, < 0. */
int dispatch_submit(struct kernel *kernel, const struct request *request,
                    struct context_request *wish, struct slice code, struct parent **ret,
                    struct error *err);

/* Ends a deferred request: its last word, the reply and "idle". */
int dispatch_done(struct kernel *kernel, struct parent *parent,
                  const struct context_outcome *outcome);

/* Publishes "busy" unless that was done. */
int dispatch_busy(struct kernel *kernel, struct parent *parent);

#endif
