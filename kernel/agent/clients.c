/* SPDX-License-Identifier: MIT */
/* Who is to be answered, over which socket, and what they have not taken yet. A client is
 * known as long as something of it waits. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "contexts/loop.h"
#include "kernel/agent/agent.h"
#include "kernel/session.h"
#include "protocol/cleanup.h"

/* A message that waits, in one piece of memory. */
struct letter {
    struct letter *next;
    size_t bytes;
    size_t count;
    struct slice frames[];
};

static size_t
bucket_of(struct slice identity, unsigned socket)
{
    uint32_t hash = 2166136261u ^ socket;

    for (size_t i = 0; i < identity.length; i++)
        hash = (hash ^ identity.data[i]) * 16777619u;
    return hash % AGENT_CLIENT_BUCKETS;
}

static bool
is(const struct client *client, const struct door_message *from)
{
    struct slice identity = from->frames[0];

    return client->socket == from->socket && !client->gone &&
           client->identity.length == identity.length &&
           memcmp(client->identity.data, identity.data, identity.length) == 0;
}

static int
make(struct client **ret, const struct door_message *from, struct owner *owner)
{
    size_t length = from->frames[0].length;
    struct client *client = calloc(1, sizeof *client + length);

    if (client == NULL)
        return -ENOMEM;
    memcpy(client + 1, from->frames[0].data, length);
    client->identity = (struct slice){ (const uint8_t *)(client + 1), length };
    client->socket = from->socket;
    client->owner = owner;
    client->last_letter = &client->letters;
    *ret = client;
    return 0;
}

/* A connection of another owner that has the identity of one before it must not get what
 * that one waits for: it is another client. */
int
client_get(struct client **ret, struct agent *agent, const struct door_message *from)
{
    struct client **bucket = &agent->clients[bucket_of(from->frames[0], from->socket)];
    struct owner *owner;
    int r = owner_get(&owner, agent, from->owner);

    if (r < 0)
        return r;
    for (struct client *client = *bucket; client != NULL; client = client->next) {
        if (!is(client, from))
            continue;
        if (client->owner != owner) {
            client->gone = true;
            continue;
        }
        client->uses++;
        *ret = client;
        return 0;
    }
    r = make(ret, from, owner);
    if (r < 0)
        return r;
    (*ret)->uses = 1;
    (*ret)->next = *bucket;
    *bucket = *ret;
    return 0;
}

void
client_use(struct client *client)
{
    client->uses++;
}

static void
drop_letters(struct agent *agent, struct client *client)
{
    while (client->letters != NULL) {
        struct letter *letter = client->letters;

        client->letters = letter->next;
        free(letter);
    }
    agent->letters -= client->letter_count;
    client->last_letter = &client->letters;
    client->letter_count = client->letter_bytes = 0;
}

static void
unlink_client(struct agent *agent, struct client *client)
{
    struct client **at = &agent->clients[bucket_of(client->identity, client->socket)];

    while (*at != client)
        at = &(*at)->next;
    *at = client->next;
}

void
client_leave(struct agent *agent, struct client *client)
{
    if (--client->uses > 0 || (client->letters != NULL && !client->gone))
        return;
    drop_letters(agent, client);
    unlink_client(agent, client);
    free(client);
}

void
client_wait(struct agent *agent, struct client *client)
{
    if (client->waits++ == 0)
        client->since_us = loop_now_us(agent->loop);
}

void
client_answered(struct client *client)
{
    client->waits--;
}

static int
compose(struct agent *agent, const struct client *client,
        const struct client_message *message, const struct slice **ret, size_t *ret_count)
{
    return session_compose(agent->session,
                           &(struct outgoing){
                               .prefix = &client->identity,
                               .prefix_count = 1,
                               .type = message->type,
                               .parent_header = message->header,
                               .metadata = message->metadata,
                               .content = message->content,
                               .buffers = message->buffers,
                               .buffer_count = message->buffer_count,
                           },
                           ret, ret_count);
}

void
clients_try_again(struct agent *agent)
{
    if (agent->retry_armed)
        return;
    agent->retry_armed = true;
    loop_timer_arm(agent->retry, AGENT_RETRY_US);
}

static int
keep(struct agent *agent, struct client *client, const struct slice *frames, size_t count)
{
    size_t head = sizeof(struct letter) + count * sizeof(struct slice), bytes = 0;
    struct letter *letter;
    uint8_t *to;

    for (size_t i = 0; i < count; i++)
        bytes += frames[i].length;
    if (client->letter_count >= AGENT_OUTBOX_MESSAGES ||
        (client->letter_count > 0 && client->letter_bytes + bytes > AGENT_OUTBOX_BYTES)) {
        client->gone = true; /* it asks, and does not read */
        drop_letters(agent, client);
        return 0;
    }
    letter = malloc(head + bytes);
    if (letter == NULL)
        return -ENOMEM;
    to = (uint8_t *)letter + head;
    letter->next = NULL;
    letter->bytes = bytes;
    letter->count = count;
    for (size_t i = 0; i < count; i++) {
        letter->frames[i] = (struct slice){ to, frames[i].length };
        if (frames[i].length > 0)
            memcpy(to, frames[i].data, frames[i].length);
        to += frames[i].length;
    }
    *client->last_letter = letter;
    client->last_letter = &letter->next;
    client->letter_count++;
    client->letter_bytes += bytes;
    agent->letters++;
    clients_try_again(agent);
    return 0;
}

int
client_reply(struct agent *agent, struct client *client,
             const struct client_message *message)
{
    const struct slice *frames;
    size_t count;
    int r;

    if (client->gone)
        return 0;
    r = compose(agent, client, message, &frames, &count);
    if (r < 0)
        return r;
    r = client->letters != NULL ? DOOR_E_AGAIN
                                : door_send(agent->door, client->socket, frames, count);
    if (r == DOOR_E_AGAIN)
        return keep(agent, client, frames, count);
    if (r == DOOR_E_GONE)
        client->gone = true;
    return r < 0 ? r : 0;
}

int
client_tell(struct agent *agent, struct client *client,
            const struct client_message *message)
{
    const struct slice *frames;
    size_t count;
    int r;

    if (client->gone)
        return DOOR_E_GONE;
    if (client->letters != NULL)
        return DOOR_E_AGAIN;
    r = compose(agent, client, message, &frames, &count);
    if (r < 0)
        return r;
    r = door_send(agent->door, client->socket, frames, count);
    if (r == DOOR_E_GONE)
        client->gone = true;
    return r;
}

static int
flush(struct agent *agent, struct client *client)
{
    while (client->letters != NULL && !client->gone) {
        struct letter *letter = client->letters;
        int r = door_send(agent->door, client->socket, letter->frames, letter->count);

        if (r == DOOR_E_AGAIN)
            return 0;
        if (r < 0)
            return r;
        client->gone = r == DOOR_E_GONE;
        client->letters = letter->next;
        if (client->letters == NULL)
            client->last_letter = &client->letters;
        client->letter_count--;
        client->letter_bytes -= letter->bytes;
        agent->letters--;
        free(letter);
    }
    return 0;
}

/* Calls FN for each client, which may be freed by it. */
static int
each(struct agent *agent, int (*fn)(struct agent *agent, struct client *client))
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < AGENT_CLIENT_BUCKETS; i++) {
        struct client *next;

        for (struct client *client = agent->clients[i]; r == 0 && client != NULL;
             client = next) {
            client->uses++;
            r = fn(agent, client);
            next = client->next;
            client_leave(agent, client);
        }
    }
    return r;
}

int
clients_flush(struct agent *agent)
{
    int r = agent->letters > 0 ? each(agent, flush) : 0;

    if (r == 0 && agent->letters > 0)
        clients_try_again(agent);
    return r;
}

static int
lose(struct agent *agent, struct client *client)
{
    int r = 0;

    for (struct owner *owner = agent->owners; r == 0 && owner != NULL;
         owner = owner->next) {
        struct run *next;

        for (struct run *run = owner->runs; r == 0 && run != NULL; run = next) {
            next = run->next_of_owner;
            r = run_lose_client(run, client);
        }
        for (struct agent_context *context = owner->contexts; context != NULL;
             context = context->next)
            agent_context_remove_watchers(context, client);
    }
    return r;
}

static int
keep_alive(struct agent *agent, struct client *client)
{
    static const struct client_message alive = { .type = "keepalive" };
    uint64_t now = loop_now_us(agent->loop);
    int r = 0;

    if (client->waits > 0 && !client->gone && client->letters == NULL &&
        now - client->since_us >= AGENT_KEEPALIVE_US)
        r = client_tell(agent, client, &alive);
    if (r < 0)
        return r;
    return client->gone ? lose(agent, client) : 0;
}

int
clients_keep_alive(struct agent *agent)
{
    return each(agent, keep_alive);
}

void
clients_free(struct agent *agent)
{
    for (size_t i = 0; i < AGENT_CLIENT_BUCKETS; i++) {
        while (agent->clients[i] != NULL) {
            struct client *client = agent->clients[i];

            agent->clients[i] = client->next;
            drop_letters(agent, client);
            free(client);
        }
    }
}
