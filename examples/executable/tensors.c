#include "tensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies so many bytes of the slab; 0 when they are not there. */
static int copy_from_slab(unsigned char *target, uint64_t size, const struct json *offset, struct slab slab) {
    long long start = json_whole(offset);
    if (start < 0 || !slab.bytes || (uint64_t)start > slab.size || size > slab.size - (uint64_t)start) return 0;
    memcpy(target, slab.bytes + start, size);
    return 1;
}

/* The bytes of one tensor, wherever they lie. `cursor` is the place in the body, and goes on. */
static unsigned char *tensor_bytes(
    const struct frame *frame, struct slab slab, const struct json *row, uint64_t size, uint64_t *cursor) {
    const struct json *place = json_at(row, 4);
    unsigned char *bytes = malloc(size ? size : 1);
    int is_whole = bytes != NULL;
    if (is_whole && !place) {
        is_whole = *cursor <= frame->body_length && size <= frame->body_length - *cursor;
        if (is_whole && size) memcpy(bytes, frame->body + *cursor, size);
        *cursor += size + padding(size);
    } else if (is_whole && place->kind == JSON_NUMBER) {
        is_whole = copy_from_slab(bytes, size, place, slab);
    } else if (is_whole) {
        uint64_t filled = 0;
        for (const struct json *piece = place->first; piece && is_whole; piece = piece->next) {
            long long length = json_whole(json_at(piece, 1));
            is_whole = length >= 0 && (uint64_t)length <= size - filled &&
                       copy_from_slab(bytes + filled, (uint64_t)length, json_at(piece, 0), slab);
            filled += (uint64_t)length;
        }
        is_whole = is_whole && filled == size;
    }
    return is_whole ? bytes : (free(bytes), NULL);
}

/* The values as doubles: of FP64 as they are, of FP32 widened, since that changes none. */
static double *doubles(unsigned char *bytes, uint64_t count, int is_narrow) {
    if (!is_narrow) return (double *)(void *)bytes;
    double *values = malloc((count ? count : 1) * sizeof(double));
    for (uint64_t index = 0; values && index < count; index++) {
        float value;
        memcpy(&value, bytes + index * sizeof value, sizeof value);
        values[index] = value;
    }
    free(bytes);
    return values;
}

enum found read_input(
    const struct frame *frame, struct slab slab, const char *name, size_t columns,
    double **values, uint64_t *rows, char *problem, size_t size) {
    const struct json *tensors = json_get(frame->header, "tensors"), *row = json_at(tensors, 0);
    if (!row) return snprintf(problem, size, "the input %s is missing", name), FOUND_WRONG;
    const char *given = json_text(json_at(row, 0), ""), *datatype = json_text(json_at(row, 1), "");
    const struct json *shape = json_at(row, 2);
    if (json_count(tensors) > 1 || strcmp(given, name))
        return snprintf(problem, size, "there is one input here, %s, and the request has others", name), FOUND_WRONG;
    int is_narrow = !strcmp(datatype, "FP32");
    if (!is_narrow && strcmp(datatype, "FP64"))
        return snprintf(problem, size, "the input %s must be FP64, not %.16s", name, datatype), FOUND_WRONG;
    if (json_count(shape) != 2 || json_whole(json_at(shape, 1)) != (long long)columns)
        return snprintf(problem, size, "the input %s must have the shape [-1, %zu]", name, columns), FOUND_WRONG;
    long long count = json_whole(json_at(shape, 0)), bytes = json_whole(json_at(row, 3));
    uint64_t width = columns * (is_narrow ? sizeof(float) : sizeof(double)), cursor = 0;
    if (count < 0 || bytes < 0 || (uint64_t)count > (uint64_t)bytes / width || (uint64_t)bytes != (uint64_t)count * width)
        return FOUND_BROKEN;
    unsigned char *raw = tensor_bytes(frame, slab, row, (uint64_t)bytes, &cursor);
    *rows = (uint64_t)count;
    *values = raw ? doubles(raw, *rows * columns, is_narrow) : NULL;
    return *values ? FOUND_IT : FOUND_BROKEN;
}
