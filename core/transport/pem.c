/* SPDX-License-Identifier: MIT */
/* See pem.h. */
#include "transport/pem.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "tcpmulti.h"

/* ---- what is wrong ---- */

/* A file's name may have any bytes. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char) *text < ' ' || *text == 0x7f)
            *text = '?';
}

int tcpm__trouble_note(struct tcpm__tls_trouble *trouble, const char *option, const char *what)
{
    snprintf(trouble->text, sizeof trouble->text, "%s: %s", option, what);
    make_printable(trouble->text);
    return -EINVAL;
}

/* The last error of the queue, as a text and a code. */
static const char *take_error(int *code)
{
    unsigned long error = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(error);

    ERR_clear_error();
    *code = ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EINVAL;
    if (ERR_SYSTEM_ERROR(error))
        return tcpm_error_text(-ERR_GET_REASON(error));
    return reason != NULL ? reason : "cannot be used";
}

int tcpm__trouble_note_openssl(struct tcpm__tls_trouble *trouble, const char *option)
{
    int code;
    const char *what = take_error(&code);

    tcpm__trouble_note(trouble, option, what);
    return code;
}

int tcpm__trouble_note_pem(struct tcpm__tls_trouble *trouble, const struct tcpm__pem_option *option,
                           const char *what)
{
    int code;
    const char *reason = take_error(&code);
    bool has_file = !tcpm__pem_is_text(option->value);

    snprintf(trouble->text, sizeof trouble->text, "%s: %s%s%s", option->name,
             has_file ? option->value : "", has_file ? ": " : "", what != NULL ? what : reason);
    make_printable(trouble->text);
    return code;
}

/* ---- texts and files ---- */

bool tcpm__pem_is_text(const char *value)
{
    return strstr(value, "-----BEGIN") != NULL;
}

int tcpm__pem_open(const struct tcpm__pem_option *option, struct tcpm__tls_trouble *trouble,
                   BIO **ret)
{
    bool is_text = tcpm__pem_is_text(option->value);

    if (is_text && strlen(option->value) > INT_MAX)
        return tcpm__trouble_note(trouble, option->name, "is too long");
    errno = 0;
    *ret = is_text ? BIO_new_mem_buf(option->value, -1) : BIO_new_file(option->value, "r");
    if (*ret != NULL)
        return 0;
    int code = errno != 0 ? -errno : -ENOMEM;

    tcpm__trouble_note_pem(trouble, option, tcpm_error_text(code));
    return code;
}
