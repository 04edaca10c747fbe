#include "linear.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 4096

int linear_load(struct linear *model, const char *path, char *problem, size_t size) {
    FILE *file = fopen(path, "r");
    if (!file) return snprintf(problem, size, "%s cannot be read: %s", path, strerror(errno)), 0;
    size_t wanted = 0, count = 0;
    if (fscanf(file, "%zu %zu", &model->inputs, &model->outputs) == 2 && model->inputs && model->inputs <= MOST &&
        model->outputs && model->outputs <= MOST) {
        wanted = (model->inputs + 1) * model->outputs;
        model->weights = calloc(wanted, sizeof(double));
        while (model->weights && count < wanted && fscanf(file, "%lf", model->weights + count) == 1) count++;
    }
    fclose(file);
    if (!wanted) return snprintf(problem, size, "%s does not begin with two counts from 1 to %d", path, MOST), 0;
    if (count < wanted) return snprintf(problem, size, "%s has %zu weights and needs %zu", path, count, wanted), 0;
    return 1;
}

void linear_row(const struct linear *model, const double *inputs, double *outputs) {
    const double *weight = model->weights;
    for (size_t output = 0; output < model->outputs; output++) {
        outputs[output] = *weight++;
        for (size_t input = 0; input < model->inputs; input++) outputs[output] += *weight++ * inputs[input];
    }
}
