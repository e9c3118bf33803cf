/* SPDX-License-Identifier: MIT */
/*
 * Makes the C end of the channel a Python module. Owns the state of interrupts, because
 * only with signals blocked can it be told for sure whether one came before a frame or
 * after it. Built against the limited API: one file for every CPython from 3.9 on.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "protocol/cleanup.h"
#include "protocol/error.h"
#include "protocol/json.h"
#include "protocol/mime.h"
#include "runtimes/lib/runner.h"
#include "runtimes/python/ext/arenas.h"
#include "runtimes/python/ext/forks.h"
#include "runtimes/python/ext/murmur.h"

#define CONFIGURE_BYTES_MAX ((size_t)64 * 1024)
#define DEPTH_MAX 128 /* nesting of what is sent: the server's limit */
#define TYPE_NAME_BYTES 64
#define WAKE_NS 20000000 /* until a signal is followed up that Python has not taken */

/* There is one channel, as there is one fd 3. Guarded by the interpreter's lock. */
static struct {
    struct runner *runner; /* owned, for the life of the process */
    bool idle; /* the last request was answered and no other has arrived */
    bool waiting; /* in receive, and nothing has arrived */
    bool interrupted; /* a signal for the request under way, not yet acted on */
} channel, set_aside;

/* While nobody but ourselves sends requests. */
static struct {
    int peer; /* owned: the other end of the channel, -1: there is no rehearsal */
    sigset_t mask; /* of signals, before it began */
} rehearsal = { .peer = -1 };

/* Sets the exception for a result that is not 0; returns NULL. */
static PyObject *
raise_result(int r, const struct error *err)
{
    PyObject *arguments;

    if (r == -ENOMEM)
        return PyErr_NoMemory();
    if (r > 0) {
        PyErr_SetString(PyExc_ValueError, err->text);
        return NULL;
    }
    arguments =
        Py_BuildValue("(is)", -r, err->text[0] != '\0' ? err->text : strerror(-r));
    if (arguments != NULL)
        PyErr_SetObject(PyExc_OSError, arguments);
    Py_XDECREF(arguments);
    return NULL;
}

static bool
is_connected(void)
{
    if (channel.runner == NULL)
        PyErr_SetString(PyExc_RuntimeError, "not connected");
    return channel.runner != NULL;
}

/*
 * Python looks for signals between its instructions. One that comes after the last look
 * and before a system call that waits would not be acted on as long as that call waits.
 * So a timer follows up on each, until Python's handler runs: its own signals end the
 * call, and are no interrupts.
 */
static struct {
    timer_t timer;
    pid_t process; /* whose the timer is: forks inherit none */
    volatile sig_atomic_t on;
} waker;

static void
make_waker(void)
{
    struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID,
                              .sigev_signo = SIGINT,
                              .sigev_value.sival_ptr = &waker };

    event._sigev_un._tid = getpid(); /* the main thread */
    if (timer_create(CLOCK_MONOTONIC, &event, &waker.timer) == 0)
        waker.process = getpid();
}

static void
set_waker(bool on)
{
    const struct itimerspec once = { .it_value.tv_nsec = on ? WAKE_NS : 0 };

    waker.on = on;
    if (waker.process == getpid())
        (void)timer_settime(waker.timer, 0, &once, NULL);
}

static PyObject *
module_connect(PyObject *module, PyObject *unused)
{
    CLEANUP(buffer_fini) struct buffer configure;
    struct error err = { 0 };
    PyThreadState *released;
    int r;

    (void)module, (void)unused;
    buffer_init(&configure, CONFIGURE_BYTES_MAX);
    if (channel.runner != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "already connected");
        return NULL;
    }
    /* Text that C libraries print is out by the end of its line, not of the program. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    released = PyEval_SaveThread();
    r = runner_create(&channel.runner, &configure, &err);
    PyEval_RestoreThread(released);
    if (r != 0)
        return raise_result(r, &err);
    channel.idle = true;
    make_waker();
    return PyBytes_FromStringAndSize((char *)configure.data,
                                     (Py_ssize_t)configure.length);
}

static struct slice
slice_of_bytes(PyObject *bytes)
{
    char *data = NULL;
    Py_ssize_t length = 0;

    PyBytes_AsStringAndSize(bytes, &data, &length); /* of bytes it cannot fail */
    return (struct slice){ (const uint8_t *)data, (size_t)length };
}

/* The server ends a context that sends what it does not take; user code should get an
 * exception instead. */
static int
check_json(const struct frame *frame, struct error *err)
{
    const struct json_limits limits = { FRAME_BYTES_MAX, DEPTH_MAX };
    const struct slice parts[] = { frame->metadata, frame->content };

    for (size_t i = 0; i < N_ELEMENTS(parts); i++) {
        int r = parts[i].length == 0 ? 0 : json_scan_object(parts[i], &limits, err);

        if (r != 0)
            return r;
    }
    if (frame->type == FRAME_DISPLAY_DATA || frame->type == FRAME_UPDATE_DISPLAY_DATA ||
        frame->type == FRAME_EXECUTE_RESULT)
        return mime_check_content(frame->content, err);
    return 0;
}

/* Without the interpreter's lock: the pipes may be full. */
static PyObject *
send_frame(struct frame *frame)
{
    struct error err = { 0 };
    PyThreadState *released = PyEval_SaveThread();
    int r;

    r = check_json(frame, &err);
    if (r == 0)
        r = runner_send(channel.runner, frame, &err);
    PyEval_RestoreThread(released);
    if (r != 0)
        return raise_result(r, &err);
    Py_RETURN_NONE;
}

/* Fills SLICES from the bytes objects of a tuple. */
static void
slices_of_tuple(struct slice *slices, PyObject *tuple, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++)
        slices[i] = slice_of_bytes(PyTuple_GetItem(tuple, i));
}

/* A tuple of bytes objects with the contents of any sequence of bytes-like objects. */
static PyObject *
bytes_of_sequence(PyObject *sequence)
{
    Py_ssize_t count = PySequence_Size(sequence);
    PyObject *tuple = count < 0 ? NULL : PyTuple_New(count);

    for (Py_ssize_t i = 0; tuple != NULL && i < count; i++) {
        PyObject *item = PySequence_GetItem(sequence, i);
        PyObject *bytes = item == NULL ? NULL : PyBytes_FromObject(item);

        Py_XDECREF(item);
        if (bytes == NULL)
            Py_CLEAR(tuple);
        else
            PyTuple_SetItem(tuple, i, bytes); /* takes it */
    }
    return tuple;
}

static PyObject *
send_with_buffers(struct frame *frame, PyObject *sequence)
{
    PyObject *buffers = bytes_of_sequence(sequence), *result = NULL;
    CLEANUP(freep) struct slice *slices = NULL;
    Py_ssize_t count;

    if (buffers == NULL)
        return NULL;
    count = PyTuple_Size(buffers);
    if (count > FRAME_BUFFERS_MAX) {
        PyErr_Format(PyExc_ValueError, "%zd buffers, at most %d", count,
                     FRAME_BUFFERS_MAX);
    } else if ((slices = calloc((size_t)count + 1, sizeof *slices)) == NULL) {
        PyErr_NoMemory();
    } else {
        slices_of_tuple(slices, buffers, count);
        frame->buffers = slices;
        frame->buffer_count = (uint32_t)count;
        result = send_frame(frame);
    }
    Py_DECREF(buffers);
    return result;
}

static PyObject *
module_send(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = { "type",     "number",  "content", "flags", "execution_count",
                             "metadata", "buffers", NULL };
    unsigned long long number;
    unsigned type, flags = 0, count = 0;
    PyObject *content, *metadata = NULL, *buffers = NULL;
    struct frame frame;

    (void)module;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "IKS|IISO", names, &type, &number,
                                     &content, &flags, &count, &metadata, &buffers) ||
        !is_connected())
        return NULL;
    frame = (struct frame){
        .type = (enum frame_type)type,
        .flags = (uint16_t)flags,
        .number = number,
        .execution_count = count,
        .content = slice_of_bytes(content),
    };
    if (metadata != NULL)
        frame.metadata = slice_of_bytes(metadata);
    return buffers != NULL ? send_with_buffers(&frame, buffers) : send_frame(&frame);
}

static PyObject *
module_stream(PyObject *module, PyObject *args)
{
    unsigned long long number;
    int is_stderr;
    PyObject *text;
    struct slice slice;
    struct frame frame;

    (void)module;
    if (!PyArg_ParseTuple(args, "KpS", &number, &is_stderr, &text) || !is_connected())
        return NULL;
    slice = slice_of_bytes(text);
    frame = (struct frame){
        .type = FRAME_STREAM,
        .flags = is_stderr ? FRAME_FLAG_STDERR : 0,
        .number = number,
        .buffer_count = 1,
        .buffers = &slice,
    };
    return send_frame(&frame);
}

static PyObject *
tuple_of_frame(const struct frame *frame)
{
    PyObject *buffers = PyList_New((Py_ssize_t)frame->buffer_count);

    for (uint32_t i = 0; buffers != NULL && i < frame->buffer_count; i++) {
        const struct slice *slice = &frame->buffers[i];
        PyObject *bytes = PyBytes_FromStringAndSize((const char *)slice->data,
                                                    (Py_ssize_t)slice->length);

        if (bytes == NULL)
            Py_CLEAR(buffers);
        else
            PyList_SetItem(buffers, (Py_ssize_t)i, bytes); /* takes it */
    }
    if (buffers == NULL)
        return NULL;
    return Py_BuildValue("(iKIy#y#y#N)", (int)frame->type,
                         (unsigned long long)frame->number,
                         (unsigned)frame->execution_count, frame->header.data,
                         (Py_ssize_t)frame->header.length, frame->metadata.data,
                         (Py_ssize_t)frame->metadata.length, frame->content.data,
                         (Py_ssize_t)frame->content.length, buffers);
}

enum wait_result { WAIT_FRAME, WAIT_OTHER, WAIT_CLOSED, WAIT_SIGNAL, WAIT_FAILED };

/* Waits with all signals blocked but while it sleeps, so that each signal came either
 * before a frame, and ends the wait, or stays pending until the frame was taken. */
static enum wait_result
wait_for_frame(int other, const sigset_t *mask, struct frame *ret, struct error *err)
{
    struct pollfd polls[] = { { .fd = runner_fd(channel.runner), .events = POLLIN },
                              { .fd = other, .events = POLLIN } };
    enum wait_result result = WAIT_FAILED;
    PyThreadState *released = PyEval_SaveThread();
    int r;

    r = ppoll(polls, N_ELEMENTS(polls), NULL, mask); /* a negative fd is ignored */
    if (r < 0 && errno == EINTR) {
        result = WAIT_SIGNAL;
    } else if (r < 0) {
        error_errno(err, "waiting for the channel");
    } else if (polls[0].revents == 0) {
        result = WAIT_OTHER;
    } else {
        r = runner_receive(channel.runner, ret, err);
        if (r == 0)
            result = WAIT_FRAME;
        else if (r == RUNNER_E_INTERRUPTED)
            result = WAIT_SIGNAL;
        else if (r == RUNNER_E_CLOSED)
            result = WAIT_CLOSED;
        else
            error_set(err, r, "reading the channel");
    }
    PyEval_RestoreThread(released);
    return result;
}

static PyObject *
module_receive(PyObject *module, PyObject *args)
{
    enum wait_result result = WAIT_SIGNAL;
    struct error err = { 0 };
    sigset_t all, mask;
    struct frame frame;
    int other = -1;
    bool raised = false;

    (void)module;
    if (!PyArg_ParseTuple(args, "|i", &other) || !is_connected())
        return NULL;
    sigfillset(&all);
    while (result == WAIT_SIGNAL && !raised) {
        channel.waiting = true;
        raised = PyErr_CheckSignals() < 0; /* as a rule here, with nothing blocked */
        pthread_sigmask(SIG_SETMASK, &all, &mask);
        raised = raised || PyErr_CheckSignals() < 0;
        if (!raised)
            result = wait_for_frame(other, &mask, &frame, &err);
        if (result == WAIT_FRAME)
            channel.idle = false;
        channel.waiting = false;
        pthread_sigmask(SIG_SETMASK, &mask, NULL);
    }
    if (raised)
        return NULL;
    if (result == WAIT_FAILED)
        return raise_result(err.code, &err);
    if (result == WAIT_FRAME)
        return tuple_of_frame(&frame);
    return PyBool_FromLong(result == WAIT_OTHER);
}

static PyObject *
module_readable(PyObject *module, PyObject *unused)
{
    struct pollfd wait = { .events = POLLIN };

    (void)module, (void)unused;
    if (!is_connected())
        return NULL;
    wait.fd = runner_fd(channel.runner);
    return PyBool_FromLong(poll(&wait, 1, 0) > 0);
}

static PyObject *
module_end_request(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    channel.idle = true;
    channel.interrupted = false;
    Py_RETURN_NONE;
}

/* The server signals only behind a request: one whose frame is there, although it was not
 * read yet, is meant. Behind the signal it sends a ping, so one that finds a ping is
 * late. */
static bool
request_has_arrived(void)
{
    uint8_t start[2]; /* of a frame: its version and type */

    return recv(runner_fd(channel.runner), start, sizeof start,
                MSG_PEEK | MSG_DONTWAIT) == sizeof start &&
           start[1] != FRAME_PING;
}

static PyObject *
module_interrupt_is_meant(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    set_waker(false);
    if (channel.runner == NULL)
        Py_RETURN_FALSE;
    /* A cell that waits for the answer to a question waits too, but is not idle. */
    return PyBool_FromLong(!channel.idle || (!channel.waiting && request_has_arrived()));
}

static PyObject *
module_note_interrupt(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    channel.interrupted = true;
    Py_RETURN_NONE;
}

/* Python's own, as signal.signal has installed it. */
static struct sigaction python_action;

/* The system may choose any thread, and one of a library's does. Python's handler would
 * leave a mark for the main thread there, but not wake it from what it waits in. */
static void
pass_to_main_thread(int number, siginfo_t *info, void *context)
{
    pid_t process = getpid();
    int error = errno;

    (void)context;
    if (info->si_code == SI_TIMER && info->si_value.sival_ptr == &waker) {
        set_waker(waker.on);
    } else if (syscall(SYS_gettid) != process) {
        syscall(SYS_tgkill, process, process, number);
    } else {
        set_waker(true);
        python_action.sa_handler(number);
    }
    errno = error;
}

static PyObject *
module_aim_interrupts(PyObject *module, PyObject *unused)
{
    struct sigaction action;

    (void)module, (void)unused;
    if (sigaction(SIGINT, NULL, &action) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (action.sa_sigaction == pass_to_main_thread || action.sa_handler == SIG_DFL ||
        action.sa_handler == SIG_IGN)
        Py_RETURN_NONE;
    python_action = action;
    action.sa_sigaction = pass_to_main_thread;
    action.sa_flags |= SA_SIGINFO;
    if (sigaction(SIGINT, &action, NULL) < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyObject *
module_take_interrupt(PyObject *module, PyObject *unused)
{
    bool interrupted = channel.interrupted;

    (void)module, (void)unused;
    channel.interrupted = false;
    return PyBool_FromLong(interrupted);
}

static PyObject *
module_begin_rehearsal(PyObject *module, PyObject *unused)
{
    struct error err = { 0 };
    struct runner *runner;
    sigset_t interrupts;
    int r;

    (void)module, (void)unused;
    if (rehearsal.peer >= 0) {
        PyErr_SetString(PyExc_RuntimeError, "a rehearsal is under way");
        return NULL;
    }
    r = runner_create_rehearsal(&runner, &rehearsal.peer, &err);
    if (r != 0)
        return raise_result(r, &err);
    /* One that comes now can be for a request that waits in the other channel. */
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    pthread_sigmask(SIG_BLOCK, &interrupts, &rehearsal.mask);
    set_aside = channel;
    channel.runner = runner;
    Py_RETURN_NONE;
}

static PyObject *
module_rehearse(PyObject *module, PyObject *args)
{
    unsigned type, count;
    unsigned long long number;
    PyObject *header, *content;
    struct error err = { 0 };
    struct frame frame;
    int r;

    (void)module;
    if (!PyArg_ParseTuple(args, "IKISS", &type, &number, &count, &header, &content))
        return NULL;
    frame = (struct frame){
        .type = (enum frame_type)type,
        .number = number,
        .execution_count = count,
        .header = slice_of_bytes(header),
        .content = slice_of_bytes(content),
    };
    r = runner_rehearse(rehearsal.peer, &frame, &err);
    if (r != 0)
        return raise_result(r, &err);
    Py_RETURN_NONE;
}

static PyObject *
module_end_rehearsal(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    if (rehearsal.peer < 0) {
        PyErr_SetString(PyExc_RuntimeError, "there is no rehearsal");
        return NULL;
    }
    runner_destroy(channel.runner);
    channel = set_aside;
    close(rehearsal.peer);
    rehearsal.peer = -1;
    pthread_sigmask(SIG_SETMASK, &rehearsal.mask, NULL);
    Py_RETURN_NONE;
}

static PyObject *
module_flush(PyObject *module, PyObject *unused)
{
    PyThreadState *released = PyEval_SaveThread();

    (void)module, (void)unused;
    /* Not all streams: a thread may sit in a read of one and hold its lock for ever. */
    fflush(stdout);
    fflush(stderr);
    PyEval_RestoreThread(released);
    Py_RETURN_NONE;
}

static PyObject *
module_restore_output(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    if (!is_connected())
        return NULL;
    runner_restore_output(channel.runner);
    Py_RETURN_NONE;
}

static PyObject *
module_fd(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return is_connected() ? PyLong_FromLong(runner_fd(channel.runner)) : NULL;
}

static PyObject *
module_murmur2(PyObject *module, PyObject *args)
{
    unsigned long seed;
    PyObject *bytes;
    struct slice slice;

    (void)module;
    if (!PyArg_ParseTuple(args, "Sk", &bytes, &seed))
        return NULL;
    slice = slice_of_bytes(bytes);
    return PyLong_FromUnsignedLong(murmur2(slice.data, slice.length, (uint32_t)seed));
}

#define FUNCTION(pointer) ((PyCFunction)(void (*)(void))(pointer))

static PyMethodDef methods[] = {
    { "connect", FUNCTION(module_connect), METH_NOARGS,
      "connect() -> bytes\n\nTakes fd 3 and returns the content of the configure "
      "frame." },
    { "send", FUNCTION(module_send), METH_VARARGS | METH_KEYWORDS,
      "send(type, number, content, flags=0, execution_count=0, metadata=b'', "
      "buffers=())\n\nSends one frame behind its output markers. ValueError: the frame "
      "is larger than its type allows, or not legal; PermissionError: in a fork." },
    { "stream", FUNCTION(module_stream), METH_VARARGS,
      "stream(number, is_stderr, text)\n\nSends a stream frame with UTF-8 text." },
    { "receive", FUNCTION(module_receive), METH_VARARGS,
      "receive(other_fd=-1)\n\nWaits for a frame: (type, number, execution_count, "
      "header, metadata, content, buffers). True: other_fd is readable; False: the "
      "server is gone. Signal handlers run and may raise; no frame is lost by that." },
    { "readable", FUNCTION(module_readable), METH_NOARGS,
      "readable() -> bool\n\nWhether receive would return at once." },
    { "end_request", FUNCTION(module_end_request), METH_NOARGS,
      "end_request()\n\nForgets interrupts of the request that is about to be "
      "answered." },
    { "interrupt_is_meant", FUNCTION(module_interrupt_is_meant), METH_NOARGS,
      "interrupt_is_meant() -> bool\n\nWhether there is a request that a signal which "
      "comes now can be for." },
    { "note_interrupt", FUNCTION(module_note_interrupt), METH_NOARGS,
      "note_interrupt()\n\nRemembers an interrupt of the request under way." },
    { "aim_interrupts", FUNCTION(module_aim_interrupts), METH_NOARGS,
      "aim_interrupts()\n\nLets SIGINT reach the main thread, whichever it hits. To be "
      "called again after signal.signal." },
    { "take_interrupt", FUNCTION(module_take_interrupt), METH_NOARGS,
      "take_interrupt() -> bool\n\nWhether an interrupt was remembered; forgets it." },
    { "begin_rehearsal", FUNCTION(module_begin_rehearsal), METH_NOARGS,
      "begin_rehearsal()\n\nPuts the channel aside and another in its place, on which "
      "the requests come from rehearse, and what is sent goes nowhere." },
    { "rehearse", FUNCTION(module_rehearse), METH_VARARGS,
      "rehearse(type, number, execution_count, header, content)\n\nSends a request to "
      "ourselves." },
    { "end_rehearsal", FUNCTION(module_end_rehearsal), METH_NOARGS,
      "end_rehearsal()\n\nTakes the channel back." },
    { "flush", FUNCTION(module_flush), METH_NOARGS,
      "flush()\n\nFlushes the stdout and stderr of C." },
    { "restore_output", FUNCTION(module_restore_output), METH_NOARGS,
      "restore_output()\n\nPuts the server's pipes back on fds 1 and 2." },
    { "gather_arenas", FUNCTION(arenas_gather), METH_NOARGS,
      "gather_arenas()\n\nIn a zygote: lets small objects lie side by side." },
    { "serve_forks", FUNCTION(forks_serve), METH_NOARGS,
      "serve_forks() -> list[str] | None\n\nIn a zygote: forks runners on request. "
      "Returns "
      "in each with its environment's NAME=value strings; in the zygote, at its end, "
      "with "
      "None." },
    { "fd", FUNCTION(module_fd), METH_NOARGS,
      "fd() -> int\n\nThe channel, to be polled." },
    { "murmur2", FUNCTION(module_murmur2), METH_VARARGS,
      "murmur2(data, seed) -> int\n\nThe 32-bit hash that names a cell's file." },
    { NULL, NULL, 0, NULL },
};

/* DISPLAY_DATA and so on: the names of the one table, in capitals. */
static int
add_types(PyObject *module)
{
    for (int type = FRAME_CONFIGURE; type < FRAME_TYPE_END; type++) {
        char name[TYPE_NAME_BYTES] = "";
        const char *from = frame_type_name((enum frame_type)type);

        for (size_t i = 0; from[i] != '\0' && i + 1 < sizeof name; i++)
            name[i] = (char)toupper((unsigned char)from[i]);
        if (PyModule_AddIntConstant(module, name, type) < 0)
            return -1;
    }
    return 0;
}

static int
module_exec(PyObject *module)
{
    if (add_types(module) < 0 ||
        PyModule_AddIntConstant(module, "FLAG_STDERR", FRAME_FLAG_STDERR) < 0 ||
        PyModule_AddIntConstant(module, "FLAG_ERROR", FRAME_FLAG_ERROR) < 0 ||
        PyModule_AddIntConstant(module, "FLAG_INTERRUPTED", FRAME_FLAG_INTERRUPTED) < 0 ||
        PyModule_AddIntConstant(module, "FRAME_VERSION", FRAME_VERSION) < 0 ||
        PyModule_AddStringConstant(module, "VERSION", CELLWALL_VERSION) < 0)
        return -1;
    return 0;
}

static PyModuleDef_Slot slots[] = {
    { Py_mod_exec, (void *)(uintptr_t)module_exec },
    { 0, NULL },
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_cellwall",
    .m_doc = "A runner's end of the channel to the server.",
    .m_methods = methods,
    .m_slots = slots,
};

/* The name that an interpreter looks up. */
PyMODINIT_FUNC PyInit__cellwall(void);

PyMODINIT_FUNC
PyInit__cellwall(void)
{
    return PyModuleDef_Init(&definition);
}
