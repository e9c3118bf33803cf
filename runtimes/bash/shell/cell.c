/* SPDX-License-Identifier: MIT */
/*
 * Runs a cell at the top level of the shell: each command is parsed when those before it
 * have run, as in a script, so that aliases and options of the cell count. What would end
 * a script ends the cell.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "runtimes/bash/shell/bash.h"
#include "runtimes/bash/shell/shell.h"

/* What errors are prefixed with, together with the line. */
#define INPUT_NAME "bash"

static volatile sig_atomic_t was_interrupted;
static volatile bool is_parsing;

static bool
interrupts_end_it(void)
{
    return signal_is_trapped(SIGINT) == 0 && signal_is_ignored(SIGINT) == 0;
}

void
shell_on_sigint(int signal)
{
    if (!shell_is_itself()) {
        shell_die_of_interrupt(); /* a child, which is not yet what it will be */
        return;
    }
    if (!shell_is_running)
        return; /* it is late: the cell has ended */
    was_interrupted = 1;
    sigint_sighandler(signal);
    shell_report(&(struct report){ .kind = REPORT_INTERRUPTED });
}

bool
shell_is_interrupted(void)
{
    sigset_t pending;

    return interrupts_end_it() &&
           (terminating_signal == SIGINT || (was_interrupted && interrupt_state != 0) ||
            (sigpending(&pending) == 0 && sigismember(&pending, SIGINT) == 1));
}

void
shell_before_fork(sigset_t *before)
{
    sigset_t interrupt;

    sigemptyset(&interrupt);
    if (interrupts_end_it())
        sigaddset(&interrupt, SIGINT);
    (void)sigprocmask(SIG_UNBLOCK, &interrupt, before);
}

void
shell_on_fork(void)
{
    was_interrupted = 0;
}

/* Children of bash take note of a signal for later; as another program they would have
 * forgotten it, and run on. */
void
shell_before_exec(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    sigset_t interrupt, before;

    if (shell_is_itself() || !interrupts_end_it())
        return;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    if (terminating_signal == SIGINT)
        shell_die_of_interrupt();
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Sent when a cell goes on in spite of SIGINT: traps do not count. */
static void
on_hard_interrupt(int signal)
{
    (void)signal;
    if (!shell_is_running)
        return;
    was_interrupted = 1;
    interrupt_state = 1;
}

static void
set_handlers(void)
{
    struct sigaction hard = { .sa_handler = on_hard_interrupt };

    if (interrupts_end_it())
        set_signal_handler(SIGINT, shell_on_sigint);
    sigemptyset(&hard.sa_mask);
    sigaction(ORDER_HARD_SIGNAL, &hard, NULL);
}

static void
flush_array(const char *name)
{
    const struct bash_variable *variable = find_variable(name);

    if (variable != NULL && (variable->attributes & BASH_ARRAY) != 0 &&
        variable->value != NULL)
        array_flush(variable->value);
}

/* A job that was being made: else the next command would wait for it, or be one of it.
 * Nobody has waited for it, so it may not have heard of the interrupt. */
static void
forget_job(void)
{
    if (was_interrupted && the_pipeline != NULL && pipeline_pgrp > 1 &&
        pipeline_pgrp != shell_pgrp)
        (void)kill(-pipeline_pgrp, SIGINT);
    cleanup_the_pipeline();
    stop_pipeline(0, NULL);
    pipeline_pgrp = 0;
}

/* After a jump out of the middle of whatever ran. Functions that it was in are left. */
static void
clean_up(void)
{
    run_unwind_protects();
    forget_job();
    parse_and_execute_level = 0;
    loop_level = continuing = breaking = funcnest = 0;
    executing_list = comsub_ignore_return = return_catch_flag = 0;
    wait_intr_flag = evalnest = sourcelevel = running_trap = 0;
    executing_builtin = stdin_redir = subshell_environment = 0;
    interactive = 0;
    if (variable_context != 0)
        reset_local_contexts();
    variable_context = 0;
    this_shell_function = NULL;
    dispose_used_env_vars();
    flush_array("FUNCNAME");
    flush_array("BASH_SOURCE");
    flush_array("BASH_LINENO");
    restore_sigmask();
    reset_parser();
    unlink_fifo_list();
    give_terminal_to(shell_pgrp, 0);
}

/* As if there never had been one. */
static void
forget_trap_on_exit(void)
{
    restore_default_signal(0);
    run_trap_cleanup(0);
}

/* The trap on EXIT runs when the shell would have exited, and once. */
static void
run_trap_on_exit(void)
{
    if (signal_is_trapped(0) == 0)
        return;
    last_command_exit_value = run_exit_trap();
    forget_trap_on_exit();
}

/* How a cell ended that jumped out by CODE. */
static enum report_how
ended_by(int code)
{
    if (shell_exited >= 0) { /* bash has done all that belongs to an exit */
        last_command_exit_value = shell_exited;
        forget_trap_on_exit();
        return is_parsing ? HOW_SYNTAX : HOW_EXIT;
    }
    if (was_interrupted)
        return HOW_INTERRUPT;
    run_trap_on_exit();
    return code == JUMP_ERREXIT        ? HOW_ERREXIT
           : code == JUMP_EXIT_BUILTIN ? HOW_EXIT
                                       : HOW_ABORT;
}

/* Runs what is left of the input. Every error in it jumps back here. */
static enum report_how
run_commands(void)
{
    struct command *volatile command = NULL;
    int code = sigsetjmp(top_level, 0);

    if (code != 0 && (code != JUMP_DISCARD || was_interrupted))
        return ended_by(code);
    if (code == JUMP_DISCARD) {
        clean_up();
        if (last_command_exit_value == 0)
            set_exit_status(1);
    }
    while (*bash_input.string != '\0' || parser_expanding_alias()) {
        is_parsing = true;
        if (parse_command() != 0)
            return HOW_SYNTAX;
        is_parsing = false;
        if (global_command != NULL) {
            command = global_command;
            global_command = NULL;
            stdin_redir = 0;
            current_command_number++;
            execute_command(command);
            dispose_command(command);
            command = NULL;
        }
        if (interrupt_state != 0)
            throw_to_top_level();
    }
    return HOW_END;
}

void
shell_run(const struct shell_order *order, struct report *report)
{
    set_handlers();
    was_interrupted = 0;
    interrupt_state = 0;
    shell_exited = -1;
    read_but_dont_execute = 0; /* set -n could not be taken back */
    EOF_Reached = 0;
    executing_builtin = 0;
    give_terminal_to(shell_pgrp, 0);
    push_stream(1);
    reset_parser();
    with_input_from_string(shell_first_text(order), INPUT_NAME);
    shell_is_running = true;
    shell_report(&(struct report){ .kind = REPORT_STARTED });
    report->how = run_commands();
    shell_is_running = false;
    report->line = line_number;
    if (report->how != HOW_END && report->how != HOW_SYNTAX)
        clean_up();
    if (report->how == HOW_SYNTAX)
        set_exit_status(2);
    interrupt_state = 0;
    shell_exited = -1;
    is_parsing = false;
    pop_stream();
    reset_parser();
    notify_and_cleanup();
    fflush(stdout);
    fflush(stderr);
    report->status = last_command_exit_value & 0xff;
}
