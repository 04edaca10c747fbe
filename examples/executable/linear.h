/* The model: outputs that are sums of weighted inputs. */

#ifndef LINEAR_H
#define LINEAR_H

#include <stddef.h>

struct linear {
    size_t inputs, outputs;
    double *weights; /* for each output its constant, then one weight for each input */
};

/* Reads a file of numbers: how many inputs and outputs, then the weights. 0 with the reason in `problem`. */
int linear_load(struct linear *model, const char *path, char *problem, size_t size);
void linear_row(const struct linear *model, const double *inputs, double *outputs);

#endif
