/* SPDX-License-Identifier: MIT */
/*
 * error - the result rule, and text for a person
 *
 * Every function that can fail returns one of three kinds of result:
 *
 *     0    done
 *   > 0    a condition MODULE_E_*, named in that function's own header; the caller
 *          must answer it and may not pass it on
 *   < 0    -errno: our own failure, passed up unchanged
 *
 * What a client or a child sends can only ever cause positive results. A struct error
 * carries one line of text along, for functions whose failure a person will read.
 */
#ifndef PROTOCOL_ERROR_H
#define PROTOCOL_ERROR_H

#define ERROR_TEXT_BYTES 512

/* On the caller's stack, zeroed. The first error wins. */
struct error {
    int code; /* the result that came with the text, 0: none yet */
    char text[ERROR_TEXT_BYTES];
};

/* Sets CODE and text unless ERR already has one; returns CODE. ERR may be NULL. */
__attribute__((format(printf, 3, 4))) int error_set(struct error *err, int code,
                                                    const char *format, ...);

/* As error_set with -errno, and ": strerror" after the text. Returns -errno. */
__attribute__((format(printf, 2, 3))) int error_errno(struct error *err,
                                                      const char *format, ...);

/* Puts "FORMAT: " before the text that ERR has; returns CODE. ERR may be NULL. */
__attribute__((format(printf, 3, 4))) int error_wrap(struct error *err, int code,
                                                     const char *format, ...);

#endif
