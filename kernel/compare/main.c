/* SPDX-License-Identifier: MIT */
/*
 * cellwall-compare: answers requests until its stdin ends. One that is not in the form
 * that compare.h says ends it: nobody but cellwall writes to it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/confine.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define LENGTH_BYTES 4
#define KEPT_BYTES ((size_t)1024 * 1024) /* of a buffer, from one request to the next */

/* Every library has done whatever it does when it is first used. */
static const char rehearsal[] =
    "{\"settings\": {\"sanitize\": [{\"pattern\": \"a\", \"replace\": \"b\"}]},"
    " \"expected\": [{\"output_type\": \"display_data\", \"metadata\": {}, \"data\": {"
    "  \"text/html\": \"<p>0.5 &eacute;</p>\", \"text/plain\": \"0.5\\n\","
    "  \"image/svg+xml\": \"<svg xmlns='http://www.w3.org/2000/svg'><g/></svg>\","
    "  \"image/png\": \"iVBORw0KGgo=\", \"image/jpeg\": \"/9j/4A==\"}}],"
    " \"actual\": [{\"output_type\": \"display_data\", \"metadata\": {}, \"data\": {"
    "  \"text/html\": \"<p>0.6</p>\", \"text/plain\": \"1\\n0x1234567\","
    "  \"image/svg+xml\": \"<svg xmlns='http://www.w3.org/2000/svg'><a/></svg>\","
    "  \"image/png\": \"iVBORw0KGgp=\", \"image/jpeg\": \"/9j/4AA=\"}}],"
    " \"propose\": true}";

static const struct json_limits limits = { COMPARE_MESSAGE_BYTES_MAX, COMPARE_DEPTH_MAX };

__attribute__((format(printf, 1, 2), noreturn)) static void
give_up(const char *format, ...)
{
    struct error err = { 0 };
    va_list args;

    va_start(args, format);
    vsnprintf(err.text, sizeof err.text, format, args);
    va_end(args);
    dprintf(STDERR_FILENO, "cellwall-compare: %s\n", err.text);
    _exit(1);
}

/* Reads exactly LENGTH bytes; false: the end, before the first of them. */
static bool
read_all(uint8_t *data, size_t length)
{
    size_t done = 0;
    ssize_t n;

    while (done < length) {
        n = read(STDIN_FILENO, data + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            give_up("stdin: %s", strerror(errno));
        if (n == 0 && done > 0)
            give_up("stdin ends within a message");
        if (n == 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static void
write_all(const uint8_t *data, size_t length)
{
    ssize_t n;

    while (length > 0) {
        n = write(STDOUT_FILENO, data, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            give_up("stdout: %s", strerror(errno));
        data += n;
        length -= (size_t)n;
    }
}

/* The next request in TEXT; false: there are no more. */
static bool
read_message(struct buffer *text)
{
    uint8_t header[LENGTH_BYTES];
    size_t length;

    if (!read_all(header, sizeof header))
        return false;
    length = (size_t)header[0] | (size_t)header[1] << 8 | (size_t)header[2] << 16 |
             (size_t)header[3] << 24;
    if (length == 0 || length > COMPARE_MESSAGE_BYTES_MAX)
        give_up("a message of %zu bytes", length);
    buffer_clear(text, KEPT_BYTES);
    if (buffer_reserve(text, length) != 0)
        give_up("%s", strerror(ENOMEM));
    if (!read_all(text->data, length))
        give_up("stdin ends within a message");
    text->length = length;
    return true;
}

/* Appends the answer to REQUEST, which may be anything. */
static int
append_answer(struct buffer *ret, struct slice request)
{
    CLEANUP(tree_decrefp) json_t *tree = NULL, *answer = NULL;
    struct error err = { 0 };
    int r = tree_load_object(&tree, request, &limits, &err);

    if (r > 0) {
        answer = json_pack("{s:b, s:[], s:s+}", "agree", 0, "differences", "error",
                           "the outputs cannot be read: ", err.text);
        r = answer == NULL ? -ENOMEM : 0;
    } else if (r == 0) {
        r = compare_answer(&answer, tree);
    }
    return r == 0 ? tree_append(ret, answer, JSON_COMPACT) : r;
}

static void
write_answer(const struct buffer *answer)
{
    uint8_t header[LENGTH_BYTES];

    for (unsigned i = 0; i < LENGTH_BYTES; i++)
        header[i] = (uint8_t)(answer->length >> (8 * i));
    write_all(header, sizeof header);
    write_all(answer->data, answer->length);
}

static void
rehearse(struct buffer *answer)
{
    if (append_answer(answer, slice_text(rehearsal)) != 0)
        give_up("%s", strerror(ENOMEM));
    buffer_clear(answer, 0);
}

int
main(int argc, char **argv)
{
    struct buffer request, answer;
    struct error err = { 0 };
    int r;

    (void)argv;
    if (argc > 1) {
        dprintf(STDERR_FILENO, "usage: cellwall-compare (reads requests from stdin)\n");
        return 2;
    }
    buffer_init(&request, COMPARE_MESSAGE_BYTES_MAX);
    buffer_init(&answer, COMPARE_MESSAGE_BYTES_MAX);
    rehearse(&answer);
    if (confine_self(&err) != 0) {
        dprintf(STDERR_FILENO, "cellwall-compare: cannot confine itself: %s\n", err.text);
        _exit(CONFINE_EXIT);
    }
    while (read_message(&request)) {
        buffer_clear(&answer, KEPT_BYTES);
        r = append_answer(&answer, buffer_slice(&request));
        if (r != 0)
            give_up("%s", r < 0 ? strerror(-r) : "the answer is too large");
        write_answer(&answer);
    }
    _exit(0); /* no leak check: it could not look at itself */
}
