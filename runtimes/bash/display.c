/* SPDX-License-Identifier: MIT */
/*
 * display, clear - rich output for programs and pipes inside of a context
 *
 * Makes the content of a Jupyter message, leaves it in a file of its own and tells the
 * runner where. What is too large or no content of its type is refused here, with words,
 * and by the runner and the server again.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/mime.h"
#include "protocol/text.h"
#include "runtimes/bash/packet.h"

#define DATA_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define ID_BYTES_MAX 256

enum encoding { ENCODING_BASE64, ENCODING_TEXT, ENCODING_JSON };

static const struct kind {
    const char *mime;
    const char *suffix; /* of a file's name */
    const char *magic; /* how the data begins; NULL: it does not tell */
    size_t magic_length;
    const char *option; /* an option that gives the data itself; NULL: none */
} kinds[] = {
    { "image/png", ".png", "\x89PNG\r\n\x1a\n", 8, NULL },
    { "image/jpeg", ".jpg", "\xff\xd8\xff", 3, NULL },
    { "image/jpeg", ".jpeg", NULL, 0, NULL },
    { "image/gif", ".gif", "GIF8", 4, NULL },
    { "image/webp", ".webp", NULL, 0, NULL },
    { "image/svg+xml", ".svg", "<svg", 4, "svg" },
    { "application/pdf", ".pdf", "%PDF-", 5, NULL },
    { "text/html", ".html", "<!DOCTYPE html", 14, "html" },
    { "text/markdown", ".md", NULL, 0, "markdown" },
    { "text/latex", ".tex", NULL, 0, "latex" },
    { "application/json", ".json", NULL, 0, "json" },
    { "text/plain", ".txt", NULL, 0, "text" },
};

struct request {
    struct packet packet;
    const char *mime; /* NULL: to be found out */
    const char *given; /* the data itself, or NULL */
    const char *file; /* NULL: stdin */
    const char *id; /* or NULL */
    long width, height; /* 0: the image's own */
};

static const char usage[] =
    "usage: display [OPTION]... [FILE]      shows FILE, or what comes on stdin\n"
    "       display [OPTION]... --html|--svg|--markdown|--latex|--json|--text TEXT\n"
    "       display --clear [--wait]\n"
    "  --mime TYPE    what it is; the default is told by its beginning or its name\n"
    "  --id ID        a name by which it can be updated\n"
    "  --update       shows it in the place of the display with that ID\n"
    "  --width N, --height N   of an image, in pixels\n"
    "  --wait         clears when the next output comes\n";

static const struct option options[] = { { "mime", required_argument, NULL, 'm' },
                                         { "id", required_argument, NULL, 'i' },
                                         { "update", no_argument, NULL, 'u' },
                                         { "width", required_argument, NULL, 'w' },
                                         { "height", required_argument, NULL, 'h' },
                                         { "clear", no_argument, NULL, 'c' },
                                         { "wait", no_argument, NULL, 'W' },
                                         { "help", no_argument, NULL, 'H' },
                                         { "html", required_argument, NULL, 'D' },
                                         { "svg", required_argument, NULL, 'D' },
                                         { "markdown", required_argument, NULL, 'D' },
                                         { "latex", required_argument, NULL, 'D' },
                                         { "json", required_argument, NULL, 'D' },
                                         { "text", required_argument, NULL, 'D' },
                                         { NULL, 0, NULL, 0 } };

__attribute__((noreturn, format(printf, 1, 2))) static void
refuse(const char *format, ...)
{
    va_list ap;

    fputs("display: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

static long
take_size(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (*end != '\0' || value < 1 || value > 100000)
        refuse("'%s' is no size in pixels", text);
    return value;
}

static void
take_data(struct request *request, const char *option, const char *text)
{
    for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
        if (request->mime == NULL && kinds[i].option != NULL &&
            strcmp(kinds[i].option, option) == 0)
            request->mime = kinds[i].mime;
    }
    request->given = text;
}

static void
take_options(struct request *request, int argc, char **argv)
{
    int c, index = 0;

    while ((c = getopt_long(argc, argv, "", options, &index)) != -1) {
        switch (c) {
        case 'm':
            request->mime = optarg;
            break;
        case 'i':
            request->id = optarg;
            break;
        case 'u':
            request->packet.kind = PACKET_UPDATE;
            break;
        case 'w':
            request->width = take_size(optarg);
            break;
        case 'h':
            request->height = take_size(optarg);
            break;
        case 'c':
            request->packet.kind = PACKET_CLEAR;
            break;
        case 'W':
            request->packet.wait = 1;
            break;
        case 'D':
            take_data(request, options[index].name, optarg);
            break;
        case 'H':
            fputs(usage, stdout);
            exit(EXIT_SUCCESS);
        default:
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (optind < argc && strcmp(argv[optind], "-") != 0)
        request->file = argv[optind];
    if (optind + 1 < argc)
        refuse("one file at a time");
    if (request->packet.kind == PACKET_UPDATE && request->id == NULL)
        refuse("--update needs the --id of what is there");
    if (request->id != NULL && strlen(request->id) > ID_BYTES_MAX)
        refuse("the id is longer than %d bytes", ID_BYTES_MAX);
}

static void
read_data(const struct request *request, struct buffer *ret)
{
    int fd = STDIN_FILENO;
    ssize_t n;

    if (request->given != NULL) {
        if (buffer_append_text(ret, request->given) != 0)
            refuse("too large");
        return;
    }
    if (request->file != NULL)
        fd = open(request->file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        refuse("%s: %s", request->file, strerror(errno));
    do {
        if (buffer_reserve(ret, 65536) != 0)
            refuse("more than %zu MiB cannot be shown", DATA_BYTES_MAX >> 20);
        n = read(fd, ret->data + ret->length, 65536);
        if (n > 0)
            ret->length += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        refuse("%s: %s", request->file != NULL ? request->file : "stdin",
               strerror(errno));
    if (fd != STDIN_FILENO)
        close(fd);
}

static bool
ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), end = strlen(suffix);

    return length > end && strcasecmp(text + length - end, suffix) == 0;
}

static const char *
guess(const struct request *request, const struct buffer *data)
{
    for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
        if (kinds[i].magic != NULL && data->length >= kinds[i].magic_length &&
            memcmp(data->data, kinds[i].magic, kinds[i].magic_length) == 0)
            return kinds[i].mime;
    }
    for (size_t i = 0; request->file != NULL && i < N_ELEMENTS(kinds); i++) {
        if (ends_with(request->file, kinds[i].suffix))
            return kinds[i].mime;
    }
    if (!text_is_utf8(data->data, data->length))
        refuse("what is it? say it with --mime TYPE");
    return "text/plain";
}

static enum encoding
encoding_of(const char *mime)
{
    if (strcmp(mime, "application/json") == 0 || ends_with(mime, "+json"))
        return ENCODING_JSON;
    if (strncmp(mime, "text/", 5) == 0 || ends_with(mime, "+xml") ||
        strcmp(mime, "application/javascript") == 0 ||
        strcmp(mime, "application/xml") == 0)
        return ENCODING_TEXT;
    return ENCODING_BASE64;
}

static int
append_base64(struct buffer *ret, const uint8_t *data, size_t length)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int r = buffer_reserve(ret, (length + 2) / 3 * 4 + 2);

    if (r != 0)
        return r;
    ret->data[ret->length++] = '"';
    for (size_t i = 0; i < length; i += 3) {
        size_t n = length - i < 3 ? length - i : 3;
        uint32_t group = (uint32_t)data[i] << 16;
        uint8_t *to = ret->data + ret->length;

        if (n > 1)
            group |= (uint32_t)data[i + 1] << 8;
        if (n > 2)
            group |= data[i + 2];
        to[0] = (uint8_t)digits[group >> 18];
        to[1] = (uint8_t)digits[group >> 12 & 63];
        to[2] = n > 1 ? (uint8_t)digits[group >> 6 & 63] : '=';
        to[3] = n > 2 ? (uint8_t)digits[group & 63] : '=';
        ret->length += 4;
    }
    ret->data[ret->length++] = '"';
    return 0;
}

static int
append_data(struct buffer *ret, const char *mime, const struct buffer *data)
{
    const struct json_limits limits = { DATA_BYTES_MAX, JSON_DEPTH_MAX };
    struct error why = { 0 };

    switch (encoding_of(mime)) {
    case ENCODING_TEXT:
        return text_append_json(ret, data->data, data->length);
    case ENCODING_JSON:
        if (json_scan(buffer_slice(data), &limits, &why) != 0)
            refuse("this is not JSON: %s", why.text);
        return buffer_append(ret, data->data, data->length);
    default:
        return append_base64(ret, data->data, data->length);
    }
}

static int
append_metadata(struct buffer *ret, const struct request *request, const char *mime)
{
    int r = buffer_append_text(ret, "},\"metadata\":{");

    if (r == 0 && (request->width != 0 || request->height != 0)) {
        r = buffer_append_format(ret, "\"%s\":{", mime);
        if (r == 0 && request->width != 0)
            r = buffer_append_format(ret, "\"width\":%ld%s", request->width,
                                     request->height != 0 ? "," : "");
        if (r == 0 && request->height != 0)
            r = buffer_append_format(ret, "\"height\":%ld", request->height);
        if (r == 0)
            r = buffer_append_text(ret, "}");
    }
    if (r == 0)
        r = buffer_append_text(ret, "},\"transient\":{");
    if (r == 0 && request->id != NULL) {
        r = buffer_append_text(ret, "\"display_id\":");
        if (r == 0)
            r = text_append_json(ret, request->id, strlen(request->id));
    }
    return r != 0 ? r : buffer_append_text(ret, "}}");
}

static void
make_content(const struct request *request, struct buffer *ret)
{
    CLEANUP(buffer_fini) struct buffer data;
    const char *mime;
    int r;

    buffer_init(&data, DATA_BYTES_MAX);
    read_data(request, &data);
    mime = request->mime != NULL ? request->mime : guess(request, &data);
    if (!mime_is_key(slice_text(mime)))
        refuse("'%s' is no type such as image/png", mime);
    r = buffer_append_format(ret, "{\"data\":{\"%s\":", mime);
    if (r == 0)
        r = append_data(ret, mime, &data);
    if (r == 0 && strcmp(mime, "text/plain") != 0)
        r = buffer_append_format(ret, ",\"text/plain\":\"<%s>\"", mime);
    if (r == 0)
        r = append_metadata(ret, request, mime);
    if (r != 0)
        refuse("too large to be shown");
}

static void
write_file(struct packet *packet, const struct buffer *content)
{
    const char *folder = getenv("TMPDIR");
    size_t done = 0;
    int fd;

    if ((size_t)snprintf(packet->path, sizeof packet->path, "%s/.cellwall-XXXXXX",
                         folder != NULL ? folder : "/tmp") >= sizeof packet->path)
        refuse("TMPDIR is too long");
    fd = mkstemp(packet->path);
    while (fd >= 0 && done < content->length) {
        ssize_t n = write(fd, content->data + done, content->length - done);

        if (n < 0 && errno != EINTR) {
            int code = errno;

            (void)unlink(packet->path);
            refuse("%s: %s", packet->path, strerror(code));
        }
        if (n > 0)
            done += (size_t)n;
    }
    if (fd < 0)
        refuse("%s: %s", packet->path, strerror(errno));
    close(fd);
}

static void
tell_runner(struct packet *packet)
{
    const char *path = getenv(PACKET_VARIABLE);
    struct stat st;
    int fd;

    for (int i = 0; i < 2; i++) {
        if (fstat(i + 1, &st) == 0 && S_ISFIFO(st.st_mode))
            packet->inodes[i] = st.st_ino;
    }
    /* Not waiting for a runner that is gone; and then as one packet. */
    fd = path != NULL ? open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0 || fcntl(fd, F_SETFL, O_DIRECT) < 0 ||
        write(fd, packet, sizeof *packet) != (ssize_t)sizeof *packet) {
        if (packet->path[0] != '\0')
            (void)unlink(packet->path);
        refuse("there is no notebook: " PACKET_VARIABLE " does not name one");
    }
    close(fd);
}

int
main(int argc, char **argv)
{
    struct request request = { .packet = { .kind = PACKET_DISPLAY } };
    const char *slash = strrchr(argv[0], '/');
    CLEANUP(buffer_fini) struct buffer content;

    if (strcmp(slash != NULL ? slash + 1 : argv[0], "clear") == 0)
        request.packet.kind = PACKET_CLEAR;
    else
        take_options(&request, argc, argv);
    buffer_init(&content, PACKET_FILE_BYTES_MAX);
    if (request.packet.kind != PACKET_CLEAR) {
        make_content(&request, &content);
        write_file(&request.packet, &content);
    }
    tell_runner(&request.packet);
    return EXIT_SUCCESS;
}
