/* SPDX-License-Identifier: MIT */
#include "kernel/cli/render.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/cli/pictures.h"
#include "kernel/cli/screen.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/tree.h"

#define ID_BYTES_MAX 256 /* longer ids of displays are not updated */
#define INLINE_TEXT_BYTES_MAX ((size_t)24 * 1024 * 1024)

/* One that has an id. The live ones stand together at the bottom of the terminal. */
struct display {
    char id[ID_BYTES_MAX];
    json_t *data; /* owned: what it is now */
    uint64_t row; /* where it begins */
    bool live;
    bool held_back; /* it is not shown as it is now */
};

struct render {
    struct screen *screen; /* borrowed */
    struct pictures *pictures; /* borrowed */
    bool save_all;
    bool clear_pending; /* before the next output */
    uint64_t begin; /* the row where what can be cleared begins */
    struct display displays[RENDER_DISPLAYS_MAX]; /* in the order of their showing */
    size_t count;
};

int
render_create(struct render **ret, struct screen *screen, struct pictures *pictures,
              bool save_all)
{
    struct render *render = calloc(1, sizeof *render);

    if (render == NULL)
        return -ENOMEM;
    render->screen = screen;
    render->pictures = pictures;
    render->save_all = save_all;
    render->begin = screen->row;
    *ret = render;
    return 0;
}

void
render_destroy(struct render *render)
{
    if (render == NULL)
        return;
    for (size_t i = 0; i < render->count; i++)
        json_decref(render->displays[i].data);
    free(render);
}

/* What an object without a text of its own is shown as: "<IPython.core... object>". */
static bool
is_placeholder(const char *text)
{
    size_t length = strlen(text);

    return length > 2 && text[0] == '<' && text[length - 1] == '>' &&
           strchr(text, '\n') == NULL;
}

const char *
render_choose_text(const json_t *data, const char **ret_mime)
{
    static const char *const sources[] = { "text/markdown", "text/latex" };
    const char *plain = json_string_value(json_object_get(data, "text/plain"));

    *ret_mime = "text/plain";
    if (plain != NULL && !is_placeholder(plain))
        return plain;
    for (size_t i = 0; i < N_ELEMENTS(sources); i++) {
        const char *text = json_string_value(json_object_get(data, sources[i]));

        if (text != NULL) {
            *ret_mime = sources[i];
            return text;
        }
    }
    if (plain == NULL)
        *ret_mime = NULL;
    return plain;
}

static int
print_line(struct render *render, struct slice text)
{
    int r = screen_begin_line(render->screen, SCREEN_OUT);

    if (r == 0)
        r = screen_print(render->screen, SCREEN_OUT, text);
    return r != 0 ? r : screen_begin_line(render->screen, SCREEN_OUT);
}

__attribute__((format(printf, 2, 3))) static int
print_note(struct render *render, const char *format, ...)
{
    char line[PATH_MAX + ERROR_TEXT_BYTES];
    va_list ap;

    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    return print_line(render, slice_text(line));
}

static int
show_inline(struct render *render, const char *mime, const json_t *value)
{
    CLEANUP(buffer_fini) struct buffer text;
    int r;

    buffer_init(&text, INLINE_TEXT_BYTES_MAX);
    r = pictures_append_inline(render->pictures, mime, value, &text);
    if (r == 0)
        r = screen_begin_line(render->screen, SCREEN_OUT);
    else
        return r < 0 ? r : PICTURES_E_INVALID;
    return r != 0 ? r : screen_print_raw(render->screen, SCREEN_OUT, buffer_slice(&text));
}

/* RET_SHOWN: whether there was something to show it by. */
static int
show_picture(struct render *render, const char *mime, const json_t *value)
{
    struct error err = { 0 };
    char name[PATH_MAX];
    int r;

    if (render->pictures->protocol != PICTURES_NONE && !render->save_all) {
        r = show_inline(render, mime, value);
        if (r != PICTURES_E_INVALID)
            return r;
    }
    r = pictures_save(render->pictures, mime, value, name, &err);
    if (r < 0)
        return r;
    if (r == 0)
        return print_note(render, "[%s: %s]", mime, name);
    return print_note(render, "[%s: %s]", mime,
                      r == PICTURES_E_FAILED ? err.text : "its data is damaged");
}

/* A bundle without a text of its own, in a line. */
static int
show_summary(struct render *render, const json_t *data)
{
    static const char *const known[] = { "text/html", "application/json" };
    const char *mime = NULL;
    const json_t *value = NULL;
    char name[PATH_MAX];
    struct error err = { 0 };

    for (size_t i = 0; value == NULL && i < N_ELEMENTS(known); i++) {
        mime = known[i];
        value = json_object_get(data, mime);
    }
    if (value == NULL) {
        void *member = json_object_iter((json_t *)data);

        while (member != NULL && strcmp(json_object_iter_key(member), "text/plain") == 0)
            member = json_object_iter_next((json_t *)data, member);
        if (member == NULL)
            return 0;
        mime = json_object_iter_key(member);
    }
    if (value != NULL && render->save_all) {
        int r = pictures_save(render->pictures, mime, value, name, &err);

        if (r <= 0)
            return r < 0 ? r : print_note(render, "[%s: %s]", mime, name);
    }
    return print_note(render, "[%.100s: not shown; see it with --json%s]", mime,
                      value != NULL ? " or --image-dir" : "");
}

static int
show_data(struct render *render, const json_t *data)
{
    const char *mime, *member, *text = render_choose_text(data, &mime);
    bool has_shown = false, has_other = false;
    const json_t *value;
    int r = 0;

    json_object_foreach((json_t *)data, member, value)
    {
        /* The same picture in several types is one. */
        if (pictures_is_picture(member) && !has_shown) {
            has_shown = true;
            r = show_picture(render, member, value);
            if (r != 0)
                return r;
        }
        has_other = has_other || strcmp(member, "text/plain") != 0;
    }
    if (text != NULL && (!is_placeholder(text) || !has_other))
        return print_line(
            render, (struct slice){ (const uint8_t *)text,
                                    json_string_length(json_object_get(data, mime)) });
    return has_shown ? 0 : show_summary(render, data);
}

/* Other output has come: what is above it stays as it is. */
static void
settle(struct render *render)
{
    for (size_t i = 0; i < render->count; i++)
        render->displays[i].live = false;
}

static int
clear(struct render *render)
{
    struct screen *screen = render->screen;
    uint64_t begin = render->begin;
    int r;

    render->clear_pending = false;
    if (!screen->options.is_terminal[SCREEN_OUT])
        return 0;
    if (begin < screen->known_row)
        begin = screen->known_row;
    if (screen->options.rows > 1 && screen->row - begin >= screen->options.rows)
        begin = screen->row - screen->options.rows + 1; /* the rest has scrolled away */
    if (screen_erase(screen, begin, &r))
        render->begin = begin;
    settle(render);
    return r;
}

static int
before_output(struct render *render)
{
    return render->clear_pending ? clear(render) : 0;
}

static const char *
find_id(const json_t *content)
{
    const char *id = json_string_value(
        json_object_get(json_object_get(content, "transient"), "display_id"));

    return id != NULL && strlen(id) < ID_BYTES_MAX ? id : NULL;
}

static void
forget_first(struct render *render)
{
    json_decref(render->displays[0].data);
    memmove(&render->displays[0], &render->displays[1],
            (render->count - 1) * sizeof render->displays[0]);
    render->count--;
}

/* A display that may be updated is remembered. */
static void
remember(struct render *render, const char *id, json_t *data, uint64_t row)
{
    struct display *display;

    if (render->count == RENDER_DISPLAYS_MAX)
        forget_first(render);
    display = &render->displays[render->count++];
    *display = (struct display){ .data = json_incref(data), .row = row, .live = true };
    snprintf(display->id, sizeof display->id, "%s", id);
}

static int
on_display(struct render *render, const json_t *content)
{
    json_t *data = json_object_get(content, "data");
    const char *id = find_id(content);
    int r = before_output(render);

    if (r == 0)
        r = screen_begin_line(render->screen, SCREEN_OUT);
    if (r != 0)
        return r;
    if (id == NULL)
        settle(render);
    else
        remember(render, id, data, render->screen->row);
    return show_data(render, data);
}

/* Shows the live displays from INDEX on anew. */
static int
show_again(struct render *render, size_t index)
{
    int r = 0;

    for (size_t i = index; r == 0 && i < render->count; i++) {
        struct display *display = &render->displays[i];

        if (!display->live)
            continue;
        display->row = render->screen->row;
        display->held_back = false;
        r = show_data(render, display->data);
    }
    return r;
}

static bool
has_picture(const json_t *data)
{
    const char *member;
    const json_t *value;

    json_object_foreach((json_t *)data, member, value)
    {
        if (pictures_is_picture(member))
            return true;
    }
    return false;
}

static int
update_one(struct render *render, size_t index, json_t *data)
{
    struct display *display = &render->displays[index];
    int r;

    if (json_equal(display->data, data))
        return 0;
    json_incref(data);
    json_decref(display->data);
    display->data = data;
    if (!display->live || has_picture(data) || /* only its last state is saved */
        !screen_erase(render->screen, display->row, &r)) {
        display->held_back = true;
        return 0;
    }
    return r != 0 ? r : show_again(render, index);
}

static int
on_update(struct render *render, const json_t *content)
{
    json_t *data = json_object_get(content, "data");
    const char *id = find_id(content);
    int r = id == NULL ? 0 : before_output(render);

    for (size_t i = 0; id != NULL && r == 0 && i < render->count; i++) {
        if (strcmp(render->displays[i].id, id) == 0)
            r = update_one(render, i, data);
    }
    return r;
}

static int
on_stream(struct render *render, const json_t *content)
{
    const json_t *text = json_object_get(content, "text");
    const char *name = json_string_value(json_object_get(content, "name"));
    struct slice slice = { (const uint8_t *)json_string_value(text),
                           json_string_length(text) };
    int r = before_output(render);

    settle(render);
    if (r != 0 || slice.data == NULL)
        return r;
    return screen_print(
        render->screen,
        name != NULL && strcmp(name, "stderr") == 0 ? SCREEN_ERR : SCREEN_OUT, slice);
}

static int
on_clear(struct render *render, const json_t *content)
{
    if (json_is_true(json_object_get(content, "wait"))) {
        render->clear_pending = true;
        return 0;
    }
    return clear(render);
}

static int
on_error(struct render *render, const json_t *content)
{
    const json_t *lines = json_object_get(content, "traceback"), *line;
    const char *name = json_string_value(json_object_get(content, "ename"));
    const char *value = json_string_value(json_object_get(content, "evalue"));
    size_t i;
    int r = before_output(render);

    settle(render);
    if (r == 0)
        r = screen_begin_line(render->screen, SCREEN_ERR);
    json_array_foreach(lines, i, line)
    {
        struct slice text = { (const uint8_t *)json_string_value(line),
                              json_string_length(line) };

        if (r == 0 && text.data != NULL)
            r = screen_print_coloured(render->screen, SCREEN_ERR, text);
        if (r == 0)
            r = screen_print(render->screen, SCREEN_ERR, slice_text("\n"));
    }
    if (r == 0 && json_array_size(lines) == 0 && name != NULL) {
        r = screen_print_coloured(render->screen, SCREEN_ERR, slice_text(name));
        if (r == 0)
            r = screen_print(render->screen, SCREEN_ERR, slice_text(": "));
        if (r == 0 && value != NULL)
            r = screen_print_coloured(render->screen, SCREEN_ERR, slice_text(value));
        if (r == 0)
            r = screen_print(render->screen, SCREEN_ERR, slice_text("\n"));
    }
    return r;
}

static const struct handler {
    const char *type;
    int (*fn)(struct render *render, const json_t *content);
} handlers[] = {
    { "stream", on_stream },          { "display_data", on_display },
    { "execute_result", on_display }, { "update_display_data", on_update },
    { "clear_output", on_clear },     { "error", on_error },
};

int
render_event(struct render *render, const char *type, const json_t *content)
{
    for (size_t i = 0; i < N_ELEMENTS(handlers); i++) {
        if (strcmp(handlers[i].type, type) == 0)
            return handlers[i].fn(render, content);
    }
    return 0;
}

int
render_finish(struct render *render)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < render->count; i++) {
        if (render->displays[i].held_back) {
            render->displays[i].held_back = false;
            r = show_data(render, render->displays[i].data);
        }
    }
    return r;
}
