/* SPDX-License-Identifier: MIT */
/*
 * The filter resp: values of RESP 2 and 3, the protocol of Redis (redis.io/docs/reference/
 * protocol-spec). A record is all bytes of one value, with the values inside it; out go the bytes
 * as they are. A list may hold lists, so the filter counts, for each list around the place that it
 * looks at, the values that are still to come.
 *
 * What always holds: a record is well-formed, so a decoder need not check it again. Bytes that
 * cannot become a value, or only a larger one than is allowed, are refused as soon as a byte shows
 * it, and before the bytes of a string or list come that is too long. A value that comes in many
 * pieces is read once. An attribute and the value behind it count as one value.
 */
#include "filter/filter.h"

#include <errno.h>
#include <stdio.h>

#include "base/options.h"

enum {
    MAX_LENGTH = 16 * 1024 * 1024,
    MAX_ELEMENTS = 1024 * 1024,
    DEPTH = 32, /* lists around a value, at most */
    LENGTH_DIGITS = 18,
    INTEGER_DIGITS = 19,
    VERBATIM_FORMAT = 4,    /* "txt:" */
    SHOWN = 32,             /* bytes of a line that a message shows */
    MOST_ELEMENTS = 1 << 30 /* without a limit: twice as many fit into uint32_t */
};

/* The form of a value, by its first byte. */
enum form { FORM_NONE, FORM_WORD, FORM_STRING, FORM_LIST };

struct resp {
    size_t max_length;
    size_t at;             /* bytes of the value that are read: the next one begins there */
    size_t scanned;        /* no line that begins at `at` ends before this place */
    uint32_t max_elements; /* values in the lists of a value, at most */
    uint32_t elements;     /* values that the lists have, or will have */
    uint32_t depth;        /* lists that are not complete */
    uint32_t left[DEPTH];  /* values that are still to come in each of them, the outermost first */
    char message[96];      /* message about the last error */
};

/* The rest of a line behind its first byte. */
struct text {
    const char *bytes;
    size_t length;
};

/* ---- errors ---- */

static int refuse_byte(struct resp *resp, struct tcpm_cut *cut, char found, const char *expected)
{
    snprintf(resp->message, sizeof resp->message, "byte 0x%02x where RESP has %s",
             (unsigned) (unsigned char) found, expected);
    cut->message = resp->message;
    return TCPM_EFILTER;
}

static int refuse_line(struct resp *resp, struct tcpm_cut *cut, char type, struct text line)
{
    char shown[SHOWN + 1];
    size_t length = line.length < SHOWN ? line.length : SHOWN;

    for (size_t i = 0; i < length; i++)
        shown[i] = line.bytes[i] >= ' ' && line.bytes[i] <= '~' ? line.bytes[i] : '?';
    shown[length] = '\0';
    snprintf(resp->message, sizeof resp->message, "not RESP: %c%s", type, shown);
    cut->message = resp->message;
    return TCPM_EFILTER;
}

static int refuse_length(struct resp *resp, struct tcpm_cut *cut)
{
    snprintf(resp->message, sizeof resp->message, "a value is longer than %zu bytes",
             resp->max_length);
    cut->message = resp->message;
    return TCPM_ETOOLONG;
}

static int refuse_elements(struct resp *resp, struct tcpm_cut *cut)
{
    snprintf(resp->message, sizeof resp->message, "a value has more than %u values in it",
             resp->max_elements);
    cut->message = resp->message;
    return TCPM_ETOOLONG;
}

static int refuse_depth(struct resp *resp, struct tcpm_cut *cut)
{
    snprintf(resp->message, sizeof resp->message, "lists in lists, more than %d deep", DEPTH);
    cut->message = resp->message;
    return TCPM_ETOOLONG;
}

/* ---- what a line says ---- */

static size_t count_digits(struct text text)
{
    size_t count = 0;

    while (count < text.length && text.bytes[count] >= '0' && text.bytes[count] <= '9')
        count++;
    return count;
}

static struct text behind(struct text text, size_t count)
{
    return (struct text){text.bytes + count, text.length - count};
}

static struct text behind_sign(struct text text)
{
    bool has_sign = text.length > 0 && (*text.bytes == '+' || *text.bytes == '-');

    return behind(text, has_sign ? 1 : 0);
}

/* Digits behind a sign, if there is one. */
static bool is_big_number(struct text text)
{
    struct text digits = behind_sign(text);

    return digits.length > 0 && count_digits(digits) == digits.length;
}

/* A number of 64 bits. */
static bool is_integer(struct text text)
{
    struct text digits = behind_sign(text);
    const char *most = digits.length < text.length && *text.bytes == '-' ? "9223372036854775808"
                                                                         : "9223372036854775807";

    if (!is_big_number(text))
        return false;
    while (digits.length > 1 && *digits.bytes == '0')
        digits = behind(digits, 1);
    return digits.length < INTEGER_DIGITS ||
           (digits.length == INTEGER_DIGITS && memcmp(digits.bytes, most, INTEGER_DIGITS) <= 0);
}

static bool equals(struct text text, const char *word)
{
    return text.length == strlen(word) && memcmp(text.bytes, word, text.length) == 0;
}

/* Digits; then, if there are such, a dot and digits, an exponent of digits. */
static bool is_double(struct text text)
{
    struct text rest = behind_sign(text);
    size_t digits = count_digits(rest);

    if (equals(rest, "inf") || equals(rest, "nan"))
        return true;
    if (digits == 0)
        return false;
    rest = behind(rest, digits);
    if (rest.length > 0 && *rest.bytes == '.') {
        digits = count_digits(behind(rest, 1));
        if (digits == 0)
            return false;
        rest = behind(rest, 1 + digits);
    }
    return rest.length == 0 ||
           ((*rest.bytes == 'e' || *rest.bytes == 'E') && is_big_number(behind(rest, 1)));
}

/* Reads a length, which has one form only. A length that no memory has becomes a large one. */
static bool read_length(struct text text, size_t *ret)
{
    uint64_t value = 0;

    if (text.length == 0 || count_digits(text) != text.length ||
        (*text.bytes == '0' && text.length > 1))
        return false;
    for (size_t i = 0; i < text.length && i < LENGTH_DIGITS; i++)
        value = value * 10 + (uint64_t) (text.bytes[i] - '0');
    if (text.length > LENGTH_DIGITS || value > SIZE_MAX / 4)
        value = SIZE_MAX / 4;
    *ret = (size_t) value;
    return true;
}

/* ---- values ---- */

/* A value is complete, and with it each list whose last value it was. */
static int complete(struct resp *resp, size_t at)
{
    resp->at = at;
    while (resp->depth > 0 && --resp->left[resp->depth - 1] == 0)
        resp->depth--;
    return 1;
}

static int open_list(struct resp *resp, struct tcpm_cut *cut, uint32_t count, size_t at)
{
    if (count == 0)
        return complete(resp, at);
    if (resp->depth == DEPTH)
        return refuse_depth(resp, cut);
    resp->at = at;
    resp->left[resp->depth++] = count;
    return 1;
}

/* Reads the line that begins a list; at is the place behind it. */
static int get_list(struct resp *resp, struct tcpm_cut *cut, char type, struct text line, size_t at)
{
    size_t count;
    uint32_t times = type == '%' || type == '|' ? 2 : 1;

    if (type == '*' && equals(line, "-1"))
        return complete(resp, at);
    if (!read_length(line, &count) || (type == '>' && resp->depth > 0))
        return refuse_line(resp, cut, type, line);
    if (count > (resp->max_elements - resp->elements) / times)
        return refuse_elements(resp, cut);
    uint32_t values = (uint32_t) count * times;
    resp->elements += values;
    return open_list(resp, cut, type == '|' ? values + 1 : values, at);
}

/* Reads the line that begins a string of so many bytes, and the string; at is the place behind the
   line. */
static int get_string(struct resp *resp, struct tcpm_cut *cut, const char *bytes, size_t length,
                      struct text line, size_t at)
{
    char type = line.bytes[-1];
    size_t count;

    if (type == '$' && equals(line, "-1"))
        return complete(resp, at);
    if (!read_length(line, &count) || (type == '=' && count < VERBATIM_FORMAT))
        return refuse_line(resp, cut, type, line);
    if (count > resp->max_length - at || resp->max_length - at - count < 2)
        return refuse_length(resp, cut);
    size_t end = at + count;
    if (type == '=' && length >= at + VERBATIM_FORMAT && bytes[at + VERBATIM_FORMAT - 1] != ':')
        return refuse_byte(resp, cut, bytes[at + VERBATIM_FORMAT - 1], "the colon of a format");
    if (length > end && bytes[end] != '\r')
        return refuse_byte(resp, cut, bytes[end], "the CR behind a string");
    if (length < end + 2)
        return 0;
    if (bytes[end + 1] != '\n')
        return refuse_byte(resp, cut, bytes[end + 1], "the LF behind a string");
    return complete(resp, end + 2);
}

static int get_word(struct resp *resp, struct tcpm_cut *cut, char type, struct text line, size_t at)
{
    bool is_right = type == ':'   ? is_integer(line)
                    : type == ',' ? is_double(line)
                    : type == '(' ? is_big_number(line)
                    : type == '#' ? equals(line, "t") || equals(line, "f")
                    : type == '_' ? line.length == 0
                                  : true; /* + and - */

    return is_right ? complete(resp, at) : refuse_line(resp, cut, type, line);
}

/* Finds the end of the line that begins at resp->at: its LF. 0: it has not come. */
static int find_end(struct resp *resp, struct tcpm_cut *cut, const char *bytes, size_t length,
                    size_t *ret)
{
    size_t window = length < resp->max_length ? length : resp->max_length;
    size_t i = resp->scanned > resp->at ? resp->scanned : resp->at + 1;

    while (i < window && bytes[i] != '\r' && bytes[i] != '\n')
        i++;
    resp->scanned = i;
    if (i < window && bytes[i] == '\n')
        return refuse_byte(resp, cut, '\n', "the CR before it");
    if (i + 1 >= window)
        return length < resp->max_length ? 0 : refuse_length(resp, cut);
    if (bytes[i + 1] != '\n')
        return refuse_byte(resp, cut, bytes[i + 1], "the LF behind a CR");
    *ret = i + 1;
    return 1;
}

static enum form form_of(char type)
{
    switch (type) {
    case '+':
    case '-':
    case ':':
    case '_':
    case '#':
    case ',':
    case '(':
        return FORM_WORD;
    case '$':
    case '!':
    case '=':
        return FORM_STRING;
    case '*':
    case '%':
    case '~':
    case '>':
    case '|':
        return FORM_LIST;
    default:
        return FORM_NONE;
    }
}

/* Reads one value that is no list, or the line that begins one. 1: it is read. 0: it is not
   complete. */
static int get_element(struct resp *resp, struct tcpm_cut *cut, const char *bytes, size_t length)
{
    size_t end = 0;

    if (resp->at == resp->max_length)
        return refuse_length(resp, cut);
    if (length == resp->at)
        return 0;
    char type = bytes[resp->at];
    enum form form = form_of(type);
    if (form == FORM_NONE)
        return refuse_byte(resp, cut, type, "the type of a value");
    int result = find_end(resp, cut, bytes, length, &end);
    if (result <= 0)
        return result;
    struct text line = {bytes + resp->at + 1, end - resp->at - 2};
    if (form == FORM_LIST)
        return get_list(resp, cut, type, line, end + 1);
    if (form == FORM_STRING)
        return get_string(resp, cut, bytes, length, line, end + 1);
    return get_word(resp, cut, type, line, end + 1);
}

/* Bytes that the filter has seen are still in front: it goes on where it was. */
static int get_resp(void *self, const char *bytes, size_t length, struct tcpm_cut *cut)
{
    struct resp *resp = self;

    if (cut->seen == 0) {
        resp->at = resp->scanned = 0;
        resp->elements = resp->depth = 0;
    }
    do {
        int result = get_element(resp, cut, bytes, length);

        if (result <= 0)
            return result;
    } while (resp->depth > 0);
    cut->record = bytes;
    cut->length = cut->used = resp->at;
    return 1;
}

static int put_resp(void *self, const void *record, size_t length, struct tcpm_out *out)
{
    (void) self;
    return tcpm__out_borrow(out, record, length);
}

static int init_resp(void *self, const void *given)
{
    const struct tcpm_resp_options *options = given;
    struct resp *resp = self;

    resp->max_length = (size_t) options->max_length;
    resp->max_elements = (uint32_t) options->max_elements;
    return 0;
}

int tcpm_filter_resp(const struct tcpm_resp_options *options_or_null, struct tcpm_filter **filter)
{
    static const struct tcpm_filter_kind kind = {.size = sizeof kind,
                                                 .name = "resp",
                                                 .self_size = sizeof(struct resp),
                                                 .init = init_resp,
                                                 .get_one = get_resp,
                                                 .put = put_resp};
    struct tcpm_resp_options options;

    if (filter == NULL)
        return -EINVAL;
    int result = tcpm__options_read(options_or_null, &options, sizeof options);
    if (result < 0)
        return result;
    options.max_length = tcpm__filter_limit(options.max_length, MAX_LENGTH);
    options.max_elements = tcpm__filter_limit(options.max_elements, MAX_ELEMENTS);
    if (options.max_length < 0 || options.max_elements < 0)
        return -EINVAL;
    if (options.max_elements > MOST_ELEMENTS)
        options.max_elements = MOST_ELEMENTS;
    return tcpm__filter_create(&kind, &options, false, filter);
}
