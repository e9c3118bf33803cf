/* SPDX-License-Identifier: MIT */
/*
 * mime - MIME bundles that come from runners
 *
 * They are forwarded byte for byte; here is checked that a Jupyter client will take them.
 */
#ifndef PROTOCOL_MIME_H
#define PROTOCOL_MIME_H

#include <stdbool.h>

#include "protocol/buffer.h"

enum { MIME_E_INVALID = 1 }; /* see ERR */

struct error;

/* Whether KEY (bytes, decoded) is TYPE/SUBTYPE, each one or more ASCII letters, digits,
 * "_", "-", "+" or ".": no parameters. */
bool mime_is_key(struct slice key);

/* Checks the CONTENT of a display_data, update_display_data or execute_result, which
 * json_scan has accepted: an object with an object "data" whose keys are MIME types, an
 * object "metadata", and an object "transient" or none. 0 or MIME_E_INVALID. */
int mime_check_content(struct slice content, struct error *err);

#endif
