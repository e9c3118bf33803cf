/* SPDX-License-Identifier: MIT */
/*
 * bash - what is used of the shell that this is loaded into
 *
 * Names and types are those that bash exports to its loadable builtins, from 5.0 on.
 */
#ifndef RUNTIMES_BASH_SHELL_BASH_H
#define RUNTIMES_BASH_SHELL_BASH_H

#include <setjmp.h>
#include <signal.h>

/* Loadable builtins. */
struct bash_word {
    char *text;
    int flags;
};

struct bash_words {
    struct bash_words *next;
    struct bash_word *word;
};

typedef int bash_builtin_fn(struct bash_words *words);

struct bash_builtin {
    const char *name;
    bash_builtin_fn *function;
    int flags;
    const char *const *long_doc;
    const char *short_doc;
    char *handle;
};

#define BASH_BUILTIN_ENABLED 1

extern struct bash_word *make_word(const char *text);
extern struct bash_words *make_word_list(struct bash_word *word, struct bash_words *rest);
extern bash_builtin_fn *find_shell_builtin(const char *name);
extern bash_builtin_fn *builtin_address(const char *name);

/* Where errors jump to, and why: from bashjmp.h. */
extern sigjmp_buf top_level;
enum {
    JUMP_FORCE_EOF = 1,
    JUMP_DISCARD,
    JUMP_EXIT_PROGRAM,
    JUMP_ERREXIT,
    JUMP_SIGNAL_EXIT,
    JUMP_EXIT_BUILTIN
};
extern void throw_to_top_level(void);
extern void run_unwind_protects(void);
extern void clear_unwind_protect_list(int flags);

/* The parser and its input. */
struct bash_input {
    int type;
    char *name;
    char *string; /* what is left of it, for an input that is a string */
    void *getter, *ungetter;
};

extern struct bash_input bash_input;
extern int EOF_Reached;
extern int line_number;
extern struct command *global_command;
extern void push_stream(int reset_line);
extern void pop_stream(void);
extern void with_input_from_string(char *string, const char *name);
extern void reset_parser(void);
extern int parser_expanding_alias(void);
extern int parse_command(void);
extern int execute_command(struct command *command);
extern void dispose_command(struct command *command);
extern char *expand_string_to_string(char *string, int quoted);
#define BASH_IN_DOUBLE_QUOTES 1

/* The state of execution. */
extern int last_command_exit_value;
extern int startup_state, interactive, interactive_shell;
extern int parse_and_execute_level, executing_builtin, executing_list;
extern int loop_level, continuing, breaking, funcnest, return_catch_flag;
extern int comsub_ignore_return, indirection_level, evalnest, sourcelevel;
extern int variable_context, subshell_environment, stdin_redir, running_trap;
extern int read_but_dont_execute, exit_immediately_on_error;
extern int current_command_number;
extern int wait_intr_flag;
extern volatile sig_atomic_t interrupt_state, terminating_signal;
extern char *command_execution_string;
extern char *this_command_name;
extern struct bash_variable *this_shell_function;
extern void reset_local_contexts(void);
extern void dispose_used_env_vars(void);
extern void unlink_fifo_list(void);

/* Signals, traps and jobs. */
typedef void bash_signal_fn(int signal);
extern bash_signal_fn *set_signal_handler(int signal, bash_signal_fn *handler);
extern void sigint_sighandler(int signal);
extern void termsig_handler(int signal);
extern void termsig_sighandler(int signal);
extern void trap_handler(int signal);
extern int signal_is_trapped(int signal);
extern int signal_is_ignored(int signal);
extern void restore_default_signal(int signal);
extern void restore_sigmask(void);
extern int first_pending_trap(void);
extern void run_pending_traps(void);
extern int run_exit_trap(void);
extern void run_trap_cleanup(int signal);
extern void exit_shell(int status) __attribute__((noreturn));
extern void notify_and_cleanup(void);
extern void cleanup_the_pipeline(void);
extern int stop_pipeline(int is_async, struct command *deferred);
extern struct process *the_pipeline; /* of a job that is being made */
extern pid_t shell_pgrp, pipeline_pgrp;
extern int job_control, shell_tty;
extern int give_terminal_to(pid_t group, int force);
extern int set_job_control(int on);
extern void set_exit_status(int status);

/* Variables. */
struct bash_variable {
    char *name;
    char *value;
    char *export_text;
    void *dynamic_value, *assign;
    int attributes;
    int context;
};

enum {
    BASH_EXPORTED = 0x1,
    BASH_READONLY = 0x2,
    BASH_ARRAY = 0x4,
    BASH_ASSOC = 0x40,
    BASH_NAMEREF = 0x800,
    BASH_INVISIBLE = 0x1000,
    BASH_NO_UNSET = 0x2000,
    BASH_NO_ASSIGN = 0x4000
};

extern int array_needs_making;
extern struct bash_variable *find_variable(const char *name);
extern struct bash_variable *find_function(const char *name);
extern struct bash_variable *bind_variable(const char *name, char *value, int flags);
extern int unbind_variable(const char *name);
extern void stupidly_hack_special_variables(char *name);
extern int legal_identifier(const char *name);
extern void array_flush(void *array);

/* Completion: bash's own and readline's. */
extern char *rl_line_buffer;
extern int rl_point, rl_end;
extern int rl_attempted_completion_over;
extern int rl_filename_completion_desired, rl_filename_quoting_desired;
extern int rl_completion_found_quote, rl_completion_quote_character;
extern int rl_completion_type;
extern char **(*rl_attempted_completion_function)(const char *text, int start, int end);
extern char *(*rl_filename_quoting_function)(char *text, int matches, char *quote);
extern void initialize_readline(void);
extern void rl_extend_line_buffer(int size);
extern char _rl_find_completion_word(int *found, int *delimiter);
extern char *rl_filename_completion_function(const char *text, int state);
extern char **rl_completion_matches(const char *text,
                                    char *(*generate)(const char *text, int state));

#endif
