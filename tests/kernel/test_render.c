/* SPDX-License-Identifier: MIT */
#include "kernel/cli/render.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/cli/pictures.h"
#include "kernel/cli/screen.h"
#include "protocol/cleanup.h"
#include "tests/kernel/folder.h"

#define ROOM ((size_t)1024 * 1024)
/* A PNG of one pixel is not needed: only its first bytes are looked at. */
#define PNG "iVBORw0KGgoAAAANSUhEUg=="

struct fixture {
    struct screen screen;
    struct pictures pictures;
    struct render *render;
    struct buffer written[SCREEN_STREAMS];
};

static int
keep(enum screen_stream stream, struct slice text, void *arg)
{
    struct fixture *f = arg;

    return buffer_append(&f->written[stream], text.data, text.length);
}

static void
begin(struct fixture *f, bool terminal)
{
    const struct screen_options options = {
        .is_terminal = { terminal, terminal },
        .can_move = true,
        .colours = terminal,
        .columns = 40,
        .rows = 10,
        .write = keep,
        .arg = f,
    };

    *f = (struct fixture){ .pictures = { .folder = "" } };
    for (int i = 0; i < SCREEN_STREAMS; i++)
        buffer_init(&f->written[i], ROOM);
    screen_init(&f->screen, &options);
    assert_int_equal(render_create(&f->render, &f->screen, &f->pictures, false), 0);
}

static void
end(struct fixture *f)
{
    render_destroy(f->render);
    screen_fini(&f->screen);
    for (int i = 0; i < SCREEN_STREAMS; i++)
        buffer_fini(&f->written[i]);
}

static void
event(struct fixture *f, const char *type, const char *content)
{
    json_t *tree = json_loads(content, JSON_ALLOW_NUL, NULL);

    assert_non_null(tree);
    assert_int_equal(render_event(f->render, type, tree), 0);
    json_decref(tree);
}

/* What was written since the last time. */
static void
assert_written(struct fixture *f, enum screen_stream stream, const char *expected)
{
    assert_int_equal(buffer_append(&f->written[stream], "", 1), 0);
    assert_string_equal((char *)f->written[stream].data, expected);
    buffer_clear(&f->written[stream], ROOM);
}

static void
test_streams_go_where_they_belong(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    event(&f, "stream", "{\"name\": \"stdout\", \"text\": \"a\\u001b]0;t\\u0007\"}");
    event(&f, "stream", "{\"name\": \"stderr\", \"text\": \"b\\n\"}");
    event(&f, "status", "{\"execution_state\": \"busy\"}");
    event(&f, "some_future_type", "{}");
    assert_written(&f, SCREEN_OUT, "a\x1b]0;t\x07");
    assert_written(&f, SCREEN_ERR, "b\n");
    end(&f);
}

static void
test_a_result_has_lines_of_its_own(void **state)
{
    for (int terminal = 0; terminal < 2; terminal++) {
        struct fixture f;

        (void)state;
        begin(&f, terminal);
        event(&f, "stream", "{\"name\": \"stdout\", \"text\": \"no newline\"}");
        event(&f, "execute_result", "{\"data\": {\"text/plain\": \"4\"}}");
        assert_written(&f, SCREEN_OUT, "no newline\n4\n");
        end(&f);
    }
}

static void
test_sources_are_shown_in_place_of_placeholders(void **state)
{
    static const char *const cases[][2] = {
        { "{\"text/plain\": \"a b\", \"text/html\": \"<table>\"}", "a b\n" },
        { "{\"text/plain\": \"<object>\", \"text/markdown\": \"# A\"}", "# A\n" },
        { "{\"text/plain\": \"x**2\", \"text/latex\": \"$x^2$\"}", "x**2\n" },
        { "{\"text/latex\": \"$x^2$\"}", "$x^2$\n" },
        { "{\"text/plain\": \"<function f>\"}", "<function f>\n" },
        { "{\"text/plain\": \"<HTML object>\", \"text/html\": \"<b>\"}",
          "[text/html: not shown; see it with --json or --image-dir]\n" },
        { "{\"application/x\\u001b[2J\": \"\"}",
          "[application/x\x1b[2J: not shown; see it with --json]\n" },
        { "{}", "" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct fixture f;
        char content[256];

        begin(&f, false);
        snprintf(content, sizeof content, "{\"data\": %s}", cases[i][0]);
        event(&f, "display_data", content);
        assert_written(&f, SCREEN_OUT, cases[i][1]);
        end(&f);
    }
}

static void
test_a_traceback_has_colours_on_a_terminal_only(void **state)
{
    static const char content[] =
        "{\"ename\": \"E\", \"evalue\": \"v\", \"traceback\": [\"\\u001b[31mred\", "
        "\"\\u001b[2Jline\"]}";
    struct fixture f;

    (void)state;
    begin(&f, false);
    event(&f, "error", content);
    assert_written(&f, SCREEN_ERR, "red\n\x1b[2Jline\n");
    end(&f);
    begin(&f, true);
    event(&f, "error", content);
    assert_written(&f, SCREEN_ERR, "\x1b[31mred\x1b[0m\nline\n");
    f.screen.options.colours = false; /* NO_COLOR */
    event(&f, "error", content);
    assert_written(&f, SCREEN_ERR, "red\nline\n");
    event(&f, "error", "{\"ename\": \"E\", \"evalue\": \"v\", \"traceback\": []}");
    assert_written(&f, SCREEN_ERR, "E: v\n");
    end(&f);
}

#define SHOW(id, text)                                                                   \
    "{\"data\": {\"text/plain\": \"" text "\"}, \"transient\": {\"display_id\": \"" id   \
    "\"}}"

static void
test_a_display_is_replaced_where_it_stands(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    event(&f, "display_data", SHOW("a", "1 of 2"));
    event(&f, "update_display_data", SHOW("a", "2 of 2"));
    assert_written(&f, SCREEN_OUT, "1 of 2\n\r\x1b[1A\x1b[J2 of 2\n");
    event(&f, "update_display_data", SHOW("a", "2 of 2"));
    event(&f, "update_display_data", SHOW("unknown", "x"));
    assert_written(&f, SCREEN_OUT, "");
    end(&f);
}

static void
test_of_two_displays_each_is_replaced(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    event(&f, "display_data", SHOW("a", "outer 0\\nmore"));
    event(&f, "display_data", SHOW("b", "inner 0"));
    assert_written(&f, SCREEN_OUT, "outer 0\nmore\ninner 0\n");
    event(&f, "update_display_data", SHOW("b", "inner 1"));
    assert_written(&f, SCREEN_OUT, "\r\x1b[1A\x1b[Jinner 1\n");
    event(&f, "update_display_data", SHOW("a", "outer 1"));
    assert_written(&f, SCREEN_OUT, "\r\x1b[3A\x1b[Jouter 1\ninner 1\n");
    event(&f, "update_display_data", SHOW("b", "inner 2"));
    assert_written(&f, SCREEN_OUT, "\r\x1b[1A\x1b[Jinner 2\n");
    end(&f);
}

static void
test_a_display_under_other_output_is_shown_at_the_end(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    event(&f, "display_data", SHOW("a", "0"));
    event(&f, "stream", "{\"name\": \"stdout\", \"text\": \"x\\n\"}");
    event(&f, "update_display_data", SHOW("a", "1"));
    event(&f, "update_display_data", SHOW("a", "2"));
    assert_written(&f, SCREEN_OUT, "0\nx\n");
    assert_int_equal(render_finish(f.render), 0);
    assert_written(&f, SCREEN_OUT, "2\n");
    assert_int_equal(render_finish(f.render), 0);
    assert_written(&f, SCREEN_OUT, "");
    end(&f);
}

static void
test_a_pipe_gets_the_first_and_the_last_state(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false);
    event(&f, "display_data", SHOW("a", "0%"));
    event(&f, "update_display_data", SHOW("a", "50%"));
    event(&f, "clear_output", "{\"wait\": false}");
    event(&f, "update_display_data", SHOW("a", "100%"));
    assert_int_equal(render_finish(f.render), 0);
    assert_written(&f, SCREEN_OUT, "0%\n100%\n");
    end(&f);
}

static void
test_cleared_output_is_taken_back(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    event(&f, "stream", "{\"name\": \"stdout\", \"text\": \"one\\ntwo\"}");
    event(&f, "clear_output", "{\"wait\": true}");
    assert_written(&f, SCREEN_OUT, "one\ntwo");
    event(&f, "stream", "{\"name\": \"stdout\", \"text\": \"three\\n\"}");
    assert_written(&f, SCREEN_OUT, "\r\x1b[1A\x1b[Jthree\n");
    event(&f, "clear_output", "{\"wait\": false}");
    assert_written(&f, SCREEN_OUT, "\r\x1b[1A\x1b[J");
    end(&f);
}

static void
test_wrapped_lines_count(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    for (int i = 0; i < 4; i++) /* 40 columns: the 40 do not wrap, the 41st does */
        event(&f, "stream", "{\"name\": \"stdout\", \"text\": \"0123456789\"}");
    event(&f, "clear_output", "{}");
    event(&f, "stream", "{\"name\": \"stdout\", \"text\": \"\\u65e5\\u672c\"}");
    for (int i = 0; i < 4; i++)
        event(&f, "stream", "{\"name\": \"stdout\", \"text\": \"012345678\"}");
    event(&f, "stream", "{\"name\": \"stdout\", \"text\": \"\\u65e5\"}");
    buffer_clear(&f.written[SCREEN_OUT], ROOM);
    event(&f, "clear_output", "{}");
    assert_written(&f, SCREEN_OUT, "\r\x1b[1A\x1b[J");
    end(&f);
}

static void
test_no_more_than_a_screen_is_taken_back(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    event(&f, "display_data", SHOW("a", "0"));
    for (int i = 0; i < 30; i++)
        event(&f, "display_data", SHOW("b", "line"));
    buffer_clear(&f.written[SCREEN_OUT], ROOM);
    event(&f, "update_display_data", SHOW("a", "1"));
    assert_written(&f, SCREEN_OUT, "");
    event(&f, "clear_output", "{}");
    assert_written(&f, SCREEN_OUT, "\r\x1b[9A\x1b[J");
    end(&f);
}

static void
test_the_status_line_gives_way(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, true);
    assert_int_equal(screen_show_status(&f.screen, "3 s"), 0);
    assert_written(&f, SCREEN_ERR, "\r\x1b[2m3 s\x1b[0m\x1b[K");
    event(&f, "stream", "{\"name\": \"stdout\", \"text\": \"half\"}");
    assert_written(&f, SCREEN_ERR, "\r\x1b[K");
    assert_written(&f, SCREEN_OUT, "half");
    assert_int_equal(screen_show_status(&f.screen, "4 s"), 0);
    assert_written(&f, SCREEN_ERR, ""); /* not into a line of the program's */
    end(&f);
    begin(&f, false);
    assert_int_equal(screen_show_status(&f.screen, "3 s"), 0);
    assert_written(&f, SCREEN_ERR, "");
    end(&f);
}

static void
test_pictures_become_files_that_replace_none(void **state)
{
    static const char content[] =
        "{\"data\": {\"image/png\": \"" PNG "\", \"text/plain\": \"<Figure>\"}}";
    struct folder folder;
    char first[PATH_MAX + 32], second[PATH_MAX + 32], expected[PATH_MAX + 64];
    struct stat st;
    struct fixture f;

    (void)state;
    folder_init(&folder, "{}");
    begin(&f, false);
    f.pictures.folder = folder.path;
    snprintf(first, sizeof first, "%s/image-1.png", folder.path);
    snprintf(second, sizeof second, "%s/image-2.png", folder.path);
    assert_int_equal(symlink("nowhere", first), 0);
    event(&f, "display_data", content);
    snprintf(expected, sizeof expected, "[image/png: %s]\n", second);
    assert_written(&f, SCREEN_OUT, expected);
    assert_int_equal(stat(second, &st), 0);
    assert_int_equal(st.st_size, 16);
    event(&f, "display_data", "{\"data\": {\"image/png\": \"not base64\"}}");
    assert_written(&f, SCREEN_OUT, "[image/png: its data is damaged]\n");
    event(&f, "display_data", "{\"data\": {\"image/png\": \"AAAA\"}}");
    assert_written(&f, SCREEN_OUT, "[image/png: its data is damaged]\n");
    end(&f);
    folder_fini(&folder);
}

static void
test_pictures_are_shown_inline_as_each_protocol_has_it(void **state)
{
    static const char content[] = "{\"data\": {\"image/png\": \"" PNG "\"}}";
    struct fixture f;

    (void)state;
    begin(&f, true);
    f.pictures.protocol = PICTURES_KITTY;
    event(&f, "display_data", content);
    assert_written(&f, SCREEN_OUT, "\x1b_Ga=T,f=100,q=2,m=0;" PNG "\x1b\\\n");
    f.pictures.protocol = PICTURES_ITERM;
    event(&f, "display_data", content);
    assert_written(&f, SCREEN_OUT,
                   "\x1b]1337;File=inline=1;preserveAspectRatio=1;size=16:" PNG "\a\n");
    event(&f, "clear_output", "{}"); /* its height is not known: it stays */
    assert_written(&f, SCREEN_OUT, "\r\x1b[J");
    end(&f);
}

static const char *environment[4][2];

static char *
get(const char *name)
{
    for (size_t i = 0; i < N_ELEMENTS(environment); i++) {
        if (environment[i][0] != NULL && strcmp(environment[i][0], name) == 0)
            return (char *)environment[i][1];
    }
    return NULL;
}

static void
test_terminals_are_told_by_their_environment(void **state)
{
    static const struct {
        const char *term, *program, *tmux;
        enum pictures_protocol protocol;
    } cases[] = {
        { "xterm-kitty", NULL, NULL, PICTURES_KITTY },
        { "xterm-256color", "iTerm.app", NULL, PICTURES_ITERM },
        { "xterm-256color", NULL, NULL, PICTURES_NONE },
        { "xterm-kitty", NULL, "/tmp/tmux", PICTURES_NONE },
        { "screen-256color", "iTerm.app", NULL, PICTURES_NONE },
        { "dumb", "iTerm.app", NULL, PICTURES_NONE },
        { NULL, "iTerm.app", NULL, PICTURES_NONE },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        const char *pairs[][2] = { { "TERM", cases[i].term },
                                   { "TERM_PROGRAM", cases[i].program },
                                   { "TMUX", cases[i].tmux },
                                   { NULL, NULL } };

        memcpy(environment, pairs, sizeof environment);
        assert_int_equal(pictures_detect(get), cases[i].protocol);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_go_where_they_belong),
        cmocka_unit_test(test_a_result_has_lines_of_its_own),
        cmocka_unit_test(test_sources_are_shown_in_place_of_placeholders),
        cmocka_unit_test(test_a_traceback_has_colours_on_a_terminal_only),
        cmocka_unit_test(test_a_display_is_replaced_where_it_stands),
        cmocka_unit_test(test_of_two_displays_each_is_replaced),
        cmocka_unit_test(test_a_display_under_other_output_is_shown_at_the_end),
        cmocka_unit_test(test_a_pipe_gets_the_first_and_the_last_state),
        cmocka_unit_test(test_cleared_output_is_taken_back),
        cmocka_unit_test(test_wrapped_lines_count),
        cmocka_unit_test(test_no_more_than_a_screen_is_taken_back),
        cmocka_unit_test(test_the_status_line_gives_way),
        cmocka_unit_test(test_pictures_become_files_that_replace_none),
        cmocka_unit_test(test_pictures_are_shown_inline_as_each_protocol_has_it),
        cmocka_unit_test(test_terminals_are_told_by_their_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
