/* SPDX-License-Identifier: MIT */
/*
 * client - starts a kernel and measures it: the same program for all kernels
 *
 *     bench-client CONNECTION_FILE COMMAND [ARGUMENT]...
 *
 * Commands (CODE is a JSON string, to the end of the line):
 *
 *     start                    starts the kernel: time to kernel_info, and to ready
 *     first CODE               runs it: the time since the start
 *     run COUNT EXPECT CODE    one after another: each until its reply and its idle
 *     pipeline COUNT CODE      sent all at once: until all are answered
 *     flood CODE               one run, with what came of it counted
 *     quit                     ends the kernel
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "tests/bench/measure.h"
#include "tests/bench/talk.h"

#define TIMEOUT_MS 120000
#define LIFE_MS 1000 /* how often a silent kernel is looked after */
#define ASK_AGAIN_MS 10 /* when IOPub was not connected yet */
#define END_MS 10000

struct client {
    struct talk *talk;
    char **argv; /* of the kernel */
    pid_t pid; /* 0: not started */
    double started_us;
};

static void
receive(struct client *client, struct talk_message *ret)
{
    for (int waited_ms = 0; !talk_receive(client->talk, ret, LIFE_MS);
         waited_ms += LIFE_MS) {
        if (waitpid(client->pid, NULL, WNOHANG) != 0)
            measure_die("%s has ended", client->argv[0]);
        if (waited_ms >= TIMEOUT_MS)
            measure_die("%s says nothing", client->argv[0]);
    }
}

static void
launch(struct client *client)
{
    client->started_us = measure_now_us();
    client->pid = fork();
    if (client->pid < 0)
        measure_die("fork: %s", strerror(errno));
    if (client->pid == 0) {
        int null = open("/dev/null", O_RDWR);

        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        if (getenv("BENCH_VERBOSE") == NULL)
            dup2(null, STDERR_FILENO);
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        execvp(client->argv[0], client->argv);
        _exit(127);
    }
}

/* Ready is what Jupyter's own clients wait for: an answer on shell, and a sign that IOPub
 * is connected; what a kernel published before that is lost, so they ask again. */
static void
on_start(void *arg, char *text)
{
    struct client *client = arg;
    struct talk_message message;
    double answered_us = 0;
    bool heard = false;

    (void)text;
    launch(client);
    talk_send(client->talk, "kernel_info_request", "{}");
    while (answered_us == 0 || !heard) {
        int wait_ms = answered_us == 0 ? TIMEOUT_MS : ASK_AGAIN_MS;

        if (!talk_receive(client->talk, &message, wait_ms)) {
            if (answered_us == 0)
                measure_die("%s does not start", client->argv[0]);
            talk_send(client->talk, "kernel_info_request", "{}");
        } else if (message.socket == TALK_IOPUB) {
            heard = true;
        } else if (answered_us == 0) {
            answered_us = measure_now_us();
        }
    }
    printf("\"pid\": %d, \"kernel_info_us\": %.1f, \"ready_us\": %.1f", (int)client->pid,
           answered_us - client->started_us, measure_now_us() - client->started_us);
}

static char *
make_content(const char *code)
{
    char *content;

    if (asprintf(&content,
                 "{\"code\":%s,\"silent\":false,\"store_history\":true,"
                 "\"user_expressions\":{},\"allow_stdin\":false,"
                 "\"stop_on_error\":true}",
                 code) < 0)
        measure_die("out of memory");
    return content;
}

/* What came of one request. */
struct answer {
    uint64_t messages, bytes, stream_bytes;
    bool replied, idle, found;
};

static void
wait_answer(struct client *client, uint64_t number, struct answer *ret)
{
    struct talk_message message;

    *ret = (struct answer){ 0 };
    while (!ret->replied || !ret->idle) {
        receive(client, &message);
        if (message.number != number)
            continue;
        ret->messages++;
        ret->bytes += message.bytes;
        if (strcmp(message.type, "stream") == 0)
            ret->stream_bytes += message.content_bytes;
        ret->found = ret->found || message.found;
        ret->idle = ret->idle || message.is_idle;
        if (message.socket == TALK_SHELL) {
            ret->replied = true;
            if (!message.is_ok)
                measure_die("%s: the code failed", client->argv[0]);
        }
    }
}

static double
execute(struct client *client, const char *content, struct answer *ret)
{
    double began = measure_now_us();

    wait_answer(client, talk_send(client->talk, "execute_request", content), ret);
    return measure_now_us() - began;
}

static void
on_first(void *arg, char *text)
{
    struct client *client = arg;
    CLEANUP(freep) char *content = make_content(text);
    struct answer answer;

    execute(client, content, &answer);
    printf("\"us\": %.1f", measure_now_us() - client->started_us);
}

static void
on_run(void *arg, char *text)
{
    struct client *client = arg;
    size_t count = measure_number(&text);
    const char *expected = measure_word(&text);
    CLEANUP(freep) char *content = make_content(text);
    CLEANUP(samples_fini) struct samples samples = { 0 };
    struct answer answer = { 0 };

    talk_expect(client->talk, strcmp(expected, "-") == 0 ? NULL : expected);
    for (size_t i = 0; i < count; i++) {
        samples_add(&samples, execute(client, content, &answer));
        if (strcmp(expected, "-") != 0 && !answer.found)
            measure_die("%s: the run showed no %s", client->argv[0], expected);
    }
    talk_expect(client->talk, NULL);
    samples_print("us", &samples);
    printf(", \"messages\": %llu, \"bytes\": %llu", (unsigned long long)answer.messages,
           (unsigned long long)answer.bytes);
}

static void
on_pipeline(void *arg, char *text)
{
    struct client *client = arg;
    size_t count = measure_number(&text), replies = 0, idles = 0;
    CLEANUP(freep) char *content = make_content(text);
    struct talk_message message;
    double began = measure_now_us();
    uint64_t first = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t number = talk_send(client->talk, "execute_request", content);

        if (i == 0)
            first = number;
    }
    while (replies < count || idles < count) {
        receive(client, &message);
        if (message.number < first)
            continue;
        idles += message.is_idle;
        if (message.socket == TALK_SHELL) {
            replies++;
            if (!message.is_ok)
                measure_die("%s: a request failed", client->argv[0]);
        }
    }
    printf("\"us\": %.1f", measure_now_us() - began);
}

static void
on_flood(void *arg, char *text)
{
    struct client *client = arg;
    CLEANUP(freep) char *content = make_content(text);
    struct answer answer;
    double us = execute(client, content, &answer);

    printf("\"us\": %.1f, \"messages\": %llu, \"stream_bytes\": %llu", us,
           (unsigned long long)answer.messages, (unsigned long long)answer.stream_bytes);
}

static void
end_kernel(struct client *client)
{
    double limit = measure_now_us() + END_MS * 1e3;

    if (client->pid == 0)
        return;
    kill(client->pid, SIGTERM);
    while (waitpid(client->pid, NULL, WNOHANG) == 0) {
        if (measure_now_us() > limit)
            kill(client->pid, SIGKILL);
        usleep(2000);
    }
    kill(-client->pid, SIGKILL); /* what a kernel without a sandbox leaves behind */
    client->pid = 0;
}

static void
on_quit(void *arg, char *text)
{
    (void)text;
    end_kernel(arg);
    printf("\"ended\": true");
}

static const struct measure_command commands[] = {
    { "start", on_start },       { "first", on_first }, { "run", on_run },
    { "pipeline", on_pipeline }, { "flood", on_flood }, { "quit", on_quit },
};

int
main(int argc, char **argv)
{
    struct client client = { .argv = argv + 2 };

    if (argc < 3)
        measure_die("usage: bench-client CONNECTION_FILE COMMAND [ARGUMENT]...");
    client.talk = talk_create(argv[1]);
    measure_serve(commands, N_ELEMENTS(commands), &client);
    end_kernel(&client);
    talk_destroy(client.talk);
    return 0;
}
