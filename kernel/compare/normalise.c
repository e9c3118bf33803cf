/* SPDX-License-Identifier: MIT */
/*
 * Each rule says narrowly what it is about: what a rule makes equal, no test sees any
 * more.
 */
#include "kernel/compare/normalise.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/pattern.h"
#include "kernel/compare/sets.h"
#include "protocol/carriage.h"
#include "protocol/error.h"

#define MARK NORMALISE_MARK
#define DURATION "(?<![\\d.,])[\\d.,]+ ?(?:[num\xc2\xb5\xce\xbc]?s|us|min|h|d)\\b"
#define DURATIONS DURATION "(?: " DURATION ")*"
#define FOLDER "((?:/private)?/(?:var/)?tmp/|/var/folders/\\w+/\\w+/T/)"

static const char *const names[N_NORMALISERS] = {
    [NORMALISE_ANSI] = "ansi",           [NORMALISE_CARRIAGE] = "carriage",
    [NORMALISE_ADDRESSES] = "addresses", [NORMALISE_FIGURES] = "figures",
    [NORMALISE_CELLS] = "cells",         [NORMALISE_TIMINGS] = "timings",
    [NORMALISE_TEMPORARY] = "temporary", [NORMALISE_WIDGETS] = "widgets",
    [NORMALISE_ORDER] = "order",
};

static const struct row {
    enum normaliser of;
    const char *reason;
    const char *has; /* a text without it has nothing that the pattern finds */
    const char *pattern, *replace;
} rows[] = {
    { NORMALISE_ANSI, "control sequences, operating system commands and the rest", "\x1b",
      "\\x1b(?:\\[[0-?]*[ -/]*[@-~]|\\][^\\x07\\x1b]*(?:\\x07|\\x1b\\\\)|[ -/]*[0-Z^-~])",
      "" },
    { NORMALISE_ADDRESSES, "of objects: short numbers are constants", "0x",
      "\\b0x[0-9a-fA-F]{6,16}\\b", "0x" MARK },
    { NORMALISE_FIGURES, "the size in pixels depends on the machine's fonts",
      "<Figure size", "<Figure size [\\d.]+x[\\d.]+ with", "<Figure size " MARK " with" },
    { NORMALISE_CELLS, "counts of executions", "In",
      "\\b((?:Cell )?In|Input In) ?\\[\\d+\\]", "\\1[" MARK "]" },
    { NORMALISE_CELLS, "IPython's names of cells", "<ipython-input-",
      "<(ipython-input)-\\d+-[0-9a-f]+(?:-\\d+)?>", "<\\1-" MARK ">" },
    { NORMALISE_CELLS, "ipykernel's files of cells", "/ipykernel_",
      "/ipykernel_\\d+/\\d+\\.py", "/ipykernel_" MARK ".py" },
    { NORMALISE_CELLS, "a SyntaxError's, which names them without their folder",
      ".py, line", "\\(\\d{4,10}\\.py, line (\\d+)\\)",
      "(<ipython-input-" MARK ">, line \\1)" },
    { NORMALISE_TIMINGS, "%time", "CPU times:", "(?m)^(CPU times:) (?:user|total) .*$",
      "\\1 " MARK },
    { NORMALISE_TIMINGS, "%time", "Wall time:", "(?m)^(Wall time:) " DURATIONS,
      "\\1 " MARK },
    { NORMALISE_TIMINGS, "%timeit", " per loop",
      DURATION " \xc2\xb1 " DURATION " per loop \\(mean \xc2\xb1 std\\. dev\\. of .*\\)",
      MARK " per loop" },
    { NORMALISE_TIMINGS, "%timeit of old", "best of",
      "(?<!\\d)\\d+ loops?, best of \\d+: " DURATION " per loop", MARK " per loop" },
    { NORMALISE_TIMINGS, "progress bars of tqdm", "<",
      "\\[(?:\\d+:)?\\d+:\\d\\d<(?:\\?|(?:\\d+:)?\\d+:\\d\\d)(?:, [^\\]\\n]*)?\\]",
      "[" MARK "]" },
    { NORMALISE_TIMINGS, "progress bars of Keras", "/",
      "(?<![\\d:])(?:\\d+:)*\\d+(?:s|:\\d\\d) "
      "[\\d.]+(?:[num\xc2\xb5]?s|us)/(step|epoch|sample)",
      MARK "/\\1" },
    { NORMALISE_TEMPORARY, "of Python, R, mktemp and Java; of Node: six at the end", "/",
      FOLDER "(?:tmp[a-z0-9_]{8}|Rtmp\\w{6}|tmp\\.\\w{6,}|[a-zA-Z_.-]*\\d{10,}|"
             "[\\w.]+-(?=\\w*[A-Z0-9])\\w{6})(?![\\w-])",
      "\\1" MARK },
    { NORMALISE_TEMPORARY, "R's files within", "file",
      "\\b(file)[0-9a-f]{8,16}(?=\\.\\w|\\b)", "\\1" MARK },
    { NORMALISE_WIDGETS, "IPython's handles of displays", "display_id=",
      "<DisplayHandle display_id=[0-9a-f]{32}>", "<DisplayHandle display_id=" MARK ">" },
    { NORMALISE_WIDGETS, "models of ipywidgets", "IPY_MODEL_",
      "\\bIPY_MODEL_[0-9a-f]{32}\\b", "IPY_MODEL_" MARK },
    { NORMALISE_WIDGETS, "models of ipywidgets, where they are named", "model",
      "(\\bmodel_?[iI]d\\b[\"']?\\s*[:=]\\s*[\"']?)[0-9a-f]{32}\\b", "\\1" MARK },
};

struct normalisers {
    struct pattern *patterns[N_ELEMENTS(rows)]; /* owned, NULL: not needed so far */
};

int
normalisers_create(struct normalisers **ret)
{
    struct normalisers *made = calloc(1, sizeof *made);

    if (made == NULL)
        return -ENOMEM;
    *ret = made;
    return 0;
}

void
normalisers_destroy(struct normalisers *normalisers)
{
    if (normalisers == NULL)
        return;
    for (size_t i = 0; i < N_ELEMENTS(rows); i++)
        pattern_destroy(normalisers->patterns[i]);
    free(normalisers);
}

const char *
normaliser_name(enum normaliser normaliser)
{
    return names[normaliser];
}

bool
normaliser_by_name(const char *name, enum normaliser *ret)
{
    for (unsigned i = 0; i < N_NORMALISERS; i++) {
        if (strcmp(names[i], name) == 0) {
            *ret = (enum normaliser)i;
            return true;
        }
    }
    return false;
}

/* TEXT to RET by row I, and whether anything changed does not matter. */
static int
apply_row(struct normalisers *normalisers, size_t i, struct slice text,
          struct buffer *ret, struct error *err)
{
    int r = 0;

    if (normalisers->patterns[i] == NULL)
        r = pattern_create_trusted(&normalisers->patterns[i], rows[i].pattern,
                                   rows[i].replace, err);
    if (r == 0)
        r = pattern_replace(normalisers->patterns[i], text, NULL, ret, err);
    return r;
}

static int
apply_rows(struct normalisers *normalisers, enum normaliser one, struct slice text,
           struct buffer *ret, struct error *err)
{
    struct buffer rooms[2];
    struct slice now = text;
    unsigned turn = 0;
    int r = 0;

    buffer_init(&rooms[0], ret->limit);
    buffer_init(&rooms[1], ret->limit);
    for (size_t i = 0; r == 0 && i < N_ELEMENTS(rows); i++) {
        if (rows[i].of != one || now.length == 0 ||
            memmem(now.data, now.length, rows[i].has, strlen(rows[i].has)) == NULL)
            continue;
        buffer_clear(&rooms[turn], rooms[turn].capacity);
        r = apply_row(normalisers, i, now, &rooms[turn], err);
        now = buffer_slice(&rooms[turn]);
        turn = 1 - turn;
    }
    if (r == 0)
        r = buffer_append(ret, now.data, now.length);
    buffer_fini(&rooms[0]);
    buffer_fini(&rooms[1]);
    return r > 0 ? COMPARE_E_INVALID : r;
}

int
normalise(struct normalisers *normalisers, enum normaliser one, struct slice text,
          struct buffer *ret, struct error *err)
{
    int r;

    switch (one) {
    case NORMALISE_CARRIAGE:
        r = carriage_render(text, ret);
        break;
    case NORMALISE_ORDER:
        r = sets_order(text, ret);
        break;
    default:
        return apply_rows(normalisers, one, text, ret, err);
    }
    if (r > 0)
        r = error_set(err, COMPARE_E_INVALID, "the text becomes too large");
    return r;
}
