/* SPDX-License-Identifier: MIT */
/*
 * settings - how each type of output is to be compared
 *
 * Three layers: what is built in, the project's, the cell's. A later one goes first, and
 * within one the entry for the type before what counts for all; only "sanitize" and
 * "ignore" add up.
 */
#ifndef KERNEL_COMPARE_SETTINGS_H
#define KERNEL_COMPARE_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/compare/normalise.h"
#include "kernel/compare/numbers.h"
#include "kernel/compare/pattern.h"
#include "protocol/cleanup.h"

#define SETTINGS_LAYERS 2
#define SETTINGS_PLACES 4 /* a layer has two: for all types, and an entry of "types" */
#define SETTINGS_RULES_MAX 256
#define SETTINGS_POINTERS_MAX 256

enum policy_kind {
    POLICY_IGNORE,
    POLICY_EXACT,
    POLICY_TEXT,
    POLICY_JSON,
    POLICY_HTML,
    POLICY_SVG,
    POLICY_IMAGE,
    POLICY_ERROR,
    N_POLICIES
};

enum whitespace { WHITESPACE_EXACT, WHITESPACE_TRAILING, WHITESPACE_COLLAPSE };

/* What counts for one type. Plain data. */
struct policy {
    const char *type; /* borrowed */
    enum policy_kind kind;
    struct tolerance tolerance;
    double rms, pixels;
    enum whitespace whitespace;
    unsigned normalise; /* 1 << enum normaliser, or-ed */
    const json_t *places[SETTINGS_PLACES + 1]; /* borrowed: of "sanitize" and "ignore";
                                                  one more for proposals */
    size_t n_places;
};

/* A row of "sanitize". Plain data. */
struct settings_rule {
    struct pattern *pattern; /* owned */
    const json_t *place; /* borrowed: the object that has it */
    const json_t *types; /* borrowed, or NULL: all text */
};

struct error;

struct settings {
    const json_t *layers[SETTINGS_LAYERS]; /* borrowed, NULL: nothing */
    struct settings_rule *rules; /* owned */
    size_t n_rules;
    struct normalisers *normalisers; /* owned */
    uint64_t steps; /* left for regular expressions */
    bool all_types; /* "decide" */
};

/* Checks everything in PROJECT and CELL (borrowed, NULL or JSON null: nothing), also what
 * no output needs. The caller owns *ret. 0, COMPARE_E_SETTINGS, -ENOMEM. */
int settings_create(struct settings **ret, const json_t *project, const json_t *cell,
                    struct error *err);
void settings_destroy(struct settings *settings); /* NULL is allowed */
CLEANUP_DEFINE(struct settings, settings_destroy);

/* TYPE is borrowed by *RET. */
void settings_policy(const struct settings *settings, const char *type,
                     struct policy *ret);

/* Whether RULE counts for what POLICY is of. */
bool settings_rule_applies(const struct settings_rule *rule, const struct policy *policy);

const char *policy_name(enum policy_kind kind);

/* Whether a type or a pattern ("*": any bytes) stands for TYPE. */
bool type_matches(const char *pattern, const char *type);

#endif
