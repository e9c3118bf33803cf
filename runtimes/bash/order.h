/* SPDX-License-Identifier: MIT */
/*
 * order - what the runner tells its shell to do, and what the shell says of it
 *
 * Packets over a SOCK_SEQPACKET socket, between two programs of one build. The texts of
 * an order are in a memfd that comes with it: NUL-terminated, one after the other. The
 * shell runs user code, so the runner believes nothing of a report beyond its range.
 */
#ifndef RUNTIMES_BASH_ORDER_H
#define RUNTIMES_BASH_ORDER_H

#include <signal.h>
#include <stdint.h>

#define ORDER_CONTROL_FD 3 /* the shell's end, when it is started */
/* Ends a cell that goes on in spite of SIGINT. Nobody else sends such signals. */
#define ORDER_HARD_SIGNAL (SIGRTMAX - 2)

enum order_kind {
    ORDER_RUN = 1, /* texts: code, then NAME=value; fds: texts, stdin, stdout, stderr */
    ORDER_COMPLETE, /* texts: line; point. The others have fds as ORDER_RUN has. */
    ORDER_INSPECT, /* texts: name; point: the detail level */
    ORDER_PARSE, /* texts: code */
    ORDER_EXPAND, /* texts: what is expanded as if within double quotes */
    ORDER_QUIT
};

enum { ORDER_FDS = 4 };

struct order {
    uint32_t kind;
    uint32_t point;
};

enum report_kind {
    REPORT_READY = 1, /* status: the process id of the shell */
    REPORT_STARTED, /* from here on an interrupt is for this run */
    REPORT_DONE, /* how, status, line: of a run */
    REPORT_ASKED, /* status: process id of the child that answers */
    REPORT_ANSWERED, /* status: its exit status, > 128: a signal */
    REPORT_INTERRUPTED, /* the run will end as soon as the foreground lets it */
    REPORT_REFUSED /* status: the index of a variable that cannot be set for a run */
};

enum report_how {
    HOW_END, /* the code was run to its end */
    HOW_SYNTAX, /* what could not be parsed begins at about LINE */
    HOW_EXIT, /* exit */
    HOW_ERREXIT, /* set -e */
    HOW_ABORT, /* an error that ends scripts: set -u, ${name:?} and so on */
    HOW_INTERRUPT
};

struct report {
    uint32_t kind;
    uint32_t how;
    int32_t status;
    int32_t line;
};

#endif
