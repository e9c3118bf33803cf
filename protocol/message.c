/* SPDX-License-Identifier: MIT */
#include "protocol/message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/schema.h"
#include "protocol/text.h"
#include "protocol/tree.h"

#define YEAR_9999_END INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

static const struct json_limits header_limits = { WIRE_HEADER_BYTES_MAX,
                                                  MESSAGE_DEPTH_MAX };

/* Reads a string member of a header; absent and null leave RET empty. */
static int
read_text(struct slice header, const char *key, char *ret, size_t size, struct error *err)
{
    struct slice value;

    if (json_member(header, key, &value) != 0 || json_kind(value) == JSON_KIND_NULL)
        return 0;
    if (json_get_string(value, ret, size) != 0)
        return error_set(err, WIRE_E_BAD_HEADER,
                         "header: %s is not a string of less than %zu bytes", key, size);
    return 0;
}

static int
read_header(struct message *message, struct error *err)
{
    const struct {
        const char *key;
        char *ret;
        size_t size;
        bool required;
    } members[] = {
        { "msg_id", message->id, sizeof message->id, true },
        { "msg_type", message->type, sizeof message->type, true },
        { "session", message->session, sizeof message->session, false },
        { "username", message->username, sizeof message->username, false },
        { "subshell_id", message->subshell_id, sizeof message->subshell_id, false },
    };
    struct slice header = message->wire.header;
    int r;

    if (json_scan_object(header, &header_limits, err) != 0)
        return error_wrap(err, WIRE_E_BAD_HEADER, "header");
    for (size_t i = 0; i < N_ELEMENTS(members); i++) {
        r = read_text(header, members[i].key, members[i].ret, members[i].size, err);
        if (r != 0)
            return r;
        if (members[i].required && members[i].ret[0] == '\0')
            return error_set(err, WIRE_E_BAD_HEADER, "header without %s", members[i].key);
    }
    return 0;
}

static int
read_parent(struct message *message, struct error *err)
{
    struct slice parent = message->wire.parent_header;

    if (json_scan_object(parent, &header_limits, err) != 0)
        return error_wrap(err, WIRE_E_BAD_HEADER, "parent_header");
    if (json_member_string(parent, "msg_id", message->parent_id,
                           sizeof message->parent_id) != 0)
        message->parent_id[0] = '\0'; /* not ours: then it matches no request */
    return 0;
}

int
message_init_wire(struct message *ret, const struct wire *wire, struct error *err)
{
    struct message message = { .wire = *wire };
    int r;

    r = read_header(&message, err);
    if (r == 0)
        r = read_parent(&message, err);
    if (r == 0)
        *ret = message;
    return r;
}

int
message_init(struct message *ret, const struct slice *frames, size_t count,
             const struct signature_key *key, struct replay *replay, struct error *err)
{
    struct wire wire;
    int r;

    r = wire_open(&wire, frames, count, key, replay, err);
    if (r != 0)
        return r;
    return message_init_wire(ret, &wire, err);
}

int
message_check_object(struct message *message, struct error *err)
{
    static const struct json_limits metadata = { WIRE_METADATA_BYTES_MAX,
                                                 MESSAGE_DEPTH_MAX };
    static const struct json_limits content = { WIRE_CONTENT_BYTES_MAX,
                                                MESSAGE_DEPTH_MAX };
    json_t *tree;
    int r;

    if (json_scan_object(message->wire.metadata, &metadata, err) != 0)
        return error_wrap(err, MESSAGE_E_INVALID, "metadata");
    r = tree_load_object(&tree, message->wire.content, &content, err);
    if (r != 0)
        return r < 0 ? r : error_wrap(err, MESSAGE_E_INVALID, "content");
    json_decref(message->content);
    message->content = tree;
    return 0;
}

int
message_check(struct message *message, struct error *err)
{
    int r;

    if (!schema_knows(message->type))
        return error_set(err, MESSAGE_E_UNKNOWN_TYPE, "unknown message type");
    r = message_check_object(message, err);
    if (r != 0)
        return r;
    if (schema_check(message->type, message->content, err) != 0) {
        message_fini(message);
        return error_wrap(err, MESSAGE_E_INVALID, "%s", message->type);
    }
    r = schema_fill(message->type, message->content);
    if (r != 0)
        message_fini(message);
    return r;
}

void
message_fini(struct message *message)
{
    json_decref(message->content);
    message->content = NULL;
}

static int
append_member(struct buffer *ret, const char *lead, const char *value)
{
    int r = buffer_append_text(ret, lead);

    return r != 0 ? r : text_append_json(ret, value, strlen(value));
}

int
message_append_header(struct buffer *ret, const struct message_header *header)
{
    char date[MESSAGE_DATE_BYTES];
    size_t before = ret->length;
    int r;

    message_format_date(date, header->time_us);
    r = append_member(ret, "{\"msg_id\":", header->id);
    if (r == 0)
        r = append_member(ret, ",\"session\":", header->session);
    if (r == 0)
        r = append_member(ret, ",\"username\":", header->username);
    if (r == 0)
        r = append_member(ret, ",\"date\":", date);
    if (r == 0)
        r = append_member(ret, ",\"msg_type\":", header->type);
    if (r == 0)
        r = append_member(ret, ",\"version\":", MESSAGE_VERSION);
    if (r == 0 && header->subshell_id != NULL)
        r = append_member(ret, ",\"subshell_id\":", header->subshell_id);
    if (r == 0)
        r = buffer_append_text(ret, "}");
    if (r != 0)
        ret->length = before;
    return r;
}

void
message_make_id(char ret[MESSAGE_ID_BYTES], const char *session, uint64_t counter)
{
    snprintf(ret, MESSAGE_ID_BYTES, "%.200s_%" PRIu64, session, counter);
}

/* Writes the last COUNT digits of VALUE and returns the place behind them. */
static char *
put_digits(char *to, unsigned value, size_t count)
{
    for (size_t i = count; i > 0; i--) {
        to[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return to + count;
}

/* Without printf: there is a date in each message. */
void
message_format_date(char ret[MESSAGE_DATE_BYTES], int64_t time_us)
{
    time_t seconds;
    struct tm tm;

    if (time_us < 0)
        time_us = 0;
    if (time_us / 1000000 > YEAR_9999_END)
        time_us = YEAR_9999_END * 1000000 + 999999;
    seconds = (time_t)(time_us / 1000000);
    gmtime_r(&seconds, &tm);
    ret = put_digits(ret, (unsigned)(tm.tm_year + 1900), 4);
    *ret++ = '-';
    ret = put_digits(ret, (unsigned)(tm.tm_mon + 1), 2);
    *ret++ = '-';
    ret = put_digits(ret, (unsigned)tm.tm_mday, 2);
    *ret++ = 'T';
    ret = put_digits(ret, (unsigned)tm.tm_hour, 2);
    *ret++ = ':';
    ret = put_digits(ret, (unsigned)tm.tm_min, 2);
    *ret++ = ':';
    ret = put_digits(ret, (unsigned)tm.tm_sec, 2);
    *ret++ = '.';
    ret = put_digits(ret, (unsigned)(time_us % 1000000), 6);
    *ret++ = 'Z';
    *ret = '\0';
}
