/* SPDX-License-Identifier: MIT */
#include "kernel/compare/html.h"

#include <string.h>

#include "kernel/compare/compare.h"
#include "protocol/error.h"
#include "tests/compare/samples.h"
#include "tests/compare/shut.h"

#define CANONICAL_BYTES_MAX ((size_t)64 * 1024 * 1024)

static void
append_canonical(struct buffer *ret, const char *html)
{
    struct error err = { 0 };

    if (html_canonical(slice_text(html), ret, &err) != 0)
        fail_msg("%s: %s", html, err.text);
}

static bool
are_equal(const char *a, const char *b)
{
    struct buffer left, right;
    bool equal;

    buffer_init(&left, CANONICAL_BYTES_MAX);
    buffer_init(&right, CANONICAL_BYTES_MAX);
    append_canonical(&left, a);
    append_canonical(&right, b);
    equal = left.length == right.length &&
            (left.length == 0 || memcmp(left.data, right.data, left.length) == 0);
    buffer_fini(&left);
    buffer_fini(&right);
    return equal;
}

static bool
are_samples_equal(const char *name, const char *a, const char *b)
{
    struct buffer left, right;
    char path[100];
    bool equal;

    buffer_init(&left, SAMPLE_BYTES_MAX);
    buffer_init(&right, SAMPLE_BYTES_MAX);
    snprintf(path, sizeof path, "%s_%s.html", name, a);
    sample_read(path, &left);
    snprintf(path, sizeof path, "%s_%s.html", name, b);
    sample_read(path, &right);
    assert_int_equal(buffer_append(&left, "", 1), 0);
    assert_int_equal(buffer_append(&right, "", 1), 0);
    equal = are_equal((const char *)left.data, (const char *)right.data);
    buffer_fini(&left);
    buffer_fini(&right);
    return equal;
}

static void
assert_canonical(const char *html, const char *expected)
{
    struct buffer ret;

    buffer_init(&ret, CANONICAL_BYTES_MAX);
    append_canonical(&ret, html);
    assert_int_equal(buffer_append(&ret, "", 1), 0);
    assert_string_equal((const char *)ret.data, expected);
    buffer_fini(&ret);
}

static const char *const samples[] = {
    "altair", "animation", "bokeh",  "folium", "frame",
    "plotly", "styler",    "widget", "xarray",
};

static void
test_what_a_library_shows_twice_is_equal(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        if (!are_samples_equal(samples[i], "once", "again"))
            fail_msg("%s", samples[i]);
    }
}

static void
test_value_that_has_changed_is_a_difference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        if (are_samples_equal(samples[i], "once", "moved"))
            fail_msg("%s", samples[i]);
    }
}

static void
test_each_node_has_a_line_and_text_alone_is_on_its_element_s(void **state)
{
    (void)state;
    assert_canonical("<div class=a>\n <p>one</p>\n <p>two <b>three</b>.</p></div>",
                     "<div class=\"a\">\n"
                     "  <p>one\n"
                     "  <p>\n"
                     "    two\n"
                     "    <b>&#32;three\n"
                     "    .\n");
}

static void
test_long_line_of_a_script_is_broken_where_values_end(void **state)
{
    (void)state;
    assert_canonical(
        "<script>plot([{\"x\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19],"
        "\"y\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]}]);</script>",
        "<script>\n"
        "  plot([{\"x\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19],\n"
        "  \"y\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19]}]);\n");
}

static void
test_empty_text_has_nothing_in_it(void **state)
{
    (void)state;
    assert_canonical("", "");
    assert_canonical(" \n ", "");
    assert_canonical("<!-- nothing -->", "");
}

static void
test_what_a_browser_does_not_show_does_not_count(void **state)
{
    static const char *const pairs[][2] = {
        { "<p>a</p>", "<P>\n  a\n</P>" },
        { "<p>a b</p>", "<p>a\n\t b</p>" },
        { "<i a=1 b=2>x</i>", "<i b='2' a=\"1\">x</i>" },
        { "<p>a</p><p>b</p>", "<p>a</p>\n\n<!-- x --><p>b</p>" },
        { "<p>a <b>b</b></p>", "<p>a<b> b</b></p>" },
        { "<p>a<br>b</p>", "<p>a <br> b</p>" },
        { "<td>a<td>b", "<td>a</td><td>b</td>" },
        { "<html><body><p>a</p></body></html>", "<p>a</p>" },
        { "<p>&lt;&#65;&eacute;</p>", "<p>&#60;A\xc3\xa9</p>" },
        { "<input checked>", "<input checked=\"\">" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (!are_equal(pairs[i][0], pairs[i][1]))
            fail_msg("%s, %s", pairs[i][0], pairs[i][1]);
    }
}

static void
test_what_a_browser_shows_counts(void **state)
{
    static const char *const pairs[][2] = {
        { "<p>a</p>", "<p>b</p>" },
        { "<p>a b</p>", "<p>ab</p>" },
        { "<p>a b</p>", "<p>a&nbsp;b</p>" },
        { "<p>a <b>b</b></p>", "<p>a<b>b</b></p>" },
        { "<p>a <img src=x></p>", "<p>a<img src=x></p>" },
        { "<p><img src=x> a</p>", "<p><img src=x>a</p>" },
        { "<pre>a  b</pre>", "<pre>a b</pre>" },
        { "<pre>a\nb</pre>", "<pre>a b</pre>" },
        { "<p>a</p><p>b</p>", "<p>b</p><p>a</p>" },
        { "<p>a</p>", "<div>a</div>" },
        { "<p><b>a</b>b</p>", "<p><b>ab</b></p>" },
        { "<p>&lt;b&gt;</p>", "<p><b></b></p>" },
        { "<p style='color: red'>a</p>", "<p style='color: blue'>a</p>" },
        { "<a href='x'>a</a>", "<a href='y'>a</a>" },
        { "<script>f(1)</script>", "<script>f(2)</script>" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (are_equal(pairs[i][0], pairs[i][1]))
            fail_msg("%s, %s", pairs[i][0], pairs[i][1]);
    }
}

static void
test_name_that_a_program_made_up_does_not_count_wherever_it_is(void **state)
{
    static const char *const patterns[] = {
        "<b id='%s'></b>",
        "<b id='%s'></b><label for='%s'>x</label>",
        "<b id='%s'></b><a href='#%s'>x</a>",
        "<style>#%s { color: red } #%s_row0_col1 { color: red }</style><b id='%s'></b>",
        "<b id=%s></b><td id='%s_row0_col1' headers='x %s'></td>",
        "<b id='%s'></b><script>f('%s', \"%s\", `%s`, $('#%s td'))</script>",
        "<b id='%s'></b><i onclick=\"f('%s')\" aria-labelledby='a %s'></i>",
        "<b id='%s'></b><i data-root='%s' data-x='f(\"%s\")'></i>",
        "<b id='%s'></b><i style='clip-path: url(#%s)' class='x %s'></i>",
    };
    char a[500], b[500];

    (void)state;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        for (int j = 0; j < 2; j++) {
            const char *id = j == 0 ? "T_ab12f" : "T_00d4e", *from = patterns[i], *next;
            char *to = j == 0 ? a : b;

            for (*to = '\0'; (next = strstr(from, "%s")) != NULL; from = next + 2) {
                strncat(to, from, (size_t)(next - from));
                strcat(to, id);
            }
            strcat(to, from);
        }
        assert_string_not_equal(a, b);
        if (!are_equal(a, b))
            fail_msg("%s, %s", a, b);
    }
}

static void
test_reference_to_another_element_is_a_difference(void **state)
{
    (void)state;
    assert_false(are_equal("<b id=x></b><b id=y></b><label for=x>l</label>",
                           "<b id=x></b><b id=y></b><label for=y>l</label>"));
    assert_false(
        are_equal("<b id=x></b><i id=x_row1></i>", "<b id=x></b><i id=x_row2></i>"));
    assert_false(
        are_equal("<b id=x></b><a href='#x'></a>", "<b id=x></b><a href='#y'></a>"));
}

static void
test_word_that_is_not_a_name_in_its_place_stays(void **state)
{
    (void)state;
    assert_canonical("<b id=data style='color: data' title=data>data</b>"
                     "<script>data = f(data)</script>",
                     "<b id=\"id1\" style=\"color: data\" title=\"data\">data\n"
                     "<script>\n"
                     "  data = f(data)\n");
}

static void
test_class_with_a_hash_in_it_does_not_count(void **state)
{
    (void)state;
    assert_true(are_equal("<style>.T_ab12f {}</style><b class='T_ab12f x'></b>",
                          "<style>.T_12abc {}</style><b class='T_12abc x'></b>"));
    assert_false(are_equal("<b class='row_1'></b>", "<b class='row_2'></b>"));
    assert_false(are_equal("<b class='T_ab12f'></b><b class='T_ab12f'></b>",
                           "<b class='T_ab12f'></b><b class='T_ab12e'></b>"));
}

static void
test_name_keeps_what_was_not_made_up(void **state)
{
    (void)state;
    assert_canonical(
        "<b class='T_ab12f_row0 x'></b><b id='a'></b><b class='a-1 T_ab12f'></b>"
        "<script>f('IPY_MODEL_0b2c1e4e7d554f0e9a7f0f7d2f1f9a01',"
        "'0b2c1e4e7d554f0e9a7f0f7d2f1f9a01')</script>",
        "<b class=\"T_generated1_row0 x\">\n"
        "<b id=\"id1\">\n"
        "<b class=\"id1-1 T_generated1\">\n"
        "<script>\n"
        "  f('IPY_MODEL_generated2','generated2')\n");
}

static void
test_hash_of_data_does_not_count_in_scripts_and_counts_in_addresses(void **state)
{
    (void)state;
    assert_true(are_equal("<script>f('data-f75aa626f6306a46a295212da1eb76d3')</script>",
                          "<script>f('data-233467bbb677325f175f68bdbcbc9a11')</script>"));
    assert_false(are_equal("<img src='data-f75aa626f6306a46a295212da1eb76d3.png'>",
                           "<img src='data-233467bbb677325f175f68bdbcbc9a11.png'>"));
}

static void
test_uuid_does_not_count_in_scripts_and_counts_in_text(void **state)
{
    const char *a = "<script>f('0b2c1e4e-7d55-4f0e-9a7f-0f7d2f1f9a01')</script>";
    const char *b = "<script>f('ffffffff-7d55-4f0e-9a7f-0f7d2f1f9a01')</script>";

    (void)state;
    assert_true(are_equal(a, b));
    assert_false(are_equal("<p>0b2c1e4e-7d55-4f0e-9a7f-0f7d2f1f9a01</p>",
                           "<p>ffffffff-7d55-4f0e-9a7f-0f7d2f1f9a01</p>"));
}

static void
test_bytes_that_are_no_text_are_shown_as_replaced(void **state)
{
    struct buffer ret;
    static const char damaged[] = "<p>a\0b\xff"
                                  "c</p>";

    (void)state;
    buffer_init(&ret, CANONICAL_BYTES_MAX);
    assert_int_equal(
        html_canonical((struct slice){ (const uint8_t *)damaged, sizeof damaged - 1 },
                       &ret, NULL),
        0);
    assert_int_equal(buffer_append(&ret, "", 1), 0);
    assert_string_equal((const char *)ret.data, "<p>a\xef\xbf\xbd"
                                                "b\xef\xbf\xbd"
                                                "c\n");
    buffer_fini(&ret);
}

static void
assert_refused(const struct buffer *html)
{
    struct error err = { 0 };
    struct buffer ret;

    buffer_init(&ret, CANONICAL_BYTES_MAX);
    assert_int_equal(buffer_append_text(&ret, "before"), 0);
    assert_int_equal(html_canonical(buffer_slice(html), &ret, &err), COMPARE_E_INVALID);
    assert_int_equal(ret.length, 6);
    assert_true(err.text[0] != '\0');
    buffer_fini(&ret);
}

/* FIRST, then so many times EACH, is refused. */
static void
assert_many_refused(const char *first, const char *each, size_t times)
{
    struct buffer html;

    buffer_init(&html, CANONICAL_BYTES_MAX);
    assert_int_equal(buffer_append_text(&html, first), 0);
    for (size_t i = 0; i < times; i++)
        assert_int_equal(buffer_append_text(&html, each), 0);
    assert_refused(&html);
    buffer_fini(&html);
}

static void
test_document_beyond_a_bound_is_refused(void **state)
{
    (void)state;
    assert_many_refused("", "<div>", 100000);
    assert_many_refused("", "<b>", 100000);
    assert_many_refused("", "<br>", 1000001);
    assert_many_refused("", "a ", 16 * 1024 * 1024 + 1);
}

static void
test_element_with_very_many_attributes_is_refused(void **state)
{
    struct buffer html;

    (void)state;
    buffer_init(&html, CANONICAL_BYTES_MAX);
    assert_int_equal(buffer_append_text(&html, "<p"), 0);
    for (int i = 0; i < 1000000; i++) {
        assert_int_equal(buffer_append_format(&html, " a%d", i), 0);
        if (i == 300)
            assert_refused(&html);
    }
    assert_refused(&html);
    buffer_fini(&html);
}

static void
test_letters_of_several_bytes_are_whole_wherever_they_are(void **state)
{
    struct buffer html, ret;

    (void)state;
    buffer_init(&html, CANONICAL_BYTES_MAX);
    buffer_init(&ret, CANONICAL_BYTES_MAX);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(
            buffer_append_text(&html, "<p>\xe2\x82\xac\xc3\xa9\xf0\x9f\x90\xa7\n"), 0);
    assert_int_equal(html_canonical(buffer_slice(&html), &ret, NULL), 0);
    assert_int_equal(ret.length, html.length);
    assert_memory_equal(ret.data, html.data, html.length);
    buffer_fini(&html);
    buffer_fini(&ret);
}

static void
test_text_that_does_not_fit_leaves_the_buffer_as_it_was(void **state)
{
    struct error err = { 0 };
    struct buffer ret;

    (void)state;
    buffer_init(&ret, 20);
    assert_int_equal(buffer_append_text(&ret, "before"), 0);
    assert_int_equal(html_canonical(slice_text("<p>0123456789</p><p></p>"), &ret, &err),
                     COMPARE_E_INVALID);
    assert_int_equal(ret.length, 6);
    buffer_fini(&ret);
}

static bool
read_what_names_files(void)
{
    static const char html[] =
        "<?xml version='1.0' encoding='windows-1251'?>"
        "<!DOCTYPE html SYSTEM 'file:///etc/hostname'>"
        "<html><head><meta http-equiv='Content-Type' content='text/html; charset=koi8-r'>"
        "<base href='file:///etc/'><link rel=stylesheet href='file:///etc/hostname'>"
        "</head><body><iframe src='file:///etc/hostname'></iframe>"
        "<img src='http://localhost/x.png'><p>\xc3\xa9</p></body></html>";
    struct buffer ret;
    bool good;

    buffer_init(&ret, CANONICAL_BYTES_MAX);
    good = html_canonical(slice_text(html), &ret, NULL) == 0 &&
           memmem(ret.data, ret.length, "<p>\xc3\xa9", 5) != NULL;
    buffer_fini(&ret);
    return good;
}

static void
test_nothing_is_opened_whatever_a_document_names(void **state)
{
    (void)state;
    assert_true(shut_run(read_what_names_files));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_library_shows_twice_is_equal),
        cmocka_unit_test(test_value_that_has_changed_is_a_difference),
        cmocka_unit_test(test_each_node_has_a_line_and_text_alone_is_on_its_element_s),
        cmocka_unit_test(test_long_line_of_a_script_is_broken_where_values_end),
        cmocka_unit_test(test_empty_text_has_nothing_in_it),
        cmocka_unit_test(test_what_a_browser_does_not_show_does_not_count),
        cmocka_unit_test(test_what_a_browser_shows_counts),
        cmocka_unit_test(test_name_that_a_program_made_up_does_not_count_wherever_it_is),
        cmocka_unit_test(test_reference_to_another_element_is_a_difference),
        cmocka_unit_test(test_word_that_is_not_a_name_in_its_place_stays),
        cmocka_unit_test(test_class_with_a_hash_in_it_does_not_count),
        cmocka_unit_test(test_name_keeps_what_was_not_made_up),
        cmocka_unit_test(
            test_hash_of_data_does_not_count_in_scripts_and_counts_in_addresses),
        cmocka_unit_test(test_uuid_does_not_count_in_scripts_and_counts_in_text),
        cmocka_unit_test(test_bytes_that_are_no_text_are_shown_as_replaced),
        cmocka_unit_test(test_document_beyond_a_bound_is_refused),
        cmocka_unit_test(test_element_with_very_many_attributes_is_refused),
        cmocka_unit_test(test_letters_of_several_bytes_are_whole_wherever_they_are),
        cmocka_unit_test(test_text_that_does_not_fit_leaves_the_buffer_as_it_was),
        cmocka_unit_test(test_nothing_is_opened_whatever_a_document_names),
    };

    html_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
