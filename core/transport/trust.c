/* SPDX-License-Identifier: MIT */
/* See trust.h. */
#include "transport/trust.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/assert.h"
#include "tcpmulti.h"

/* ---- files and folders ---- */

static char *copy_text(const struct tcpm__memory *memory, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = tcpm__memory_resize(memory, NULL, size);

    return copy != NULL ? memcpy(copy, text, size) : NULL;
}

/* The source as it is now; its name is borrowed. A file that is not there has no version. */
static struct tcpm__trust_source look_at(const char *name)
{
    struct tcpm__trust_source source = {.name = (char *) (uintptr_t) name};
    struct stat status;

    if (name == NULL || tcpm__pem_is_text(name) || stat(name, &status) != 0)
        return source;
    source.modified = status.st_mtim;
    source.device = status.st_dev;
    source.inode = status.st_ino;
    source.size = status.st_size;
    return source;
}

static bool is_same(const struct tcpm__trust_source *a, const struct tcpm__trust_source *b)
{
    if (a->name == NULL || b->name == NULL)
        return a->name == b->name;
    return strcmp(a->name, b->name) == 0 && a->modified.tv_sec == b->modified.tv_sec &&
           a->modified.tv_nsec == b->modified.tv_nsec && a->device == b->device &&
           a->inode == b->inode && a->size == b->size;
}

/* 0, or negative: name is no folder that can be read. */
static int check_folder(const char *name)
{
    DIR *folder = opendir(name);

    if (folder == NULL)
        return -errno;
    closedir(folder);
    return 0;
}

/* Whether the folder has a file whose name can be that of a certificate, "HASH.NUMBER". */
static bool has_certificates(const char *name)
{
    DIR *folder = opendir(name);
    const struct dirent *entry;
    bool is_found = false;

    if (folder == NULL)
        return false;
    while (!is_found && (entry = readdir(folder)) != NULL)
        is_found = strspn(entry->d_name, "0123456789abcdef") == 8 && entry->d_name[8] == '.';
    closedir(folder);
    return is_found;
}

/* ---- one of them ---- */

static void free_trust(const struct tcpm__memory *memory, struct tcpm__trust *trust)
{
    tcpm__list_remove(&trust->link);
    X509_STORE_free(trust->store);
    tcpm__memory_free(memory, trust->file.name);
    tcpm__memory_free(memory, trust->folder.name);
    tcpm__memory_free(memory, trust->nothing);
    tcpm__memory_free(memory, trust);
}

/* A trust without certificates. NULL: no memory. */
static struct tcpm__trust *create(const struct tcpm__memory *memory,
                                  const struct tcpm__trust_source *file,
                                  const struct tcpm__trust_source *folder)
{
    struct tcpm__trust *made = tcpm__memory_zeroed(memory, sizeof *made);

    if (made == NULL)
        return NULL;
    made->file = *file;
    made->folder = *folder;
    made->file.name = file->name != NULL ? copy_text(memory, file->name) : NULL;
    made->folder.name = folder->name != NULL ? copy_text(memory, folder->name) : NULL;
    made->store = X509_STORE_new();
    if (made->store != NULL && (made->file.name != NULL) == (file->name != NULL) &&
        (made->folder.name != NULL) == (folder->name != NULL))
        return made;
    free_trust(memory, made);
    return NULL;
}

/* Adds an item of a PEM text, which may be a certificate and a revocation list. A certificate that
   is there twice is there once. */
static bool add_item(X509_STORE *store, const X509_INFO *item)
{
    if (item->x509 != NULL && X509_STORE_add_cert(store, item->x509) != 1)
        return false;
    return item->crl == NULL || (X509_STORE_add_crl(store, item->crl) == 1 &&
                                 X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK) == 1);
}

/* Adds certificates and revocation lists. The number of certificates, or -1: an error that OpenSSL
   has in its queue. */
static int add_items(X509_STORE *store, STACK_OF(X509_INFO) * items)
{
    int count = 0;

    for (int i = 0; i < sk_X509_INFO_num(items); i++) {
        const X509_INFO *item = sk_X509_INFO_value(items, i);

        if (!add_item(store, item))
            return -1;
        count += item->x509 != NULL;
    }
    return count;
}

static int read_authorities(X509_STORE *store, const struct tcpm__pem_option *option,
                            struct tcpm__tls_trouble *trouble)
{
    BIO *bio;
    int code = tcpm__pem_open(option, trouble, &bio);

    if (code < 0)
        return code;
    STACK_OF(X509_INFO) *items = PEM_X509_INFO_read_bio(bio, NULL, NULL, NULL);

    BIO_free(bio);
    int count = items != NULL ? add_items(store, items) : -1;

    sk_X509_INFO_pop_free(items, X509_INFO_free);
    if (count > 0)
        return 0;
    return tcpm__trouble_note_pem(trouble, option, count == 0 ? "has no certificate" : NULL);
}

static int read_folder(X509_STORE *store, const struct tcpm__pem_option *option,
                       struct tcpm__tls_trouble *trouble)
{
    int code = check_folder(option->value);

    if (code < 0) {
        tcpm__trouble_note_pem(trouble, option, tcpm_error_text(code));
        return code;
    }
    if (X509_STORE_load_path(store, option->value) != 1)
        return tcpm__trouble_note_pem(trouble, option, NULL);
    return 0;
}

/* An authority below a root may be given without that. */
static int read_given(struct tcpm__trust *trust, struct tcpm__tls_trouble *trouble)
{
    const struct tcpm__pem_option ca = {"ca", trust->file.name};
    const struct tcpm__pem_option ca_path = {"ca_path", trust->folder.name};
    int code = ca.value != NULL ? read_authorities(trust->store, &ca, trouble) : 0;

    if (code == 0 && ca_path.value != NULL)
        code = read_folder(trust->store, &ca_path, trouble);
    if (code == 0 && X509_STORE_set_flags(trust->store, X509_V_FLAG_PARTIAL_CHAIN) != 1)
        code = tcpm__trouble_note_openssl(trouble, "ca");
    return code;
}

/* ---- those of the system ---- */

/* Where OpenSSL looks: what its variable of the environment says, or its own place. */
static const char *place_of(const char *variable, const char *own)
{
    const char *said = secure_getenv(variable);

    return said != NULL ? said : own;
}

static bool is_empty(X509_STORE *store)
{
    return sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) == 0;
}

static char *make_nothing(const struct tcpm__memory *memory, const struct tcpm__trust *trust)
{
    static const char format[] = "no CA certificates at %s or %s; install ca-certificates";
    size_t size = sizeof format + strlen(trust->file.name) + strlen(trust->folder.name);
    char *text = tcpm__memory_resize(memory, NULL, size);

    if (text != NULL)
        snprintf(text, size, format, trust->file.name, trust->folder.name);
    return text;
}

/* The system's certificates may be missing: connections will say so. */
static int read_system(const struct tcpm__memory *memory, struct tcpm__trust *trust,
                       struct tcpm__tls_trouble *trouble)
{
    trust->is_system = true;
    if (X509_STORE_set_default_paths(trust->store) != 1)
        return tcpm__trouble_note_openssl(trouble, "ca");
    ERR_clear_error();
    if (!is_empty(trust->store) || has_certificates(trust->folder.name))
        return 0;
    trust->nothing = make_nothing(memory, trust);
    return trust->nothing != NULL ? 0 : -ENOMEM;
}

/* ---- all of them ---- */

void tcpm__trusts_init(struct tcpm__trusts *trusts, const struct tcpm__memory *memory)
{
    *trusts = (struct tcpm__trusts){.memory = memory};
    tcpm__list_init(&trusts->all);
}

void tcpm__trusts_drop(struct tcpm__trusts *trusts, struct tcpm__trust *trust)
{
    TCPM__ASSERT(trust == NULL || trust->uses > 0);
    if (trust != NULL && --trust->uses == 0)
        free_trust(trusts->memory, trust);
}

void tcpm__trusts_free(struct tcpm__trusts *trusts)
{
    tcpm__trusts_drop(trusts, trusts->system);
    TCPM__ASSERT(tcpm__list_empty(&trusts->all));
}

static struct tcpm__trust *find(struct tcpm__trusts *trusts, bool is_system,
                                const struct tcpm__trust_source *file,
                                const struct tcpm__trust_source *folder)
{
    for (struct tcpm__list *at = trusts->all.next; at != &trusts->all; at = at->next) {
        struct tcpm__trust *trust = TCPM__CONTAINER(at, struct tcpm__trust, link);

        if (trust->is_system == is_system && is_same(&trust->file, file) &&
            is_same(&trust->folder, folder))
            return trust;
    }
    return NULL;
}

static void keep_system(struct tcpm__trusts *trusts, struct tcpm__trust *trust)
{
    tcpm__trusts_drop(trusts, trusts->system);
    trusts->system = trust;
    trust->uses++;
}

static int make(struct tcpm__trusts *trusts, bool is_system, const struct tcpm__trust_source *file,
                const struct tcpm__trust_source *folder, struct tcpm__tls_trouble *trouble,
                struct tcpm__trust **ret)
{
    struct tcpm__trust *made = create(trusts->memory, file, folder);

    if (made == NULL)
        return -ENOMEM;
    int code = is_system ? read_system(trusts->memory, made, trouble) : read_given(made, trouble);

    if (code < 0) {
        free_trust(trusts->memory, made);
        return code;
    }
    tcpm__list_append(&trusts->all, &made->link);
    if (is_system)
        keep_system(trusts, made);
    *ret = made;
    return 0;
}

int tcpm__trusts_get(struct tcpm__trusts *trusts, const char *ca, const char *ca_path,
                     struct tcpm__tls_trouble *trouble, struct tcpm__trust **ret)
{
    bool is_system = ca == NULL && ca_path == NULL;

    if (is_system) {
        ca = place_of(X509_get_default_cert_file_env(), X509_get_default_cert_file());
        ca_path = place_of(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
    }
    struct tcpm__trust_source file = look_at(ca), folder = look_at(ca_path);
    struct tcpm__trust *trust = find(trusts, is_system, &file, &folder);

    if (trust == NULL) {
        int code = make(trusts, is_system, &file, &folder, trouble, &trust);

        if (code < 0)
            return code;
    }
    trust->uses++;
    *ret = trust;
    return 0;
}

void tcpm__trusts_validate(const struct tcpm__trusts *trusts)
{
    bool has_system = trusts->system == NULL;

    for (struct tcpm__list *at = trusts->all.next; at != &trusts->all; at = at->next) {
        const struct tcpm__trust *trust = TCPM__CONTAINER(at, struct tcpm__trust, link);

        TCPM__ASSERT(at->next->prev == at);
        TCPM__ASSERT(trust->uses > 0 && trust->store != NULL);
        TCPM__ASSERT(trust->nothing == NULL || trust->is_system);
        has_system |= trust == trusts->system;
    }
    TCPM__ASSERT(has_system);
}
