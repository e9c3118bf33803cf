/* SPDX-License-Identifier: MIT */
/*
 * What a cell says of its test: the first line is its metadata, the rest its source. What
 * is taken are settings that the comparison takes; what is refused has a reason.
 */
#include <string.h>

#include "kernel/notebook/criteria.h"
#include "kernel/notebook/directives.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/notebook.h"
#include "protocol/text.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct json_limits limits = { 8192, NOTEBOOK_DEPTH_MAX };
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t first = end != NULL ? (size_t)(end - data) : size;
    struct notebook_cell cell = { .type = NOTEBOOK_CODE, .metadata = { data, first } };
    struct directives directives = { 0 };
    struct error err = { 0 };
    json_t *notes = json_array();
    int r;

    if (end != NULL)
        cell.source = (struct slice){ end + 1, size - first - 1 };
    if (json_scan_object(cell.metadata, &limits, NULL) != 0)
        cell.metadata = slice_text("{}");
    if (text_is_utf8(cell.source.data, cell.source.length)) {
        r = directives_read(&directives, &cell, size % 2 == 0 ? "python" : "typescript",
                            notes, &err);
        CHECK(r == 0 || (r == DIRECTIVES_E_INVALID && err.text[0] != '\0'));
        CHECK(r == 0 || directives.comparison == NULL);
        if (directives.comparison != NULL)
            CHECK(criteria_check(directives.comparison, NULL) == 0);
        CHECK(directives.timeout_s >= 0);
    }
    directives_fini(&directives);
    json_decref(notes);
    return 0;
}
