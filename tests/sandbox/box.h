/* SPDX-License-Identifier: MIT */
/*
 * box - starts real sandboxes for tests and reads what they report
 *
 * Failures of the harness itself end the test (cmocka assertions).
 */
#ifndef TESTS_SANDBOX_BOX_H
#define TESTS_SANDBOX_BOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "contexts/sandbox/control.h"
#include "contexts/sandbox/keeper.h"
#include "contexts/sandbox/sandbox.h"
#include "contexts/sandbox/spec.h"
#include "protocol/buffer.h"
#include "protocol/error.h"

#define BOX_MOUNTS_MAX 32
#define BOX_SKIPPED 77 /* exit status of a test that cannot run here */

/* A spec under construction: the system read-only, a small /tmp, the directory WORKSPACE
 * writable at /box and as working directory, the probe at /probe, the real policy. */
struct box_spec {
    struct sandbox_spec spec;
    struct sandbox_mount mounts[BOX_MOUNTS_MAX];
    struct buffer policy; /* owned */
};

void box_spec_init(struct box_spec *box, const char *workspace, const char *const *argv);
void box_spec_mount(struct box_spec *box, struct sandbox_mount mount);
void box_spec_fini(struct box_spec *box);

/* A workspace, for the SANDBOX_MOUNT_GIVEN of the boxes that start while it is there. */
struct box_given {
    struct keeper keeper;
    struct keeper_workspace workspace;
};

#define BOX_GIVEN_NUMBER 7

void box_given_init(struct box_given *ret, uint64_t bytes, uint64_t inodes);
void box_given_fini(struct box_given *given); /* its keeper is gone then */

struct box {
    int pidfd; /* init's */
    struct cgroup group; /* of it */
    int control; /* our end; -1: closed */
    int channel;
    int output; /* stdout and stderr, one pipe */
    int result; /* of sandbox_spawn */
    struct error error;
};

/* Spawns; BOX->result tells. With a result of 0 everything in BOX is open. */
void box_start(struct box *box, const struct sandbox_spec *spec);
/* As box_start, but the runner is made by ZYGOTE, or by exec if that is NULL. */
void box_start_by(struct box *box, const struct sandbox_spec *spec,
                  const struct sandbox_zygote *zygote);

/* Waits for the next report. False: init is gone. */
bool box_report(struct box *box, struct control_report *ret);
void box_expect(struct box *box, enum control_report_kind kind,
                struct control_report *ret); /* RET may be NULL */
void box_command(struct box *box, enum control_command_kind kind, int signal);

/* Appends output until something ends with LINE and a newline. */
void box_output_until(struct box *box, const char *line, struct buffer *ret);
/* Appends all output, until every process that could write has ended. */
void box_output_all(struct box *box, struct buffer *ret);

/* True while init has not ended. */
bool box_is_alive(const struct box *box);
/* Waits until init has ended and nothing is left of it, not even a zombie. */
void box_wait_gone(struct box *box);

/* Closes the control socket, waits for init's end, and proves that nobody is left who
 * holds the output pipe. */
void box_end(struct box *box);

/* Hands BOX over to another process: its control socket, channel and output, not init's
 * pidfd. */
bool box_pass(int socket, const struct box *box);
bool box_receive(int socket, struct box *ret);

/* Runs to the end: STARTED, EXITED, end. Returns the runner's wait status. */
int box_run(const struct sandbox_spec *spec, struct buffer *output);

/* True when TEXT has LINE as a whole line. */
bool box_has_line(const struct buffer *text, const char *line);

const char *box_probe_path(void);

/* A zygote in its sandbox, with what a spawn by it needs. */
struct box_zygote {
    struct box box; /* its channel is the socket for calls */
    struct sandbox_zygote ends; /* owned: the namespaces */
};

/* Starts the program ARGV as a zygote; it sees the system, ARGV[0], which is a path
 * outside as inside, and SHARED (NULL: none) writable at /shared. */
void box_zygote_start(struct box_zygote *ret, const char *const *argv,
                      const char *shared);
void box_zygote_end(struct box_zygote *zygote);
const char *box_zygote_path(void);
const char *box_failing_zygote_path(void); /* see failing.h */
const char *box_hostile_zygote_path(void); /* see zygote_hostile.c */

/* The zygote that makes the runner of SPEC, started when it is first asked for; NULL when
 * runners are started by exec, or SPEC has another network. It ends with the test. */
const struct sandbox_zygote *box_zygote(const struct sandbox_spec *spec);
void box_use_zygote(void);
/* Has the following runners made by ZYGOTE, borrowed. */
void box_use_this_zygote(const struct box_zygote *zygote);
bool box_uses_zygote(void);

/* The process id of a first runner, inside. */
int box_runner_pid(void);

/* A directory of the test's own under the temporary directory; mode 0755. */
void box_make_workspace(char ret[64]);
void box_remove_workspace(const char *path);

/* The first argument chooses who runs the tests: "root" (ids of its own) or "user" (an
 * ordinary user, dropped to when root), and with "_zygote" behind it how runners are
 * made. Returns 0, or the status to exit with, after having said why. */
int box_become(int argc, char **argv);
bool box_is_user(void);
/* True when sandboxes have control groups. */
bool box_has_groups(void);

#endif
