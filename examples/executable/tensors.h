/* The one input of a PREDICT, from the frame's body or from the link's slab. */

#ifndef TENSORS_H
#define TENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "frames.h"

struct slab {
    const unsigned char *bytes; /* NULL when the link has none */
    uint64_t size;
};

enum found {
    FOUND_IT,
    FOUND_WRONG, /* the caller's mistake; the reason is in `problem` */
    FOUND_BROKEN /* no sense on this link, which cannot be used any further */
};

/* The rows of the input `name` with so many columns, as doubles to be freed. */
enum found read_input(
    const struct frame *frame, struct slab slab, const char *name, size_t columns,
    double **values, uint64_t *rows, char *problem, size_t size);

#endif
