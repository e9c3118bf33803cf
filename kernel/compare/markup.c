/* SPDX-License-Identifier: MIT */
#include "kernel/compare/markup.h"

#include <errno.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/markup_names.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

#define ATTRIBUTE_WORDS_MAX 8192 /* what the parser has room for in an element */
#define CODE_LINE_BYTES 100 /* a longer one is broken */

CLEANUP_DEFINE(struct markup_names, markup_names_destroy);

/* What comes before the next text of a block. */
enum gap {
    GAP_START, /* nothing shows yet: white space will not, either */
    GAP_NONE,
    GAP_SPACE /* white space, if anything follows */
};

struct writer {
    struct buffer *ret; /* borrowed */
    struct markup_names *names; /* owned */
    markup_kind_fn *kind;
    enum gap gap;
    bool begun; /* a line is there */
    int result; /* the first that failed; then nothing more is written */
};

struct attribute {
    const char *prefix; /* borrowed, or NULL */
    const char *name; /* borrowed */
    const xmlAttr *attribute; /* borrowed; NULL: declares a namespace */
    const char *value; /* borrowed: then this */
};

static xmlParserInput *
load_nothing(const char *url, const char *id, xmlParserCtxt *parser)
{
    (void)url, (void)id, (void)parser;
    return NULL;
}

void
markup_init(void)
{
    xmlInitParser();
    xmlSetExternalEntityLoader(load_nothing);
}

int
markup_check(struct slice text, struct error *err)
{
    if (text.length > MARKUP_BYTES_MAX)
        return error_set(err, COMPARE_E_INVALID, "it has %zu bytes, at most %zu are read",
                         text.length, MARKUP_BYTES_MAX);
    return 0;
}

static void
stop(xmlParserCtxt *parser, const char *broken)
{
    struct markup_source *source = parser->_private;

    if (source->broken == NULL)
        source->broken = broken;
    xmlStopParser(parser);
}

/* Comparing each attribute with all before it is the parser's work, and of the square of
 * their number: so it is ended here, long before the element is told of. */
int
markup_read(void *arg, char *ret, int length)
{
    struct markup_source *source = arg;
    size_t n = source->rest.length;

    if (source->parser->maxatts > ATTRIBUTE_WORDS_MAX) {
        source->broken = "an element has too many attributes";
        return -1;
    }
    if (n > (size_t)length)
        n = (size_t)length;
    if (n > 0)
        memcpy(ret, source->rest.data, n);
    source->rest.data += n;
    source->rest.length -= n;
    return (int)n;
}

bool
markup_begin(xmlParserCtxt *parser, unsigned attributes)
{
    struct markup_source *source = parser->_private;

    source->depth++;
    source->nodes += 1 + attributes;
    if (source->depth > MARKUP_DEPTH_MAX)
        stop(parser, "it is nested too deeply");
    else if (attributes > MARKUP_ATTRIBUTES_MAX)
        stop(parser, "an element has too many attributes");
    else if (source->nodes > MARKUP_NODES_MAX)
        stop(parser, "it has too many elements");
    return source->broken == NULL;
}

void
markup_end(xmlParserCtxt *parser)
{
    struct markup_source *source = parser->_private;

    if (source->depth > 0)
        source->depth--;
}

static void
put_bytes(struct writer *writer, const void *data, size_t length)
{
    if (writer->result == 0)
        writer->result = buffer_append(writer->ret, data, length);
}

static void
put(struct writer *writer, const char *text)
{
    put_bytes(writer, text, strlen(text));
}

static void
put_names(struct writer *writer, struct slice text, enum markup_place place)
{
    if (writer->result == 0)
        writer->result = markup_names_append(writer->names, writer->ret, text, place);
}

static void
put_line(struct writer *writer, unsigned depth)
{
    if (writer->begun)
        put(writer, "\n");
    writer->begun = true;
    for (unsigned i = 0; i < depth; i++)
        put(writer, "  ");
}

static bool
is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* What would be taken for markup, or not be seen at all. */
static size_t
put_character(struct writer *writer, const char *text)
{
    static const struct {
        const char *from, *to;
    } escapes[] = {
        { "<", "&lt;" },
        { "&", "&amp;" },
        { "\xc2\xa0", "&nbsp;" },
        { "\xc2\xad", "&shy;" },
    };
    size_t length;

    for (size_t i = 0; i < N_ELEMENTS(escapes); i++) {
        length = strlen(escapes[i].from);
        if (strncmp(text, escapes[i].from, length) == 0) {
            put(writer, escapes[i].to);
            return length;
        }
    }
    length = 1 + strcspn(text + 1, "<& \t\n\r\f\xc2");
    put_bytes(writer, text, length);
    return length;
}

/* TEXT with its lines where they are, each below the last. */
static void
put_kept(struct writer *writer, const char *text, unsigned depth)
{
    while (*text != '\0') {
        if (*text == '\n') {
            put_line(writer, depth);
            text++;
        } else {
            text += put_character(writer, text);
        }
    }
}

/* TEXT as a browser collapses its white space. */
static void
put_collapsed(struct writer *writer, const char *text)
{
    while (*text != '\0') {
        if (is_space(*text)) {
            if (writer->gap == GAP_NONE)
                writer->gap = GAP_SPACE;
            text++;
            continue;
        }
        if (writer->gap == GAP_SPACE)
            put(writer, " ");
        writer->gap = GAP_NONE;
        text += put_character(writer, text);
    }
}

/* A space that is at the beginning of its line would be taken for indentation. */
static void
put_gap(struct writer *writer)
{
    if (writer->gap == GAP_SPACE)
        put(writer, "&#32;");
    writer->gap = GAP_NONE;
}

static bool
is_blank(const char *text)
{
    return text[strspn(text, " \t\n\r\f")] == '\0';
}

/* How much of a line of LENGTH stays on it: of a long one, as those that hold the data of
 * a plot, up to where an object, an array or a statement ends. */
static size_t
find_break(const char *text, size_t length)
{
    if (length <= CODE_LINE_BYTES)
        return length;
    for (size_t i = 1; i < length; i++) {
        if (text[i] == ';' || (text[i] == ',' && strchr("}])", text[i - 1]) != NULL))
            return i + 1;
    }
    return length;
}

/* A script's or a style sheet's lines, without those that are empty. */
static void
put_code(struct writer *writer, const char *text, enum markup_place place, unsigned depth)
{
    size_t length, used, broken;

    for (; *text != '\0'; text += length + (text[length] != '\0')) {
        length = used = strcspn(text, "\n");
        while (used > 0 && is_space(text[used - 1]))
            used--;
        for (size_t i = 0; i < used; i += broken) {
            broken = find_break(text + i, used - i);
            put_line(writer, depth);
            put_names(writer, (struct slice){ (const uint8_t *)text + i, broken }, place);
        }
    }
}

static bool
keeps_white_space(const struct writer *writer, const xmlNode *node)
{
    const xmlAttr *space;

    for (; node != NULL && node->type == XML_ELEMENT_NODE; node = node->parent) {
        if (writer->kind(node) == MARKUP_KEPT)
            return true;
        space = xmlHasNsProp(node, (const xmlChar *)"space", XML_XML_NAMESPACE);
        if (space != NULL && space->children != NULL && space->children->content != NULL)
            return strcmp((const char *)space->children->content, "preserve") == 0;
    }
    return false;
}

static void
write_text(struct writer *writer, const xmlNode *node, unsigned depth)
{
    const char *text = (const char *)node->content;
    enum markup_kind kind = writer->kind(node->parent);
    bool alone = node->prev == NULL && node->next == NULL &&
                 node->parent->type == XML_ELEMENT_NODE;

    if (text == NULL || *text == '\0')
        return;
    if (kind == MARKUP_SCRIPT || kind == MARKUP_STYLE) {
        put_code(writer, text, kind == MARKUP_STYLE ? MARKUP_IN_STYLE : MARKUP_IN_SCRIPT,
                 depth);
        return;
    }
    if (keeps_white_space(writer, node->parent)) {
        put_line(writer, depth);
        put_gap(writer);
        put_kept(writer, text, depth);
        return;
    }
    if (is_blank(text)) {
        put_collapsed(writer, text);
        return;
    }
    if (!alone || (depth == 0 && writer->begun))
        put_line(writer, depth);
    if (is_space(*text) && writer->gap == GAP_NONE)
        writer->gap = GAP_SPACE;
    put_gap(writer);
    put_collapsed(writer, text + strspn(text, " \t\n\r\f"));
}

static enum markup_place
place_of(const char *name)
{
    static const char *const ids[] = {
        "id",
        "for",
        "headers",
        "list",
        "form",
        "aria-activedescendant",
        "aria-controls",
        "aria-describedby",
        "aria-details",
        "aria-errormessage",
        "aria-flowto",
        "aria-labelledby",
        "aria-owns",
    };

    for (size_t i = 0; i < N_ELEMENTS(ids); i++) {
        if (strcmp(name, ids[i]) == 0)
            return MARKUP_IN_ID;
    }
    if (strcmp(name, "class") == 0)
        return MARKUP_IN_CLASS;
    if (strncmp(name, "data-", 5) == 0 || strncmp(name, "on", 2) == 0 ||
        strcmp(name, "srcdoc") == 0)
        return MARKUP_IN_DATA;
    return MARKUP_IN_VALUE;
}

/* A path's commands each have a line of their own, so that one that has moved is seen. */
static void
put_path(struct writer *writer, const char *value, unsigned depth)
{
    for (; *value != '\0'; value++) {
        if (is_space(*value)) {
            value += strspn(value, " \t\n\r\f") - 1;
            if (value[1] != '\0' && strchr("MmLlHhVvCcSsQqTtAaZz", value[1]) == NULL)
                put(writer, " ");
        } else if (strchr("MmLlHhVvCcSsQqTtAaZz", *value) != NULL) {
            put_line(writer, depth + 2);
            put_bytes(writer, value, 1);
        } else if (*value == '<' || *value == '&' || *value == '"') {
            put(writer, "?"); /* no path has it */
        } else {
            put_bytes(writer, value, 1);
        }
    }
}

/* The lines of a value (srcdoc has a whole document) are below each other, too. */
static void
put_escaped(struct writer *writer, const char *value, unsigned depth)
{
    size_t length;

    for (; *value != '\0'; value++) {
        length = strcspn(value, "\"&<\n");
        put_bytes(writer, value, length);
        value += length;
        if (*value == '\0')
            break;
        if (*value == '\n')
            put_line(writer, depth + 2);
        else
            put(writer, *value == '"' ? "&quot;" : *value == '&' ? "&amp;" : "&lt;");
    }
}

static void
put_value(struct writer *writer, const struct attribute *attribute, const char *value,
          unsigned depth)
{
    struct buffer replaced;

    if (attribute->attribute != NULL && strcmp(attribute->name, "d") == 0) {
        put_path(writer, value, depth);
        return;
    }
    buffer_init(&replaced, writer->ret->limit);
    if (writer->result == 0)
        writer->result = markup_names_append(writer->names, &replaced, slice_text(value),
                                             place_of(attribute->name));
    if (writer->result == 0)
        writer->result = buffer_append(&replaced, "", 1);
    if (writer->result == 0)
        put_escaped(writer, (const char *)replaced.data, depth);
    buffer_fini(&replaced);
}

static int
compare_attributes(const void *left, const void *right)
{
    const struct attribute *a = left, *b = right;
    int order = strcmp(a->name, b->name);

    if (order != 0 || (a->prefix == NULL && b->prefix == NULL))
        return order;
    if (a->prefix == NULL || b->prefix == NULL)
        return a->prefix == NULL ? -1 : 1;
    return strcmp(a->prefix, b->prefix);
}

static size_t
gather_attributes(const xmlNode *element, struct attribute *ret)
{
    size_t n = 0;

    for (const xmlAttr *a = element->properties; a != NULL && n < MARKUP_ATTRIBUTES_MAX;
         a = a->next)
        ret[n++] = (struct attribute){
            .prefix = a->ns != NULL ? (const char *)a->ns->prefix : NULL,
            .name = (const char *)a->name,
            .attribute = a,
        };
    for (const xmlNs *ns = element->nsDef; ns != NULL && n < MARKUP_ATTRIBUTES_MAX;
         ns = ns->next)
        ret[n++] = (struct attribute){
            .prefix = ns->prefix != NULL ? "xmlns" : NULL,
            .name = ns->prefix != NULL ? (const char *)ns->prefix : "xmlns",
            .value = ns->href != NULL ? (const char *)ns->href : "",
        };
    qsort(ret, n, sizeof *ret, compare_attributes);
    return n;
}

/* The parser gives an attribute such as "checked" its name as its value. */
static bool
is_flag(const char *name, const char *value)
{
    return strcmp(name, value) == 0 && place_of(name) == MARKUP_IN_VALUE;
}

static void
put_attribute(struct writer *writer, const xmlNode *element,
              const struct attribute *attribute, unsigned depth)
{
    const xmlNode *children =
        attribute->attribute != NULL ? attribute->attribute->children : NULL;
    xmlChar *value = NULL;

    put(writer, " ");
    if (attribute->prefix != NULL) {
        put(writer, attribute->prefix);
        put(writer, ":");
    }
    put(writer, attribute->name);
    if (attribute->attribute != NULL) {
        if (children == NULL)
            return;
        value = xmlNodeListGetString(element->doc, children, 1);
        if (value == NULL || *value == '\0' ||
            is_flag(attribute->name, (const char *)value)) {
            xmlFree(value);
            return;
        }
    }
    put(writer, "=\"");
    put_value(writer, attribute, value != NULL ? (const char *)value : attribute->value,
              depth);
    put(writer, "\"");
    xmlFree(value);
}

static void
write_tag(struct writer *writer, const xmlNode *element, unsigned depth)
{
    struct attribute attributes[MARKUP_ATTRIBUTES_MAX];
    size_t n = gather_attributes(element, attributes);

    put_line(writer, depth);
    put(writer, "<");
    if (element->ns != NULL && element->ns->prefix != NULL) {
        put(writer, (const char *)element->ns->prefix);
        put(writer, ":");
    }
    put(writer, (const char *)element->name);
    for (size_t i = 0; i < n; i++)
        put_attribute(writer, element, &attributes[i], depth);
    put(writer, ">");
}

static bool
is_left_out(const struct writer *writer, const xmlNode *element)
{
    return writer->kind(element) == MARKUP_WRAPPER && element->properties == NULL;
}

/* What the border of an element does to the white space before it. */
static void
pass_border(struct writer *writer, enum markup_kind kind)
{
    if (kind == MARKUP_BLOCK || kind == MARKUP_WRAPPER || kind == MARKUP_KEPT ||
        kind == MARKUP_BREAK)
        writer->gap = GAP_START;
}

/* Whether to go on with the children. */
static bool
write_node(struct writer *writer, const xmlNode *node, unsigned depth)
{
    enum markup_kind kind;

    switch (node->type) {
    case XML_ELEMENT_NODE:
        kind = writer->kind(node);
        if (kind == MARKUP_DROPPED)
            return false;
        if (kind == MARKUP_REPLACED && writer->gap == GAP_SPACE) {
            put_line(writer, depth);
            put_gap(writer);
        }
        pass_border(writer, kind);
        if (!is_left_out(writer, node))
            write_tag(writer, node, depth);
        return true;
    case XML_TEXT_NODE:
    case XML_CDATA_SECTION_NODE:
        write_text(writer, node, depth);
        return false;
    case XML_ENTITY_REF_NODE: /* children would be what it stands for */
        put_line(writer, depth);
        put(writer, "&");
        put(writer, (const char *)node->name);
        put(writer, ";");
        return false;
    default:
        return false;
    }
}

static void
write_tree(struct writer *writer, const xmlDoc *document)
{
    const xmlNode *node = document->children;
    unsigned depth = 0;

    while (node != NULL && writer->result == 0) {
        if (write_node(writer, node, depth) && node->children != NULL) {
            depth += !is_left_out(writer, node);
            node = node->children;
            continue;
        }
        for (;;) {
            if (node->type == XML_ELEMENT_NODE) {
                pass_border(writer, writer->kind(node));
                if (writer->kind(node) == MARKUP_REPLACED)
                    writer->gap = GAP_NONE;
            }
            if (node->next != NULL) {
                node = node->next;
                break;
            }
            node = node->parent;
            if (node == NULL || node->type != XML_ELEMENT_NODE)
                return;
            depth -= !is_left_out(writer, node);
        }
    }
}

/* In the order of the document. */
static int
gather_names(struct markup_names *names, const xmlDoc *document)
{
    const xmlNode *node = document->children;
    const xmlAttr *id;
    int r;

    while (node != NULL) {
        if (node->type == XML_ELEMENT_NODE) {
            id = xmlHasProp(node, (const xmlChar *)"id");
            if (id != NULL && id->children != NULL && id->children->content != NULL) {
                r = markup_names_add(names, (const char *)id->children->content);
                if (r != 0)
                    return r;
            }
            if (node->children != NULL) {
                node = node->children;
                continue;
            }
        }
        while (node != NULL && node->type != XML_HTML_DOCUMENT_NODE &&
               node->type != XML_DOCUMENT_NODE && node->next == NULL)
            node = node->parent;
        node = node != NULL ? node->next : NULL;
    }
    return 0;
}

int
markup_write(xmlDoc *document, markup_kind_fn *kind, struct buffer *ret,
             struct error *err)
{
    CLEANUP(markup_names_destroyp) struct markup_names *names = NULL;
    struct writer writer = { .ret = ret, .kind = kind };
    size_t before = ret->length;
    int r;

    r = markup_names_create(&names);
    if (r == 0)
        r = gather_names(names, document);
    if (r != 0)
        return r;
    writer.names = names;
    write_tree(&writer, document);
    if (writer.begun)
        put(&writer, "\n");
    if (writer.result == 0)
        return 0;
    ret->length = before;
    if (writer.result == BUFFER_E_FULL)
        return error_set(err, COMPARE_E_INVALID, "it is too large");
    return writer.result;
}
