/* Frames of docs/frame-protocol.md over stream sockets, on a little-endian machine. */

#ifndef FRAMES_H
#define FRAMES_H

#include <stddef.h>
#include <stdint.h>

#include "json.h"

enum verb {
    LOAD = 1, PING = 2, ATTACH = 3, CANCEL = 4, STOP = 5,
    READY = 16, FAILED = 17, PONG = 18,
    PREDICT = 32, RESULT = 33, ERROR = 34
};

#define ALIGNMENT 64

struct frame {
    uint8_t verb;
    uint64_t id;
    uint32_t deadline_ms;
    struct json *header; /* NULL when there is none */
    unsigned char *body;
    uint64_t body_length;
};

/* Descriptors that came with frames and were not taken yet, in order. */
struct descriptors {
    int numbers[64];
    int count;
};

/* The next frame, to be given to frame_clear: 1. 0 when the other side is gone, or speaks something else.
   Descriptors are kept where `descriptors` is given. */
int frame_receive(int socket, struct frame *frame, struct descriptors *descriptors);
void frame_clear(struct frame *frame);

/* 0 when the other side is gone. The header is JSON. */
int frame_send(int socket, enum verb verb, uint64_t id, const char *header, const void *body, uint64_t body_length);

/* The next descriptor, or -1. */
int take_descriptor(struct descriptors *descriptors);

/* How many zero bytes follow a tensor of this size. */
uint64_t padding(uint64_t size);

#endif
