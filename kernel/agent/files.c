/* SPDX-License-Identifier: MIT */
/* Requests about files in a workspace. */
#include <errno.h>
#include <string.h>

#include "contexts/workspace.h"
#include "contexts/workspace_files.h"
#include "kernel/agent/agent.h"
#include "kernel/agent/fields.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"
#include "protocol/tree.h"

#define WRITE_BYTES_MAX ((size_t)32 * 1024 * 1024)

static const enum refusal_code codes[] = {
    [WORKSPACE_FILES_E_INVALID] = REFUSAL_PATH_INVALID,
    [WORKSPACE_FILES_E_NOT_FOUND] = REFUSAL_FILE_NOT_FOUND,
    [WORKSPACE_FILES_E_EXISTS] = REFUSAL_FILE_EXISTS,
    [WORKSPACE_FILES_E_IS_DIRECTORY] = REFUSAL_IS_A_DIRECTORY,
    [WORKSPACE_FILES_E_NOT_DIRECTORY] = REFUSAL_NOT_A_FILE,
    [WORKSPACE_FILES_E_NOT_FILE] = REFUSAL_NOT_A_FILE,
    [WORKSPACE_FILES_E_NOT_EMPTY] = REFUSAL_NOT_EMPTY,
    [WORKSPACE_FILES_E_TOO_LARGE] = REFUSAL_TOO_LARGE,
    [WORKSPACE_FILES_E_NO_SPACE] = REFUSAL_NO_SPACE,
    [WORKSPACE_FILES_E_DENIED] = REFUSAL_PERMISSION_DENIED,
    [WORKSPACE_FILES_E_UNFINISHED] = REFUSAL_TOO_LARGE,
};

static int
refuse_file(int e, const struct error *err, struct refusal *no)
{
    if (e < 0 || (size_t)e >= N_ELEMENTS(codes))
        return e < 0 ? e : -EINVAL;
    return refusal_set(no, codes[e], "%s", err->text);
}

static int
find_folder(struct call *call, int *ret, struct slice *ret_path, struct refusal *no)
{
    const struct agent_context *context = call->context;

    *ret = context->workspace != NULL ? workspace_folder(context->workspace) : -1;
    *ret_path = slice_text(fields_text(call->message->content, "path", ""));
    agent_context_touch(call->context);
    if (*ret >= 0 && context_has_workspace(context->context))
        return 0;
    return refusal_set(no, REFUSAL_FILES_UNAVAILABLE,
                       "the context has no workspace that the server can see");
}

static int
reply_path(struct agent *agent, const struct call *call)
{
    CLEANUP(tree_decrefp)
    json_t *content = json_pack("{s:s, s:O}", "status", "ok", "path",
                                json_object_get(call->message->content, "path"));

    return call_reply_tree(agent, call, content);
}

static enum workspace_write_how
how_of(const char *mode)
{
    static const char *const modes[] = { [WORKSPACE_WRITE_REPLACE] = "replace",
                                         [WORKSPACE_WRITE_NEW] = "create",
                                         [WORKSPACE_WRITE_APPEND] = "append",
                                         [WORKSPACE_WRITE_AT] = "at" };

    for (size_t i = 0; i < N_ELEMENTS(modes); i++) {
        if (strcmp(modes[i], mode) == 0)
            return (enum workspace_write_how)i;
    }
    return WORKSPACE_WRITE_REPLACE;
}

int
request_write_file(struct agent *agent, struct call *call, struct refusal *no)
{
    const json_t *content = call->message->content;
    const struct wire *wire = &call->message->wire;
    CLEANUP(tree_decrefp) json_t *reply = NULL;
    struct workspace_write wish = {
        .how = how_of(fields_text(content, "mode", "replace")),
        .offset = (uint64_t)fields_integer(content, "offset", 0),
        .make_parents = true,
    };
    struct workspace_file file;
    struct error err = { 0 };
    int folder, r = find_folder(call, &folder, &wish.path, no);

    if (r != 0)
        return r;
    if (wire->buffer_count != 1)
        return refusal_set(no, REFUSAL_INVALID_ARGUMENT,
                           "the request must have one buffer, and has %zu",
                           wire->buffer_count);
    wish.bytes = wire->buffers[0];
    if (wish.bytes.length > WRITE_BYTES_MAX) {
        refusal_set(no, REFUSAL_TOO_LARGE, "more than 32 MiB at once");
        return refusal_detail(no, "limit", json_integer((json_int_t)WRITE_BYTES_MAX));
    }
    r = workspace_files_write(folder, &wish, &file, &err);
    if (r != 0)
        return refuse_file(r, &err, no);
    reply = json_pack("{s:s, s:O, s:I, s:I}", "status", "ok", "path",
                      json_object_get(content, "path"), "bytes_written",
                      (json_int_t)wish.bytes.length, "size", (json_int_t)file.bytes);
    return call_reply_tree(agent, call, reply);
}

static int
reply_bytes(struct agent *agent, const struct call *call, const json_t *content,
            struct slice bytes)
{
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, AGENT_REPLY_BYTES_MAX);
    if (content == NULL)
        return -ENOMEM;
    r = tree_append(&text, content, JSON_COMPACT);
    if (r != 0)
        return r < 0 ? r : -EMSGSIZE;
    return client_reply(agent, call->client,
                        &(struct client_message){
                            .type = "read_file_reply",
                            .header = call->message->wire.header,
                            .content = buffer_slice(&text),
                            .buffers = &bytes,
                            .buffer_count = 1,
                        });
}

int
request_read_file(struct agent *agent, struct call *call, struct refusal *no)
{
    const json_t *content = call->message->content;
    uint64_t offset = (uint64_t)fields_integer(content, "offset", 0);
    uint64_t length =
        (uint64_t)fields_integer(content, "length", WORKSPACE_FILES_READ_BYTES_MAX);
    CLEANUP(tree_decrefp) json_t *reply = NULL;
    CLEANUP(buffer_fini) struct buffer bytes;
    struct workspace_file file;
    struct error err = { 0 };
    struct slice path;
    int folder, r = find_folder(call, &folder, &path, no);

    buffer_init(&bytes, WORKSPACE_FILES_READ_BYTES_MAX);
    if (r == 0)
        r = workspace_files_read(folder, path, offset, length, &bytes, &file, &err);
    if (r != 0)
        return err.text[0] != '\0' ? refuse_file(r, &err, no) : r;
    reply = json_pack("{s:s, s:O, s:I, s:I, s:b}", "status", "ok", "path",
                      json_object_get(content, "path"), "size", (json_int_t)file.bytes,
                      "offset", (json_int_t)offset, "eof",
                      offset + bytes.length >= file.bytes);
    return reply_bytes(agent, call, reply, buffer_slice(&bytes));
}

/* What a path of the client's is below the workspace, without slashes at its ends. */
static struct slice
below_workspace(struct slice path)
{
    size_t length = strlen(WORKSPACE_PATH);

    if (path.length >= length && memcmp(path.data, WORKSPACE_PATH, length) == 0)
        path = (struct slice){ path.data + length, path.length - length };
    while (path.length > 0 &&
           (path.data[0] == '/' ||
            (path.data[0] == '.' && (path.length == 1 || path.data[1] == '/'))))
        path = (struct slice){ path.data + 1, path.length - 1 };
    while (path.length > 0 && path.data[path.length - 1] == '/')
        path.length--;
    return path;
}

static json_t *
describe_entry(const struct workspace_entry *entry, struct slice folder)
{
    static const char *const types[] = { [WORKSPACE_FILE_REGULAR] = "file",
                                         [WORKSPACE_FILE_DIRECTORY] = "directory",
                                         [WORKSPACE_FILE_LINK] = "link",
                                         [WORKSPACE_FILE_OTHER] = "other" };
    CLEANUP(buffer_fini) struct buffer path;
    json_t *name;

    buffer_init(&path, 8 * WORKSPACE_FILES_PATH_BYTES_MAX);
    if (text_append_utf8(&path, folder.data, folder.length) != 0 ||
        (folder.length > 0 && buffer_append_text(&path, "/") != 0) ||
        text_append_utf8(&path, entry->path, strlen(entry->path)) != 0)
        return NULL;
    name = json_stringn((const char *)path.data, path.length);
    return json_pack("{s:o, s:s, s:I, s:I, s:i}", "path", name, "type",
                     types[entry->file.type], "size", (json_int_t)entry->file.bytes,
                     "modified_ms", (json_int_t)entry->file.modified_ms, "mode",
                     (int)entry->file.mode);
}

int
request_list_files(struct agent *agent, struct call *call, struct refusal *no)
{
    bool recursive = fields_flag(call->message->content, "recursive", false);
    struct workspace_list wish = { .depth = recursive ? WORKSPACE_FILES_DEPTH_MAX : 1 };
    struct workspace_listing listing;
    CLEANUP(tree_decrefp) json_t *reply = NULL;
    struct error err = { 0 };
    json_t *list;
    int folder, r = find_folder(call, &folder, &wish.path, no);

    if (r != 0)
        return r;
    r = workspace_files_list(folder, &wish, &listing, &err);
    if (r != 0)
        return refuse_file(r, &err, no);
    list = json_array();
    for (size_t i = 0; i < listing.count; i++)
        json_array_append_new(
            list, describe_entry(&listing.entries[i], below_workspace(wish.path)));
    reply = json_pack("{s:s, s:o, s:b}", "status", "ok", "entries", list, "truncated",
                      listing.truncated);
    workspace_listing_fini(&listing);
    return call_reply_tree(agent, call, reply);
}

int
request_remove_file(struct agent *agent, struct call *call, struct refusal *no)
{
    struct error err = { 0 };
    struct slice path;
    int folder, r = find_folder(call, &folder, &path, no);

    if (r != 0)
        return r;
    r = workspace_files_remove(
        folder, path, fields_flag(call->message->content, "recursive", false), &err);
    return r != 0 ? refuse_file(r, &err, no) : reply_path(agent, call);
}

int
request_make_directory(struct agent *agent, struct call *call, struct refusal *no)
{
    struct error err = { 0 };
    struct slice path;
    int folder, r = find_folder(call, &folder, &path, no);

    if (r != 0)
        return r;
    r = workspace_files_make_directory(folder, path, true, &err);
    return r != 0 ? refuse_file(r, &err, no) : reply_path(agent, call);
}
