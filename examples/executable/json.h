/* As much JSON as the headers of frames need: a tree of values, read from bytes, and text written as JSON. */

#ifndef JSON_H
#define JSON_H

#include <stddef.h>

enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_TEXT, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_kind kind;
    double number;      /* of a number, and 0 or 1 of a boolean */
    char *text;         /* UTF-8, with a zero byte behind it */
    char *key;          /* its name, inside an object */
    struct json *first; /* of an array or an object */
    struct json *next;  /* the neighbour inside an array or an object */
};

/* The value that these bytes are, or NULL when they are not exactly one. */
struct json *json_parse(const char *bytes, size_t length);
void json_free(struct json *value);

/* The value under a key of an object, or NULL. `value` may be NULL. */
const struct json *json_get(const struct json *value, const char *key);
/* The item of an array at this place, or NULL. */
const struct json *json_at(const struct json *value, size_t index);
size_t json_count(const struct json *value);
/* Whether it says nothing: not there, null, or without items. */
int json_is_empty(const struct json *value);
/* The text, or `other` when it is no text. */
const char *json_text(const struct json *value, const char *other);
/* A whole number from 0 to 2^53; -1 when it is none. */
long long json_whole(const struct json *value);

/* The text in quotes, to be freed. */
char *json_quoted(const char *text);

#endif
