#define _GNU_SOURCE
#include "frames.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_HEADER_BYTES (16u * 1024 * 1024)
#define MAX_AT_ONCE 16

struct __attribute__((packed)) prefix {
    char magic[4];
    uint8_t verb, flags;
    uint16_t reserved;
    uint64_t id;
    uint32_t deadline_ms, header_length;
    uint64_t body_length;
};
_Static_assert(sizeof(struct prefix) == 32, "a prefix has 32 bytes");

static void keep_descriptors(struct msghdr *message, struct descriptors *descriptors) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t index = 0; index < count; index++) {
            int number;
            memcpy(&number, CMSG_DATA(part) + index * sizeof(int), sizeof number);
            if (descriptors && descriptors->count < (int)(sizeof descriptors->numbers / sizeof(int)))
                descriptors->numbers[descriptors->count++] = number;
            else
                close(number);
        }
    }
}

/* Exactly `size` bytes: 1; 0 at the end of the link. A descriptor comes with the first byte of its frame. */
static int receive_all(int socket, void *buffer, uint64_t size, struct descriptors *descriptors) {
    char *at = buffer;
    while (size) {
        union {
            struct cmsghdr header;
            char space[CMSG_SPACE(MAX_AT_ONCE * sizeof(int))];
        } control;
        struct iovec piece = {at, size};
        struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t count = recvmsg(socket, &message, MSG_CMSG_CLOEXEC); /* no child of ours may hold a link open */
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return 0;
        keep_descriptors(&message, descriptors);
        at += count;
        size -= (uint64_t)count;
    }
    return 1;
}

int frame_receive(int socket, struct frame *frame, struct descriptors *descriptors) {
    struct prefix prefix;
    memset(frame, 0, sizeof *frame);
    if (!receive_all(socket, &prefix, sizeof prefix, descriptors)) return 0;
    if (memcmp(prefix.magic, "SLV1", 4) || prefix.header_length > MAX_HEADER_BYTES) return 0;
    frame->verb = prefix.verb;
    frame->id = prefix.id;
    frame->deadline_ms = prefix.deadline_ms;
    if (prefix.header_length) {
        char *header = malloc(prefix.header_length);
        if (header && receive_all(socket, header, prefix.header_length, descriptors))
            frame->header = json_parse(header, prefix.header_length);
        free(header);
        if (!frame->header || frame->header->kind != JSON_OBJECT) return frame_clear(frame), 0;
    }
    if (prefix.body_length) {
        frame->body = prefix.body_length <= SIZE_MAX - ALIGNMENT ? malloc(prefix.body_length) : NULL;
        if (!frame->body || !receive_all(socket, frame->body, prefix.body_length, descriptors)) return frame_clear(frame), 0;
        frame->body_length = prefix.body_length;
    }
    return 1;
}

void frame_clear(struct frame *frame) {
    json_free(frame->header);
    free(frame->body);
    memset(frame, 0, sizeof *frame);
}

static int send_all(int socket, const void *bytes, uint64_t size) {
    const char *at = bytes;
    while (size) {
        ssize_t count = send(socket, at, size, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return 0;
        at += count;
        size -= (uint64_t)count;
    }
    return 1;
}

int frame_send(int socket, enum verb verb, uint64_t id, const char *header, const void *body, uint64_t body_length) {
    struct prefix prefix = {.magic = {'S', 'L', 'V', '1'}, .verb = (uint8_t)verb, .id = id};
    prefix.header_length = (uint32_t)strlen(header);
    prefix.body_length = body_length;
    return send_all(socket, &prefix, sizeof prefix) && send_all(socket, header, prefix.header_length) &&
           send_all(socket, body, body_length);
}

int take_descriptor(struct descriptors *descriptors) {
    if (!descriptors->count) return -1;
    int number = descriptors->numbers[0];
    descriptors->count--;
    memmove(descriptors->numbers, descriptors->numbers + 1, (size_t)descriptors->count * sizeof(int));
    return number;
}

uint64_t padding(uint64_t size) {
    return (ALIGNMENT - size % ALIGNMENT) % ALIGNMENT;
}
