/* SPDX-License-Identifier: MIT */
/*
 * The certificates of the tests: for each name of the list, all that X509_verify_cert finds wrong
 * with it at security level 2, as a client that trusts the root and expects a host.
 */
#include "authority.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cmocka.h>

#define MOST 8 /* problems of one certificate */

struct problems {
    int codes[MOST];
    size_t count;
};

struct expectation {
    const char *name, *host;
    int codes[MOST]; /* 0: no more */
    bool is_client;
};

static struct problems *found;

/* Notes each problem once, and goes on as if there were none. */
static int note_problem(int is_fine, X509_STORE_CTX *context)
{
    int code = X509_STORE_CTX_get_error(context);

    for (size_t i = 0; i < found->count; i++)
        is_fine |= found->codes[i] == code;
    if (!is_fine && found->count < MOST)
        found->codes[found->count++] = code;
    return 1;
}

static STACK_OF(X509) * read_chain(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    STACK_OF(X509) *chain = sk_X509_new_null();
    X509 *certificate;

    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        assert_true(sk_X509_push(chain, certificate) > 0);
    ERR_clear_error(); /* the end of the text */
    BIO_free(bio);
    return chain;
}

static void expect_host(X509_VERIFY_PARAM *parameters, const char *host)
{
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                    X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (host != NULL && X509_VERIFY_PARAM_set1_ip_asc(parameters, host) != 1)
        assert_int_equal(X509_VERIFY_PARAM_set1_host(parameters, host, 0), 1);
    ERR_clear_error();
}

static struct problems verify(struct authority *authority, const struct expectation *expectation,
                              const char *chain_text)
{
    STACK_OF(X509) *chain = read_chain(chain_text), *roots = read_chain(authority_root(authority));
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *parameters;
    struct problems problems = {{0}, 0};

    assert_int_equal(X509_STORE_add_cert(store, sk_X509_value(roots, 0)), 1);
    assert_int_equal(X509_STORE_CTX_init(context, store, sk_X509_value(chain, 0), chain), 1);
    parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_auth_level(parameters, 2);
    expect_host(parameters, expectation->host);
    X509_STORE_CTX_set_default(context, expectation->is_client ? "ssl_client" : "ssl_server");
    X509_STORE_CTX_set_verify_cb(context, note_problem);
    found = &problems;
    assert_int_equal(X509_verify_cert(context), 1);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    sk_X509_pop_free(chain, X509_free);
    sk_X509_pop_free(roots, X509_free);
    return problems;
}

static bool has_problem(const struct problems *problems, int code)
{
    for (size_t i = 0; i < problems->count; i++) {
        if (problems->codes[i] == code)
            return true;
    }
    return false;
}

static void check(struct authority *authority, const struct expectation *expectation)
{
    struct authority_pair pair = authority_named(authority, expectation->name);
    struct problems problems;
    size_t count = 0;

    assert_non_null(pair.chain);
    problems = verify(authority, expectation, pair.chain);
    for (; count < MOST && expectation->codes[count] != 0; count++) {
        if (!has_problem(&problems, expectation->codes[count]))
            fail_msg("%s for %s: not \"%s\"", expectation->name, expectation->host,
                     X509_verify_cert_error_string(expectation->codes[count]));
    }
    for (size_t i = 0; problems.count > count && i < problems.count; i++)
        print_message("# \"%s\"\n", X509_verify_cert_error_string(problems.codes[i]));
    if (problems.count > count)
        fail_msg("%s for %s: more than was expected", expectation->name, expectation->host);
}

static void check_all(const struct expectation *expectations, size_t count)
{
    struct authority *authority = authority_create();

    assert_non_null(authority);
    for (size_t i = 0; i < count; i++)
        check(authority, &expectations[i]);
    authority_free(authority);
}

#define CHECK_ALL(list) check_all(list, sizeof(list) / sizeof(list)[0])

#define NO_ISSUER \
    X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE

static void test_good_ones_have_no_problem(void **state)
{
    const struct expectation list[] = {
        {"good", "peer.test", {0}, false},        {"good", "localhost", {0}, false},
        {"good", "127.0.0.1", {0}, false},        {"good", "::1", {0}, false},
        {"rsa", "peer.test", {0}, false},         {"ip", "127.0.0.1", {0}, false},
        {"wrong-host", "other.test", {0}, false}, {"client", NULL, {0}, true},
        {"bad-purpose", "peer.test", {0}, true},
    };

    (void) state;
    CHECK_ALL(list);
}

static void test_wrong_ones_have_the_problem_of_their_name(void **state)
{
    const struct expectation list[] = {
        {"self-signed", "peer.test", {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT}, false},
        {"expired", "peer.test", {X509_V_ERR_CERT_HAS_EXPIRED}, false},
        {"not-yet-valid", "peer.test", {X509_V_ERR_CERT_NOT_YET_VALID}, false},
        {"unknown-authority", "peer.test", {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY}, false},
        {"incomplete", "peer.test", {NO_ISSUER}, false},
        {"rsa-1024", "peer.test", {X509_V_ERR_EE_KEY_TOO_SMALL}, false},
        {"sha-1", "peer.test", {X509_V_ERR_CA_MD_TOO_WEAK}, false},
        {"wrong-host", "peer.test", {X509_V_ERR_HOSTNAME_MISMATCH}, false},
        {"wrong-host", "127.0.0.1", {X509_V_ERR_IP_ADDRESS_MISMATCH}, false},
        {"expired-wrong-host",
         "peer.test",
         {X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_HOSTNAME_MISMATCH},
         false},
        {"bad-purpose", "peer.test", {X509_V_ERR_INVALID_PURPOSE}, false},
        {"client-stranger", NULL, {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY}, true},
    };

    (void) state;
    CHECK_ALL(list);
}

static void test_names_fit_where_they_should(void **state)
{
    const int other_host = X509_V_ERR_HOSTNAME_MISMATCH;
    const struct expectation list[] = {
        {"wildcard", "a.wild.test", {0}, false},
        {"wildcard", "a.b.wild.test", {other_host}, false},
        {"wildcard", "wild.test", {other_host}, false},
        {"wildcard-part", "foo.wild.test", {other_host}, false},
        {"wildcard-all", "peer.test", {other_host}, false},
        {"wildcard-all", "peer", {other_host}, false},
        {"wildcard-top", "peer.test", {other_host}, false},
        {"wildcard-middle", "a.b.test", {other_host}, false},
        {"name-alone", "peer.test", {other_host}, false},
        {"name-nul", "peer.test", {other_host}, false},
        {"ip", "peer.test", {other_host}, false},
        {"ip-as-name", "127.0.0.1", {X509_V_ERR_IP_ADDRESS_MISMATCH}, false},
    };

    (void) state;
    CHECK_ALL(list);
}

static X509 *read_leaf(const char *chain)
{
    BIO *bio = BIO_new_mem_buf(chain, -1);
    X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    assert_non_null(leaf);
    return leaf;
}

/* What a verifier that looks at the common name would be taken in by. */
static void test_common_names_are_as_asked_for(void **state)
{
    static const char with_nul[20] = "peer.test\0.evil.test";
    struct authority *authority = authority_create();
    X509 *leaf = read_leaf(authority_named(authority, "name-nul").chain);
    X509_NAME *subject = X509_get_subject_name(leaf);
    const ASN1_STRING *name = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, 0));

    (void) state;
    assert_int_equal(ASN1_STRING_length(name), sizeof with_nul);
    assert_memory_equal(ASN1_STRING_get0_data(name), with_nul, sizeof with_nul);
    X509_free(leaf);
    leaf = read_leaf(authority_named(authority, "name-alone").chain);
    assert_int_equal(X509_check_host(leaf, "peer.test", 0, 0, NULL), 1);
    X509_free(leaf);
    authority_free(authority);
}

static void test_each_key_belongs_to_its_leaf(void **state)
{
    struct authority *authority = authority_create();

    (void) state;
    for (size_t i = 0; authority_name(i) != NULL; i++) {
        struct authority_pair pair = authority_named(authority, authority_name(i));
        X509 *leaf = read_leaf(pair.chain);
        BIO *bio = BIO_new_mem_buf(pair.key, -1);
        EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);

        assert_int_equal(X509_check_private_key(leaf, key), 1);
        assert_ptr_equal(authority_named(authority, authority_name(i)).chain, pair.chain);
        EVP_PKEY_free(key);
        BIO_free(bio);
        X509_free(leaf);
    }
    authority_free(authority);
}

static void test_what_cannot_be_is_refused(void **state)
{
    const struct authority_options bad_name = {.names = "dns:a.test mail:a@b"};
    const struct authority_options bad_address = {.names = "ip:127.0.0.256"};
    struct authority *authority = authority_create();

    (void) state;
    assert_null(authority_named(authority, "nobody").chain);
    assert_null(authority_issue(authority, &bad_name).chain);
    assert_null(authority_issue(authority, &bad_address).chain);
    ERR_clear_error();
    authority_free(authority);
}

static void test_all_are_written_into_a_folder(void **state)
{
    char folder[] = "/tmp/authority-XXXXXX", path[512];
    struct authority *authority = authority_create();
    size_t files = 0, names = 0;
    struct dirent *entry;
    DIR *directory;

    (void) state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(authority_write(authority, folder), 0);
    while (authority_name(names) != NULL)
        names++;
    directory = opendir(folder);
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        files++;
        (void) snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        assert_int_equal(unlink(path), 0);
    }
    closedir(directory);
    assert_int_equal(rmdir(folder), 0);
    assert_int_equal(files, 2 * names + 1);
    assert_int_equal(authority_write(authority, folder), -1);
    authority_free(authority);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_ones_have_no_problem),
        cmocka_unit_test(test_wrong_ones_have_the_problem_of_their_name),
        cmocka_unit_test(test_names_fit_where_they_should),
        cmocka_unit_test(test_common_names_are_as_asked_for),
        cmocka_unit_test(test_each_key_belongs_to_its_leaf),
        cmocka_unit_test(test_what_cannot_be_is_refused),
        cmocka_unit_test(test_all_are_written_into_a_folder),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("authority", tests, NULL, NULL);
}
