/* SPDX-License-Identifier: MIT */
#include "kernel/notebook/report.h"

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
#include <sodium.h>

#include "protocol/cleanup.h"

#define ROOM ((size_t)256 * 1024 * 1024)
#define PNG "\x89PNG\r\n\x1a\n and more"
#define END "{\"event\": \"end\", \"status\": \"failed\"}"

struct fixture {
    void *report;
    struct buffer written;
};

static int
keep(struct slice text, void *arg)
{
    struct fixture *f = arg;

    return buffer_append(&f->written, text.data, text.length);
}

static void
begin(struct fixture *f)
{
    const struct report_options options = { .write = keep, .arg = f };

    buffer_init(&f->written, ROOM);
    assert_int_equal(report_html.create(&f->report, &options), 0);
}

static void
end(struct fixture *f)
{
    report_html.destroy(f->report);
    buffer_fini(&f->written);
}

static void
tell_object(struct fixture *f, json_t *object)
{
    assert_non_null(object);
    assert_int_equal(report_html.event(f->report, object), 0);
    json_decref(object);
}

static void
tell(struct fixture *f, const char *event)
{
    tell_object(f, json_loads(event, JSON_ALLOW_NUL, NULL));
}

/* The page, which must have no NUL inside. */
static const char *
page(struct fixture *f)
{
    assert_null(memchr(f->written.data, '\0', f->written.length));
    assert_int_equal(buffer_append(&f->written, "", 1), 0);
    f->written.length--;
    return (char *)f->written.data;
}

static void
assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in:\n%.20000s", part, text);
}

static void
assert_has_not(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("\"%s\" is in the page: %.200s", part, strstr(text, part));
}

static size_t
count_of(const char *text, const char *part)
{
    size_t count = 0;

    for (; (text = strstr(text, part)) != NULL; text++)
        count++;
    return count;
}

/* The page of one failed cell that has one difference. */
static const char *
show_difference(struct fixture *f, const char *difference)
{
    CLEANUP(freep) char *cell = NULL;

    assert_true(asprintf(&cell,
                         "{\"event\": \"cell\", \"path\": \"a.ipynb\", \"cell\": 3,"
                         "\"status\": \"failed\", \"differences\": [%s]}",
                         difference) > 0);
    tell(f, cell);
    tell(f, "{\"event\": \"notebook\", \"path\": \"a.ipynb\", \"status\": \"failed\"}");
    tell(f, END);
    return page(f);
}

static void
test_notebooks_with_most_failures_come_first_then_by_name(void **state)
{
    static const struct row {
        const char *path, *status;
        int failed;
    } rows[] = {
        { "z-passed", "passed", 0 }, { "b-one", "failed", 1 },
        { "a-one", "failed", 1 },    { "y-many", "failed", 7 },
        { "a-passed", "passed", 0 }, { "c-none", "error", 0 },
    };
    static const char *const order[] = { "y-many", "a-one",    "b-one",
                                         "c-none", "a-passed", "z-passed" };
    struct fixture f;
    const char *at;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < N_ELEMENTS(rows); i++)
        tell_object(&f, json_pack("{ss ss ss s{si}}", "event", "notebook", "path",
                                  rows[i].path, "status", rows[i].status, "counts",
                                  "failed", rows[i].failed));
    tell(&f, "{\"event\": \"end\", \"status\": \"failed\", \"seconds\": 3.2,"
             "\"notebooks\": {\"failed\": 3, \"error\": 1, \"passed\": 2}}");
    at = strstr(page(&f), "<main>");
    assert_has(page(&f), "<title>4 of 6 notebooks failed</title>");
    for (size_t i = 0; i < N_ELEMENTS(order); i++) {
        at = strstr(at, order[i]);
        assert_non_null(at);
    }
    end(&f);
}

static void
test_the_policy_allows_this_script_alone_and_no_other_place(void **state)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char text[64], expected[512];
    const char *html, *script, *over;
    struct fixture f;

    (void)state;
    begin(&f);
    tell(&f, END);
    html = page(&f);
    assert_int_equal(count_of(html, "<script"), 1);
    assert_int_equal(count_of(html, "</script>"), 1);
    script = strstr(html, "<script>") + strlen("<script>");
    over = strstr(html, "</script>");
    crypto_hash_sha256(hash, (const unsigned char *)script, (size_t)(over - script));
    sodium_bin2base64(text, sizeof text, hash, sizeof hash,
                      sodium_base64_VARIANT_ORIGINAL);
    snprintf(expected, sizeof expected,
             "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
             "style-src 'unsafe-inline'; script-src 'sha256-%s'; img-src data:; ",
             text);
    assert_has(html, expected);
    assert_true(strstr(html, expected) < strstr(html, "<style"));
    assert_has_not(html, "http://");
    assert_has_not(html, "https://");
    end(&f);
}

static void
test_no_text_of_a_notebook_becomes_markup(void **state)
{
#define HOSTILE                                                                          \
    "\"</script></style></textarea><script>evil()</script>"                              \
    "<img src=x onerror=evil()>\\\" onload=\\\"evil()\\u0000' &lt;\\u001b[2J"            \
    "\\u202e\""
    static const char *const events[] = {
        "{\"event\": \"begin\", \"cellwall\": " HOSTILE ", \"mode\": " HOSTILE "}",
        "{\"event\": \"cell\", \"path\": " HOSTILE ", \"id\": " HOSTILE ","
        "\"status\": \"failed\", \"source\": " HOSTILE ", \"traceback\": [" HOSTILE "],"
        "\"stderr_tail\": " HOSTILE ", \"reason\": {\"text\": " HOSTILE "},"
        "\"differences\": [{\"type\": " HOSTILE ", \"message\": " HOSTILE ","
        "\"lines\": [[\"-\", " HOSTILE "], [\"+\", " HOSTILE "], [\".\", " HOSTILE "]],"
        "\"numbers\": [{\"expected\": " HOSTILE "}],"
        "\"rules\": [{\"pattern\": " HOSTILE "}],"
        "\"image\": {\"expected\": " HOSTILE ", \"rms\": 1}},"
        "{\"type\": \"stdout\", \"expected\": " HOSTILE ", \"actual\": " HOSTILE "},"
        "{\"type\": \"text/html\", \"expected\": " HOSTILE ", \"actual\": " HOSTILE "},"
        "{\"type\": \"image/svg+xml\", \"actual\": " HOSTILE "}]}",
        "{\"event\": \"cell\", \"source\": " HOSTILE ", \"status\": " HOSTILE "}",
        "{\"event\": \"cell\", \"source\": " HOSTILE ", \"status\": \"passed\"}",
        "{\"event\": \"notebook\", \"path\": " HOSTILE ", \"notes\": [" HOSTILE "],"
        "\"pending\": " HOSTILE ", \"status\": " HOSTILE ","
        "\"reason\": {\"text\": " HOSTILE "}}",
        "{\"event\": \"end\", \"status\": " HOSTILE ", \"accept\": " HOSTILE "}",
    };
    struct fixture f;
    const char *html;

    (void)state;
    begin(&f);
    for (size_t i = 0; i < N_ELEMENTS(events); i++)
        tell(&f, events[i]);
    html = page(&f);
    assert_int_equal(count_of(html, "<script"), 1);
    assert_int_equal(count_of(html, "<style"), 1);
    assert_has_not(html, "<img src=x");
    assert_has_not(html, "\" onload=");
    assert_has_not(html, "\x1b");
    assert_has(html, "&lt;script&gt;evil()&lt;/script&gt;");
    assert_has(html, "<span class=\"u\">U+202E</span>");
    assert_has(html, "<span class=\"u\">ESC</span>[2J");
    end(&f);
}

static void
test_both_sides_stand_beside_each_other_with_the_changed_words(void **state)
{
    struct fixture f;
    const char *html;

    (void)state;
    begin(&f);
    html = show_difference(&f, "{\"type\": \"stdout\", \"lines\": [[\"=\", \"same\"],"
                               "[\"-\", \"mean 1.25 <b>\"], [\"+\", \"mean 1.5 <b>\"],"
                               "[\"+\", \"new\"], [\".\", \"9 lines\"]]}");
    assert_has(html, "<tr><td class=\"mono\">same</td><td class=\"mono\">same</td></tr>");
    assert_has(html, "<tr><td class=\"mono minus\">mean <del>1.25</del> &lt;b&gt;</td>"
                     "<td class=\"mono plus\">mean <ins>1.5</ins> &lt;b&gt;</td></tr>");
    assert_has(html, "<tr><td class=\"mono none\"></td>"
                     "<td class=\"mono plus\">new</td></tr>");
    assert_has(html, "9 lines");
    end(&f);
}

static void
test_colours_of_a_traceback_become_spans(void **state)
{
    struct fixture f;
    const char *html;

    (void)state;
    begin(&f);
    tell(&f, "{\"event\": \"cell\", \"status\": \"failed\", \"traceback\": ["
             "\"\\u001b[1;31mred\\u001b[0m <b> \\u001b[38;5;196;43mx\\u001b[39;49my"
             "\\u001b[38;2;1;2;255mz\\u001b]0;title\\u0007\\u001b[m\\u001b[93mlast\"]}");
    tell(&f, "{\"event\": \"notebook\", \"status\": \"failed\"}");
    tell(&f, END);
    html = page(&f);
    assert_has(html, "<span class=\"k1 bold\">red</span> &lt;b&gt; "
                     "<span class=\" back\" style=\"color:color-mix(in srgb,#ff0000 65%,"
                     "var(--ink))\">x</span>y<span class=\"\" style=\"color:color-mix(in "
                     "srgb,#0102ff 65%,var(--ink))\">z</span><span class=\"k11\">last");
    assert_has_not(html, "title\a");
    end(&f);
}

static void
test_pictures_are_within_the_page(void **state)
{
    char folder[] = "/tmp/test_report_html_XXXXXX", png[64], text[64], fifo[64],
         large[64];
    CLEANUP(freep) char *difference = NULL;
    struct fixture f;
    const char *html;
    FILE *file;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(png, sizeof png, "%s/a", folder);
    snprintf(text, sizeof text, "%s/b", folder);
    snprintf(fifo, sizeof fifo, "%s/c", folder);
    snprintf(large, sizeof large, "%s/d", folder);
    file = fopen(png, "w");
    assert_non_null(file);
    fwrite(PNG, 1, strlen(PNG), file);
    fclose(file);
    file = fopen(text, "w");
    assert_non_null(file);
    fputs("<svg onload='evil()'/>", file);
    fclose(file);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    file = fopen(large, "w");
    assert_non_null(file);
    fwrite(PNG, 1, strlen(PNG), file);
    assert_int_equal(ftruncate(fileno(file), 100 * 1024 * 1024), 0);
    fclose(file);
    begin(&f);
    assert_true(asprintf(&difference,
                         "{\"image\": {\"expected\": \"%s\", \"actual\": \"%s\","
                         "\"difference\": \"%s\", \"expected_size\": [3, 4],"
                         "\"rms\": 12.5, \"rms_limit\": 2, \"share\": 0.5}},"
                         "{\"image\": {\"expected\": \"%s\", \"actual\": \"/nowhere\"}}",
                         png, text, fifo, large) > 0);
    html = show_difference(&f, difference);
    assert_has(html, "<figcaption>expected, 3 &times; 4</figcaption><img "
                     "class=\"expected\" alt=\"expected picture\" "
                     "src=\"data:image/png;base64,iVBORw0KGgogYW5kIG1vcmU=\">");
    assert_int_equal(count_of(html, "not shown here: "), 4);
    assert_int_equal(count_of(html, "<img "), 1);
    assert_has(html, "<td>12.5</td><td>at most 2</td>");
    assert_has(html, "<td>50 %</td>");
    end(&f);
    unlink(png);
    unlink(text);
    unlink(fifo);
    unlink(large);
    assert_int_equal(rmdir(folder), 0);
}

static void
test_html_is_shown_in_frames_without_rights(void **state)
{
    struct fixture f;
    const char *html;

    (void)state;
    begin(&f);
    html =
        show_difference(&f, "{\"type\": \"text/html\", \"expected\": \"<b a=\\\"1\\\">\","
                            "\"actual\": \"<i>\\\"></iframe>\"}");
    assert_has(html, "sandbox=\"\" loading=\"lazy\" title=\"expected\" "
                     "srcdoc=\"&lt;style&gt;");
    assert_has(html, "&lt;b a=&quot;1&quot;&gt;\"></iframe>");
    assert_has(html, "&lt;i&gt;&quot;&gt;&lt;/iframe&gt;\"></iframe>");
    assert_int_equal(count_of(html, "<iframe"), count_of(html, "<iframe sandbox=\"\""));
    end(&f);
}

static void
test_what_is_canonical_gets_its_end_tags_back(void **state)
{
    struct fixture f;
    const char *html;

    (void)state;
    begin(&f);
    html = show_difference(
        &f, "{\"type\": \"text/html\", \"policy\": \"html\", \"actual\":"
            "\"<div>\\n  <p class=\\\"a\\\">one\\n  <br>\\n  text\\n  <b>\\n"
            "    deep\\nend\\n\\n< 3\"}");
    assert_has(html, "&lt;div&gt;\n  &lt;p class=&quot;a&quot;&gt;one\n&lt;/p&gt;  "
                     "&lt;br&gt;\n  text\n  &lt;b&gt;\n    deep\n&lt;/b&gt;&lt;/div&gt;"
                     "end\n\n&lt; 3\n\"></iframe>");
    end(&f);
}

static void
test_a_drawing_is_an_image_alone(void **state)
{
    struct fixture f;
    const char *html;

    (void)state;
    begin(&f);
    html = show_difference(&f, "{\"type\": \"image/svg+xml\", \"actual\": \"<svg/>\"}");
    assert_has(html, "<img class=\"actual\" alt=\"actual picture\" "
                     "src=\"data:image/svg+xml;base64,PHN2Zy8+\">");
    assert_has_not(html, "<svg");
    end(&f);
}

static void
test_a_failed_cell_is_found_from_its_square_and_from_the_index(void **state)
{
    struct fixture f;
    const char *html;

    (void)state;
    begin(&f);
    tell(&f, "{\"event\": \"cell\", \"cell\": 0, \"status\": \"passed\"}");
    html = show_difference(&f, "{}");
    assert_int_equal(count_of(html, "id=\"n0-c3\""), 1);
    assert_int_equal(count_of(html, "href=\"#n0-c3\""), 2);
    assert_has_not(html, "n0-c0");
    assert_has(html, "title=\"cell 0: passed\"");
    end(&f);
}

static void
test_events_of_any_shape_make_a_page(void **state)
{
    static const char *const types[] = { "begin",    "notebook_begin", "cell",
                                         "progress", "notebook",       "news" };
    static const char *const members[] = {
        "path",        "cell",      "line",    "status", "source",       "reason",
        "traceback",   "seconds",   "counts",  "notes",  "pending",      "recorded",
        "differences", "notebooks", "running", "done",   "left_seconds", "stderr_tail",
        "cells",       "jobs",      "id",      "mode",
    };
    static const char *const values[] = {
        "null",
        "true",
        "-1",
        "1e308",
        "\"\"",
        "\"failed\"",
        "[]",
        "{}",
        "[null, 1, \"x\"]",
        ("[{\"type\": \"text/html\", \"lines\": [[\"-\", 1], 2, [\"+\"], [\"?\", \"x\"]],"
         "\"numbers\": [1, {}], \"image\": {\"rms\": \"x\", \"expected_size\": [1]},"
         "\"rules\": [null], \"expected\": 3}, 3, null, {\"numbers\": {}, \"image\": "
         "[]}]"),
        "{\"a\": {\"b\": []}, \"passed\": -4, \"failed\": \"x\", \"text\": 7}",
    };
    struct fixture f;

    (void)state;
    begin(&f);
    tell(&f, "[]");
    tell(&f, "{}");
    for (size_t type = 0; type < N_ELEMENTS(types); type++) {
        for (size_t value = 0; value < N_ELEMENTS(values); value++) {
            json_t *all = json_object();

            for (size_t i = 0; i < N_ELEMENTS(members); i++) {
                json_t *one =
                    json_pack("{ss ss}", "event", types[type], "status", "failed");

                json_object_set_new(one, members[i],
                                    json_loads(values[value], JSON_DECODE_ANY, NULL));
                json_object_update(all, one);
                tell_object(&f, one);
            }
            tell_object(&f, all);
        }
    }
    tell(&f, "{\"event\": \"end\", \"cells\": [], \"notebooks\": 3, \"seconds\": \"x\"}");
    assert_has(page(&f), "</html>\n");
    end(&f);
}

static void
test_each_text_is_bounded_and_what_is_left_out_is_said(void **state)
{
    const size_t length = (size_t)2 * 1024 * 1024;
    char *giant = malloc(length + 1);
    struct fixture f;

    (void)state;
    assert_non_null(giant);
    memset(giant, '<', length);
    giant[length] = '\0';
    begin(&f);
    for (int i = 0; i < 2; i++) {
        json_t *differences = json_array();

        for (int j = 0; j < 2; j++)
            json_array_append_new(differences, json_pack("{ss ss s[[ss][ss]]}", "type",
                                                         giant, "message", giant, "lines",
                                                         "-", giant, "+", giant));
        tell_object(&f, json_pack("{ss ss ss ss s[s] ss s{ss} so}", "event", "cell",
                                  "status", "failed", "path", giant, "source", giant,
                                  "traceback", giant, "stderr_tail", giant, "reason",
                                  "text", giant, "differences", differences));
    }
    tell_object(&f, json_pack("{ss ss ss}", "event", "notebook", "path", giant, "status",
                              "failed"));
    tell(&f, END);
    assert_true(f.written.length < (size_t)10 * 1024 * 1024);
    assert_has(page(&f), "more bytes</span>");
    assert_has(page(&f), "</html>\n");
    end(&f);
    free(giant);
}

static void
test_a_cell_beyond_the_bound_of_the_page_is_told_by_its_reason(void **state)
{
    const size_t length = (size_t)256 * 1024;
    char *large = malloc(length + 1);
    struct fixture f;

    (void)state;
    assert_non_null(large);
    memset(large, 'x', length);
    large[length] = '\0';
    begin(&f);
    for (int i = 0; i < 6; i++) {
        json_t *differences = json_array();

        for (int j = 0; j < 20; j++)
            json_array_append_new(differences,
                                  json_pack("{ss ss ss s[[ss]]}", "type", "image/svg+xml",
                                            "expected", large, "actual", large, "lines",
                                            "=", "x"));
        tell_object(&f, json_pack("{ss ss ss s{ss} so}", "event", "cell", "status",
                                  "failed", "path", "a", "reason", "text", "It is.",
                                  "differences", differences));
    }
    tell(&f, "{\"event\": \"notebook\", \"status\": \"failed\"}");
    tell(&f, END);
    assert_true(f.written.length > (size_t)20 * 1024 * 1024);
    assert_true(f.written.length < (size_t)70 * 1024 * 1024);
    assert_has(page(&f), "<p class=\"reason\">It is.</p><p>Its details are too large");
    assert_has(page(&f), "</html>\n");
    end(&f);
    free(large);
}

static int
refuse(struct slice text, void *arg)
{
    (void)text;
    return *(int *)arg;
}

static void
test_what_the_writer_returns_is_passed_on(void **state)
{
    int result = 7;
    const struct report_options options = { .write = refuse, .arg = &result };
    json_t *object = json_loads(END, 0, NULL);
    void *report;

    (void)state;
    assert_int_equal(report_html.create(&report, &options), 0);
    assert_int_equal(report_html.event(report, object), 7);
    json_decref(object);
    report_html.destroy(report);
    report_html.destroy(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notebooks_with_most_failures_come_first_then_by_name),
        cmocka_unit_test(test_the_policy_allows_this_script_alone_and_no_other_place),
        cmocka_unit_test(test_no_text_of_a_notebook_becomes_markup),
        cmocka_unit_test(test_both_sides_stand_beside_each_other_with_the_changed_words),
        cmocka_unit_test(test_colours_of_a_traceback_become_spans),
        cmocka_unit_test(test_pictures_are_within_the_page),
        cmocka_unit_test(test_html_is_shown_in_frames_without_rights),
        cmocka_unit_test(test_what_is_canonical_gets_its_end_tags_back),
        cmocka_unit_test(test_a_drawing_is_an_image_alone),
        cmocka_unit_test(test_a_failed_cell_is_found_from_its_square_and_from_the_index),
        cmocka_unit_test(test_events_of_any_shape_make_a_page),
        cmocka_unit_test(test_each_text_is_bounded_and_what_is_left_out_is_said),
        cmocka_unit_test(test_a_cell_beyond_the_bound_of_the_page_is_told_by_its_reason),
        cmocka_unit_test(test_what_the_writer_returns_is_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
