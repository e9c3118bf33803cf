/* SPDX-License-Identifier: MIT */
/*
 * session - the runner of one bash: its channel, its shell, and what comes from both
 *
 * All waiting is in session_step. Sources are watched by one epoll set, edge-triggered
 * and taken one at a time: the set hands them out in the order in which they became
 * ready, and a cell's pipes hold one packet each, so that this is the order in which
 * programs have written (docs/bash.md).
 */
#ifndef RUNTIMES_BASH_SESSION_H
#define RUNTIMES_BASH_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

#include "protocol/buffer.h"
#include "protocol/frame.h"
#include "runtimes/bash/order.h"

struct error;
struct runner;

#define SESSION_OUTLETS_MAX 128 /* pipes of cells that somebody still holds */
#define SESSION_DEFERRED_MAX 64 /* requests that came during a run */
#define SESSION_JSON_BYTES_MAX ((size_t)8 * 1024 * 1024)

/* One of the two pipes of a cell. fd < 0: free. */
struct outlet {
    int fd; /* owned: the end to read */
    uint64_t number; /* of the cell's request */
    uint64_t inode; /* tells whose a program's stdout is */
    bool is_stderr;
    uint8_t rest[4]; /* the beginning of a character */
    uint8_t rest_length;
};

/* Text that is on its way out: of one cell and stream. */
struct text {
    struct buffer bytes; /* owned: UTF-8 */
    uint64_t number;
    bool is_stderr;
};

/* The shell's process, and the terminal that it reads from. */
struct shell {
    pid_t pid; /* 0: it has ended */
    int status; /* as waitpid has it */
    bool is_ready;
    int control; /* owned; -1: closed by the shell */
    int master, slave; /* owned: the terminal */
    dev_t terminal; /* the device of SLAVE */
    struct termios settings; /* of the terminal, as bash wants them */
    struct buffer said; /* owned: what was printed to the terminal before it was ready */
};

/* The execution under way. number 0: none. */
struct run {
    uint64_t number;
    bool may_ask, is_asking;
    bool has_started, is_done;
    bool interrupt_waits; /* until it has started */
    struct report report;
    unsigned interrupts; /* how often it was interrupted */
    bool is_ending; /* the shell has said so: what it still starts must end, too */
    pid_t interrupted_group; /* who has had the last SIGINT */
    uint64_t interrupted_us;
    uint64_t escalate_us; /* when stronger means are due; 0: not */
    uint64_t look_us; /* when to look again whether somebody reads; 0: not */
    uint64_t look_gap_us, quiet_us;
    struct buffer tail; /* owned: of stderr, to quote from */
};

/* A request that waits. */
struct deferred {
    struct frame frame; /* parts point into BYTES */
    uint8_t *bytes; /* owned */
};

struct session {
    struct runner *runner; /* owned */
    const char *folder; /* borrowed: the runtime's */
    const char *bash; /* borrowed */
    int epoll, signals; /* owned */
    int displays; /* owned: the FIFO, -1: there can be none */
    char displays_path[128];
    struct shell shell;
    struct run run;
    struct outlet outlets[SESSION_OUTLETS_MAX];
    struct text text;
    uint64_t last_number; /* of the last request */
    bool interrupt_waits; /* a SIGINT came for a run that has not begun */
    bool is_swept; /* nothing was read since all pipes were looked at */
    bool is_closing; /* the server is gone, or said shutdown */
    struct deferred deferred[SESSION_DEFERRED_MAX];
    size_t deferred_count;
};

/* What becomes ready; a tag of the epoll set. Outlet I is SOURCE_OUTLETS + I. */
enum session_source {
    SOURCE_CHANNEL,
    SOURCE_SIGNALS,
    SOURCE_CONTROL,
    SOURCE_TERMINAL,
    SOURCE_DISPLAYS,
    SOURCE_OUTLETS
};

uint64_t session_now_us(void);

int session_init(struct session *session, const char *folder, const char *bash,
                 struct error *err);
void session_fini(struct session *session);

/* Watches FD. Edge-triggered, but for the channel. */
int session_watch(struct session *session, int fd, unsigned source);

/* Waits for one event, or until UNTIL_US (0: for ever), and handles it. Frames that are
 * not for the run under way are deferred. */
void session_step(struct session *session, uint64_t until_us);

/* Notes the signals that have come. */
void session_take_signals(struct session *session);

/* Ends the runner as the shell has ended, once all output is out. */
__attribute__((noreturn)) void session_end_like_shell(struct session *session);

/* Frames. CONTENT is JSON. The runner ends when the channel is gone. */
void session_send(struct session *session, enum frame_type type, uint64_t number,
                  uint16_t flags, struct slice content);

/* Makes the pipes of a cell; the caller owns RET, their ends to write. False: there are
 * too many, and RET are duplicates of the runner's own. */
bool outlets_open(struct session *session, uint64_t number, int ret[2]);

/* Reads what became ready at outlet INDEX. */
void outlets_read(struct session *session, unsigned index);

/* Looks again at all of them: somebody may have made a pipe larger. */
void outlets_sweep(struct session *session);

/* The cell of request NUMBER has ended: no more of its last character is to come. */
void outlets_finish(struct session *session, uint64_t number);

/* The number of the cell whose pipe has this inode; 0: nobody's. */
uint64_t outlets_owner(const struct session *session, uint64_t inode);

void outlets_fini(struct session *session);

/* Appends output; sends what waits. */
void text_add(struct session *session, uint64_t number, bool is_stderr,
              struct slice bytes);
void text_flush(struct session *session);

/* How many bytes of the last line wait without its newline, of the run under way. */
size_t text_unfinished(const struct session *session);

/* Starts bash and waits until it serves orders. 0 or < 0 with ERR. */
int shell_start(struct session *session, struct error *err);

/* Sends an order with TEXTS and the three fds (borrowed). False: the shell is gone. */
bool shell_order(struct session *session, struct order order, struct slice texts,
                 const int fds[3]);

/* Asks the shell to exit. */
bool shell_order_quit(struct session *session);

/* The next report, if one is there. */
bool shell_report(struct session *session, struct report *ret);

/* The process group in the foreground; the shell's own if nothing else is known. */
pid_t shell_foreground(const struct session *session);

/* A SIGINT for the run under way; later and stronger means. */
void interrupts_deliver(struct session *session);
void interrupts_escalate(struct session *session);

enum terminal_reader { TERMINAL_UNREAD, TERMINAL_POLLED, TERMINAL_READ };

/* Whether a process of the foreground waits for input from the terminal. */
enum terminal_reader terminal_look(const struct session *session);

/* Whether FN is true of any process of GROUP. */
bool terminal_any_member(pid_t group, bool (*fn)(pid_t pid));

/* Looks, and asks the user if somebody waits; sets when to look next. */
void terminal_attend(struct session *session);

/* The user's answer, a JSON content. */
void terminal_answer(struct session *session, struct slice content);

/* Between cells: nothing typed is left, and the settings are the usual ones. */
void terminal_reset(struct session *session);

/* What came from the terminal: echo, which nobody wants. */
void terminal_drain(struct session *session);

int displays_open(struct session *session);
void displays_read(struct session *session);
void displays_close(struct session *session);

/* The requests, each answered by one reply. */
void serve_execute(struct session *session, const struct frame *frame);
void serve_complete(struct session *session, const struct frame *frame);
void serve_inspect(struct session *session, const struct frame *frame);
void serve_is_complete(struct session *session, const struct frame *frame);

/* What a child of the shell says to a question. */
struct answer {
    struct buffer out, err; /* owned */
    int status; /* its exit status; < 0: none in time */
    bool interrupted;
};

void answer_init(struct answer *answer);
void answer_fini(struct answer *answer);
void shell_ask(struct session *session, struct order order, struct slice text,
               struct answer *ret);

#endif
