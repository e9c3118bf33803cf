/* SPDX-License-Identifier: MIT */
#include "runtimes/jupyter/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"
#include "protocol/tree.h"
#include "runtimes/jupyter/kernel.h"
#include "runtimes/jupyter/kernel_json.h"
#include "runtimes/jupyter/mounts.h"

#define PROBE_S 15 /* for the kernel's answer: who asks waits longer */
#define LAST_WORDS_BYTES 400
#define INFO_BYTES_MAX ((size_t)128 * 1024)
#define BANNER_BYTES_MAX 16384

/* What kernels print goes into memory, and stdout is only for the answer. */
static int
divert_output(int *ret_stdout, int *ret_said)
{
    *ret_said = memfd_create("output", MFD_CLOEXEC);
    *ret_stdout = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (*ret_said < 0 || *ret_stdout < 0)
        return -errno;
    if (fcntl(*ret_said, F_SETFL, O_APPEND) < 0 || dup2(*ret_said, STDOUT_FILENO) < 0 ||
        dup2(*ret_said, STDERR_FILENO) < 0)
        return -errno;
    return 0;
}

/* The end of what it has printed, on one line. */
static void
read_last_words(int said, char ret[LAST_WORDS_BYTES])
{
    off_t end = lseek(said, 0, SEEK_END);
    off_t from = end > LAST_WORDS_BYTES - 1 ? end - (LAST_WORDS_BYTES - 1) : 0;
    ssize_t n = pread(said, ret, LAST_WORDS_BYTES - 1, from);

    ret[n > 0 ? n : 0] = '\0';
    for (char *at = ret; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
            *at = ' ';
}

static json_t *
fail(const struct kernel_json *spec, int status, int said)
{
    char words[LAST_WORDS_BYTES], text[2 * LAST_WORDS_BYTES];

    read_last_words(said, words);
    snprintf(text, sizeof text, "the kernel %s ended before it answered (%s %d)%s%s",
             spec->name, WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
             words[0] != '\0' ? ": " : "", words);
    return json_pack("{s:s}", "error", text);
}

static void
add_info(json_t *answer, const struct kernel_json *spec, struct slice content)
{
    const struct json_limits limits = { INFO_BYTES_MAX, 32 };
    CLEANUP(tree_decrefp) json_t *info = NULL;
    json_t *language = NULL, *banner;

    if (content.length > 0 && tree_load_object(&info, content, &limits, NULL) == 0)
        language = json_object_get(info, "language_info");
    if (json_is_object(language))
        json_object_set(answer, "language_info", language);
    else
        json_object_set_new(answer, "language_info",
                            json_pack("{s:s}", "name", spec->language));
    json_object_set(answer, "version", json_object_get(language, "version"));
    banner = json_object_get(info, "banner");
    if (json_is_string(banner) && json_string_length(banner) <= BANNER_BYTES_MAX)
        json_object_set(answer, "banner", banner);
}

/* A kernel that takes longer to start can be used; what it is, its kernelspec says. */
static json_t *
describe(const struct kernel_json *spec, int said)
{
    struct kernel kernel = { 0 };
    struct error err = { 0 };
    json_t *answer = NULL, *mounts = NULL;
    int r = kernel_start(&kernel, spec, NULL, &err);

    if (r == KERNEL_E_ENDED)
        answer = fail(spec, kernel.status, said);
    else if (r < 0)
        answer =
            json_pack("{s:s}", "error", err.text[0] != '\0' ? err.text : strerror(-r));
    else if (mounts_find(&mounts, spec) == 0)
        answer = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s*, s:o}", "logos", spec->folder,
                           "executable", spec->path, "name", spec->name, "display_name",
                           spec->display_name, "language", spec->language, "prefix",
                           spec->prefix, "mounts", mounts);
    if (mounts != NULL && answer != NULL)
        add_info(answer, spec, buffer_slice(&kernel.info));
    kernel_fini(&kernel);
    return answer;
}

int
probe_kernel(const char *path)
{
    CLEANUP(kernel_json_destroyp) struct kernel_json *spec = NULL;
    CLEANUP(tree_decrefp) json_t *answer = NULL;
    CLEANUP(freep) char *text = NULL;
    struct error err = { 0 };
    int out = -1, said = -1, r = divert_output(&out, &said);

    if (r == 0)
        r = kernel_json_load(&spec, path, &err);
    if (r == 0 && spec->start_s > PROBE_S)
        spec->start_s = PROBE_S;
    if (r == 0)
        answer = describe(spec, said);
    else if (r > 0)
        answer = json_pack("{s:s}", "error", err.text);
    if (answer != NULL)
        text = json_dumps(answer, JSON_COMPACT);
    if (text == NULL)
        return EXIT_FAILURE;
    return dprintf(out, "%s\n", text) > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
