/* SPDX-License-Identifier: MIT */
/*
 * doctor_zygote - whether the zygotes of runtimes get ready on this machine
 */
#ifndef KERNEL_DOCTOR_ZYGOTE_H
#define KERNEL_DOCTOR_ZYGOTE_H

#include "protocol/error.h"

struct environment;
struct loop;
struct runtime;
struct spawner;

/* Starts the one of RUNTIME by SPAWNER, which is attached to LOOP and has no zygotes yet,
 * and waits for it. *RET: what became of it, it begins with "ready" if it is; empty: it
 * has none. 0 or < 0. */
int doctor_try_zygote(char ret[ERROR_TEXT_BYTES], struct loop *loop,
                      struct spawner *spawner, const struct runtime *runtime,
                      const struct environment *environment);

#endif
