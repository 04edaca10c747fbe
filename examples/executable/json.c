#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64

struct reader {
    const char *at, *end;
    int depth;
};

static struct json *read_value(struct reader *in);

static void skip_space(struct reader *in) {
    while (in->at < in->end && strchr(" \t\r\n", *in->at) && *in->at) in->at++;
}

static int take(struct reader *in, char wanted) {
    skip_space(in);
    if (in->at == in->end || *in->at != wanted) return 0;
    in->at++;
    return 1;
}

static long read_hex(struct reader *in) {
    long value = 0;
    if (in->end - in->at < 4) return -1;
    for (int count = 0; count < 4; count++) {
        const char *digits = "0123456789abcdef", *found;
        found = *in->at ? strchr(digits, *in->at >= 'A' && *in->at <= 'F' ? *in->at + 32 : *in->at) : NULL;
        if (!found) return -1;
        value = value * 16 + (found - digits);
        in->at++;
    }
    return value;
}

/* Writes a character as UTF-8; how many bytes it took. */
static int write_character(char *out, long code) {
    if (code < 0x80) return out[0] = (char)code, 1;
    if (code < 0x800) return out[0] = (char)(0xC0 | code >> 6), out[1] = (char)(0x80 | (code & 63)), 2;
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

/* The bytes after a backslash, as UTF-8; 0 when they mean nothing. */
static int read_escape(struct reader *in, char *out) {
    const char *plain = "\"\\/bfnrt", *meant = "\"\\/\b\f\n\r\t", *found;
    char letter = in->at < in->end ? *in->at++ : 0;
    if (letter != 'u') {
        found = letter ? strchr(plain, letter) : NULL;
        return found ? (out[0] = meant[found - plain], 1) : 0;
    }
    long code = read_hex(in);
    if (code >= 0xD800 && code < 0xDC00) {
        if (in->end - in->at < 2 || in->at[0] != '\\' || in->at[1] != 'u') return 0;
        in->at += 2;
        long low = read_hex(in);
        if (low < 0xDC00 || low > 0xDFFF) return 0;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    return code > 0 ? write_character(out, code) : 0;
}

static char *read_text(struct reader *in) {
    if (!take(in, '"')) return NULL;
    char *text = malloc((size_t)(in->end - in->at) + 1); /* no escape is longer than what it stands for */
    size_t length = 0;
    while (text && in->at < in->end && *in->at != '"') {
        if ((unsigned char)*in->at < 0x20) break;
        if (*in->at != '\\') {
            text[length++] = *in->at++;
            continue;
        }
        in->at++;
        int count = read_escape(in, text + length);
        if (!count) break;
        length += (size_t)count;
    }
    if (!text || in->at == in->end || *in->at != '"') return free(text), NULL;
    in->at++;
    text[length] = 0;
    return text;
}

static int read_word(struct reader *in, const char *word) {
    size_t length = strlen(word);
    if ((size_t)(in->end - in->at) < length || memcmp(in->at, word, length)) return 0;
    in->at += length;
    return 1;
}

static int read_number(struct reader *in, double *number) {
    char digits[64], *stop;
    size_t length = 0;
    while (in->at + length < in->end && in->at[length] && strchr("+-.0123456789eE", in->at[length])) length++;
    if (!length || length >= sizeof digits) return 0;
    memcpy(digits, in->at, length);
    digits[length] = 0;
    *number = strtod(digits, &stop);
    in->at += length;
    return *stop == 0;
}

/* Items up to the bracket that closes them; 0 when one is none. */
static int read_items(struct reader *in, struct json *value, char close) {
    struct json **place = &value->first;
    if (take(in, close)) return 1;
    do {
        char *key = NULL;
        if (close == '}' && (!(key = read_text(in)) || !take(in, ':'))) return free(key), 0;
        if (!(*place = read_value(in))) return free(key), 0;
        (*place)->key = key;
        place = &(*place)->next;
    } while (take(in, ','));
    return take(in, close);
}

static struct json *read_value(struct reader *in) {
    struct json *value = calloc(1, sizeof *value);
    int is_read = 0;
    skip_space(in);
    if (!value || in->at == in->end || ++in->depth > MAX_DEPTH) return free(value), NULL;
    if (*in->at == '"') {
        value->kind = JSON_TEXT;
        is_read = (value->text = read_text(in)) != NULL;
    } else if (*in->at == '[' || *in->at == '{') {
        value->kind = *in->at == '[' ? JSON_ARRAY : JSON_OBJECT;
        is_read = read_items(in, value, *in->at++ == '[' ? ']' : '}');
    } else if (*in->at == 't' || *in->at == 'f') {
        value->kind = JSON_BOOL;
        value->number = *in->at == 't';
        is_read = read_word(in, *in->at == 't' ? "true" : "false");
    } else if (*in->at == 'n') {
        is_read = read_word(in, "null");
    } else {
        value->kind = JSON_NUMBER;
        is_read = read_number(in, &value->number);
    }
    in->depth--;
    if (is_read) return value;
    json_free(value);
    return NULL;
}

struct json *json_parse(const char *bytes, size_t length) {
    struct reader in = {bytes, bytes + length, 0};
    struct json *value = read_value(&in);
    skip_space(&in);
    if (in.at == in.end) return value;
    json_free(value);
    return NULL;
}

void json_free(struct json *value) {
    while (value) {
        struct json *next = value->next;
        json_free(value->first);
        free(value->text);
        free(value->key);
        free(value);
        value = next;
    }
}

const struct json *json_get(const struct json *value, const char *key) {
    const struct json *item = value && value->kind == JSON_OBJECT ? value->first : NULL;
    while (item && strcmp(item->key, key)) item = item->next;
    return item;
}

const struct json *json_at(const struct json *value, size_t index) {
    const struct json *item = value && value->kind == JSON_ARRAY ? value->first : NULL;
    while (item && index--) item = item->next;
    return item;
}

size_t json_count(const struct json *value) {
    size_t count = 0;
    for (const struct json *item = value ? value->first : NULL; item; item = item->next) count++;
    return count;
}

int json_is_empty(const struct json *value) {
    return !value || value->kind == JSON_NULL || ((value->kind == JSON_ARRAY || value->kind == JSON_OBJECT) && !value->first);
}

const char *json_text(const struct json *value, const char *other) {
    return value && value->kind == JSON_TEXT ? value->text : other;
}

long long json_whole(const struct json *value) {
    if (!value || value->kind != JSON_NUMBER || value->number < 0 || value->number > 9007199254740992.0) return -1;
    return (double)(long long)value->number == value->number ? (long long)value->number : -1;
}

char *json_quoted(const char *text) {
    char *quoted = malloc(strlen(text) * 6 + 3), *out = quoted;
    if (!quoted) abort();
    *out++ = '"';
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20) {
            out += sprintf(out, "\\u%04x", *text);
        } else {
            if (*text == '"' || *text == '\\') *out++ = '\\';
            *out++ = *text;
        }
    }
    *out++ = '"';
    *out = 0;
    return quoted;
}
