/* SPDX-License-Identifier: MIT */
#include "kernel/compare/svg.h"

#include <string.h>
#include <sys/stat.h>

#include "kernel/compare/compare.h"
#include "protocol/error.h"
#include "tests/compare/samples.h"
#include "tests/compare/shut.h"

#define CANONICAL_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define CANARY "must not be read"

static bool
are_slices_equal(struct slice a, struct slice b)
{
    struct buffer left, right;
    struct error err = { 0 };
    bool equal;

    buffer_init(&left, CANONICAL_BYTES_MAX);
    buffer_init(&right, CANONICAL_BYTES_MAX);
    if (svg_canonical(a, &left, &err) != 0 || svg_canonical(b, &right, &err) != 0)
        fail_msg("%s", err.text);
    equal =
        left.length == right.length && memcmp(left.data, right.data, left.length) == 0;
    buffer_fini(&left);
    buffer_fini(&right);
    return equal;
}

static bool
are_equal(const char *a, const char *b)
{
    return are_slices_equal(slice_text(a), slice_text(b));
}

static bool
are_samples_equal(const char *a, const char *b)
{
    struct buffer left, right;
    bool equal;

    buffer_init(&left, SAMPLE_BYTES_MAX);
    buffer_init(&right, SAMPLE_BYTES_MAX);
    sample_read(a, &left);
    sample_read(b, &right);
    equal = are_slices_equal(buffer_slice(&left), buffer_slice(&right));
    buffer_fini(&left);
    buffer_fini(&right);
    return equal;
}

static void
test_plot_that_matplotlib_draws_twice_is_equal(void **state)
{
    (void)state;
    assert_true(are_samples_equal("plot_once.svg", "plot_again.svg"));
}

static void
test_plot_with_a_point_that_has_moved_is_a_difference(void **state)
{
    (void)state;
    assert_false(are_samples_equal("plot_once.svg", "plot_moved.svg"));
}

static void
assert_canonical(const char *svg, const char *expected)
{
    struct error err = { 0 };
    struct buffer ret;

    buffer_init(&ret, CANONICAL_BYTES_MAX);
    if (svg_canonical(slice_text(svg), &ret, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(buffer_append(&ret, "", 1), 0);
    assert_string_equal((const char *)ret.data, expected);
    buffer_fini(&ret);
}

static void
test_each_node_and_each_command_of_a_path_has_a_line(void **state)
{
    (void)state;
    assert_canonical("<svg xmlns='http://www.w3.org/2000/svg'><g><path d='M0,0 L 1\n 2z' "
                     "clip-path='url(#p1)'/></g><clipPath id='p1'/><text> a <tspan>b"
                     "</tspan></text></svg>",
                     "<svg xmlns=\"http://www.w3.org/2000/svg\">\n"
                     "  <g>\n"
                     "    <path clip-path=\"url(#id1)\" d=\"\n"
                     "        M0,0\n"
                     "        L 1 2\n"
                     "        z\">\n"
                     "  <clipPath id=\"id1\">\n"
                     "  <text>\n"
                     "    a\n"
                     "    <tspan>&#32;b\n");
}

static void
test_what_does_not_show_does_not_count(void **state)
{
    static const char *const pairs[][2] = {
        { "<svg/>",
          "<?xml version='1.0'?><!DOCTYPE svg SYSTEM 'x'><!-- x --><svg></svg>" },
        { "<svg a='1' b='2'/>", "<svg b=\"2\"  a=\"1\" />" },
        { "<svg><g/></svg>", "<svg>\n <?pi x?> <g> </g></svg>" },
        { "<svg><metadata><date>1</date></metadata></svg>",
          "<svg><metadata><date>2</date></metadata></svg>" },
        { "<svg><path id='m1'/><use href='#m1'/></svg>",
          "<svg><path id='m2'/><use href='#m2'/></svg>" },
        { "<svg><text>a&lt;b</text></svg>", "<svg><text><![CDATA[a<b]]></text></svg>" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (!are_equal(pairs[i][0], pairs[i][1]))
            fail_msg("%s, %s", pairs[i][0], pairs[i][1]);
    }
}

static void
test_what_shows_counts(void **state)
{
    static const char *const pairs[][2] = {
        { "<svg><circle r='1'/></svg>", "<svg><circle r='2'/></svg>" },
        { "<svg><a/><b/></svg>", "<svg><b/><a/></svg>" },
        { "<svg><text>a</text></svg>", "<svg><text>b</text></svg>" },
        { "<svg><text>a <tspan>b</tspan></text></svg>",
          "<svg><text>a<tspan>b</tspan></text></svg>" },
        { "<svg><text xml:space='preserve'>a  b</text></svg>",
          "<svg><text xml:space='preserve'>a b</text></svg>" },
        { "<svg><path id='x'/><path id='y'/><use href='#x'/></svg>",
          "<svg><path id='x'/><path id='y'/><use href='#y'/></svg>" },
        { "<svg xmlns='a'/>", "<svg xmlns='b'/>" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (are_equal(pairs[i][0], pairs[i][1]))
            fail_msg("%s, %s", pairs[i][0], pairs[i][1]);
    }
}

static void
assert_refused(struct slice svg)
{
    struct error err = { 0 };
    struct buffer ret;

    buffer_init(&ret, CANONICAL_BYTES_MAX);
    assert_int_equal(buffer_append_text(&ret, "before"), 0);
    assert_int_equal(svg_canonical(svg, &ret, &err), COMPARE_E_INVALID);
    assert_int_equal(ret.length, 6);
    assert_true(err.text[0] != '\0');
    buffer_fini(&ret);
}

static void
test_letters_of_several_bytes_are_whole_wherever_they_are(void **state)
{
    struct buffer svg, ret;

    (void)state;
    buffer_init(&svg, CANONICAL_BYTES_MAX);
    buffer_init(&ret, CANONICAL_BYTES_MAX);
    assert_int_equal(buffer_append_text(&svg, "<svg>\n"), 0);
    for (int i = 0; i < 20000; i++)
        assert_int_equal(
            buffer_append_text(&svg, "<g>\xe2\x82\xac\xc3\xa9\xf0\x9f\x90\xa7</g>"), 0);
    assert_int_equal(buffer_append_text(&svg, "</svg>"), 0);
    assert_int_equal(svg_canonical(buffer_slice(&svg), &ret, NULL), 0);
    /* Two spaces and a line's end for an end tag. */
    assert_int_equal(ret.length, svg.length - 6 - (size_t)20000);
    buffer_fini(&svg);
    buffer_fini(&ret);
}

static void
test_text_that_is_no_xml_is_refused(void **state)
{
    (void)state;
    assert_refused(slice_text(""));
    assert_refused(slice_text("hello"));
    assert_refused(slice_text("<svg>"));
    assert_refused(slice_text("<svg></g>"));
    assert_refused(slice_text("<svg a=1/>"));
    assert_refused(slice_text("<svg>\xff</svg>"));
    assert_refused((struct slice){ (const uint8_t *)"<svg>\0</svg>", 12 });
}

static void
test_entities_are_not_expanded(void **state)
{
    struct buffer laughs;

    (void)state;
    buffer_init(&laughs, SAMPLE_BYTES_MAX);
    assert_int_equal(buffer_append_text(&laughs, "<!DOCTYPE svg [<!ENTITY l0 'ha'>"), 0);
    for (int i = 1; i < 10; i++) {
        assert_int_equal(buffer_append_format(&laughs, "<!ENTITY l%d '", i), 0);
        for (int j = 0; j < 10; j++)
            assert_int_equal(buffer_append_format(&laughs, "&l%d;", i - 1), 0);
        assert_int_equal(buffer_append_text(&laughs, "'>"), 0);
    }
    assert_int_equal(buffer_append_text(&laughs, "]><svg a='&l9;'>&l9;</svg>"), 0);
    assert_refused(buffer_slice(&laughs));
    assert_refused(slice_text("<!DOCTYPE svg [<!ENTITY a 'b'>]><svg>&a;</svg>"));
    assert_refused(slice_text("<!DOCTYPE svg [<!ENTITY a '&a;'>]><svg>&a;</svg>"));
    assert_refused(slice_text("<!DOCTYPE svg [<!ATTLIST svg x CDATA 'y'>]><svg/>"));
    buffer_fini(&laughs);
}

/* Where a file is that documents name. */
static char canary_path[] = "/tmp/test-compare-svg-XXXXXX";

static int
make_canary(void **state)
{
    int fd = mkstemp(canary_path);

    (void)state;
    if (fd < 0 || write(fd, CANARY, strlen(CANARY)) < 0)
        return -1;
    return close(fd);
}

static int
remove_canary(void **state)
{
    (void)state;
    return unlink(canary_path);
}

static const char *const thieves[] = {
    "<!DOCTYPE svg [<!ENTITY x SYSTEM 'file://%s'>]><svg>&x;</svg>",
    "<!DOCTYPE svg [<!ENTITY x SYSTEM '%s'>]><svg a='&x;'/>",
    "<!DOCTYPE svg [<!ENTITY %% x SYSTEM 'file://%s'> %%x;]><svg>&y;</svg>",
    "<!DOCTYPE svg SYSTEM 'file://%s'><svg>&x;</svg>",
    "<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' '%s'><svg>&x;</svg>",
    "<?xml-stylesheet href='file://%s'?><svg/>",
    "<svg xmlns:xi='http://www.w3.org/2001/XInclude'><xi:include href='file://%s' "
    "parse='text'/></svg>",
    "<svg xmlns:xlink='http://www.w3.org/1999/xlink'><image xlink:href='%s'/></svg>",
    "<svg xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' "
    "xsi:schemaLocation='x file://%s'/>",
};

static bool
read_thieves(void)
{
    char svg[500];
    struct buffer ret;
    bool good = true;
    int r;

    for (size_t i = 0; i < sizeof thieves / sizeof thieves[0]; i++) {
        buffer_init(&ret, CANONICAL_BYTES_MAX);
        /* A format is to have %% as well as one %s. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(svg, sizeof svg, thieves[i], canary_path);
#pragma GCC diagnostic pop
        r = svg_canonical(slice_text(svg), &ret, NULL);
        good = good && (r == 0 || r == COMPARE_E_INVALID) &&
               (r != 0 || memmem(ret.data, ret.length, CANARY, strlen(CANARY)) == NULL);
        buffer_fini(&ret);
    }
    return good;
}

static void
test_file_that_a_document_names_is_not_read(void **state)
{
    (void)state;
    assert_true(read_thieves());
}

static void
test_nothing_is_opened_whatever_a_document_names(void **state)
{
    (void)state;
    assert_true(shut_run(read_thieves));
}

static bool
read_encodings(void)
{
    struct buffer ret;
    bool good;

    buffer_init(&ret, CANONICAL_BYTES_MAX);
    good = svg_canonical(slice_text("<?xml version='1.0' encoding='windows-1251'?>"
                                    "<svg><text>\xc3\xa9</text></svg>"),
                         &ret, NULL) == 0 &&
           memmem(ret.data, ret.length, "\xc3\xa9", 2) != NULL;
    buffer_fini(&ret);
    return good;
}

static void
test_text_is_utf_8_whatever_encoding_it_names(void **state)
{
    (void)state;
    assert_true(shut_run(read_encodings));
}

/* So many times EACH in an element, is refused. */
static void
assert_many_refused(const char *each, size_t times)
{
    struct buffer svg;

    buffer_init(&svg, CANONICAL_BYTES_MAX);
    assert_int_equal(buffer_append_text(&svg, "<svg>"), 0);
    for (size_t i = 0; i < times; i++)
        assert_int_equal(buffer_append_text(&svg, each), 0);
    assert_int_equal(buffer_append_text(&svg, "</svg>"), 0);
    assert_refused(buffer_slice(&svg));
    buffer_fini(&svg);
}

static void
test_document_beyond_a_bound_is_refused(void **state)
{
    struct buffer svg;

    (void)state;
    assert_many_refused("<g>", 100000);
    assert_many_refused("<g/>", 1000001);
    assert_many_refused("a ", 16 * 1024 * 1024);
    buffer_init(&svg, CANONICAL_BYTES_MAX);
    assert_int_equal(buffer_append_text(&svg, "<svg"), 0);
    for (int i = 0; i < 1000000; i++)
        assert_int_equal(buffer_append_format(&svg, " a%d='1'", i), 0);
    assert_int_equal(buffer_append_text(&svg, "/>"), 0);
    assert_refused(buffer_slice(&svg));
    buffer_fini(&svg);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plot_that_matplotlib_draws_twice_is_equal),
        cmocka_unit_test(test_plot_with_a_point_that_has_moved_is_a_difference),
        cmocka_unit_test(test_each_node_and_each_command_of_a_path_has_a_line),
        cmocka_unit_test(test_what_does_not_show_does_not_count),
        cmocka_unit_test(test_what_shows_counts),
        cmocka_unit_test(test_letters_of_several_bytes_are_whole_wherever_they_are),
        cmocka_unit_test(test_text_that_is_no_xml_is_refused),
        cmocka_unit_test(test_entities_are_not_expanded),
        cmocka_unit_test(test_file_that_a_document_names_is_not_read),
        cmocka_unit_test(test_nothing_is_opened_whatever_a_document_names),
        cmocka_unit_test(test_text_is_utf_8_whatever_encoding_it_names),
        cmocka_unit_test(test_document_beyond_a_bound_is_refused),
    };

    svg_init();
    return cmocka_run_group_tests(tests, make_canary, remove_canary);
}
