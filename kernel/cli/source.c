/* SPDX-License-Identifier: MIT */
#include "kernel/cli/source.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "kernel/file.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"

#define MARK "\xef\xbb\xbf"

static const struct suffix {
    const char *suffix, *language;
} suffixes[] = {
    { ".py", "python" },      { ".js", "javascript" }, { ".mjs", "javascript" },
    { ".cjs", "javascript" }, { ".ts", "typescript" }, { ".mts", "typescript" },
    { ".sh", "bash" },        { ".bash", "bash" },     { ".r", "r" },
    { ".jl", "julia" },       { ".rb", "ruby" },       { ".lua", "lua" },
    { ".sql", "sql" },
};

const char *
source_language(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');

    for (size_t i = 0; dot != NULL && i < N_ELEMENTS(suffixes); i++) {
        if (strcasecmp(suffixes[i].suffix, dot) == 0)
            return suffixes[i].language;
    }
    return NULL;
}

static int
read_stdin(struct buffer *ret, struct error *err)
{
    char chunk[65536];

    for (;;) {
        ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, SOURCE_E_FAILED, "cannot read stdin: %s",
                             strerror(errno));
        if (n == 0)
            return 0;
        r = buffer_append(ret, chunk, (size_t)n);
        if (r != 0)
            return r < 0 ? r
                         : error_set(err, SOURCE_E_FAILED, "stdin: larger than %zu bytes",
                                     ret->limit);
    }
}

int
source_read(const char *path, struct buffer *ret, struct error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int r = is_stdin ? read_stdin(ret, err) : file_read(path, ret, err);

    if (r != 0)
        return r < 0 ? r : SOURCE_E_FAILED;
    if (ret->length > 0 && !text_is_utf8(ret->data, ret->length))
        return error_set(err, SOURCE_E_FAILED,
                         "%s is not UTF-8 text: code is saved as such",
                         is_stdin ? "stdin" : path);
    if (ret->length >= strlen(MARK) && memcmp(ret->data, MARK, strlen(MARK)) == 0)
        buffer_consume(ret, strlen(MARK));
    return 0;
}
