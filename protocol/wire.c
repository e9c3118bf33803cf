/* SPDX-License-Identifier: MIT */
#include "protocol/wire.h"

#include <assert.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/replay.h"

/* Places behind the delimiter. */
enum { AT_SIGNATURE, AT_HEADER, AT_PARENT, AT_METADATA, AT_CONTENT, AT_BUFFERS };

static_assert(WIRE_FIXED_FRAMES == 1 + AT_BUFFERS, "the delimiter and five frames");

const char *
wire_drop_name(int code)
{
    static const char *const names[WIRE_E_END] = {
        [WIRE_E_MALFORMED] = "malformed", [WIRE_E_TOO_LARGE] = "too_large",
        [WIRE_E_UNSIGNED] = "unsigned",   [WIRE_E_BAD_SIGNATURE] = "bad_signature",
        [WIRE_E_REPLAYED] = "replayed",   [WIRE_E_BAD_HEADER] = "bad_header",
    };

    if (code <= 0 || code >= WIRE_E_END)
        return "unknown";
    return names[code];
}

/* Also the bound of all frames together, before any of them is looked into. */
static int
check_total(const struct slice *frames, size_t count, struct error *err)
{
    size_t total = 0;

    if (count > WIRE_FRAMES_MAX)
        return error_set(err, WIRE_E_TOO_LARGE, "message of %zu frames, at most %d",
                         count, WIRE_FRAMES_MAX);
    for (size_t i = 0; i < count; i++) {
        if (frames[i].length > WIRE_MESSAGE_BYTES_MAX - total)
            return error_set(err, WIRE_E_TOO_LARGE, "message of more than %zu bytes",
                             WIRE_MESSAGE_BYTES_MAX);
        total += frames[i].length;
    }
    return 0;
}

/* The delimiter's place; identities are counted and sized on the way. */
static int
find_delimiter(const struct slice *frames, size_t count, size_t *ret, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equals_text(frames[i], WIRE_DELIMITER)) {
            *ret = i;
            return 0;
        }
        if (i == WIRE_IDENTITIES_MAX)
            return error_set(err, WIRE_E_TOO_LARGE, "more than %d identities",
                             WIRE_IDENTITIES_MAX);
        if (frames[i].length > WIRE_IDENTITY_BYTES_MAX)
            return error_set(err, WIRE_E_TOO_LARGE, "identity of %zu bytes, at most %d",
                             frames[i].length, WIRE_IDENTITY_BYTES_MAX);
    }
    return error_set(err, WIRE_E_MALFORMED, "no delimiter in %zu frames", count);
}

static int
check_sizes(const struct wire *wire, struct error *err)
{
    const struct {
        const char *name;
        size_t length, max;
    } parts[] = {
        { "header", wire->header.length, WIRE_HEADER_BYTES_MAX },
        { "parent_header", wire->parent_header.length, WIRE_HEADER_BYTES_MAX },
        { "metadata", wire->metadata.length, WIRE_METADATA_BYTES_MAX },
        { "content", wire->content.length, WIRE_CONTENT_BYTES_MAX },
    };

    for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
        if (parts[i].length > parts[i].max)
            return error_set(err, WIRE_E_TOO_LARGE, "%s of %zu bytes, at most %zu",
                             parts[i].name, parts[i].length, parts[i].max);
    }
    if (wire->buffer_count > WIRE_BUFFERS_MAX)
        return error_set(err, WIRE_E_TOO_LARGE, "%zu buffers, at most %d",
                         wire->buffer_count, WIRE_BUFFERS_MAX);
    return 0;
}

static int
check_authentic(const struct wire *wire, struct slice signature,
                const struct signature_key *key, struct replay *replay, struct error *err)
{
    const struct slice parts[] = { wire->header, wire->parent_header, wire->metadata,
                                   wire->content };
    uint8_t digest[SIGNATURE_BYTES];

    switch (signature_verify(key, parts, signature, digest)) {
    case 0:
        break;
    case SIGNATURE_E_MISSING:
        return error_set(err, WIRE_E_UNSIGNED, "message without a signature");
    default:
        return error_set(err, WIRE_E_BAD_SIGNATURE, "signature does not match");
    }
    if (signature_key_is_empty(key) || replay == NULL)
        return 0;
    if (replay_add(replay, digest) == REPLAY_E_SEEN)
        return error_set(err, WIRE_E_REPLAYED, "signature was seen before");
    return 0;
}

int
wire_open(struct wire *ret, const struct slice *frames, size_t count,
          const struct signature_key *key, struct replay *replay, struct error *err)
{
    const struct slice *fixed;
    struct wire wire;
    size_t at = 0, left;
    int r;

    r = check_total(frames, count, err);
    if (r != 0)
        return r;
    r = find_delimiter(frames, count, &at, err);
    if (r != 0)
        return r;
    fixed = frames + at + 1;
    left = count - at - 1;
    if (left < AT_BUFFERS)
        return error_set(err, WIRE_E_MALFORMED, "%zu frames behind the delimiter, not %d",
                         left, AT_BUFFERS);
    wire = (struct wire){
        .identities = frames,
        .identity_count = at,
        .header = fixed[AT_HEADER],
        .parent_header = fixed[AT_PARENT],
        .metadata = fixed[AT_METADATA],
        .content = fixed[AT_CONTENT],
        .buffers = fixed + AT_BUFFERS,
        .buffer_count = left - AT_BUFFERS,
    };
    r = check_sizes(&wire, err);
    if (r != 0)
        return r;
    r = check_authentic(&wire, fixed[AT_SIGNATURE], key, replay, err);
    if (r != 0)
        return r;
    *ret = wire;
    return 0;
}

void
wire_compose(struct slice ret[WIRE_FIXED_FRAMES], char signature[SIGNATURE_HEX_BYTES + 1],
             const struct signature_key *key, const struct slice parts[SIGNATURE_PARTS])
{
    struct slice *fixed = ret + 1;

    ret[0] = slice_text(WIRE_DELIMITER);
    for (size_t i = 0; i < SIGNATURE_PARTS; i++)
        fixed[AT_HEADER + i] = parts[i].length > 0 ? parts[i] : slice_text("{}");
    signature_compute(key, fixed + AT_HEADER, signature);
    fixed[AT_SIGNATURE] = slice_text(signature);
}
