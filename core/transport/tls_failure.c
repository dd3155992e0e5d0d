/* SPDX-License-Identifier: MIT */
/*
 * Why a layer of TLS has failed: a code, and a line for people. The code of a failure is negative,
 * and known to the layer before anybody asks for the reason.
 */
#include "transport/tls_layer.h"

#include <openssl/err.h>

#include "transport/verdict.h"

enum { REASON_SIZE = 1024 }; /* bytes of the text about a certificate, at most */

static void set_reason(struct tcpm__tls *tls, const char *text, const char *more)
{
    size_t length = strlen(text), more_length = strlen(more);

    tcpm__memory_free(tcpm__tls_memory(tls), tls->reason);
    tls->reason = tcpm__memory_resize(tcpm__tls_memory(tls), NULL, length + more_length + 1);
    if (tls->reason == NULL)
        return;
    memcpy(tls->reason, text, length);
    memcpy(tls->reason + length, more, more_length + 1);
}

STACK_OF(X509) * tcpm__tls_chain(const struct tcpm__tls *tls)
{
    STACK_OF(X509) *sent = SSL_get_peer_cert_chain(tls->ssl);

    return sent != NULL ? sent : SSL_get0_verified_chain(tls->ssl);
}

static int refuse_certificate(struct tcpm__tls *tls)
{
    STACK_OF(X509) *chain = tcpm__tls_chain(tls);
    char text[REASON_SIZE];

    tcpm__verdict_text(&tls->peer.verdict, sk_X509_num(chain) > 0 ? sk_X509_value(chain, 0) : NULL,
                       text, sizeof text);
    set_reason(tls, text, "");
    return TCPM_ECERT;
}

/* An alert of the peer is an error too, such as "tlsv13 alert certificate required". */
static int fail_for_error(struct tcpm__tls *tls, unsigned long error)
{
    const char *text = ERR_reason_error_string(error), *alert = NULL;

    if (ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET &&
        text != NULL)
        alert = strstr(text, "alert ");
    if (alert != NULL)
        set_reason(tls, alert + strlen("alert "), ", sent by the peer");
    else
        set_reason(tls, text != NULL ? text : "a failure without a reason", "");
    return TCPM_ETLS;
}

static bool is_about_certificate(unsigned long error)
{
    return ERR_GET_LIB(error) == ERR_LIB_SSL &&
           ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

/* Whether the error says only that there was another one before it: so since OpenSSL 3.2. */
static bool is_echo(unsigned long error)
{
#ifdef SSL_R_RECORD_LAYER_FAILURE
    return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == SSL_R_RECORD_LAYER_FAILURE;
#else
    return error == 0;
#endif
}

/* Empties OpenSSL's queue of errors. Gives the last one, or the first that is about memory: what
   has followed from it, the refusal of a certificate perhaps, says nothing. 0: there was none. */
static unsigned long take_error(void)
{
    unsigned long error = ERR_get_error(), last = 0;

    for (; error != 0 && ERR_GET_REASON(last) != ERR_R_MALLOC_FAILURE; error = ERR_get_error())
        if (!is_echo(error))
            last = error;
    ERR_clear_error();
    return last;
}

/* A verification without memory fails, and may find no problem. */
static bool is_about_memory(const struct tcpm__tls *tls, unsigned long error)
{
    return ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE ||
           (is_about_certificate(error) && tls->peer.verdict.problems == 0);
}

int tcpm__tls_fail(struct tcpm__tls *tls)
{
    unsigned long error = take_error();

    tls->is_own = true;
    if (tcpm__tls_is_flooded(tls)) {
        set_reason(tls, "too many messages of the handshake without data between them", "");
        return TCPM_ETLS;
    }
    if (is_about_memory(tls, error)) {
        tls->is_own = false;
        return -ENOMEM;
    }
    return is_about_certificate(error) ? refuse_certificate(tls) : fail_for_error(tls, error);
}

int tcpm__tls_fail_for_truncation(struct tcpm__tls *tls)
{
    if (tls->peer.spec->allow_truncation)
        return 0;
    set_reason(tls, "FIN without close_notify", tls->is_finished ? ", after ours" : "");
    tls->is_own = true;
    return TCPM_ETRUNCATED;
}

const char *tcpm__tls_reason(const struct tcpm__layer *layer)
{
    const struct tcpm__tls *tls = TCPM__CONTAINER(layer, const struct tcpm__tls, layer);

    if (!tls->is_own)
        return NULL;
    return tls->reason != NULL ? tls->reason : "out of memory for the reason";
}
