/* SPDX-License-Identifier: MIT */
/*
 * napi - the part of Node-API, version 4, that the addon uses
 *
 * Declared here so that building needs no headers of one Node: this interface is C, and
 * its ABI is promised to stay as it is in all versions to come. Each function is what
 * https://nodejs.org/api/n-api.html says.
 */
#ifndef RUNTIMES_NODE_EXT_NAPI_H
#define RUNTIMES_NODE_EXT_NAPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
struct uv_loop; /* opaque */
typedef struct napi_threadsafe_function__ *napi_threadsafe_function;

enum { NAPI_OK = 0 };
enum { NAPI_TSFN_NONBLOCKING = 0 };

typedef napi_value napi_callback(napi_env env, napi_callback_info info);
typedef void napi_finalize(napi_env env, void *data, void *hint);
typedef void napi_call_js(napi_env env, napi_value callback, void *context, void *data);

int napi_get_cb_info(napi_env env, napi_callback_info info, size_t *argc,
                     napi_value *argv, napi_value *this_value, void **data);
int napi_create_function(napi_env env, const char *name, size_t length,
                         napi_callback *callback, void *data, napi_value *ret);
int napi_set_named_property(napi_env env, napi_value object, const char *name,
                            napi_value value);
int napi_get_undefined(napi_env env, napi_value *ret);
int napi_get_boolean(napi_env env, bool value, napi_value *ret);
int napi_create_double(napi_env env, double value, napi_value *ret);
int napi_create_string_utf8(napi_env env, const char *text, size_t length,
                            napi_value *ret);
int napi_get_value_bool(napi_env env, napi_value value, bool *ret);
int napi_get_value_double(napi_env env, napi_value value, double *ret);
int napi_get_value_string_utf8(napi_env env, napi_value value, char *text, size_t size,
                               size_t *ret_length);
int napi_is_buffer(napi_env env, napi_value value, bool *ret);
int napi_get_buffer_info(napi_env env, napi_value value, void **data, size_t *length);
int napi_get_typedarray_info(napi_env env, napi_value value, int *type, size_t *length,
                             void **data, napi_value *buffer, size_t *offset);
int napi_get_uv_event_loop(napi_env env, struct uv_loop **ret);
int napi_throw_error(napi_env env, const char *code, const char *message);
int napi_get_and_clear_last_exception(napi_env env, napi_value *ret);
int napi_call_function(napi_env env, napi_value this_value, napi_value function,
                       size_t argc, const napi_value *argv, napi_value *ret);
int napi_create_threadsafe_function(napi_env env, napi_value function,
                                    napi_value resource, napi_value name,
                                    size_t queue_max, size_t threads, void *finalize_data,
                                    napi_finalize *finalize, void *context,
                                    napi_call_js *call, napi_threadsafe_function *ret);
int napi_call_threadsafe_function(napi_threadsafe_function function, void *data,
                                  int mode);

#endif
