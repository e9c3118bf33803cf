/* SPDX-License-Identifier: MIT */
/* cellwall keygen: keys for an agent endpoint on a network. */
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "kernel/authorised.h"
#include "kernel/command.h"
#include "kernel/keygen.h"
#include "kernel/log.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

struct arguments {
    const char *server;
    const char *client;
    const char *endpoint;
    const char *authorise;
    const char *public_key;
    const char *output;
};

static const struct option_spec options[] = {
    { "server", 0, OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, server),
      "The server's key file. Without --client it is made, with --client read." },
    { "client", 0, OPTION_TEXT, "NAME", NULL, offsetof(struct arguments, client),
      "Make a key pair for a client. The server knows it by this name: 1 to 63\n"
      "letters, digits, or \"._-\"." },
    { "endpoint", 0, OPTION_TEXT, "ADDRESS", NULL, offsetof(struct arguments, endpoint),
      "Where the client will find the server: tcp://HOST:PORT." },
    { "authorise", 0, OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, authorise),
      "Append the client's name and public key to the server's file of authorised\n"
      "keys, which is made if it is not there. A server that runs sees it at once." },
    { "public-key", 0, OPTION_TEXT, "KEY", NULL, offsetof(struct arguments, public_key),
      "The client has made its pair itself, and this is its public key, in Z85.\n"
      "With --server and --endpoint its file is written, without a secret key." },
    { "output", 'o', OPTION_TEXT, "FILE", NULL, offsetof(struct arguments, output),
      "The client's file. The default is NAME.json." },
};

static int
check_server(const struct arguments *a, struct error *err)
{
    if (a->server == NULL)
        return error_set(err, OPTIONS_E_USAGE,
                         "--server FILE or --client NAME is missing");
    if (a->endpoint != NULL || a->authorise != NULL || a->public_key != NULL ||
        a->output != NULL)
        return error_set(err, OPTIONS_E_USAGE,
                         "--client NAME is missing: the other options but --server are "
                         "for a client");
    return 0;
}

static int
check_client(const struct arguments *a, struct error *err)
{
    bool written = a->server != NULL && a->endpoint != NULL;

    if (!authorised_is_name(a->client))
        return error_set(err, OPTIONS_E_USAGE,
                         "--client %s: a name has 1 to 63 letters, digits, or \"._-\"",
                         a->client);
    if (a->public_key != NULL && !keygen_is_public_key(a->public_key))
        return error_set(err, OPTIONS_E_USAGE,
                         "--public-key: it is not a key of 40 Z85 characters");
    if (a->endpoint != NULL && !keygen_is_endpoint(a->endpoint))
        return error_set(err, OPTIONS_E_USAGE,
                         "--endpoint %s: it must be tcp://HOST:PORT, as the client will "
                         "reach it",
                         a->endpoint);
    if (!written && (a->public_key == NULL || a->server != NULL || a->endpoint != NULL))
        return error_set(err, OPTIONS_E_USAGE, "%s is missing: a client's file has it",
                         a->server == NULL ? "--server FILE" : "--endpoint ADDRESS");
    if (!written && a->authorise == NULL)
        return error_set(err, OPTIONS_E_USAGE,
                         "--authorise FILE is missing: there is nothing to do");
    if (!written && a->output != NULL)
        return error_set(err, OPTIONS_E_USAGE,
                         "--output: no file is written without --server and --endpoint");
    return 0;
}

static int
make_client(const struct arguments *a, struct error *err)
{
    char path[PATH_MAX];
    struct keygen_client client = {
        .name = a->client,
        .public_key = a->public_key,
        .authorised_file = a->authorise,
    };
    int r;

    if (a->endpoint != NULL) {
        snprintf(path, sizeof path, "%s.json", a->client);
        client.server_file = a->server;
        client.endpoint = a->endpoint;
        client.path = a->output != NULL ? a->output : path;
    }
    r = keygen_make_client(&client, err);
    if (r != 0)
        return r;
    if (client.path != NULL)
        printf("Wrote %s: how %s finds the server, %s\n", client.path, client.name,
               client.public_key == NULL ? "with its secret key"
                                         : "less its secret key, which it has to add");
    if (client.authorised_file != NULL)
        printf("Authorised %s in %s\n", client.name, client.authorised_file);
    return 0;
}

static int
run(char *const *argv)
{
    struct arguments arguments = { 0 };
    struct error err = { 0 };
    int r, status = command_parse(&command_keygen, &arguments, argv, NULL);

    if (status >= 0)
        return status;
    r = arguments.client == NULL ? check_server(&arguments, &err)
                                 : check_client(&arguments, &err);
    if (r != 0) {
        log_line("keygen: %s; see: cellwall keygen --help", err.text);
        return EXIT_STATUS_USAGE;
    }
    if (arguments.client != NULL)
        r = make_client(&arguments, &err);
    else
        r = keygen_make_server(arguments.server, &err);
    if (r != 0) {
        log_line("keygen: %s", err.text[0] != '\0' ? err.text : strerror(-r));
        return EXIT_STATUS_FAILED;
    }
    if (arguments.client == NULL)
        printf("Wrote %s: the server's keys, which stay with it\n", arguments.server);
    return EXIT_STATUS_OK;
}

const struct command command_keygen = {
    .name = "keygen",
    .summary = "make keys for serving agents over tcp",
    .synopsis = "--server FILE\n"
                "      cellwall keygen --client NAME --server FILE --endpoint ADDRESS\n"
                "                      [--public-key KEY] [--authorise FILE] [-o FILE]\n"
                "      cellwall keygen --client NAME --public-key KEY --authorise FILE",
    .description =
        "      Over tcp, \"cellwall serve\" talks to clients with keys alone: all is\n"
        "      encrypted (CURVE), each side proves that it has its secret key, and a "
        "client\n"
        "      comes in when its public key is in the server's file of authorised keys. "
        "Its\n"
        "      name there is the owner of what it makes.\n"
        "\n"
        "      The first form makes the server's key file, the second a client's file, "
        "which\n"
        "      programs find the server by when CELLWALL_SERVER names it. The third "
        "authorises\n"
        "      a client that has made its pair itself, so that its secret key never "
        "leaves it.\n"
        "\n"
        "      Files with keys are for their user alone (mode 0600), and none is ever\n"
        "      overwritten. To take a key away, remove its line from the file of "
        "authorised\n"
        "      keys: nothing that it says is listened to any more.\n",
    .options = options,
    .option_count = N_ELEMENTS(options),
    .notes =
        "FILES\n"
        "      server's file      {\"public_key\", \"secret_key\", \"key\"}: a CURVE "
        "pair in Z85,\n"
        "                         and what messages are signed with\n"
        "      authorised keys    one \"NAME KEY\" a line; \"#\" begins a comment "
        "line\n"
        "      client's file      {\"endpoint\", \"key\", \"signature_scheme\", "
        "\"server_public_key\",\n"
        "                         \"public_key\", \"secret_key\", \"name\"}\n"
        "\n"
        "EXIT STATUS\n"
        "      0  done      1  failed: stderr says why      2  wrong usage\n"
        "\n"
        "EXAMPLES\n"
        "      cellwall keygen --server server.keys\n"
        "      cellwall keygen --client ann --server server.keys \\\n"
        "          --endpoint tcp://box.example:7777 --authorise authorised.keys\n"
        "      CELLWALL_SERVER=ann.json cellwall run -e '1 + 1'\n",
    .run = run,
};
