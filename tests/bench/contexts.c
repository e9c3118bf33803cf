/* SPDX-License-Identifier: MIT */
/*
 * contexts - measures contexts by themselves, without ZeroMQ
 *
 *     bench-contexts RUNTIMES RUNTIME PYTHON|- DIRECTORY ORIGIN
 * ORIGIN: "exec", "zygote", "zygote:N" or a server's address; see fleet.h.
 *
 * Commands (CODE is a JSON string, to the end of the line):
 *
 *     touch MIB                  see measure_touch
 *     create COUNT PAUSE CODE    makes one, runs CODE, ends it, after PAUSE ms; COUNT
 * times grow COUNT CODE            all at once, until COUNT more live and have run CODE
 *     cycle MS CODE              as create without a pause, for that long: how many
 *     run COUNT CODE             one after another, each in any of those that live
 *     ask COUNT                  as run, with a request that runs nothing
 *     busy MS CODE               each of those that live runs CODE over and over
 *     eval CODE                  runs it in the first and shows its result
 *     memory                     of all that live
 *     drop                       ends all
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/cleanup.h"
#include "tests/bench/fleet.h"
#include "tests/bench/measure.h"

#define AT_ONCE 16 /* contexts that start at a time, when many do */

static void
on_touch(void *arg, char *text)
{
    (void)arg;
    measure_touch(measure_number(&text) << 20);
    printf("\"done\": true");
}

static void
on_create(void *arg, char *text)
{
    struct fleet *fleet = arg;
    size_t count = measure_number(&text), pause = measure_number(&text);
    CLEANUP(samples_fini) struct samples hello = { 0 };
    CLEANUP(samples_fini) struct samples first = { 0 };
    CLEANUP(samples_fini) struct samples gone = { 0 };

    for (size_t i = 0; i < count; i++) {
        struct member *member;
        double began;

        fleet_pause(fleet, pause);
        member = fleet_add(fleet);
        fleet_run(member, text);
        fleet_wait_done(member);
        samples_add(&hello, fleet_hello_us(member) - fleet_created_us(member));
        samples_add(&first, fleet_done_us(member) - fleet_created_us(member));
        began = measure_now_us();
        fleet_drop(fleet, 1);
        samples_add(&gone, measure_now_us() - began);
    }
    samples_print("hello", &hello);
    printf(", ");
    samples_print("first", &first);
    printf(", ");
    samples_print("gone", &gone);
}

static size_t
count_done(const struct fleet *fleet, size_t from)
{
    size_t done = 0;

    for (size_t i = from; i < fleet_count(fleet); i++)
        done += fleet_is_done(fleet_member(fleet, i));
    return done;
}

static void
on_grow(void *arg, char *text)
{
    struct fleet *fleet = arg;
    size_t count = measure_number(&text), from = fleet_count(fleet), done = 0;
    double began = measure_now_us();

    while (done < count) {
        while (fleet_count(fleet) - from < count &&
               fleet_count(fleet) - from - done < AT_ONCE)
            fleet_run(fleet_add(fleet), text);
        fleet_turn(fleet);
        done = count_done(fleet, from);
    }
    printf("\"us\": %.1f", measure_now_us() - began);
}

static void
on_cycle(void *arg, char *text)
{
    struct fleet *fleet = arg;
    double limit_us = (double)measure_number(&text) * 1e3;
    double began = measure_now_us();
    size_t count = 0;

    while (measure_now_us() - began < limit_us) {
        struct member *member = fleet_add(fleet);

        fleet_run(member, text);
        fleet_wait_done(member);
        fleet_drop(fleet, 1);
        count++;
    }
    printf("\"count\": %zu, \"us\": %.1f", count, measure_now_us() - began);
}

static struct member *
any_member(const struct fleet *fleet)
{
    if (fleet_count(fleet) == 0)
        measure_die("no context lives");
    return fleet_member(fleet, (size_t)random() % fleet_count(fleet));
}

static void
on_run(void *arg, char *text)
{
    struct fleet *fleet = arg;
    size_t count = measure_number(&text);
    CLEANUP(samples_fini) struct samples samples = { 0 };

    for (size_t i = 0; i < count; i++) {
        struct member *member = any_member(fleet);

        fleet_run(member, text);
        fleet_wait_done(member);
        samples_add(&samples, fleet_done_us(member) - fleet_sent_us(member));
    }
    samples_print("us", &samples);
}

static void
on_ask(void *arg, char *text)
{
    struct fleet *fleet = arg;
    size_t count = measure_number(&text);
    CLEANUP(samples_fini) struct samples samples = { 0 };

    for (size_t i = 0; i < count; i++) {
        struct member *member = any_member(fleet);

        fleet_ask(member);
        fleet_wait_done(member);
        samples_add(&samples, fleet_done_us(member) - fleet_sent_us(member));
    }
    samples_print("us", &samples);
}

static void
on_busy(void *arg, char *text)
{
    struct fleet *fleet = arg;
    double limit_us = (double)measure_number(&text) * 1e3;
    double began = measure_now_us(), now = began;
    size_t count = 0;

    for (size_t i = 0; i < fleet_count(fleet); i++)
        fleet_run(fleet_member(fleet, i), text);
    while (now - began < limit_us) {
        fleet_turn(fleet);
        for (size_t i = 0; i < fleet_count(fleet); i++) {
            if (fleet_is_done(fleet_member(fleet, i))) {
                fleet_run(fleet_member(fleet, i), text);
                count++;
            }
        }
        now = measure_now_us();
    }
    printf("\"count\": %zu, \"us\": %.1f", count, now - began);
    for (size_t i = 0; i < fleet_count(fleet); i++)
        fleet_wait_done(fleet_member(fleet, i));
}

static void
on_eval(void *arg, char *text)
{
    struct member *member = any_member(arg);

    fleet_run(member, text);
    fleet_wait_done(member);
    printf("\"result\": %s", fleet_result(member));
}

static void
on_memory(void *arg, char *text)
{
    struct fleet *fleet = arg;
    struct fleet_memory memory;

    (void)text;
    if (!fleet_memory(fleet, &memory)) {
        printf("\"count\": 0, \"init_private\": 0, \"init_pss\": 0, "
               "\"runner_private\": 0, \"runner_pss\": 0");
        return;
    }
    printf("\"count\": %zu, \"init_private\": %llu, \"init_pss\": %llu, "
           "\"runner_private\": %llu, \"runner_pss\": %llu",
           fleet_count(fleet), (unsigned long long)memory.init_private,
           (unsigned long long)memory.init_pss, (unsigned long long)memory.runner_private,
           (unsigned long long)memory.runner_pss);
}

static void
on_drop(void *arg, char *text)
{
    struct fleet *fleet = arg;
    double began = measure_now_us();

    (void)text;
    fleet_drop(fleet, fleet_count(fleet));
    printf("\"us\": %.1f", measure_now_us() - began);
}

static const struct measure_command commands[] = {
    { "touch", on_touch }, { "create", on_create }, { "grow", on_grow },
    { "cycle", on_cycle }, { "run", on_run },       { "ask", on_ask },
    { "busy", on_busy },   { "eval", on_eval },     { "memory", on_memory },
    { "drop", on_drop },
};

int
main(int argc, char **argv)
{
    struct fleet_options options = { 0 };
    struct fleet *fleet;

    if (argc != 6)
        measure_die("usage: bench-contexts RUNTIMES RUNTIME PYTHON|- DIRECTORY ORIGIN");
    options.runtimes = argv[1];
    options.runtime = argv[2];
    options.python = strcmp(argv[3], "-") == 0 ? NULL : argv[3];
    options.directory = argv[4];
    options.origin = argv[5];
    fleet = fleet_create(&options);
    measure_serve(commands, N_ELEMENTS(commands), fleet);
    fleet_destroy(fleet);
    return 0;
}
