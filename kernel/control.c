/* SPDX-License-Identifier: MIT */
#include <stdbool.h>

#include "kernel/command.h"
#include "kernel/handlers.h"
#include "kernel/kernel.h"
#include "protocol/error.h"

int
handle_interrupt(struct kernel *kernel, struct request *request, struct error *err)
{
    int r = kernel_interrupt(kernel);

    (void)err;
    if (r < 0)
        return r;
    return kernel_reply(kernel, &request->origin, request->handler->reply,
                        slice_text("{}"), slice_text("{\"status\":\"ok\"}"));
}

static int
end(struct kernel *kernel, bool restart)
{
    const struct kernel_options *options = kernel->options;
    int r;

    if (kernel_is_guest(kernel) && restart)
        return options->host->on_restart(options->host_arg);
    r = kernel_stop(kernel, EXIT_STATUS_OK);
    if (r < 0 || !kernel_is_guest(kernel))
        return r;
    return options->host->on_end(options->host_arg);
}

/* The reply comes first: what follows may take a moment. */
int
handle_shutdown(struct kernel *kernel, struct request *request, struct error *err)
{
    bool restart = json_is_true(json_object_get(request->message->content, "restart"));
    struct slice content = slice_text(restart ? "{\"status\":\"ok\",\"restart\":true}"
                                              : "{\"status\":\"ok\",\"restart\":false}");
    int r = kernel_reply(kernel, &request->origin, request->handler->reply,
                         slice_text("{}"), content);

    (void)err;
    if (r == 0)
        r = kernel_publish(kernel, &(struct kernel_broadcast){
                                       .parent_header = request->origin.header,
                                       .type = "shutdown_reply",
                                       .content = content,
                                   });
    return r < 0 ? r : end(kernel, restart);
}

int
handle_unsupported(struct kernel *kernel, struct request *request, struct error *err)
{
    (void)kernel;
    return error_set(err, HANDLER_E_REFUSED,
                     "NotSupported: this kernel does not serve %s",
                     request->message->type);
}
