/* SPDX-License-Identifier: MIT */
/*
 * translate - contents of Jupyter messages, from ours to a kernel's and back
 *
 * Values are copied byte for byte: a kernel's numbers and strings stay as it wrote them.
 * All texts must have been accepted by json_scan_object. Pure. Results: 0,
 * TRANSLATE_E_UNFIT (the content cannot be used), -ENOMEM.
 */
#ifndef RUNTIMES_JUPYTER_TRANSLATE_H
#define RUNTIMES_JUPYTER_TRANSLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/buffer.h"
#include "protocol/frame.h"

#define TRANSLATE_BYTES_MAX FRAME_CONTENT_BYTES_MAX

enum { TRANSLATE_E_UNFIT = 1 };

struct error;

/* A request of TYPE for the kernel, with the members that a client may leave out. */
int translate_request(struct buffer *ret, enum frame_type type, struct slice content,
                      struct error *err);

/* What is answered to a request of TYPE in the place of a kernel that does not. */
const char *translate_answer_of_none(enum frame_type type);

/* A kernel's reply of TYPE as ours, with our EXECUTION_COUNT. *RET_OK: its status is ok.
 */
int translate_reply(struct buffer *ret, enum frame_type type, struct slice content,
                    uint32_t execution_count, bool *ret_ok, struct error *err);

/* The {ename, evalue, traceback} of an error, or of an execute reply that is not ok; with
 * INTERRUPTED, what it does not say of itself is an interrupt. */
int translate_error(struct buffer *ret, struct slice content, bool interrupted,
                    struct error *err);

/* Appends the traceback of an error as text, for stderr. */
int translate_traceback(struct buffer *ret, struct slice content, struct error *err);

/* Display data or a result (whose EXECUTION_COUNT is replaced; 0: there is none). */
int translate_bundle(struct buffer *ret, struct slice content, uint32_t execution_count,
                     struct error *err);

/* The text of a stream, decoded. */
int translate_stream(struct buffer *ret, struct slice content, bool *ret_stderr,
                     struct error *err);

/* An input request, with both its members. */
int translate_input(struct buffer *ret, struct slice content, struct error *err);

/* A hello from a kernel_info_reply. */
int translate_hello(struct buffer *ret, struct slice content, struct error *err);

#endif
