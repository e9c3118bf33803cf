/* SPDX-License-Identifier: MIT */
/*
 * Answers to questions about code, by bash's own means. All of this runs in a child of
 * the shell, which ends with the answer: it may change and break what it likes.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/cleanup.h"
#include "runtimes/bash/shell/bash.h"
#include "runtimes/bash/shell/shell.h"

#define MATCHES_MAX 1000

enum { ANSWER_OK = 0, ANSWER_NO = 1, ANSWER_FAILED = 2 };

static bool
is_folder(const char *path)
{
    size_t length = strlen(path);
    struct stat st;

    return length > 0 && path[length - 1] != '/' && stat(path, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

/* Two texts in front: where the word begins and ends, in bytes. Then the matches. */
static void
print_matches(char **matches, int start, int end, char quote)
{
    char **first = matches[1] != NULL ? matches + 1 : matches;

    printf("%d%c%d%c", start, 0, end, 0);
    for (size_t i = 0; first[i] != NULL && i < MATCHES_MAX; i++) {
        char *text = first[i];
        char none = quote;

        if (rl_filename_completion_desired && rl_filename_quoting_desired &&
            quote == '\0' && rl_filename_quoting_function != NULL)
            text = rl_filename_quoting_function(text, 1, &none);
        fputs(text, stdout);
        if (rl_filename_completion_desired && is_folder(first[i]))
            putchar('/');
        putchar('\0');
    }
}

/* As readline does it when a person types a tab. */
static int
complete(char *line, uint32_t point)
{
    int end = (int)point, found = 0, delimiter = 0, start;
    CLEANUP(freep) char *text = NULL;
    char **matches;
    char quote;

    line[point] = '\0';
    initialize_readline();
    rl_extend_line_buffer(end + 1);
    memcpy(rl_line_buffer, line, (size_t)end + 1);
    rl_point = rl_end = end;
    rl_completion_type = '?';
    rl_filename_completion_desired = 0;
    rl_filename_quoting_desired = 1;
    quote = end > 0 ? _rl_find_completion_word(&found, &delimiter) : '\0';
    start = rl_point;
    rl_point = end;
    text = strndup(line + start, (size_t)(end - start));
    if (text == NULL)
        return ANSWER_FAILED;
    rl_completion_found_quote = found;
    rl_completion_quote_character = (unsigned char)quote;
    rl_attempted_completion_over = 0;
    matches = rl_attempted_completion_function(text, start, end);
    if (matches == NULL && !rl_attempted_completion_over)
        matches = rl_completion_matches(text, rl_filename_completion_function);
    if (matches == NULL || matches[0] == NULL)
        return ANSWER_NO;
    print_matches(matches, start, end, quote);
    return ANSWER_OK;
}

static int
call(const char *name, const char *option, const char *word)
{
    bash_builtin_fn *builtin = builtin_address(name);
    struct bash_words *words = make_word_list(make_word(word), NULL);
    int status;

    if (builtin == NULL)
        return ANSWER_FAILED;
    if (option != NULL)
        words = make_word_list(make_word(option), words);
    status = builtin(words);
    fflush(stdout);
    return status;
}

/* What NAME is: a variable with its value, a function with its source, and so on. */
static int
inspect(const char *name, uint32_t detail)
{
    bool found = false;

    (void)detail;
    if (legal_identifier(name) && find_variable(name) != NULL)
        found = call("declare", "-p", name) == 0;
    if (call("type", "-a", name) == 0)
        found = true;
    if (found && find_function(name) == NULL && builtin_address(name) != NULL)
        (void)call("help", NULL, name);
    return found ? ANSWER_OK : ANSWER_NO;
}

/* Errors of the parser are printed by it. */
static int
parse(char *code)
{
    setlocale(LC_ALL, "C.UTF-8");
    setlocale(LC_MESSAGES, "C");
    exit_immediately_on_error = 0;
    push_stream(1);
    reset_parser();
    EOF_Reached = 0;
    with_input_from_string(code, "bash");
    while (*bash_input.string != '\0' || parser_expanding_alias()) {
        if (parse_command() != 0)
            return ANSWER_NO;
        global_command = NULL;
    }
    return ANSWER_OK;
}

static int
expand(char *text)
{
    char *value = expand_string_to_string(text, BASH_IN_DOUBLE_QUOTES);

    if (value != NULL)
        fputs(value, stdout);
    return ANSWER_OK;
}

int
shell_answer(const struct shell_order *order)
{
    char *text = shell_first_text(order);
    int status;

    if (sigsetjmp(top_level, 0) != 0) {
        fflush(NULL);
        return ANSWER_FAILED;
    }
    set_job_control(0);
    set_signal_handler(SIGINT, SIG_DFL);
    switch (order->head.kind) {
    case ORDER_COMPLETE:
        if (order->head.point > strlen(text))
            return ANSWER_FAILED;
        status = complete(text, order->head.point);
        break;
    case ORDER_INSPECT:
        status = inspect(text, order->head.point);
        break;
    case ORDER_PARSE:
        status = parse(text);
        break;
    case ORDER_EXPAND:
        status = expand(text);
        break;
    default:
        status = ANSWER_FAILED;
    }
    fflush(NULL);
    return status;
}
