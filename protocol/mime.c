/* SPDX-License-Identifier: MIT */
#include "protocol/mime.h"

#include <string.h>

#include "protocol/error.h"
#include "protocol/json.h"

#define KEY_BYTES 256 /* with the NUL; registered types have at most 255 */

static bool
is_word(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '_' || byte == '-' || byte == '+' ||
           byte == '.';
}

bool
mime_is_key(struct slice key)
{
    size_t slash = 0;

    while (slash < key.length && is_word(key.data[slash]))
        slash++;
    if (slash == 0 || slash + 1 >= key.length || key.data[slash] != '/')
        return false;
    for (size_t i = slash + 1; i < key.length; i++) {
        if (!is_word(key.data[i]))
            return false;
    }
    return true;
}

static int
check_keys(struct slice data, struct error *err)
{
    struct json_iterator iterator;
    struct slice key, value;
    char name[KEY_BYTES];
    size_t count = 0;

    if (json_iterate(&iterator, data) != 0)
        return 0; /* it is known to be an object */
    while (json_next(&iterator, &key, &value)) {
        count++;
        if (json_get_string(key, name, sizeof name) != 0 ||
            !mime_is_key(slice_text(name)))
            return error_set(err, MIME_E_INVALID, "name %zu in data is not a MIME type",
                             count);
    }
    return 0;
}

int
mime_check_content(struct slice content, struct error *err)
{
    static const struct {
        const char *name;
        bool required;
    } members[] = { { "data", true }, { "metadata", true }, { "transient", false } };
    struct slice data = { 0 }, value;

    if (json_kind(content) != JSON_KIND_OBJECT)
        return error_set(err, MIME_E_INVALID, "content is not an object");
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        if (json_member(content, members[i].name, &value) != 0) {
            if (!members[i].required)
                continue;
            return error_set(err, MIME_E_INVALID, "content without %s", members[i].name);
        }
        if (json_kind(value) != JSON_KIND_OBJECT)
            return error_set(err, MIME_E_INVALID, "%s: expected an object, got %s",
                             members[i].name, json_kind_name(json_kind(value)));
        if (i == 0)
            data = value;
    }
    return check_keys(data, err);
}
