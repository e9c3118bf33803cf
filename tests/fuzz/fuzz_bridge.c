/* SPDX-License-Identifier: MIT */
/*
 * A message of a hostile kernel, and a kernel.json. Frames are separated by NUL; messages
 * are not signed, for user code has the key.
 */
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/mime.h"
#include "runtimes/jupyter/kernel_json.h"
#include "runtimes/jupyter/link.h"
#include "runtimes/jupyter/translate.h"
#include "tests/fuzz/fuzz.h"

#define FRAMES_MAX 64

static const struct json_limits limits = { TRANSLATE_BYTES_MAX, JSON_DEPTH_MAX };

static size_t
split(struct slice *ret, const uint8_t *data, size_t size)
{
    size_t count = 0;

    while (count < FRAMES_MAX) {
        const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
        size_t length = end != NULL ? (size_t)(end - data) : size;

        ret[count++] = (struct slice){ data, length };
        if (end == NULL)
            break;
        data += length + 1;
        size -= length + 1;
    }
    return count;
}

/* What becomes of a content is an object again, or it is refused. */
static void
check_object(int r, struct buffer *out)
{
    CHECK(r == 0 || r == TRANSLATE_E_UNFIT);
    CHECK(r != 0 || json_scan_object(buffer_slice(out), &limits, NULL) == 0);
    buffer_clear(out, 0);
}

static void
check_count(struct slice reply)
{
    int64_t count = 0;

    CHECK(json_member_int(reply, "execution_count", &count) == 0 && count == 7);
}

static void
check_replies(struct slice content, struct buffer *out)
{
    for (int type = FRAME_EXECUTE_REQUEST; type <= FRAME_COMM_CLOSE; type++) {
        bool ok;
        int r = translate_reply(out, (enum frame_type)type, content, 7, &ok, NULL);

        if (r == 0 && type == FRAME_EXECUTE_REQUEST)
            check_count(buffer_slice(out));
        check_object(r, out);
        check_object(translate_request(out, (enum frame_type)type, content, NULL), out);
    }
}

static void
check_content(struct slice content)
{
    struct buffer out;
    bool flag;
    int r;

    buffer_init(&out, TRANSLATE_BYTES_MAX);
    check_replies(content, &out);
    r = translate_bundle(&out, content, 3, NULL);
    CHECK(r != 0 || mime_check_content(buffer_slice(&out), NULL) == 0);
    check_object(r, &out);
    check_object(translate_error(&out, content, true, NULL), &out);
    check_object(translate_input(&out, content, NULL), &out);
    check_object(translate_hello(&out, content, NULL), &out);
    CHECK(translate_traceback(&out, content, NULL) >= 0);
    buffer_clear(&out, 0);
    CHECK(translate_stream(&out, content, &flag, NULL) >= 0);
    buffer_fini(&out);
}

static void
check_kernel_json(struct slice text)
{
    struct kernel_json *spec = NULL;
    struct error err = { 0 };
    int r =
        kernel_json_parse(&spec, "/p/share/jupyter/kernels/name/kernel.json", text, &err);
    char **words;

    CHECK(r == 0 || r == KERNEL_JSON_E_INVALID);
    CHECK((r == 0) == (spec != NULL));
    if (spec == NULL)
        return;
    CHECK(strcmp(spec->name, "name") == 0 && strcmp(spec->prefix, "/p") == 0);
    spec->program = strdup("/bin/true");
    if (kernel_json_command(&words, spec, "/file") == 0)
        kernel_json_free_words(words);
    if (kernel_json_environment(&words, spec) == 0)
        kernel_json_free_words(words);
    kernel_json_destroy(spec);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice frames[FRAMES_MAX];
    struct signature_key *key = NULL;
    struct message message;
    size_t count = split(frames, data, size);

    CHECK(signature_key_create(&key, slice_text("")) == 0);
    if (link_open(&message, frames, count, key, NULL) == 0)
        check_content(message.wire.content);
    signature_key_destroy(key);
    check_kernel_json((struct slice){ data, size });
    return 0;
}
