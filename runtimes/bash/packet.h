/* SPDX-License-Identifier: MIT */
/*
 * packet - what `display` and `clear` tell the runner, through the FIFO that the variable
 * CELLWALL_DISPLAY names
 */
#ifndef RUNTIMES_BASH_PACKET_H
#define RUNTIMES_BASH_PACKET_H

#include <stddef.h>
#include <stdint.h>

#define PACKET_VARIABLE "CELLWALL_DISPLAY"
#define PACKET_FILE_BYTES_MAX ((size_t)96 * 1024 * 1024)

enum packet_kind { PACKET_DISPLAY, PACKET_UPDATE, PACKET_CLEAR };

struct packet {
    uint32_t kind;
    uint32_t wait; /* PACKET_CLEAR: until the next output comes */
    uint64_t inodes[2]; /* of the program's stdout and stderr: they tell the cell */
    char path[1024]; /* of the file with the message's content, JSON; it is removed */
};

#endif
