/* A worker in C: a linear model that a Salver server starts, asks and stops. docs/frame-protocol.md is what it does.

   The main thread serves the data links, one batch at a time; a second one answers the control link meanwhile. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "frames.h"
#include "linear.h"
#include "tensors.h"

#define MAX_LINKS 64
#define LOAD_FAILED_STATUS 3
#define ROWS_BETWEEN_LOOKS 1024 /* how often it is asked whether the batch is still wanted */

struct link {
    int socket;
    long long number;
    struct slab slab;
};

static int control;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all down to `wake` */
static pthread_cond_t has_load = PTHREAD_COND_INITIALIZER;
static struct frame load;
static int is_named, is_loaded, is_stopping;
static struct link arrived[MAX_LINKS];
static int arrived_count;
static long long unwanted_link = -1;
static uint64_t unwanted_batch;
static int wake[2]; /* a pipe: something arrived, or STOP came */
static pthread_mutex_t sending = PTHREAD_MUTEX_INITIALIZER;
static atomic_llong busy_since_ms;
static atomic_ullong predictions;

static long long now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static unsigned long long resident_bytes(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return 0;
    if (fscanf(file, "%*u %llu", &pages) != 1) pages = 0;
    fclose(file);
    return pages * (unsigned long long)sysconf(_SC_PAGESIZE);
}

static void tell(enum verb verb, uint64_t id, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A frame without a body to the server, from either thread. */
static void tell(enum verb verb, uint64_t id, const char *format, ...) {
    char *header = NULL;
    va_list values;
    va_start(values, format);
    if (vasprintf(&header, format, values) < 0) abort();
    va_end(values);
    pthread_mutex_lock(&sending);
    frame_send(control, verb, id, header, NULL, 0);
    pthread_mutex_unlock(&sending);
    free(header);
}

/* ---- The control link ---- */

static void attach(const struct frame *frame, struct descriptors *descriptors) {
    struct link link = {.socket = take_descriptor(descriptors), .number = json_whole(json_get(frame->header, "link"))};
    long long slab_bytes = json_whole(json_get(frame->header, "slab_bytes"));
    if (slab_bytes > 0) {
        int memory = take_descriptor(descriptors);
        void *bytes = mmap(NULL, (size_t)slab_bytes, PROT_READ, MAP_SHARED, memory, 0);
        close(memory);
        if (bytes != MAP_FAILED) link.slab = (struct slab){bytes, (uint64_t)slab_bytes};
    }
    pthread_mutex_lock(&lock);
    int has_room = arrived_count < MAX_LINKS && link.socket >= 0;
    if (has_room) arrived[arrived_count++] = link;
    pthread_mutex_unlock(&lock);
    if (!has_room && link.socket >= 0) close(link.socket);
}

static void wake_main(void) {
    if (write(wake[1], "!", 1) < 0) return; /* full of reasons to wake already */
}

static void on_control(struct frame *frame, struct descriptors *descriptors) {
    long long since;
    switch (frame->verb) {
    case LOAD:
        pthread_mutex_lock(&lock);
        if (!is_named) {
            load = *frame;
            memset(frame, 0, sizeof *frame);
            is_named = 1;
        }
        pthread_cond_signal(&has_load);
        pthread_mutex_unlock(&lock);
        break;
    case PING:
        since = atomic_load(&busy_since_ms);
        tell(PONG, frame->id, "{\"rss\":%llu,\"busy_s\":%.3f,\"predictions\":%llu}", resident_bytes(),
             since ? (double)(now_ms() - since) / 1000 : 0.0, atomic_load(&predictions));
        break;
    case ATTACH:
        attach(frame, descriptors);
        wake_main();
        break;
    case CANCEL:
        pthread_mutex_lock(&lock);
        unwanted_link = json_whole(json_get(frame->header, "link"));
        unwanted_batch = frame->id;
        pthread_mutex_unlock(&lock);
        break;
    case STOP:
        pthread_mutex_lock(&lock);
        is_stopping = 1;
        if (!is_loaded) _exit(0);
        pthread_mutex_unlock(&lock);
        wake_main();
        break;
    default:
        fprintf(stderr, "the verb %d has no meaning on the control link\n", frame->verb);
        _exit(1);
    }
}

/* Until the link ends: then the server is gone, and a worker has no purpose. */
static void *serve_control(void *unused) {
    struct frame frame;
    struct descriptors descriptors = {.count = 0};
    while (frame_receive(control, &frame, &descriptors)) {
        on_control(&frame, &descriptors);
        frame_clear(&frame);
    }
    (void)unused;
    _exit(0);
}

/* ---- Loading ---- */

static void fail(const char *code, const char *message, const char *where) {
    char *text = json_quoted(message), *place = json_quoted(where ? where : "");
    tell(FAILED, load.id, "{\"code\":\"%s\",\"message\":%s,\"fix\":\"\",\"exception\":\"\",\"traceback\":\"\",\"where\":%s%s%s}", code,
         text, where ? "[" : "", where ? place : "null", where ? "]" : "");
    _exit(LOAD_FAILED_STATUS);
}

static void load_model(struct linear *model) {
    /* What a manifest asks for and this program does not do is refused: an operator must not think that it is done. */
    static const char *const unknown[] = {"inputs", "outputs", "example", "handler"};
    const struct json *manifest = json_get(load.header, "manifest");
    char problem[512];
    long long started = now_ms();
    if (json_whole(json_get(load.header, "protocol")) != 1) fail("ENVIRONMENT_BROKEN", "this program speaks protocol 1", NULL);
    for (size_t index = 0; index < sizeof unknown / sizeof *unknown; index++) {
        if (json_is_empty(json_get(manifest, unknown[index]))) continue;
        snprintf(problem, sizeof problem, "this program knows nothing of `%s`", unknown[index]);
        fail("MANIFEST_INVALID", problem, unknown[index]);
    }
    if (!linear_load(model, json_text(json_get(load.header, "path"), ""), problem, sizeof problem))
        fail("LOAD_FAILED", problem, NULL);
    const struct json *idempotent = json_get(manifest, "idempotent");
    pthread_mutex_lock(&lock);
    is_loaded = 1;
    pthread_mutex_unlock(&lock);
    tell(READY, load.id,
         "{\"signatures\":{\"serving_default\":{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP64\",\"shape\":[-1,%zu]}],"
         "\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP64\",\"shape\":[-1,%zu]}],\"ranking\":null}},\"payload\":\"tensors\","
         "\"runtime_version\":\"linear 1\",\"python\":\"none: C\",\"has_batch_dimension\":true,\"is_idempotent\":%s,"
         "\"rss\":%llu,\"load_s\":%.3f,\"example_s\":null,\"details\":{\"weights\":\"%zu\"}}",
         model->inputs, model->outputs, idempotent && idempotent->kind == JSON_BOOL && !idempotent->number ? "false" : "true",
         resident_bytes(), (double)(now_ms() - started) / 1000, (model->inputs + 1) * model->outputs);
}

/* ---- Data links ---- */

static int is_unwanted(const struct link *link, uint64_t batch) {
    pthread_mutex_lock(&lock);
    int is_it = unwanted_link == link->number && unwanted_batch == batch;
    pthread_mutex_unlock(&lock);
    return is_it;
}

static int refuse(const struct link *link, uint64_t id, const char *code, const char *message) {
    char *text = json_quoted(message), *header = NULL;
    if (asprintf(&header, "{\"code\":\"%s\",\"message\":%s,\"exception\":\"\",\"detail\":\"\"}", code, text) < 0) abort();
    int is_sent = frame_send(link->socket, ERROR, id, header, NULL, 0);
    free(header);
    free(text);
    return is_sent;
}

enum { COMPUTED, CANCELLED, TOO_LARGE };

/* Computes into the body of a RESULT, as long as somebody waits for it. */
static int compute(const struct linear *model, const struct link *link, uint64_t id, const double *values, uint64_t rows, double *answer) {
    for (uint64_t row = 0; row < rows; row++) {
        if (row % ROWS_BETWEEN_LOOKS == 0 && is_unwanted(link, id)) return CANCELLED;
        double *sums = answer + row * model->outputs;
        linear_row(model, values + row * model->inputs, sums);
        for (size_t output = 0; output < model->outputs; output++)
            if (!isfinite(sums[output])) return TOO_LARGE;
    }
    return COMPUTED;
}

/* Answers one PREDICT; 0 when the link cannot be used any further. */
static int predict(const struct linear *model, const struct link *link, const struct frame *frame) {
    char problem[512], header[128];
    double *values = NULL, *answer = NULL;
    uint64_t rows = 0;
    int is_usable = 0;
    if (is_unwanted(link, frame->id)) return refuse(link, frame->id, "CANCELLED", "the prediction was cancelled");
    switch (read_input(frame, link->slab, "x", model->inputs, &values, &rows, problem, sizeof problem)) {
    case FOUND_BROKEN:
        return 0;
    case FOUND_WRONG:
        return refuse(link, frame->id, "INVALID_INPUT", problem);
    case FOUND_IT:
        break;
    }
    uint64_t size = rows * model->outputs * sizeof(double);
    answer = calloc(1, size + ALIGNMENT);
    int outcome = answer ? compute(model, link, frame->id, values, rows, answer) : COMPUTED;
    if (!answer) {
        is_usable = refuse(link, frame->id, "OUT_OF_MEMORY", "there was not enough memory");
    } else if (outcome == CANCELLED) {
        is_usable = refuse(link, frame->id, "CANCELLED", "the prediction was cancelled");
    } else if (outcome == TOO_LARGE) {
        is_usable = refuse(link, frame->id, "MODEL_ERROR", "a sum is no finite number");
    } else {
        snprintf(header, sizeof header, "{\"tensors\":[[\"y\",\"FP64\",[%llu,%zu],%llu]]}", (unsigned long long)rows, model->outputs,
                 (unsigned long long)size);
        is_usable = frame_send(link->socket, RESULT, frame->id, header, answer, size + padding(size));
    }
    free(values);
    free(answer);
    return is_usable;
}

static int answer_link(const struct linear *model, const struct link *link) {
    struct frame frame;
    if (!frame_receive(link->socket, &frame, NULL)) return 0;
    atomic_store(&busy_since_ms, now_ms());
    int is_usable = frame.verb == PREDICT && predict(model, link, &frame);
    atomic_store(&busy_since_ms, 0);
    atomic_fetch_add(&predictions, 1);
    frame_clear(&frame);
    return is_usable;
}

static void drop(struct link *link) {
    close(link->socket);
    if (link->slab.bytes) munmap((void *)link->slab.bytes, link->slab.size);
}

/* Everything that has come, waiting for it if `patience` is -1. */
static void serve_links(const struct linear *model, struct link *links, int *count, int patience) {
    struct pollfd polls[MAX_LINKS + 1] = {{.fd = wake[0], .events = POLLIN}};
    char ignored[64];
    for (int index = 0; index < *count; index++) polls[index + 1] = (struct pollfd){.fd = links[index].socket, .events = POLLIN};
    if (poll(polls, (nfds_t)*count + 1, patience) <= 0) return;
    for (int index = *count - 1; index >= 0; index--) {
        if (!polls[index + 1].revents || answer_link(model, &links[index])) continue;
        drop(&links[index]);
        links[index] = links[--*count];
    }
    if (!polls[0].revents) return;
    if (read(wake[0], ignored, sizeof ignored) < 0) return;
    pthread_mutex_lock(&lock);
    for (int index = 0; index < arrived_count; index++) {
        if (*count < MAX_LINKS) links[(*count)++] = arrived[index];
        else drop(&arrived[index]);
    }
    arrived_count = 0;
    pthread_mutex_unlock(&lock);
}

static int must_stop(void) {
    pthread_mutex_lock(&lock);
    int is_so = is_stopping;
    pthread_mutex_unlock(&lock);
    return is_so;
}

int main(int argc, char **argv) {
    struct linear model;
    struct link links[MAX_LINKS];
    int count = 0;
    pthread_t thread;
    if (argc != 3 || strcmp(argv[1], "--control-fd")) return fprintf(stderr, "usage: %s --control-fd N\n", argv[0]), 2;
    control = atoi(argv[2]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN); /* Ctrl-C in a terminal reaches the server, and it decides */
    if (fcntl(control, F_SETFD, FD_CLOEXEC) < 0 || pipe2(wake, O_CLOEXEC | O_NONBLOCK) < 0) return perror("start"), 1;
    if (pthread_create(&thread, NULL, serve_control, NULL)) return perror("start"), 1;
    pthread_mutex_lock(&lock);
    while (!is_named) pthread_cond_wait(&has_load, &lock);
    pthread_mutex_unlock(&lock);
    load_model(&model);
    while (!must_stop()) serve_links(&model, links, &count, -1);
    serve_links(&model, links, &count, 0); /* links that came, then what was sent before STOP */
    serve_links(&model, links, &count, 0);
    _exit(0);
}
