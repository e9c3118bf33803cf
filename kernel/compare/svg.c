/* SPDX-License-Identifier: MIT */
#include "kernel/compare/svg.h"

#include <errno.h>
#include <string.h>

#include "kernel/compare/compare.h"
#include "kernel/compare/markup.h"
#include "protocol/cleanup.h"
#include "protocol/error.h"

CLEANUP_DEFINE(xmlParserCtxt, xmlFreeParserCtxt);
CLEANUP_DEFINE(xmlDoc, xmlFreeDoc);

static enum markup_kind
kind_of(const xmlNode *element)
{
    static const struct {
        const char *name;
        enum markup_kind kind;
    } kinds[] = {
        { "metadata", MARKUP_DROPPED }, { "style", MARKUP_STYLE },
        { "script", MARKUP_SCRIPT },    { "tspan", MARKUP_INLINE },
        { "textPath", MARKUP_INLINE },  { "a", MARKUP_INLINE },
    };

    if (element->type != XML_ELEMENT_NODE)
        return MARKUP_BLOCK;
    for (size_t i = 0; i < N_ELEMENTS(kinds); i++) {
        if (strcmp((const char *)element->name, kinds[i].name) == 0)
            return kinds[i].kind;
    }
    return MARKUP_BLOCK;
}

/* NOLINTBEGIN(readability-function-size): the library's signature */
static void
on_start(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
         int n_namespaces, const xmlChar **namespaces, int n_attributes, int n_defaulted,
         const xmlChar **attributes)
{
    if (markup_begin(arg, (unsigned)n_attributes + (unsigned)n_namespaces))
        xmlSAX2StartElementNs(arg, name, prefix, uri, n_namespaces, namespaces,
                              n_attributes, n_defaulted, attributes);
}
/* NOLINTEND(readability-function-size) */

static void
on_end(void *arg, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri)
{
    markup_end(arg);
    xmlSAX2EndElementNs(arg, name, prefix, uri);
}

/* Entities that a document declares do not exist: none can grow, none can be loaded. */
static void
on_entity(void *arg, const xmlChar *name, int type, const xmlChar *public_id,
          const xmlChar *system_id, xmlChar *content)
{
    (void)arg, (void)name, (void)type, (void)public_id, (void)system_id, (void)content;
}

static xmlEntity *
on_get_entity(void *arg, const xmlChar *name)
{
    (void)arg;
    return xmlGetPredefinedEntity(name);
}

static xmlEntity *
on_get_parameter_entity(void *arg, const xmlChar *name)
{
    (void)arg, (void)name;
    return NULL;
}

static void
set_handlers(xmlSAXHandler *sax)
{
    sax->startElementNs = on_start;
    sax->endElementNs = on_end;
    sax->comment = NULL;
    sax->processingInstruction = NULL;
    sax->entityDecl = on_entity;
    sax->getEntity = on_get_entity;
    sax->getParameterEntity = on_get_parameter_entity;
    sax->externalSubset = NULL;
    sax->resolveEntity = NULL;
}

/* An attribute that a document declares for all its elements would be there without being
 * counted. */
static void
on_attribute(void *arg, const xmlChar *element, const xmlChar *name, int type,
             int defaulted, const xmlChar *value, xmlEnumeration *tree)
{
    struct markup_source *source = ((xmlParserCtxt *)arg)->_private;

    (void)element, (void)name, (void)type, (void)defaulted, (void)value;
    xmlFreeEnumeration(tree);
    source->broken = "it declares attributes";
    xmlStopParser(arg);
}

static int
refuse(const xmlParserCtxt *parser, struct error *err)
{
    const char *message = parser->lastError.message;

    if (message == NULL)
        message = "it is no XML";
    return error_set(err, COMPARE_E_INVALID, "line %d: %.*s", parser->lastError.line,
                     (int)strcspn(message, "\n"), message);
}

void
svg_init(void)
{
    markup_init();
}

int
svg_canonical(struct slice text, struct buffer *ret, struct error *err)
{
    CLEANUP(xmlFreeParserCtxtp) xmlParserCtxt *parser = NULL;
    CLEANUP(xmlFreeDocp) xmlDoc *document = NULL;
    struct markup_source source = { .rest = text };
    int r;

    markup_init();
    r = markup_check(text, err);
    if (r != 0)
        return r;
    if (text.length == 0)
        return error_set(err, COMPARE_E_INVALID, "it is empty");
    parser = xmlNewParserCtxt();
    if (parser == NULL)
        return -ENOMEM;
    source.parser = parser;
    parser->_private = &source;
    set_handlers(parser->sax);
    parser->sax->attributeDecl = on_attribute;
    document = xmlCtxtReadIO(parser, markup_read, NULL, &source, NULL, "UTF-8",
                             XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
                                 XML_PARSE_NOCDATA | XML_PARSE_IGNORE_ENC);
    if (parser->lastError.code == XML_ERR_NO_MEMORY)
        return -ENOMEM;
    if (source.broken != NULL)
        return error_set(err, COMPARE_E_INVALID, "%s", source.broken);
    if (document == NULL || !parser->wellFormed)
        return refuse(parser, err);
    return markup_write(document, kind_of, ret, err);
}
