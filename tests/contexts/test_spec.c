/* SPDX-License-Identifier: MIT */
#include "contexts/sandbox/spec.h"

#include <limits.h>
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"

static const char *const argv[] = { "/usr/bin/python3", "-c", "", NULL };
static const char *const env[] = { "HOME=/root", "EMPTY=", "UTF8=gr\xc3\xbc\xc3\x9f",
                                   NULL };
static const struct sandbox_mount mounts[] = {
    { .kind = SANDBOX_MOUNT_BIND_RO, .target = "/usr", .source = "/usr" },
    { .kind = SANDBOX_MOUNT_SYMLINK, .target = "/bin", .source = "usr/bin" },
    { .kind = SANDBOX_MOUNT_BIND_RO,
      .flags = SANDBOX_MOUNT_OPTIONAL,
      .target = "/lib32",
      .source = "/lib32" },
    { .kind = SANDBOX_MOUNT_TMPFS,
      .target = "/tmp",
      .bytes = UINT64_C(1) << 40,
      .inodes = 7,
      .mode = 01777 },
    { .kind = SANDBOX_MOUNT_FILE, .target = "/etc/hosts", .source = "127.0.0.1 x\n" },
    { .kind = SANDBOX_MOUNT_FILE, .target = "/etc/empty", .source = "" },
    { .kind = SANDBOX_MOUNT_BIND_RW, .target = "/home/me", .source = "/home/me" },
    { .kind = SANDBOX_MOUNT_MASK, .target = "/home/me/.ssh" },
    { .kind = SANDBOX_MOUNT_GIVEN, .target = "/workspace", .number = UINT64_C(1) << 40 },
};
static const struct sock_filter program[3] = { { .code = 6, .k = 0x7fff0000 } };

static struct sandbox_spec
valid_spec(void)
{
    return (struct sandbox_spec){
        .argv = argv,
        .env = env,
        .directory = "/home/me",
        .make_directory = true,
        .hostname = "cellwall",
        .network = SANDBOX_NETWORK_HOST,
        .limits = { .processes = 100,
                    .open_files = 1024,
                    .file_bytes = 1,
                    .memory_bytes = 2,
                    .cpu_milli = 3 },
        .mounts = mounts,
        .mount_count = N_ELEMENTS(mounts),
        .seccomp = { .data = (const uint8_t *)program, .length = sizeof program },
    };
}

static void
assert_same_text(const char *a, const char *b)
{
    if (a == NULL || b == NULL)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void
assert_same_strings(const char *const *a, const char *const *b)
{
    size_t i;

    for (i = 0; a[i] != NULL && b[i] != NULL; i++)
        assert_string_equal(a[i], b[i]);
    assert_ptr_equal(a[i], b[i]);
}

static void
assert_same(const struct sandbox_spec *a, const struct sandbox_spec *b)
{
    assert_same_strings(a->argv, b->argv);
    assert_same_strings(a->env, b->env);
    assert_string_equal(a->directory, b->directory);
    assert_int_equal(a->make_directory, b->make_directory);
    assert_string_equal(a->hostname, b->hostname);
    assert_int_equal(a->network, b->network);
    assert_memory_equal(&a->limits, &b->limits, sizeof a->limits);
    assert_int_equal(a->mount_count, b->mount_count);
    for (size_t i = 0; i < a->mount_count; i++) {
        assert_int_equal(a->mounts[i].kind, b->mounts[i].kind);
        assert_int_equal(a->mounts[i].flags, b->mounts[i].flags);
        assert_string_equal(a->mounts[i].target, b->mounts[i].target);
        assert_same_text(a->mounts[i].source, b->mounts[i].source);
        assert_true(a->mounts[i].bytes == b->mounts[i].bytes);
        assert_true(a->mounts[i].inodes == b->mounts[i].inodes);
        assert_int_equal(a->mounts[i].mode, b->mounts[i].mode);
        assert_true(a->mounts[i].number == b->mounts[i].number);
    }
    assert_int_equal(a->seccomp.length, b->seccomp.length);
    assert_memory_equal(a->seccomp.data, b->seccomp.data, a->seccomp.length);
}

static int
encode(struct buffer *buffer, const struct sandbox_spec *spec)
{
    struct error err = { 0 };
    int r;

    buffer_init(buffer, SANDBOX_SPEC_BYTES_MAX);
    r = sandbox_spec_encode(buffer, spec, &err);
    assert_int_equal(r != 0, err.text[0] != '\0');
    if (r != 0)
        assert_int_equal(buffer->length, 0);
    return r;
}

/* Decodes from memory of exactly that size, so that a sanitizer sees a read beyond. */
static int
decode(struct sandbox_spec_copy *copy, const uint8_t *data, size_t length)
{
    uint8_t *exact = malloc(length == 0 ? 1 : length);
    struct error err = { 0 };
    int r;

    assert_non_null(exact);
    if (length > 0)
        memcpy(exact, data, length);
    r = sandbox_spec_decode(copy, (struct slice){ .data = exact, .length = length },
                            &err);
    assert_int_equal(r != 0, err.text[0] != '\0');
    free(exact);
    return r;
}

static void
test_a_spec_survives_the_journey(void **state)
{
    struct sandbox_spec spec = valid_spec();
    struct sandbox_spec_copy copy;
    struct buffer buffer;

    (void)state;
    assert_int_equal(encode(&buffer, &spec), 0);
    assert_int_equal(decode(&copy, buffer.data, buffer.length), 0);
    assert_same(&copy.spec, &spec);
    assert_int_equal((uintptr_t)copy.spec.seccomp.data % _Alignof(struct sock_filter), 0);
    sandbox_spec_copy_fini(&copy);
    sandbox_spec_copy_fini(&copy);

    spec.mount_count = 0;
    spec.env = (const char *const[]){ NULL };
    buffer_fini(&buffer);
    assert_int_equal(encode(&buffer, &spec), 0);
    assert_int_equal(decode(&copy, buffer.data, buffer.length), 0);
    assert_same(&copy.spec, &spec);
    sandbox_spec_copy_fini(&copy);
    buffer_fini(&buffer);
}

static void
test_a_spec_that_is_cut_anywhere_is_refused(void **state)
{
    struct sandbox_spec spec = valid_spec();
    struct sandbox_spec_copy copy;
    struct buffer buffer;

    (void)state;
    assert_int_equal(encode(&buffer, &spec), 0);
    for (size_t length = 0; length < buffer.length; length++)
        assert_int_equal(decode(&copy, buffer.data, length), SANDBOX_SPEC_E_INVALID);
    buffer_fini(&buffer);
}

static void
test_trailing_bytes_are_refused(void **state)
{
    struct sandbox_spec spec = valid_spec();
    struct sandbox_spec_copy copy;
    struct buffer buffer;

    (void)state;
    assert_int_equal(encode(&buffer, &spec), 0);
    assert_int_equal(buffer_append(&buffer, "", 1), 0);
    assert_int_equal(decode(&copy, buffer.data, buffer.length), SANDBOX_SPEC_E_INVALID);
    buffer_fini(&buffer);
}

/* What is not refused must be a spec again, byte for byte the same. */
static void
test_any_changed_byte_is_refused_or_read_exactly(void **state)
{
    static const uint8_t changes[] = { 0x01, 0x80, 0xff };
    struct sandbox_spec spec = valid_spec();
    struct sandbox_spec_copy copy;
    struct buffer buffer, again;

    (void)state;
    assert_int_equal(encode(&buffer, &spec), 0);
    for (size_t i = 0; i < buffer.length * N_ELEMENTS(changes); i++) {
        uint8_t change = changes[i % N_ELEMENTS(changes)];
        uint8_t *byte = &buffer.data[i / N_ELEMENTS(changes)];

        *byte ^= change;
        if (decode(&copy, buffer.data, buffer.length) == 0) {
            assert_int_equal(encode(&again, &copy.spec), 0);
            assert_int_equal(again.length, buffer.length);
            assert_memory_equal(again.data, buffer.data, buffer.length);
            buffer_fini(&again);
            sandbox_spec_copy_fini(&copy);
        }
        *byte ^= change;
    }
    buffer_fini(&buffer);
}

static void
test_counts_that_are_not_there_cost_no_memory(void **state)
{
    struct sandbox_spec spec = valid_spec();
    struct sandbox_spec_copy copy;
    struct buffer buffer;

    (void)state;
    assert_int_equal(encode(&buffer, &spec), 0);
    for (size_t offset = 48; offset < 64; offset += 4) { /* program, argv, env, mounts */
        uint8_t kept[4];

        memcpy(kept, buffer.data + offset, 4);
        memset(buffer.data + offset, 0xff, 4);
        assert_int_equal(decode(&copy, buffer.data, buffer.length),
                         SANDBOX_SPEC_E_INVALID);
        memcpy(buffer.data + offset, kept, 4);
    }
    buffer_fini(&buffer);
}

static void
test_a_spec_is_appended_to_what_is_there(void **state)
{
    struct sandbox_spec spec = valid_spec();
    struct sandbox_spec_copy copy;
    struct buffer buffer;

    (void)state;
    buffer_init(&buffer, SANDBOX_SPEC_BYTES_MAX + 8);
    assert_int_equal(buffer_append(&buffer, "12345678", 8), 0);
    assert_int_equal(sandbox_spec_encode(&buffer, &spec, NULL), 0);
    assert_int_equal(decode(&copy, buffer.data + 8, buffer.length - 8), 0);
    sandbox_spec_copy_fini(&copy);
    buffer_fini(&buffer);
}

static void
assert_refused(const struct sandbox_spec *spec)
{
    struct buffer buffer;

    assert_int_equal(encode(&buffer, spec), SANDBOX_SPEC_E_INVALID);
    buffer_fini(&buffer);
}

static void
test_a_program_must_be_a_plain_absolute_path(void **state)
{
    static const char *const wrong[] = { "",     "python3", "./x", "/usr/../x", "/a//b",
                                         "/a/.", "/a/",     "/..", NULL };
    struct sandbox_spec spec = valid_spec();

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
        spec.argv = (const char *const[]){ wrong[i], NULL };
        assert_refused(&spec);
        spec.argv = argv;
        spec.directory = wrong[i];
        assert_refused(&spec);
        spec.directory = "/";
    }
}

static void
test_variables_must_have_a_name(void **state)
{
    static const char *const wrong[] = { "", "=x", "NAME" };
    struct sandbox_spec spec = valid_spec();

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
        spec.env = (const char *const[]){ "A=b", wrong[i], NULL };
        assert_refused(&spec);
    }
}

static void
test_mounts_out_of_bounds_are_refused(void **state)
{
    static char long_path[PATH_MAX + 1];
    const struct sandbox_mount wrong[] = {
        { .kind = SANDBOX_MOUNT_END, .target = "/a", .source = "/a" },
        { .kind = SANDBOX_MOUNT_BIND_RO, .flags = 2, .target = "/a", .source = "/a" },
        { .kind = SANDBOX_MOUNT_BIND_RO, .target = "/", .source = "/a" },
        { .kind = SANDBOX_MOUNT_BIND_RO, .target = "a", .source = "/a" },
        { .kind = SANDBOX_MOUNT_BIND_RO, .target = "/a/../b", .source = "/a" },
        { .kind = SANDBOX_MOUNT_BIND_RO, .target = NULL, .source = "/a" },
        { .kind = SANDBOX_MOUNT_BIND_RO, .target = "/a" },
        { .kind = SANDBOX_MOUNT_BIND_RW, .target = "/a", .source = "b" },
        { .kind = SANDBOX_MOUNT_BIND_RW, .target = "/a", .source = "/b/.." },
        { .kind = SANDBOX_MOUNT_BIND_RW, .target = "/a", .source = long_path },
        { .kind = SANDBOX_MOUNT_SYMLINK, .target = "/a", .source = "" },
        { .kind = SANDBOX_MOUNT_SYMLINK, .target = "/a", .source = long_path },
        { .kind = SANDBOX_MOUNT_FILE, .target = "/a" },
        { .kind = SANDBOX_MOUNT_TMPFS, .target = "/a", .inodes = 1 },
        { .kind = SANDBOX_MOUNT_TMPFS, .target = "/a", .bytes = 1 },
        { .kind = SANDBOX_MOUNT_TMPFS,
          .target = "/a",
          .bytes = 1,
          .inodes = 1,
          .mode = 010000 },
        { .kind = SANDBOX_MOUNT_GIVEN, .target = "/a" },
        { .kind = SANDBOX_MOUNT_GIVEN, .target = "a", .number = 1 },
    };
    struct sandbox_spec spec = valid_spec();

    (void)state;
    memset(long_path, 'x', PATH_MAX);
    long_path[0] = '/';
    spec.mount_count = 1;
    for (size_t i = 0; i < N_ELEMENTS(wrong); i++) {
        spec.mounts = &wrong[i];
        assert_refused(&spec);
    }
}

static void
test_a_workspace_is_for_one_mount_of_a_full_runner(void **state)
{
    const struct sandbox_mount given = { .kind = SANDBOX_MOUNT_GIVEN,
                                         .target = "/a",
                                         .number = 5 };
    const struct sandbox_mount two[] = { given, given };
    struct sandbox_spec spec = valid_spec();

    (void)state;
    assert_true(sandbox_spec_workspace(&spec) == UINT64_C(1) << 40);
    spec.tier = SANDBOX_TIER_NESTED;
    assert_refused(&spec);
    spec.tier = SANDBOX_TIER_FULL;
    spec.role = SANDBOX_ROLE_ZYGOTE;
    assert_refused(&spec);
    spec.role = SANDBOX_ROLE_RUNNER;
    spec.mounts = two;
    spec.mount_count = 2;
    assert_refused(&spec);
    spec.mount_count = 0;
    assert_int_equal(sandbox_spec_workspace(&spec), 0);
}

static void
test_a_spec_without_a_program_of_rules_is_refused(void **state)
{
    static const uint8_t many[(BPF_MAXINSNS + 1) * sizeof(struct sock_filter)];
    struct sandbox_spec spec = valid_spec();

    (void)state;
    spec.seccomp.length = 0;
    assert_refused(&spec);
    spec.seccomp.length = sizeof program - 1;
    assert_refused(&spec);
    spec.seccomp = (struct slice){ .data = many, .length = sizeof many };
    assert_refused(&spec);
}

static void
test_limits_network_and_host_name_are_checked(void **state)
{
    struct sandbox_spec spec = valid_spec();

    (void)state;
    spec.limits.processes = 0;
    assert_refused(&spec);
    spec = valid_spec();
    spec.limits.open_files = 3;
    assert_refused(&spec);
    spec = valid_spec();
    spec.network = (enum sandbox_network)2;
    assert_refused(&spec);
    spec = valid_spec();
    spec.hostname = "";
    assert_refused(&spec);
    spec.hostname = "a b";
    assert_refused(&spec);
    spec.hostname = NULL;
    assert_refused(&spec);
}

static void
test_too_many_strings_mounts_or_bytes_are_refused(void **state)
{
    static const char *many[SANDBOX_STRINGS_MAX + 2];
    static struct sandbox_mount many_mounts[SANDBOX_MOUNTS_MAX + 1];
    static char large[SANDBOX_SPEC_BYTES_MAX];
    struct sandbox_spec spec = valid_spec();

    (void)state;
    for (size_t i = 0; i <= SANDBOX_STRINGS_MAX; i++)
        many[i] = "/A=";
    spec.argv = many;
    assert_refused(&spec);
    spec.argv = argv;
    spec.env = many;
    assert_refused(&spec);
    spec.env = env;
    for (size_t i = 0; i <= SANDBOX_MOUNTS_MAX; i++)
        many_mounts[i] = mounts[0];
    spec.mounts = many_mounts;
    spec.mount_count = SANDBOX_MOUNTS_MAX + 1;
    assert_refused(&spec);
    spec.mount_count = 1;
    memset(large, 'x', sizeof large - 1);
    large[1] = '=';
    spec.env = (const char *const[]){ large, NULL };
    assert_refused(&spec);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_spec_survives_the_journey),
        cmocka_unit_test(test_a_spec_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(test_trailing_bytes_are_refused),
        cmocka_unit_test(test_any_changed_byte_is_refused_or_read_exactly),
        cmocka_unit_test(test_counts_that_are_not_there_cost_no_memory),
        cmocka_unit_test(test_a_spec_is_appended_to_what_is_there),
        cmocka_unit_test(test_a_program_must_be_a_plain_absolute_path),
        cmocka_unit_test(test_variables_must_have_a_name),
        cmocka_unit_test(test_mounts_out_of_bounds_are_refused),
        cmocka_unit_test(test_a_workspace_is_for_one_mount_of_a_full_runner),
        cmocka_unit_test(test_a_spec_without_a_program_of_rules_is_refused),
        cmocka_unit_test(test_limits_network_and_host_name_are_checked),
        cmocka_unit_test(test_too_many_strings_mounts_or_bytes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
