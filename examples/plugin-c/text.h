// Texts of the contract: bytes in UTF-8 and their number, without a NUL at the end.

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/merchant_plugin.h"

// A text that lies there already, and is not to be freed.
static merchant_plugin_string_t view(const char *literal) {
  return (merchant_plugin_string_t){(uint8_t *)literal, strlen(literal)};
}

static bool is(merchant_plugin_string_t text, const char *literal) {
  return text.len == strlen(literal) && memcmp(text.ptr, literal, text.len) == 0;
}

static merchant_plugin_list_u8_t bytes(merchant_plugin_string_t text) {
  return (merchant_plugin_list_u8_t){text.ptr, text.len};
}

static void append(merchant_plugin_string_t *text, const void *more, size_t count) {
  text->ptr = realloc(text->ptr, text->len + count + 1);
  if (text->ptr == NULL) abort();
  memcpy(text->ptr + text->len, more, count);
  text->len += count;
}

// The pattern with a text in the place of each %s.
static merchant_plugin_string_t written(const char *pattern, ...) {
  merchant_plugin_string_t text = {NULL, 0};
  va_list texts;
  va_start(texts, pattern);
  for (const char *hole; (hole = strstr(pattern, "%s")) != NULL; pattern = hole + 2) {
    merchant_plugin_string_t part = va_arg(texts, merchant_plugin_string_t);
    append(&text, pattern, hole - pattern);
    append(&text, part.ptr, part.len);
  }
  append(&text, pattern, strlen(pattern));
  va_end(texts);
  return text;
}

static merchant_plugin_string_t text(const char *literal) {
  merchant_plugin_string_t copy = {NULL, 0};
  append(&copy, literal, strlen(literal));
  return copy;
}

static merchant_plugin_string_t number(int64_t value) {
  char digits[24], *first = digits + sizeof digits;
  uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
  do *--first = '0' + rest % 10;
  while (rest /= 10);
  if (value < 0) *--first = '-';
  merchant_plugin_string_t text = {NULL, 0};
  append(&text, first, digits + sizeof digits - first);
  return text;
}

static merchant_plugin_string_t hex(merchant_plugin_list_u8_t raw) {
  merchant_plugin_string_t text = {NULL, 0};
  for (size_t i = 0; i < raw.len; i++) {
    append(&text, &"0123456789abcdef"[raw.ptr[i] >> 4], 1);
    append(&text, &"0123456789abcdef"[raw.ptr[i] & 15], 1);
  }
  return text;
}

// A text as JSON has it, in quotes. A byte becomes six at most.
static merchant_plugin_string_t quoted(merchant_plugin_string_t plain) {
  static const char SHORT[] = "\"\"\\\\\bb\ff\nn\rr\tt", DIGITS[] = "0123456789abcdef";
  uint8_t *start = malloc(plain.len * 6 + 2), *end = start;
  if (start == NULL) abort();
  *end++ = '"';
  for (size_t i = 0; i < plain.len; i++) {
    uint8_t byte = plain.ptr[i];
    const char *pair = SHORT;
    while (*pair && byte != (uint8_t)*pair) pair += 2;
    if (*pair) {
      *end++ = '\\';
      *end++ = pair[1];
    } else if (byte < 0x20) {
      memcpy(end, "\\u00", 4);
      end[4] = DIGITS[byte >> 4];
      end[5] = DIGITS[byte & 15];
      end += 6;
    } else {
      *end++ = byte;
    }
  }
  *end++ = '"';
  return (merchant_plugin_string_t){start, end - start};
}
