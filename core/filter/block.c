/* SPDX-License-Identifier: MIT */
/*
 * The filter block: records of a fixed size, or records with their length in front of them, in one
 * of ten encodings.
 *
 * What always holds: a header is offset bytes and the length field. The body behind the header has
 * as many bytes as the field says, plus adjust. A length that is not allowed is refused as soon as
 * the field shows it, before its bytes come. No sum with a number from the peer can overflow.
 */
#include "filter/filter.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/options.h"

enum {
    MAX_LENGTH = 16 * 1024 * 1024,
    ASCII_DIGITS = 20, /* the largest uint64_t has so many */
    VARINT_BYTES = 9,  /* for 63 bits */
    FIELD_MAX = ASCII_DIGITS + 1,
    OFFSET_LIMIT = 65536
};

enum form { FORM_BIG_ENDIAN, FORM_LITTLE_ENDIAN, FORM_ASCII0, FORM_VARINT };

struct encoding {
    const char *name;
    enum form form;
    unsigned bytes; /* size of the field; 0: the field shows its own end */
};

struct block {
    size_t block_size;               /* bytes of every record; 0: the length is in front */
    const struct encoding *encoding; /* encoding of the length field; NULL with a block_size */
    size_t offset;
    int64_t adjust;
    bool header;
    int64_t max_length;
    char message[96]; /* message about the last error */
};

/* The part of a length field that has come. */
struct field {
    size_t bytes;   /* size of the field, once it is complete */
    uint64_t value; /* the length, or the least that it can become */
    bool complete;
};

static const struct encoding *find_encoding(const char *name)
{
    static const struct encoding encodings[] = {
        {"u8", FORM_BIG_ENDIAN, 1},       {"u16be", FORM_BIG_ENDIAN, 2},
        {"u16le", FORM_LITTLE_ENDIAN, 2}, {"u24be", FORM_BIG_ENDIAN, 3},
        {"u24le", FORM_LITTLE_ENDIAN, 3}, {"u32be", FORM_BIG_ENDIAN, 4},
        {"u32le", FORM_LITTLE_ENDIAN, 4}, {"u64be", FORM_BIG_ENDIAN, 8},
        {"ascii0", FORM_ASCII0, 0},       {"varint", FORM_VARINT, 0}};

    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
        if (strcmp(encodings[i].name, name) == 0)
            return &encodings[i];
    return NULL;
}

__attribute__((format(printf, 4, 5))) static int refuse(struct block *block, struct tcpm_cut *cut,
                                                        int code, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(block->message, sizeof block->message, format, arguments);
    va_end(arguments);
    cut->message = block->message;
    return code;
}

static void read_fixed(const struct encoding *encoding, const unsigned char *bytes, size_t length,
                       struct field *field)
{
    if (length < encoding->bytes)
        return;
    for (unsigned i = 0; i < encoding->bytes; i++) {
        unsigned index = encoding->form == FORM_BIG_ENDIAN ? i : encoding->bytes - 1 - i;
        field->value = field->value << 8 | bytes[index];
    }
    field->bytes = encoding->bytes;
    field->complete = true;
}

/* Whether a record of this length is too long. The value of a field that is not complete can only
   grow: the rest of the field does not matter then. */
static bool is_too_much(const struct block *block, uint64_t value)
{
    int64_t most = block->max_length - block->adjust;

    return most < 0 || value > (uint64_t) most;
}

static int read_ascii0(struct block *block, const unsigned char *bytes, size_t length,
                       struct field *field, struct tcpm_cut *cut)
{
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned) bytes[i] - '0';

        if (bytes[i] == '\0' && i > 0) {
            field->bytes = i + 1;
            field->complete = true;
            return 0;
        }
        if (digit > 9)
            return refuse(block, cut, TCPM_EFILTER, "byte 0x%02x where a length has a digit",
                          bytes[i]);
        if (i == ASCII_DIGITS || field->value > (UINT64_MAX - digit) / 10)
            return refuse(block, cut, TCPM_EFILTER, "a length of too many digits");
        field->value = field->value * 10 + digit;
        if (is_too_much(block, field->value))
            return 0;
    }
    return 0;
}

static int read_varint(struct block *block, const unsigned char *bytes, size_t length,
                       struct field *field, struct tcpm_cut *cut)
{
    for (size_t i = 0; i < length; i++) {
        if (i == VARINT_BYTES - 1 && bytes[i] > 0x7f)
            return refuse(block, cut, TCPM_EFILTER, "a varint of more than %d bytes", VARINT_BYTES);
        field->value |= (uint64_t) (bytes[i] & 0x7f) << (7 * i);
        if (bytes[i] <= 0x7f) {
            field->bytes = i + 1;
            field->complete = true;
            return 0;
        }
        if (is_too_much(block, field->value))
            return 0;
    }
    return 0;
}

static int read_field(struct block *block, const unsigned char *bytes, size_t length,
                      struct field *field, struct tcpm_cut *cut)
{
    switch (block->encoding->form) {
    case FORM_ASCII0:
        return read_ascii0(block, bytes, length, field, cut);
    case FORM_VARINT:
        return read_varint(block, bytes, length, field, cut);
    case FORM_BIG_ENDIAN:
    case FORM_LITTLE_ENDIAN:
    default:
        read_fixed(block->encoding, bytes, length, field);
        return 0;
    }
}

/* Refuses a length that is too large, or that adjust makes negative. 0, or an error. */
static int check_length(struct block *block, const struct field *field, struct tcpm_cut *cut)
{
    if (is_too_much(block, field->value))
        return refuse(block, cut, TCPM_ETOOLONG, "a length of %s%llu, the limit is %lld",
                      field->complete ? "" : "at least ", (unsigned long long) field->value,
                      (long long) (block->max_length - block->adjust));
    if (field->complete && (int64_t) field->value + block->adjust < 0)
        return refuse(block, cut, TCPM_EFILTER, "a length of %llu, which %lld makes negative",
                      (unsigned long long) field->value, (long long) block->adjust);
    return 0;
}

static int get_by_length(struct block *block, const char *bytes, size_t length,
                         struct tcpm_cut *cut)
{
    struct field field = {.complete = false};

    if (length <= block->offset) {
        cut->need = block->offset + 1;
        return 0;
    }
    int result = read_field(block, (const unsigned char *) bytes + block->offset,
                            length - block->offset, &field, cut);
    if (result == 0)
        result = check_length(block, &field, cut);
    if (result < 0)
        return result;
    if (!field.complete) {
        cut->need = block->encoding->bytes == 0 ? 0 : block->offset + block->encoding->bytes;
        return 0;
    }
    size_t header = block->offset + field.bytes;
    size_t body = (size_t) ((int64_t) field.value + block->adjust);
    if (body > length - header) {
        cut->need = header + body;
        return 0;
    }
    cut->used = header + body;
    cut->record = bytes + (block->header ? 0 : header);
    cut->length = cut->used - (block->header ? 0 : header);
    return 1;
}

static int get_block(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    struct block *block = self;

    if (block->block_size == 0)
        return get_by_length(block, bytes, length, cut);
    if (length < block->block_size) {
        cut->need = block->block_size;
        return 0;
    }
    cut->record = bytes;
    cut->used = cut->length = block->block_size;
    return 1;
}

/* Writes a value as a length field. The size of the field, or -EMSGSIZE: the value does not fit. */
static int write_field(const struct encoding *encoding, uint64_t value,
                       unsigned char field[FIELD_MAX + 1])
{
    unsigned bytes = encoding->bytes;

    if (encoding->form == FORM_ASCII0)
        return 1 + snprintf((char *) field, FIELD_MAX + 1, "%llu", (unsigned long long) value);
    if (encoding->form == FORM_VARINT) {
        for (bytes = 0; value > 0x7f; value >>= 7)
            field[bytes++] = (unsigned char) (value | 0x80);
        field[bytes++] = (unsigned char) value;
        return (int) bytes;
    }
    if (bytes < sizeof value && value >> (8 * bytes) != 0)
        return -EMSGSIZE;
    for (unsigned i = 0; i < bytes; i++, value >>= 8)
        field[encoding->form == FORM_BIG_ENDIAN ? bytes - 1 - i : i] = (unsigned char) value;
    return (int) bytes;
}

static int put_block(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    const struct block *block = self;
    unsigned char field[FIELD_MAX + 1];

    if (block->block_size > 0 || block->header)
        return tcpm__out_borrow(out, record, length);
    if (length > PTRDIFF_MAX / 2 || (int64_t) length < block->adjust)
        return -EMSGSIZE;
    int64_t value = (int64_t) length - block->adjust;
    int bytes = write_field(block->encoding, (uint64_t) value, field);
    if (bytes < 0)
        return bytes;
    int result = tcpm_out_write(out, field, (size_t) bytes);
    return result < 0 ? result : tcpm_out_write(out, record, length);
}

static bool is_blank(const struct tcpm_block_options *options)
{
    return options->length == NULL && options->offset == 0 && options->adjust == 0 &&
           options->header == 0;
}

/* Whether the options go together. The limits of adjust keep every sum with it within int64_t. */
static bool is_possible(const struct tcpm_block_options *options)
{
    if (options->max_length <= 0)
        return false;
    if (options->block_size != 0)
        return options->block_size > 0 && options->block_size <= options->max_length &&
               is_blank(options);
    return options->length != NULL && find_encoding(options->length) != NULL &&
           (options->header == 0 || options->header == 1) && options->offset >= 0 &&
           options->offset <= OFFSET_LIMIT && (options->offset == 0 || options->header == 1) &&
           options->adjust >= INT32_MIN && options->adjust <= INT32_MAX;
}

static int init_block(void *self, const void *given)
{
    const struct tcpm_block_options *options = given;
    struct block *block = self;

    block->block_size = (size_t) options->block_size;
    block->encoding = options->length == NULL ? NULL : find_encoding(options->length);
    block->offset = (size_t) options->offset;
    block->adjust = options->adjust;
    block->header = options->header != 0;
    block->max_length = options->max_length;
    return 0;
}

int tcpm_filter_block(const struct tcpm_block_options *options, struct tcpm_filter **filter)
{
    static const struct tcpm_filter_kind kind = {.size = sizeof kind,
                                                 .name = "block",
                                                 .self_size = sizeof(struct block),
                                                 .init = init_block,
                                                 .get_one = get_block,
                                                 .put = put_block};
    struct tcpm_block_options known;

    if (options == NULL || filter == NULL)
        return -EINVAL;
    int result = tcpm__options_read(options, &known, sizeof known);
    if (result < 0)
        return result;
    /* Even without a limit the size of a header can be added without an overflow. */
    known.max_length = tcpm__filter_limit(known.max_length, MAX_LENGTH);
    if (known.max_length > PTRDIFF_MAX / 2)
        known.max_length = PTRDIFF_MAX / 2;
    if (!is_possible(&known))
        return -EINVAL;
    return tcpm__filter_create(&kind, &known, true, filter);
}
