/* SPDX-License-Identifier: MIT */
/*
 * The encoded spec, little-endian:
 *
 *     offset  size  field
 *      0       4    SPEC_TAG
 *      4       1    network
 *      5       1    tier
 *      6       1    role
 *      7       1    flags: SPEC_MAKE_DIRECTORY
 *      8      40    limits: processes, open files, file bytes, memory bytes, CPU
 *     48       4    bytes of the seccomp program
 *     52       4    strings in argv
 *     56       4    strings in env
 *     60       4    mounts
 *     64            the seccomp program
 *           then    directory, hostname, argv, env: strings
 *           then    each mount: kind (4), flags (4); target; source, if its kind has one;
 *                   bytes (8), inodes (8), mode (4) of a TMPFS; number (8) if it is GIVEN
 *
 * A string is its length with its NUL (4), then its bytes with the NUL, so that a decoded
 * spec points into its own copy of what arrived. The program comes first to be aligned.
 * Both directions end in the same check_spec: what can be decoded could be encoded.
 */
#include "contexts/sandbox/spec.h"

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

#define SPEC_TAG UINT32_C(0x32535743) /* "CWS2" */
#define HEAD_BYTES 64
#define HOSTNAME_BYTES_MAX 64
#define SPEC_MAKE_DIRECTORY 1
#define OPEN_FILES_MIN 16

/* What a mount of each kind carries besides its target. */
static const struct mount_form {
    bool has_source;
    bool source_is_path;
    bool has_bounds;
    bool has_number;
} mount_forms[] = {
    [SANDBOX_MOUNT_BIND_RO] = { .has_source = true, .source_is_path = true },
    [SANDBOX_MOUNT_BIND_RW] = { .has_source = true, .source_is_path = true },
    [SANDBOX_MOUNT_TMPFS] = { .has_bounds = true },
    [SANDBOX_MOUNT_FILE] = { .has_source = true },
    [SANDBOX_MOUNT_SYMLINK] = { .has_source = true },
    [SANDBOX_MOUNT_MASK] = { .has_source = false },
    [SANDBOX_MOUNT_GIVEN] = { .has_number = true },
};
_Static_assert(N_ELEMENTS(mount_forms) == SANDBOX_MOUNT_END, "a row for each kind");

/* An absolute path that names what it says: no "." or "..", no empty part. */
static bool
is_clean_path(const char *path)
{
    if (path == NULL || path[0] != '/' || strlen(path) >= PATH_MAX)
        return false;
    if (path[1] == '\0')
        return true;
    while (*path == '/') {
        size_t length = strcspn(++path, "/");

        if (length == 0 || (length == 1 && path[0] == '.') ||
            (length == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        path += length;
    }
    return true;
}

static size_t
count_strings(const char *const *strings)
{
    size_t count = 0;

    while (strings != NULL && strings[count] != NULL)
        count++;
    return count;
}

static int
check_mount(const struct sandbox_mount *mount, struct error *err)
{
    const struct mount_form *form;

    if ((unsigned)mount->kind >= SANDBOX_MOUNT_END ||
        (mount->flags & ~(unsigned)SANDBOX_MOUNT_OPTIONAL) != 0)
        return error_set(err, SANDBOX_SPEC_E_INVALID, "a mount of an unknown kind");
    form = &mount_forms[mount->kind];
    if (!is_clean_path(mount->target) || mount->target[1] == '\0')
        return error_set(err, SANDBOX_SPEC_E_INVALID,
                         "the target of a mount must be a plain absolute path: '%.200s'",
                         mount->target == NULL ? "" : mount->target);
    if (form->has_source && mount->source == NULL)
        return error_set(err, SANDBOX_SPEC_E_INVALID, "the mount on %.200s has no source",
                         mount->target);
    if (form->source_is_path && !is_clean_path(mount->source))
        return error_set(err, SANDBOX_SPEC_E_INVALID,
                         "the source of a mount must be a plain absolute path: '%.200s'",
                         mount->source);
    if (mount->kind == SANDBOX_MOUNT_SYMLINK && mount->source != NULL &&
        (mount->source[0] == '\0' || strlen(mount->source) >= PATH_MAX))
        return error_set(err, SANDBOX_SPEC_E_INVALID, "%.200s links to nothing",
                         mount->target);
    if (form->has_bounds &&
        (mount->bytes == 0 || mount->inodes == 0 || mount->mode > 07777))
        return error_set(err, SANDBOX_SPEC_E_INVALID,
                         "the tmpfs on %.200s must have a size, inodes and a mode",
                         mount->target);
    if (form->has_number && mount->number == 0)
        return error_set(err, SANDBOX_SPEC_E_INVALID, "no workspace for %.200s",
                         mount->target);
    return 0;
}

static int
check_mounts(const struct sandbox_spec *spec, struct error *err)
{
    size_t given = 0;
    int r = 0;

    if (spec->mount_count > SANDBOX_MOUNTS_MAX)
        return error_set(err, SANDBOX_SPEC_E_INVALID, "more than %d mounts",
                         SANDBOX_MOUNTS_MAX);
    for (size_t i = 0; i < spec->mount_count && r == 0; i++) {
        r = check_mount(&spec->mounts[i], err);
        given += spec->mounts[i].kind == SANDBOX_MOUNT_GIVEN;
    }
    if (r == 0 && given > 0 &&
        (given > 1 || spec->role != SANDBOX_ROLE_RUNNER ||
         spec->tier != SANDBOX_TIER_FULL))
        return error_set(
            err, SANDBOX_SPEC_E_INVALID,
            "a workspace is for a runner in the full tier, and the only one");
    return r;
}

uint64_t
sandbox_spec_workspace(const struct sandbox_spec *spec)
{
    for (size_t i = 0; i < spec->mount_count; i++)
        if (spec->mounts[i].kind == SANDBOX_MOUNT_GIVEN)
            return spec->mounts[i].number;
    return 0;
}

static bool
is_hostname(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789-.";
    size_t length = name == NULL ? 0 : strlen(name);

    return length > 0 && length <= HOSTNAME_BYTES_MAX && strspn(name, letters) == length;
}

static int
check_program(struct slice program, struct error *err)
{
    size_t count = program.length / sizeof(struct sock_filter);

    if (count == 0 || count > BPF_MAXINSNS ||
        program.length % sizeof(struct sock_filter) != 0)
        return error_set(err, SANDBOX_SPEC_E_INVALID, "no usable seccomp program");
    return 0;
}

static int
check_strings(const struct sandbox_spec *spec, struct error *err)
{
    size_t argc = count_strings(spec->argv), envc = count_strings(spec->env);

    if (argc > SANDBOX_STRINGS_MAX || envc > SANDBOX_STRINGS_MAX)
        return error_set(err, SANDBOX_SPEC_E_INVALID,
                         "more than %d arguments or variables", SANDBOX_STRINGS_MAX);
    if (argc == 0 || !is_clean_path(spec->argv[0]))
        return error_set(err, SANDBOX_SPEC_E_INVALID,
                         "the program must be a plain absolute path: '%.200s'",
                         argc == 0 ? "" : spec->argv[0]);
    for (size_t i = 0; i < envc; i++) {
        const char *equals = strchr(spec->env[i], '=');

        if (equals == NULL || equals == spec->env[i])
            return error_set(err, SANDBOX_SPEC_E_INVALID,
                             "a variable must be NAME=value: '%.60s'", spec->env[i]);
    }
    return 0;
}

static int
check_spec(const struct sandbox_spec *spec, struct error *err)
{
    int r = check_strings(spec, err);

    if (r != 0)
        return r;
    if (!is_clean_path(spec->directory))
        return error_set(err, SANDBOX_SPEC_E_INVALID,
                         "the directory must be a plain absolute path: '%.200s'",
                         spec->directory == NULL ? "" : spec->directory);
    if (!is_hostname(spec->hostname))
        return error_set(err, SANDBOX_SPEC_E_INVALID, "not a host name: '%.80s'",
                         spec->hostname == NULL ? "" : spec->hostname);
    if (spec->network != SANDBOX_NETWORK_NONE && spec->network != SANDBOX_NETWORK_HOST)
        return error_set(err, SANDBOX_SPEC_E_INVALID, "an unknown kind of network");
    if (spec->role != SANDBOX_ROLE_RUNNER && spec->role != SANDBOX_ROLE_ZYGOTE)
        return error_set(err, SANDBOX_SPEC_E_INVALID, "an unknown role");
    if (spec->tier != SANDBOX_TIER_FULL &&
        (spec->tier != SANDBOX_TIER_NESTED || spec->role != SANDBOX_ROLE_RUNNER))
        return error_set(err, SANDBOX_SPEC_E_INVALID, "an unknown tier for this role");
    if (spec->limits.processes == 0 || spec->limits.open_files < OPEN_FILES_MIN)
        return error_set(err, SANDBOX_SPEC_E_INVALID,
                         "at least one process and %d open files are needed",
                         OPEN_FILES_MIN);
    r = check_mounts(spec, err);
    return r != 0 ? r : check_program(spec->seccomp, err);
}

static int
put_integer(struct buffer *buffer, uint64_t value, size_t size)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    return buffer_append(buffer, bytes, size);
}

static int
put_u32(struct buffer *buffer, uint32_t value)
{
    return put_integer(buffer, value, 4);
}

static int
put_u64(struct buffer *buffer, uint64_t value)
{
    return put_integer(buffer, value, 8);
}

static int
put_string(struct buffer *buffer, const char *text)
{
    size_t length = strlen(text) + 1;
    int r;

    if (length > SANDBOX_SPEC_BYTES_MAX)
        return BUFFER_E_FULL;
    r = put_u32(buffer, (uint32_t)length);
    return r != 0 ? r : buffer_append(buffer, text, length);
}

static int
put_strings(struct buffer *buffer, const char *const *strings)
{
    int r = 0;

    for (size_t i = 0; r == 0 && strings != NULL && strings[i] != NULL; i++)
        r = put_string(buffer, strings[i]);
    return r;
}

static int
put_mount(struct buffer *buffer, const struct sandbox_mount *mount)
{
    const struct mount_form *form = &mount_forms[mount->kind];
    int r;

    if ((r = put_u32(buffer, mount->kind)) != 0 ||
        (r = put_u32(buffer, mount->flags)) != 0 ||
        (r = put_string(buffer, mount->target)) != 0)
        return r;
    if (form->has_source)
        return put_string(buffer, mount->source);
    if (form->has_number)
        return put_u64(buffer, mount->number);
    if (form->has_bounds && (r = put_u64(buffer, mount->bytes)) == 0 &&
        (r = put_u64(buffer, mount->inodes)) == 0)
        r = put_u32(buffer, mount->mode);
    return r;
}

static int
put_head(struct buffer *buffer, const struct sandbox_spec *spec)
{
    int r;

    if ((r = put_u32(buffer, SPEC_TAG)) != 0 ||
        (r = put_integer(buffer, spec->network, 1)) != 0 ||
        (r = put_integer(buffer, spec->tier, 1)) != 0 ||
        (r = put_integer(buffer, spec->role, 1)) != 0 ||
        (r = put_integer(buffer, spec->make_directory ? SPEC_MAKE_DIRECTORY : 0, 1)) !=
            0 ||
        (r = put_u64(buffer, spec->limits.processes)) != 0 ||
        (r = put_u64(buffer, spec->limits.open_files)) != 0 ||
        (r = put_u64(buffer, spec->limits.file_bytes)) != 0 ||
        (r = put_u64(buffer, spec->limits.memory_bytes)) != 0 ||
        (r = put_u64(buffer, spec->limits.cpu_milli)) != 0 ||
        (r = put_u32(buffer, (uint32_t)spec->seccomp.length)) != 0 ||
        (r = put_u32(buffer, (uint32_t)count_strings(spec->argv))) != 0 ||
        (r = put_u32(buffer, (uint32_t)count_strings(spec->env))) != 0)
        return r;
    return put_u32(buffer, (uint32_t)spec->mount_count);
}

static int
put_spec(struct buffer *buffer, const struct sandbox_spec *spec)
{
    int r;

    if ((r = put_head(buffer, spec)) != 0 ||
        (r = buffer_append(buffer, spec->seccomp.data, spec->seccomp.length)) != 0 ||
        (r = put_string(buffer, spec->directory)) != 0 ||
        (r = put_string(buffer, spec->hostname)) != 0 ||
        (r = put_strings(buffer, spec->argv)) != 0 ||
        (r = put_strings(buffer, spec->env)) != 0)
        return r;
    for (size_t i = 0; i < spec->mount_count && r == 0; i++)
        r = put_mount(buffer, &spec->mounts[i]);
    return r;
}

int
sandbox_spec_encode(struct buffer *ret, const struct sandbox_spec *spec,
                    struct error *err)
{
    size_t start = ret->length;
    int r = check_spec(spec, err);

    if (r != 0)
        return r;
    r = put_spec(ret, spec);
    if (r == BUFFER_E_FULL || (r == 0 && ret->length - start > SANDBOX_SPEC_BYTES_MAX))
        r = error_set(err, SANDBOX_SPEC_E_INVALID,
                      "arguments, variables and mounts are more than %zu bytes",
                      SANDBOX_SPEC_BYTES_MAX);
    if (r != 0)
        ret->length = start;
    return r;
}

/* Once it has failed it gives zeros; the caller asks at the end. */
struct reader {
    const uint8_t *at;
    size_t left;
    bool failed;
};

static const uint8_t *
get_bytes(struct reader *reader, size_t length)
{
    const uint8_t *at = reader->at;

    if (reader->failed || length > reader->left) {
        reader->failed = true;
        return NULL;
    }
    reader->at += length;
    reader->left -= length;
    return at;
}

static uint64_t
get_integer(struct reader *reader, size_t size)
{
    const uint8_t *bytes = get_bytes(reader, size);
    uint64_t value = 0;

    for (size_t i = 0; bytes != NULL && i < size; i++)
        value |= (uint64_t)bytes[i] << 8 * i;
    return value;
}

static uint32_t
get_u32(struct reader *reader)
{
    return (uint32_t)get_integer(reader, 4);
}

static uint64_t
get_u64(struct reader *reader)
{
    return get_integer(reader, 8);
}

static const char *
get_string(struct reader *reader)
{
    uint32_t length = get_u32(reader);
    const uint8_t *bytes = get_bytes(reader, length);

    if (length == 0 || bytes == NULL ||
        memchr(bytes, '\0', length) != bytes + length - 1) {
        reader->failed = true;
        return NULL;
    }
    return (const char *)bytes;
}

static void
get_mount(struct reader *reader, struct sandbox_mount *ret)
{
    uint32_t kind = get_u32(reader);

    *ret = (struct sandbox_mount){ .flags = get_u32(reader) };
    if (kind >= SANDBOX_MOUNT_END) {
        reader->failed = true;
        return;
    }
    ret->kind = (enum sandbox_mount_kind)kind;
    ret->target = get_string(reader);
    if (mount_forms[kind].has_source)
        ret->source = get_string(reader);
    if (mount_forms[kind].has_bounds) {
        ret->bytes = get_u64(reader);
        ret->inodes = get_u64(reader);
        ret->mode = get_u32(reader);
    }
    if (mount_forms[kind].has_number)
        ret->number = get_u64(reader);
}

struct head {
    uint32_t network, tier, role, flags, program_bytes, argc, envc, mount_count;
    struct sandbox_limits limits;
};

static bool
get_head(struct reader *reader, struct head *ret)
{
    uint32_t tag = get_u32(reader);

    ret->network = (uint32_t)get_integer(reader, 1);
    ret->tier = (uint32_t)get_integer(reader, 1);
    ret->role = (uint32_t)get_integer(reader, 1);
    ret->flags = (uint32_t)get_integer(reader, 1);
    ret->limits.processes = get_u64(reader);
    ret->limits.open_files = get_u64(reader);
    ret->limits.file_bytes = get_u64(reader);
    ret->limits.memory_bytes = get_u64(reader);
    ret->limits.cpu_milli = get_u64(reader);
    ret->program_bytes = get_u32(reader);
    ret->argc = get_u32(reader);
    ret->envc = get_u32(reader);
    ret->mount_count = get_u32(reader);
    return !reader->failed && tag == SPEC_TAG && ret->network <= SANDBOX_NETWORK_HOST &&
           ret->tier <= SANDBOX_TIER_NESTED && ret->role <= SANDBOX_ROLE_ZYGOTE &&
           ret->flags <= SPEC_MAKE_DIRECTORY && ret->argc <= SANDBOX_STRINGS_MAX &&
           ret->envc <= SANDBOX_STRINGS_MAX && ret->mount_count <= SANDBOX_MOUNTS_MAX;
}

/* READER is behind the head; MOUNTS and STRINGS have room for what the head announces. */
static bool
get_spec(struct reader *reader, const struct head *head, struct sandbox_mount *mounts,
         const char **strings, struct sandbox_spec *ret)
{
    const char **argv = strings, **env = strings + head->argc + 1;

    *ret = (struct sandbox_spec){ .argv = argv,
                                  .env = env,
                                  .tier = (enum sandbox_tier)head->tier,
                                  .network = (enum sandbox_network)head->network,
                                  .role = (enum sandbox_role)head->role,
                                  .make_directory = head->flags != 0,
                                  .limits = head->limits,
                                  .mounts = mounts,
                                  .mount_count = head->mount_count };
    ret->seccomp.data = get_bytes(reader, head->program_bytes);
    ret->seccomp.length = head->program_bytes;
    ret->directory = get_string(reader);
    ret->hostname = get_string(reader);
    for (uint32_t i = 0; i < head->argc; i++)
        argv[i] = get_string(reader);
    argv[head->argc] = NULL;
    for (uint32_t i = 0; i < head->envc; i++)
        env[i] = get_string(reader);
    env[head->envc] = NULL;
    for (uint32_t i = 0; i < head->mount_count; i++)
        get_mount(reader, &mounts[i]);
    return !reader->failed && reader->left == 0;
}

int
sandbox_spec_decode(struct sandbox_spec_copy *ret, struct slice data, struct error *err)
{
    struct reader reader = { .at = data.data, .left = data.length };
    CLEANUP(freep) uint8_t *memory = NULL;
    struct sandbox_spec spec;
    struct head head;
    size_t mount_bytes, string_bytes;
    int r;

    if (data.length > SANDBOX_SPEC_BYTES_MAX || !get_head(&reader, &head))
        return error_set(err, SANDBOX_SPEC_E_INVALID, "not a sandbox spec");
    mount_bytes = head.mount_count * sizeof *spec.mounts;
    string_bytes = ((size_t)head.argc + head.envc + 2) * sizeof *spec.argv;
    memory = malloc(mount_bytes + string_bytes + data.length);
    if (memory == NULL)
        return -ENOMEM;
    memcpy(memory + mount_bytes + string_bytes, data.data, data.length);
    reader.at = memory + mount_bytes + string_bytes + HEAD_BYTES;
    if (!get_spec(&reader, &head, (struct sandbox_mount *)(void *)memory,
                  (const char **)(void *)(memory + mount_bytes), &spec))
        return error_set(err, SANDBOX_SPEC_E_INVALID, "a broken sandbox spec");
    r = check_spec(&spec, err);
    if (r != 0)
        return r;
    *ret = (struct sandbox_spec_copy){
        .spec = spec, .memory = memory, .bytes = mount_bytes + string_bytes + data.length
    };
    memory = NULL;
    return 0;
}

void
sandbox_spec_copy_fini(struct sandbox_spec_copy *copy)
{
    if (copy->memory != NULL)
        explicit_bzero(copy->memory, copy->bytes);
    free(copy->memory);
    *copy = (struct sandbox_spec_copy){ 0 };
}
