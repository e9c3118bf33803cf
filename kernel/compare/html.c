/* SPDX-License-Identifier: MIT */
#include "kernel/compare/html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/HTMLparser.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/markup.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/text.h"

CLEANUP_DEFINE(xmlParserCtxt, htmlFreeParserCtxt);
CLEANUP_DEFINE(xmlDoc, xmlFreeDoc);

static const struct {
    const char *name;
    enum markup_kind kind;
} kinds[] = {
    /* Sorted by name. Those that are not here are blocks. */
    { "a", MARKUP_INLINE },        { "abbr", MARKUP_INLINE },
    { "acronym", MARKUP_INLINE },  { "audio", MARKUP_REPLACED },
    { "b", MARKUP_INLINE },        { "bdi", MARKUP_INLINE },
    { "bdo", MARKUP_INLINE },      { "big", MARKUP_INLINE },
    { "body", MARKUP_WRAPPER },    { "br", MARKUP_BREAK },
    { "button", MARKUP_REPLACED }, { "canvas", MARKUP_REPLACED },
    { "cite", MARKUP_INLINE },     { "code", MARKUP_INLINE },
    { "data", MARKUP_INLINE },     { "del", MARKUP_INLINE },
    { "dfn", MARKUP_INLINE },      { "em", MARKUP_INLINE },
    { "embed", MARKUP_REPLACED },  { "font", MARKUP_INLINE },
    { "head", MARKUP_WRAPPER },    { "html", MARKUP_WRAPPER },
    { "i", MARKUP_INLINE },        { "iframe", MARKUP_REPLACED },
    { "img", MARKUP_REPLACED },    { "input", MARKUP_REPLACED },
    { "ins", MARKUP_INLINE },      { "kbd", MARKUP_INLINE },
    { "label", MARKUP_INLINE },    { "link", MARKUP_INLINE },
    { "mark", MARKUP_INLINE },     { "math", MARKUP_INLINE },
    { "meta", MARKUP_INLINE },     { "meter", MARKUP_REPLACED },
    { "object", MARKUP_REPLACED }, { "output", MARKUP_INLINE },
    { "pre", MARKUP_KEPT },        { "progress", MARKUP_REPLACED },
    { "q", MARKUP_INLINE },        { "s", MARKUP_INLINE },
    { "samp", MARKUP_INLINE },     { "script", MARKUP_SCRIPT },
    { "select", MARKUP_REPLACED }, { "small", MARKUP_INLINE },
    { "span", MARKUP_INLINE },     { "strike", MARKUP_INLINE },
    { "strong", MARKUP_INLINE },   { "style", MARKUP_STYLE },
    { "sub", MARKUP_INLINE },      { "sup", MARKUP_INLINE },
    { "text", MARKUP_INLINE },     { "textarea", MARKUP_KEPT },
    { "time", MARKUP_INLINE },     { "tspan", MARKUP_INLINE },
    { "tt", MARKUP_INLINE },       { "u", MARKUP_INLINE },
    { "var", MARKUP_INLINE },      { "video", MARKUP_REPLACED },
    { "wbr", MARKUP_INLINE },
};

static int
compare_kind(const void *name, const void *row)
{
    return strcmp(name, *(const char *const *)row);
}

static enum markup_kind
kind_of(const xmlNode *element)
{
    const void *row;

    if (element->type != XML_ELEMENT_NODE)
        return MARKUP_BLOCK;
    row = bsearch(element->name, kinds, N_ELEMENTS(kinds), sizeof kinds[0], compare_kind);
    return row != NULL
               ? kinds[((const char *)row - (const char *)kinds) / sizeof kinds[0]].kind
               : MARKUP_BLOCK;
}

static void
on_start(void *arg, const xmlChar *name, const xmlChar **attributes)
{
    unsigned n = 0;

    while (attributes != NULL && attributes[2 * (size_t)n] != NULL)
        n++;
    if (markup_begin(arg, n))
        xmlSAX2StartElement(arg, name, attributes);
}

static void
on_end(void *arg, const xmlChar *name)
{
    markup_end(arg);
    xmlSAX2EndElement(arg, name);
}

/* The parser ends at a NUL; a browser takes it for a character that it does not know. */
static int
clean(struct slice text, struct buffer *ret)
{
    const uint8_t *nul;
    size_t length;
    int r = 0;

    while (r == 0 && text.length > 0) {
        nul = memchr(text.data, '\0', text.length);
        length = nul != NULL ? (size_t)(nul - text.data) : text.length;
        r = text_append_utf8(ret, text.data, length);
        if (r == 0 && nul != NULL)
            r = buffer_append_text(ret, "\xef\xbf\xbd");
        length += nul != NULL;
        text.data += length;
        text.length -= length;
    }
    return r;
}

static int
parse(struct slice text, struct buffer *ret, struct error *err)
{
    CLEANUP(htmlFreeParserCtxtp) xmlParserCtxt *parser = htmlNewParserCtxt();
    CLEANUP(xmlFreeDocp) xmlDoc *document = NULL;
    struct markup_source source = { .parser = parser, .rest = text };

    if (parser == NULL)
        return -ENOMEM;
    parser->_private = &source;
    parser->sax->startElement = on_start;
    parser->sax->endElement = on_end;
    parser->sax->comment = NULL;
    parser->sax->processingInstruction = NULL;
    document = htmlCtxtReadIO(parser, markup_read, NULL, &source, NULL, "UTF-8",
                              HTML_PARSE_RECOVER | HTML_PARSE_NOERROR |
                                  HTML_PARSE_NOWARNING | HTML_PARSE_NONET |
                                  HTML_PARSE_NODEFDTD | HTML_PARSE_IGNORE_ENC);
    if (parser->lastError.code == XML_ERR_NO_MEMORY)
        return -ENOMEM;
    if (source.broken != NULL)
        return error_set(err, COMPARE_E_INVALID, "%s", source.broken);
    if (document == NULL)
        return 0; /* there is nothing in it */
    return markup_write(document, kind_of, ret, err);
}

void
html_init(void)
{
    markup_init();
}

int
html_canonical(struct slice text, struct buffer *ret, struct error *err)
{
    struct buffer cleaned;
    int r;

    markup_init();
    r = markup_check(text, err);
    if (r != 0)
        return r;
    buffer_init(&cleaned, 3 * MARKUP_BYTES_MAX);
    r = clean(text, &cleaned);
    if (r == 0 && cleaned.length > 0)
        r = parse(buffer_slice(&cleaned), ret, err);
    buffer_fini(&cleaned);
    return r;
}
