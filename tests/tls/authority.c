/* SPDX-License-Identifier: MIT */
/* See authority.h. */
#include "authority.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define DAY     INT64_C(86400)
#define OF_PEER "dns:peer.test dns:localhost ip:127.0.0.1 ip:::1"

struct signer { /* a certificate that signs others */
    X509 *certificate;
    EVP_PKEY *key;
};

struct issued {
    struct issued *next;
    const char *name; /* NULL: not of the list */
    char *chain, *key;
};

struct authority {
    struct signer root, intermediate, stranger, stranger_intermediate;
    char *root_pem;
    struct issued *issued;
};

static const struct {
    const char *name;
    struct authority_options options;
} named[] = {
    {"good", {.names = OF_PEER}},
    {"rsa", {.names = OF_PEER, .key = AUTHORITY_RSA}},
    {"self-signed", {.names = OF_PEER, .issuer = AUTHORITY_SELF}},
    {"expired", {.names = OF_PEER, .begins_s = -9 * DAY, .ends_s = -DAY}},
    {"not-yet-valid", {.names = OF_PEER, .begins_s = DAY, .ends_s = 9 * DAY}},
    {"unknown-authority", {.names = OF_PEER, .issuer = AUTHORITY_STRANGER}},
    {"incomplete", {.names = OF_PEER, .is_leaf_alone = true}},
    {"rsa-1024", {.names = OF_PEER, .key = AUTHORITY_RSA_1024}},
    {"sha-1", {.names = OF_PEER, .is_sha1 = true}},
    {"wrong-host", {.names = "dns:other.test ip:127.0.0.99"}},
    {"expired-wrong-host", {.names = "dns:other.test", .begins_s = -9 * DAY, .ends_s = -DAY}},
    {"wildcard", {.names = "dns:*.wild.test"}},
    {"wildcard-part", {.names = "dns:f*.wild.test"}},
    {"wildcard-all", {.names = "dns:*"}},
    {"wildcard-top", {.names = "dns:*.test"}},
    {"wildcard-middle", {.names = "dns:a.*.test"}},
    {"name-alone", {.common_name = "peer.test"}},
    {"name-nul", {.common_name = "peer.test\0.evil.test", .common_name_length = 20}},
    {"ip", {.names = "ip:127.0.0.1"}},
    {"ip-as-name", {.names = "dns:127.0.0.1"}},
    {"bad-purpose", {.names = OF_PEER, .is_for_clients = true}},
    {"client", {.common_name = "the client", .is_for_clients = true}},
    {"client-stranger",
     {.common_name = "a stranger", .is_for_clients = true, .issuer = AUTHORITY_STRANGER}},
};

/* ---- certificates ---- */

static EVP_PKEY *make_key(enum authority_key kind)
{
    switch (kind) {
    case AUTHORITY_RSA:
        return EVP_RSA_gen(2048);
    case AUTHORITY_RSA_1024:
        return EVP_RSA_gen(1024);
    case AUTHORITY_EC:
    default:
        return EVP_EC_gen("P-256");
    }
}

static bool set_serial(X509 *certificate)
{
    unsigned char bytes[8];
    uint64_t serial = 0;

    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return false;
    memcpy(&serial, bytes, sizeof serial);
    return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1) == 1;
}

static bool set_subject(X509 *certificate, const struct authority_options *options)
{
    const char *name = options->common_name != NULL ? options->common_name : "a test";
    size_t length = options->common_name_length > 0 ? options->common_name_length : strlen(name);

    return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                      MBSTRING_UTF8, (const unsigned char *) name, (int) length, -1,
                                      0) == 1;
}

static bool set_times(X509 *certificate, const struct authority_options *options)
{
    int64_t begins = options->begins_s != 0 ? options->begins_s : -DAY;
    int64_t ends = options->ends_s != 0 ? options->ends_s : 30 * DAY;

    return X509_gmtime_adj(X509_getm_notBefore(certificate), (long) begins) != NULL &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), (long) ends) != NULL;
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    bool is_added;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    is_added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return is_added;
}

/* One name, "dns:" or "ip:" and its text. NULL: it is none. */
static GENERAL_NAME *general_name(const char *text)
{
    if (strncmp(text, "dns:", 4) == 0)
        return a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_DNS, text + 4, 0);
    if (strncmp(text, "ip:", 3) == 0)
        return a2i_GENERAL_NAME(NULL, NULL, NULL, GEN_IPADD, text + 3, 0);
    return NULL;
}

static bool push_names(GENERAL_NAMES *list, char *texts)
{
    char *rest = NULL;

    for (char *text = strtok_r(texts, " ", &rest); text != NULL;
         text = strtok_r(NULL, " ", &rest)) {
        GENERAL_NAME *name = general_name(text);

        if (name == NULL || sk_GENERAL_NAME_push(list, name) == 0) {
            GENERAL_NAME_free(name);
            return false;
        }
    }
    return true;
}

static bool add_names(X509 *certificate, const char *names)
{
    GENERAL_NAMES *list = GENERAL_NAMES_new();
    char *texts = strdup(names);
    bool is_added = list != NULL && texts != NULL && push_names(list, texts) &&
                    X509_add1_ext_i2d(certificate, NID_subject_alt_name, list, 0, 0) == 1;

    free(texts);
    GENERAL_NAMES_free(list);
    return is_added;
}

static bool add_leaf_extensions(X509 *certificate, X509 *issuer,
                                const struct authority_options *options)
{
    const char *purpose = options->is_for_clients ? "clientAuth" : "serverAuth";

    return add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
           add_extension(certificate, issuer, NID_ext_key_usage, purpose) &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid") &&
           (options->names == NULL || add_names(certificate, options->names));
}

static bool add_signer_extensions(X509 *certificate, X509 *issuer)
{
    return add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
           add_extension(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid");
}

/* Everything but the extensions and the signature. NULL: without memory. */
static X509 *begin_certificate(const struct authority_options *options, EVP_PKEY *key,
                               const struct signer *issuer)
{
    X509 *certificate = X509_new();

    if (certificate == NULL)
        return NULL;
    if (X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
        set_subject(certificate, options) && set_times(certificate, options) &&
        X509_set_pubkey(certificate, key) == 1 &&
        X509_set_issuer_name(certificate,
                             X509_get_subject_name(issuer->certificate != NULL ? issuer->certificate
                                                                               : certificate)) == 1)
        return certificate;
    X509_free(certificate);
    return NULL;
}

/* An issuer without a certificate: the new one signs itself. */
static X509 *make_certificate(const struct authority_options *options, bool is_signer,
                              EVP_PKEY *key, const struct signer *issuer)
{
    X509 *certificate = begin_certificate(options, key, issuer);
    X509 *above = issuer->certificate != NULL ? issuer->certificate : certificate;
    const EVP_MD *digest = options->is_sha1 ? EVP_sha1() : EVP_sha256();

    if (certificate == NULL)
        return NULL;
    if ((is_signer ? add_signer_extensions(certificate, above)
                   : add_leaf_extensions(certificate, above, options)) &&
        X509_sign(certificate, issuer->key != NULL ? issuer->key : key, digest) > 0)
        return certificate;
    X509_free(certificate);
    return NULL;
}

static bool make_signer(struct signer *signer, const char *name, const struct signer *issuer)
{
    const struct authority_options options = {.common_name = name, .ends_s = 300 * DAY};

    signer->key = make_key(AUTHORITY_EC);
    if (signer->key != NULL)
        signer->certificate = make_certificate(&options, true, signer->key, issuer);
    return signer->certificate != NULL;
}

static void free_signer(struct signer *signer)
{
    X509_free(signer->certificate);
    EVP_PKEY_free(signer->key);
}

/* ---- PEM ---- */

/* The text of a memory BIO, which is freed. NULL: without memory. */
static char *take_text(BIO *bio)
{
    char *bytes, *text;
    long length = BIO_get_mem_data(bio, &bytes);

    text = malloc((size_t) length + 1);
    if (text != NULL) {
        memcpy(text, bytes, (size_t) length);
        text[length] = '\0';
    }
    BIO_free(bio);
    return text;
}

/* above: NULL for none. */
static char *chain_text(X509 *certificate, X509 *above)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL)
        return NULL;
    if (PEM_write_bio_X509(bio, certificate) == 1 &&
        (above == NULL || PEM_write_bio_X509(bio, above) == 1))
        return take_text(bio);
    BIO_free(bio);
    return NULL;
}

static char *key_text(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());

    if (bio == NULL)
        return NULL;
    if (PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
        return take_text(bio);
    BIO_free(bio);
    return NULL;
}

/* ---- the authority ---- */

static bool make_signers(struct authority *authority)
{
    const struct signer none = {NULL, NULL};

    return make_signer(&authority->root, "the root", &none) &&
           make_signer(&authority->intermediate, "the intermediate", &authority->root) &&
           make_signer(&authority->stranger, "an unknown root", &none) &&
           make_signer(&authority->stranger_intermediate, "an unknown intermediate",
                       &authority->stranger);
}

struct authority *authority_create(void)
{
    struct authority *authority = calloc(1, sizeof *authority);

    if (authority == NULL)
        return NULL;
    if (make_signers(authority))
        authority->root_pem = chain_text(authority->root.certificate, NULL);
    if (authority->root_pem != NULL)
        return authority;
    authority_free(authority);
    return NULL;
}

static void free_issued(struct issued *issued)
{
    free(issued->chain);
    free(issued->key);
    free(issued);
}

void authority_free(struct authority *authority)
{
    if (authority == NULL)
        return;
    while (authority->issued != NULL) {
        struct issued *issued = authority->issued;

        authority->issued = issued->next;
        free_issued(issued);
    }
    free_signer(&authority->root);
    free_signer(&authority->intermediate);
    free_signer(&authority->stranger);
    free_signer(&authority->stranger_intermediate);
    free(authority->root_pem);
    free(authority);
}

const char *authority_root(const struct authority *authority)
{
    return authority->root_pem;
}

static struct signer issuer_of(const struct authority *authority,
                               const struct authority_options *options)
{
    switch (options->issuer) {
    case AUTHORITY_ROOT:
        return authority->root;
    case AUTHORITY_STRANGER:
        return authority->stranger_intermediate;
    case AUTHORITY_SELF:
        return (struct signer){NULL, NULL};
    case AUTHORITY_INTERMEDIATE:
    default:
        return authority->intermediate;
    }
}

static void write_pair(struct authority *authority, const struct authority_options *options,
                       EVP_PKEY *key, struct issued *issued)
{
    struct signer issuer = issuer_of(authority, options);
    X509 *certificate = make_certificate(options, false, key, &issuer);
    bool is_chain = !options->is_leaf_alone && options->issuer != AUTHORITY_ROOT;

    if (certificate == NULL)
        return;
    issued->chain = chain_text(certificate, is_chain ? issuer.certificate : NULL);
    issued->key = key_text(key);
    X509_free(certificate);
}

/* NULL: without memory, or an option is none. */
static struct issued *issue(struct authority *authority, const struct authority_options *options)
{
    struct issued *issued = calloc(1, sizeof *issued);
    EVP_PKEY *key = make_key(options->key);

    if (issued != NULL && key != NULL)
        write_pair(authority, options, key, issued);
    EVP_PKEY_free(key);
    if (issued == NULL || issued->chain == NULL || issued->key == NULL) {
        if (issued != NULL)
            free_issued(issued);
        return NULL;
    }
    issued->next = authority->issued;
    authority->issued = issued;
    return issued;
}

static struct authority_pair pair_of(const struct issued *issued)
{
    return issued == NULL ? (struct authority_pair){NULL, NULL}
                          : (struct authority_pair){issued->chain, issued->key};
}

struct authority_pair authority_issue(struct authority *authority,
                                      const struct authority_options *options)
{
    return pair_of(issue(authority, options));
}

struct authority_pair authority_named(struct authority *authority, const char *name)
{
    struct issued *issued = authority->issued;

    while (issued != NULL && (issued->name == NULL || strcmp(issued->name, name) != 0))
        issued = issued->next;
    for (size_t i = 0; issued == NULL && i < sizeof named / sizeof named[0]; i++) {
        if (strcmp(named[i].name, name) == 0) {
            issued = issue(authority, &named[i].options);
            if (issued != NULL)
                issued->name = named[i].name;
            break;
        }
    }
    return pair_of(issued);
}

const char *authority_name(size_t index)
{
    return index < sizeof named / sizeof named[0] ? named[index].name : NULL;
}

/* ---- files ---- */

static int write_file(const char *folder, const char *name, const char *suffix, const char *text)
{
    char path[512];
    FILE *file;
    int result;

    if (snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix) >= (int) sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    file = fopen(path, "we");
    if (file == NULL)
        return -1;
    result = fputs(text, file) < 0 ? -1 : 0;
    return fclose(file) == 0 ? result : -1;
}

int authority_write(struct authority *authority, const char *folder)
{
    if (write_file(folder, "root", ".pem", authority->root_pem) < 0)
        return -1;
    for (size_t i = 0; authority_name(i) != NULL; i++) {
        struct authority_pair pair = authority_named(authority, authority_name(i));

        if (pair.chain == NULL) {
            errno = ENOMEM;
            return -1;
        }
        if (write_file(folder, authority_name(i), ".pem", pair.chain) < 0 ||
            write_file(folder, authority_name(i), ".key", pair.key) < 0)
            return -1;
    }
    return 0;
}
